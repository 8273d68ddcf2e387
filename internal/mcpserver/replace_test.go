package mcpserver

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
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
