package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// openSSE opens a stream of HTTP+SSE and gives its session.
func openSSE(t testing.TB, r *replica, user string) (*eventReader, string) {
	t.Helper()
	stream := request(t, "GET", r.url+"/sse", headers{"X-User": user}, "")
	first, _ := stream.next(t)
	path, id, ok := strings.Cut(first.data, "?sessionId=")
	if first.name != "endpoint" || path != "/mcp/catalog/message" || !ok {
		t.Fatalf("status %d, first event %+v", stream.status, first)
	}
	return stream, id
}

// say posts a message of a session of HTTP+SSE.
func say(t testing.TB, r *replica, id, user, body string) {
	t.Helper()
	if got := request(t, "POST", r.url+"/message?sessionId="+id, headers{"X-User": user}, body); got.status != 202 {
		got, _ := got.next(t)
		t.Fatalf("message: %s", got.data)
	}
}

// The stream is at one replica, the messages arrive at the other.
func TestSSEElsewhere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		calls := newSteered()
		a, b := pair(t, open, Options{Invoker: invokerFunc(calls.Invoke)})
		stream, id := openSSE(t, a, "ada")
		say(t, b, id, "ada", callBody("0", "fake_echo", "{}"))
		stream.want(t, "initialize comes first")
		say(t, a, id, "ada", `{"jsonrpc":"2.0","id":"p","method":"ping"}`)
		stream.want(t, `"id":"p","result":{}`)
		say(t, b, id, "ada", initializeBody("2024-11-05"))
		stream.want(t, `"protocolVersion":"2024-11-05"`)
		for i, r := range []*replica{a, b, a, b} { // a has it in its cache, from before it was initialized
			say(t, r, id, "ada", callBody(fmt.Sprint(i+1), "fake_echo", `{"at":`+fmt.Sprint(i)+`}`))
			stream.want(t, fmt.Sprintf(`"id":%d,"result"`, i+1))
		}
		for _, r := range []*replica{a, b} {
			say(t, r, id, "ada", progressCall("7"))
			calls.send(t, "one", "two", "answer")
			for _, text := range []string{"one", "two", `"id":7,"result"`} {
				stream.want(t, text)
			}
			say(t, r, id, "ada", progressCall("8"))
			calls.send(t, "one")
			stream.want(t, "one")
			say(t, map[bool]*replica{true: b, false: a}[r == a], id, "ada", cancelBody("8"))
			stream.want(t, "call was cancelled")
			if err := r.SetServers(changedServers()); err != nil {
				t.Fatal(err)
			}
			stream.wantLists(t)
		}
		for who, want := range map[string]int{
			"?sessionId=" + id: 404, "": 400, "?sessionId=never": 404, "?sessionId=" + id + "&sessionId=" + id: 400, "?sessionId=%00%FF": 404,
		} {
			if got := request(t, "POST", b.url+"/message"+who, headers{"X-User": "eve"}, callBody("9", "fake_echo", "{}")); got.status != want {
				t.Errorf("eve, %q: %d", who, got.status)
			}
		}
		// The work ends with the stream, wherever it is done.
		say(t, b, id, "ada", progressCall("10"))
		calls.send(t, "one")
		stream.close()
		eventually(t, "its work is cancelled", func() bool { return a.inflight.count()+b.inflight.count() == 0 })
		for name, r := range map[string]*replica{"a": a, "b": b} {
			if got := request(t, "POST", r.url+"/message?sessionId="+id, headers{"X-User": "ada"}, callBody("11", "fake_echo", "{}")); got.status != 404 {
				t.Errorf("%s after its end: %d", name, got.status)
			}
		}
		if n := len(a.channels.all) + len(a.mail.keys); n != 0 {
			t.Errorf("%d things are left", n)
		}
	})
}

// TestSSEDrains: a gateway that stops gives the answers first.
func TestSSEDrains(t *testing.T) {
	calls := newSteered()
	r := newReplica(t, openStore(t), Options{Invoker: invokerFunc(calls.Invoke)})
	var all sync.WaitGroup
	const clients = 40
	for i := range clients {
		stream, id := openSSE(t, r, "")
		say(t, r, id, "", initializeBody("2024-11-05"))
		stream.want(t, "protocolVersion")
		say(t, r, id, "", callBody(fmt.Sprint(i), "fake_wait", "{}"))
		all.Go(func() {
			got, ok := <-stream.events
			if !ok || !strings.Contains(got.data, "steered") {
				t.Errorf("client %d: %+v (%v)", i, got, ok)
			}
		})
	}
	idle, _ := openSSE(t, r, "")
	eventually(t, "all calls run", func() bool { return r.inflight.count() == clients })
	r.Drain()
	idle.ends(t)
	for range clients {
		calls.send(t, "answer")
	}
	all.Wait()
	eventually(t, "all streams are closed", func() bool { return r.listeners.count() == 0 })
}

