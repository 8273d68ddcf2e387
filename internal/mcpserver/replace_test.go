package mcpserver

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/registry"
)

// events reads a stream's messages, one after the other.
type events struct {
	t     *testing.T
	lines chan string
}

// openStream asks for a stream, and fails the test if there is none.
func openStream(ctx context.Context, t *testing.T, method, url string, hs headers, body string) *events {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Content-Type", "application/json")
	for name, value := range hs {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, got)
	}
	e := &events{t: t, lines: make(chan string, 100)}
	go func() {
		defer resp.Body.Close()
		defer close(e.lines)
		for scanner := bufio.NewScanner(resp.Body); scanner.Scan(); {
			if data, ok := strings.CutPrefix(scanner.Text(), "data: "); ok && data != "" {
				e.lines <- data
			}
		}
	}()
	return e
}

// next gives the next message, "" at the stream's end.
func (e *events) next() string {
	e.t.Helper()
	select {
	case line := <-e.lines:
		return line
	case <-time.After(10 * time.Second):
		e.t.Fatal("no message for 10 seconds")
		return ""
	}
}

// want takes messages and compares them.
func (e *events) want(messages ...string) {
	e.t.Helper()
	for _, want := range messages {
		if got := e.next(); got != want {
			e.t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

const subscribeDocuments = `{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["stagedoor://actions/fake:echo","stagedoor://actions/fake:nope"]},` + modernMeta + `}}`

// TestReplaceTellsWhatChanged: clients hear of the lists that changed, on the
// servers where they did, and of documents that they asked for.
func TestReplaceTellsWhatChanged(t *testing.T) {
	h := newTestHandler(t, Options{})
	web := httptest.NewServer(h)
	defer web.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	session := startSession(t, h, "/mcp/catalog", "2025-06-18", "")
	legacyStream := openStream(ctx, t, "GET", web.URL+"/mcp/catalog", headers{"Mcp-Session-Id": session}, "")
	modernStream := openStream(ctx, t, "POST", web.URL+"/mcp/catalog", modernHeaders("subscriptions/listen", ""), subscribeDocuments)
	admin := openStream(ctx, t, "GET", web.URL+"/mcp/admin", headers{"Mcp-Session-Id": startSession(t, h, "/mcp/admin", "2025-06-18", "")}, "")
	const tag = `"_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}`
	modernStream.want(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{` + tag +
		`,"notifications":{"toolsListChanged":true,"resourceSubscriptions":["stagedoor://actions/fake:echo"]}}}`)

	same := testServers()
	if err := h.SetServers(same); err != nil { // nothing changed, nothing is told
		t.Fatal(err)
	}
	changed := testServers()
	for i, tool := range changed[0].Tools {
		if tool.Action.Name == "echo" {
			changed[0].Tools[i].Action.Description = "Does something else."
		}
	}
	if err := h.SetServers(changed); err != nil {
		t.Fatal(err)
	}
	legacyStream.want(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
	modernStream.want(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{`+tag+`}}`,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{`+tag+`,"uri":"stagedoor://actions/fake:echo"}}`)

	fewer := testServers()[:1] // the admin server is gone
	fewer[0].Tools = fewer[0].Tools[1:]
	fewer[0].Prompts = []registry.Prompt{{Name: "new"}}
	if err := h.SetServers(fewer); err != nil {
		t.Fatal(err)
	}
	admin.want("") // its stream ends
	if w := serve(h, "POST", "/mcp/admin", headers{"Mcp-Session-Id": session}, list); w.Code != 404 {
		t.Errorf("a removed server: %d", w.Code)
	}
	legacyStream.want(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`,
		`{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}`, `{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}`)

	h.Drain()
	legacyStream.want("")
	modernStream.want(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{`+tag+`}}`,
		`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{`+tag+`,"uri":"stagedoor://actions/fake:echo"}}`, // as it was before
		`{"jsonrpc":"2.0","id":"sub","result":{"resultType":"complete",`+tag+`}}`, "")
}

// TestSetServersTakesOver: a server that is the very same stays; of another, the
// tools that are the same stay, and what it shows is what one made from nothing
// shows.
func TestSetServersTakesOver(t *testing.T) {
	servers := testServers()
	h := newTestHandler(t, Options{})
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	before := *h.servers.Load()
	for name, change := range map[string]func(*registry.Server){
		"nothing":  func(*registry.Server) {},
		"action":   func(s *registry.Server) { s.Tools[1].Action = action("maybe", ownersSchema) },
		"name":     func(s *registry.Server) { s.Tools[1].Name = "renamed" },
		"one less": func(s *registry.Server) { s.Tools = s.Tools[1:] },
		"one more": func(s *registry.Server) {
			s.Tools = append(s.Tools, registry.Tool{Name: "a_new", Action: action("limited", "")})
		},
		"swapped":   func(s *registry.Server) { s.Tools[0].Action, s.Tools[1].Action = s.Tools[1].Action, s.Tools[0].Action },
		"tasks":     func(s *registry.Server) { s.TaskAfter = time.Second },
		"page":      func(s *registry.Server) { s.ListPage = 3 },
		"title":     func(s *registry.Server) { s.Title = "Another" },
		"prompts":   func(s *registry.Server) { s.Prompts = nil },
		"resources": func(s *registry.Server) { s.Resources = s.Resources[1:] },
	} {
		offers := *servers[2]
		offers.Tools = slices.Clone(offers.Tools)
		change(&offers)
		if err := h.SetServers([]*registry.Server{servers[0], &offers, servers[3]}); err != nil {
			t.Fatal(err)
		}
		if h.server("catalog") != before["catalog"] || h.server("empty") != before["empty"] || h.server("offers") == before["offers"] {
			t.Errorf("%s: what is the same did not stay, or what is another did", name)
		}
		fresh, err := h.newServer(&offers, nil)
		if err != nil {
			t.Fatal(err)
		}
		is := h.server("offers")
		if !reflect.DeepEqual(is.lists, fresh.lists) || is.versions != fresh.versions || !reflect.DeepEqual(is.tools, fresh.tools) {
			t.Errorf("%s: the server is not what it would be from nothing", name)
		}
		kept := slices.DeleteFunc(slices.Clone(is.order), func(now *tool) bool { return now != before["offers"].tools[now.name] })
		want := 5
		switch name {
		case "action", "name", "one less":
			want = 4
		case "swapped":
			want = 3
		case "tasks":
			want = 0
		}
		if len(kept) != want {
			t.Errorf("%s: %d tools were taken over, want %d", name, len(kept), want)
		}
		if err := h.SetServers(servers); err != nil {
			t.Fatal(err)
		}
		before = *h.servers.Load()
	}
}