// The answer of a call whose time is over arrives, from another replica too.
func TestSSETimeout(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := pair(t, open, Options{Invoker: invokerFunc(newSteered().Invoke), CallTimeout: 200 * time.Millisecond})
		stream, id := openSSE(t, a, "")
		say(t, a, id, "", initializeBody("2024-11-05"))
		stream.want(t, "protocolVersion")
		for i, r := range []*replica{a, b} {
			say(t, r, id, "", callBody(fmt.Sprint(i+1), "fake_wait", "{}"))
			stream.want(t, fmt.Sprintf(`"id":%d,`, i+1))
		}
	})
}

func TestSSEChecks(t *testing.T) {
	r := newReplica(t, openStore(t), Options{MaxBody: 1 << 10})
	stream, id := openSSE(t, r, "")
	message := "/message?sessionId=" + id
	for _, test := range []struct {
		method, path, body string
		hs                 headers
		status             int
	}{
		{"POST", "/sse", "{}", nil, 405},
		{"DELETE", "/sse", "", nil, 405},
		{"GET", message, "", nil, 405},
		{"GET", "/other", "", nil, 404},
		{"GET", "/sse", "", headers{"Accept": "application/json"}, 406},
		{"GET", "/sse", "", headers{"Origin": "https://evil.example"}, 403},
		{"GET", "/sse", "", headers{"X-User": "nobody"}, 401},
		{"POST", message, "{}", headers{"Origin": "https://evil.example"}, 403},
		{"POST", message, "{}", headers{"Content-Type": "text/plain"}, 415},
		{"POST", message, strings.Repeat(" ", 2<<10), nil, 413},
		{"POST", message, "{", nil, 400},
		{"POST", message, "[]", nil, 400},
	} {
		url := r.url + test.path
		if test.path == "/other" {
			url = r.web.URL + "/mcp/catalog/sse/other"
		}
		if got := request(t, test.method, url, test.hs, test.body); got.status != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, got.status, test.status)
		}
	}
	stream.quiet(t)
}

// The log level that a session set holds after the cache has forgotten it, and
// on stdio.
func TestLogLevelHolds(t *testing.T) {
	clock := newClock()
	invoker := invokerFunc(func(ctx context.Context, action string, _ json.RawMessage) (*invoke.Result, error) {
		if log := invoke.LogOf(ctx); log != nil {
			log(invoke.Log{Level: "warning", Data: json.RawMessage(`"w"`)})
			log(invoke.Log{Level: "error", Data: json.RawMessage(`"e"`)})
		}
		return &invoke.Result{JSON: json.RawMessage(`{}`)}, nil
	})
	servers := testServers()
	for i := range servers[0].Tools {
		servers[0].Tools[i].Action.Response.MCP = true
	}
	const level = `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"error"}}`
	r := newReplica(t, openStore(t), Options{Invoker: invoker, Now: clock.Now})
	if err := r.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	stream, id := openSSE(t, r, "")
	say(t, r, id, "", initializeBody("2024-11-05"))
	stream.want(t, "protocolVersion")
	say(t, r, id, "", level)
	stream.want(t, `"id":1,"result":{}`)
	clock.advance(cacheLife + time.Second)
	say(t, r, id, "", callBody("2", "fake_echo", "{}"))
	stream.want(t, `"level":"error"`)
	stream.want(t, `"id":2`)
	l, h := startStdio(t, Options{Invoker: invoker})
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	l.send(t, initializeBody("2025-11-25"))
	l.want(t, `"id":0`)
	l.send(t, level)
	for l.want(t, "jsonrpc") != `{"jsonrpc":"2.0","id":1,"result":{}}` { // list_changed may come before it
	}
	l.send(t, callBody("2", "fake_echo", "{}"))
	l.want(t, `"level":"error"`)
	l.want(t, `"id":2`)
	l.end(t)
}

// A client that does not read holds up its own stream only, for a while.
func TestClientThatDoesNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a client counts as gone")
	}
	t.Parallel() // it mostly waits
	large := json.RawMessage(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`)
	r := newReplica(t, openStore(t), Options{Invoker: invokerFunc(func(context.Context, string, json.RawMessage) (*invoke.Result, error) {
		return &invoke.Result{JSON: large}, nil
	})})
	get := newRequest("GET", r.url+"/sse", headers{"Accept": eventStream}, "")
	get.RequestURI = ""
	deaf, err := http.DefaultClient.Do(get) // of which nobody reads on
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Body.Close()
	first := make([]byte, 200)
	n, err := deaf.Body.Read(first)
	if err != nil {
		t.Fatal(err)
	}
	_, id, _ := strings.Cut(strings.TrimSpace(string(first[:n])), "sessionId=")
	say(t, r, id, "", initializeBody("2024-11-05"))
	for i := range 40 { // more than the sockets hold
		say(t, r, id, "", callBody(fmt.Sprint(i), "fake_echo", "{}"))
	}
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	request(t, "POST", r.url, inSession(s, ""), callBody("1", "fake_echo", "{}")).want(t, `"id":1`)
	for end := time.Now().Add(eventTimeout + patience); r.listeners.count() > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a client that does not read is kept for ever")
		}
	}
}
