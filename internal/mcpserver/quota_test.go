package mcpserver

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// TestRateOfCalls: each principal has calls of its own, and what is too much is
// 429 on every way, before anything is done.
func TestRateOfCalls(t *testing.T) {
	for _, name := range []string{"2025-11-25", "2026-07-28", "batch", "HTTP+SSE"} {
		t.Run(name, func(t *testing.T) {
			invoker := &fakeInvoker{}
			door := people().door()
			door.Limits = registry.Limits{CallsPerMinute: 1, Burst: 2}
			r := guarded(t, door, Options{Invoker: invoker})
			for _, way := range ways(t, r) {
				if way.name != name {
					continue
				}
				for _, token := range []string{"ada", "eve", "adaElsewhere"} {
					invoker.seen = nil
					for i := range 4 {
						if i == 2 && token == "ada" {
							token = "ada2" // is the same
						}
						status, header, body := way.ask(t, token, "fake_echo")
						if i < 2 {
							if status != 200 || !strings.Contains(body, `"result"`) {
								t.Errorf("call %d of %s: %d %s", i, token, status, body)
							}
							continue
						}
						if status != 429 || header.Get("Retry-After") == "" || header.Get("Retry-After") == "0" ||
							!strings.Contains(body, `"id":"id 7","error":{"code":-32600,"message":"you have made too many calls: try again in `) {
							t.Errorf("call %d of %s: %d %v %s", i, token, status, header, body)
						}
					}
					if len(invoker.seen) != 2 {
						t.Errorf("%d calls of %s", len(invoker.seen), token)
					}
				}
			}
		})
	}
}

// What is no call costs nothing; a batch and a prompt cost what they call; a
// batch is done whole or not at all.
func TestWhatCounts(t *testing.T) {
	invoker := &fakeInvoker{}
	door := people().door()
	door.Limits = registry.Limits{CallsPerMinute: 1, Burst: 3}
	r := guarded(t, door, Options{Invoker: invoker})
	s := open(t, r, "/mcp/offers", "2025-03-26", "ada")
	send := func(body string) (int, string) {
		got := request(t, "POST", r.web.URL+"/mcp/offers", bearer("ada", headers{sessionHeader: s}), body)
		answer, _ := got.next(t)
		return got.status, answer.data
	}
	for range 10 {
		for _, free := range []string{
			`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, callBody("1", "nope", "{}"), initialized,
			`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"stagedoor://actions/fake:note"}}`,
			`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}`,
		} {
			if status, body := send(free); status >= 400 {
				t.Fatalf("%s: %d %s", free, status, body)
			}
		}
	}
	call, read := callBody("1", "echo", "{}"), `{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"docs://note"}}`
	prompt := `{"jsonrpc":"2.0","id":3,"method":"prompts/get","params":{"name":"embed","arguments":{"uri":"docs://note"}}}`
	if status, body := send("[" + call + "," + read + "," + prompt + "," + call + "]"); status != 429 || !strings.Contains(body, "the message makes 4 calls, and 3 may come at once: send fewer") || len(invoker.seen) != 0 {
		t.Errorf("%d %s", status, body)
	}
	if status, body := send("[" + call + "," + read + "," + prompt + "]"); status != 200 || strings.Contains(body, `"error"`) || len(invoker.seen) != 3 {
		t.Errorf("%d %s", status, body)
	}
	for _, more := range []string{call, read, prompt} {
		if status, body := send(more); status != 429 || !strings.Contains(body, `"id":`) {
			t.Errorf("%s: %d %s", more, status, body)
		}
	}
}

// Calls under way count until they end, however their request ended: tasks too.
func TestConcurrentCalls(t *testing.T) {
	for kind, begin := range map[string]func(t *testing.T, r *replica) *eventReader{
		"call": func(t *testing.T, r *replica) *eventReader {
			return request(t, "POST", r.url, bearer("ada", modernHeaders("tools/call", "fake_wait")), modernCall("1", "fake_wait", "{}"))
		},
		"call that nobody waits for": func(t *testing.T, r *replica) *eventReader {
			s := open(t, r, "/mcp/catalog", "2025-11-25", "ada")
			call := request(t, "POST", r.url, bearer("ada", headers{sessionHeader: s}), progressCall("1"))
			call.close()
			return call
		},
		"task of 2025-11-25": func(t *testing.T, r *replica) *eventReader {
			s := open(t, r, "/mcp/catalog", "2025-11-25", "ada")
			task := request(t, "POST", r.url, bearer("ada", headers{sessionHeader: s}), strings.Replace(callBody("1", "fake_wait", "{}"), `"arguments"`, `"task":{},"arguments"`, 1))
			task.want(t, `"taskId"`)
			return task
		},
		"task of 2026-07-28": func(t *testing.T, r *replica) *eventReader {
			body := strings.Replace(modernCall("1", "fake_wait", "{}"), `clientCapabilities":{}`, `clientCapabilities":`+withTasks, 1)
			task := request(t, "POST", r.url, bearer("ada", modernHeaders("tools/call", "fake_wait")), body)
			task.want(t, `"taskId"`)
			return task
		},
		"HTTP+SSE": func(t *testing.T, r *replica) *eventReader {
			stream := request(t, "GET", r.url+"/sse", bearer("ada"), "")
			first, _ := stream.next(t)
			request(t, "POST", r.web.URL+first.data, bearer("ada"), initializeBody("2024-11-05"))
			stream.want(t, "protocolVersion")
			request(t, "POST", r.web.URL+first.data, bearer("ada"), callBody("1", "fake_wait", "{}"))
			return stream
		},
	} {
		t.Run(kind, func(t *testing.T) {
			invoker := &fakeInvoker{gate: make(chan struct{})}
			free := sync.OnceFunc(func() { close(invoker.gate) })
			door := people().door()
			door.Limits = registry.Limits{Concurrent: 1}
			r := guarded(t, door, Options{Invoker: invoker, SlowCall: 10 * time.Millisecond})
			t.Cleanup(free)
			servers := behind(door)
			for _, s := range servers {
				s.TaskAfter = time.Millisecond
			}
			if err := r.SetServers(servers); err != nil {
				t.Fatal(err)
			}
			call := func(token string) int {
				got := request(t, "POST", r.url, bearer(token, modernHeaders("tools/call", "fake_echo")), modernCall("1", "fake_echo", "{}"))
				return got.status
			}
			stream := begin(t, r)
			called := func() bool {
				invoker.mu.Lock()
				defer invoker.mu.Unlock()
				return len(invoker.seen) > 0
			}
			eventually(t, "the plugin is called", called)
			if status := call("ada"); status != 429 {
				t.Errorf("a second call: %d", status)
			}
			if status := call("eve"); status != 200 {
				t.Errorf("another principal: %d", status)
			}
			if err := r.SetServers(behind(door)); err != nil { // a reload forgets nothing
				t.Fatal(err)
			}
			if status := call("ada"); status != 429 {
				t.Errorf("after a reload: %d", status)
			}
			free()
			eventually(t, "it is over", func() bool { return call("ada") == 200 })
			stream.close()
		})
	}
}

// The operator's own user is bound by no rule, scope or limit, and has the
// server's tools and no others.
func TestStdioIsUnguarded(t *testing.T) {
	door := people().door(registry.AccessRule{Path: "rules[0]", Who: registry.Who{Subject: "ada"}})
	door.Limits = registry.Limits{CallsPerMinute: 1, Burst: 1, Concurrent: 1}
	l, h := startStdio(t, Options{})
	if err := h.SetServers(behind(door)); err != nil {
		t.Fatal(err)
	}
	answers := func(n int) (all string) { // list_changed may come between
		for n > 0 {
			if got := l.want(t, "jsonrpc"); strings.Contains(got, `"id":`) {
				all, n = all+got, n-1
			}
		}
		return all
	}
	l.send(t, initializeBody("2025-11-25"))
	answers(1)
	l.send(t, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	if got := answers(1); !strings.Contains(got, "fake_echo") || !strings.Contains(got, "fake_audio") {
		t.Errorf("tools are %s", got)
	}
	for i := range 5 {
		l.send(t, callBody("2", "fake_audio", "{}"), modernCall("3", "fake_echo", "{}"), callBody("4", "drop", "{}"))
		if got := answers(3); strings.Count(got, `"result"`) != 2 || !strings.Contains(got, `"id":4,"error":{"code":-32602`) {
			t.Fatalf("%d: %s", i, got)
		}
	}
	l.end(t)
}

// What was refused is recorded: who, what and why.
func TestRefusalsAreTold(t *testing.T) {
	var told []string
	door := people().door()
	door.Limits = registry.Limits{CallsPerMinute: 1, Burst: 1}
	h := prepareHandler(t, Options{
		Record: func(_ context.Context, c audit.Call) {
			who := ""
			if c.Principal != nil {
				who = c.Principal.Subject
			}
			told = append(told, strings.Join([]string{c.Door, c.Method, c.Tool, who, c.Outcome, string(c.Decision())}, " "))
		},
	})
	if err := h.SetServers(behind(door)); err != nil {
		t.Fatal(err)
	}
	call := func(token, tool string) {
		serve(h, "POST", "/mcp/catalog", bearer(token, modernHeaders("tools/call", tool)), modernCall("1", tool, "{}"))
	}
	call("", "fake_echo")
	call("reader", "fake_note")
	call("reader", "fake_echo")
	call("reader", "fake_echo")
	call("reader", "made_up")
	s := open(t, h, "/mcp/offers", "2025-11-25", "reader")
	serve(h, "POST", "/mcp/offers", bearer("reader", headers{sessionHeader: s}), `{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"docs://note"}}`)
	want := []string{
		"catalog POST   unauthenticated unauthenticated",
		"catalog tools/call fake_note reader insufficient_scope insufficient_scope",
		"catalog tools/call fake_echo reader ok allowed",
		"catalog tools/call fake_echo reader rate_limited rate_limited",
		"catalog tools/call made_up reader unknown_tool unknown",
		"offers resources/read docs://note reader insufficient_scope insufficient_scope",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

// TestCostOfAccess: who calls, and whether they may, costs a call three
// allocations at most, and nothing where nobody is asked.
func TestCostOfAccess(t *testing.T) {
	if racing {
		t.Skip("the race detector allocates")
	}
	cost := func(door *registry.Door, token string) float64 {
		h := prepareHandler(t, Options{Store: newMemoryStore()})
		if err := h.SetServers(behind(door)); err != nil {
			t.Fatal(err)
		}
		body := modernCall("1", "fake_echo", "{}")
		r := newRequest("POST", "/mcp/catalog", bearer(token, modernHeaders("tools/call", "fake_echo")), "")
		return testing.AllocsPerRun(200, func() {
			r.Body = io.NopCloser(strings.NewReader(body))
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != 200 {
				t.Fatal(w.Code)
			}
		})
	}
	g := people()
	open, guarded := cost(&registry.Door{Name: "catalog", Gate: testGate{}}, ""), cost(g.door(), "ada")
	if guarded > open+3 {
		t.Errorf("%v allocations, %v where nobody is asked", guarded, open)
	}
}

// Each call is told of by its face; HTTP+SSE and stdio differ in that, too.
func TestFacesOfCalls(t *testing.T) {
	faces := make(chan audit.Face, 10)
	o := Options{Record: func(_ context.Context, c audit.Call) { faces <- c.Face }}
	r := guarded(t, people().door(), o)
	for _, way := range ways(t, r) {
		way.ask(t, "ada", "fake_echo")
		if got := <-faces; got != audit.MCP {
			t.Errorf("%s is %s", way.name, got)
		}
	}
	l, _ := startStdio(t, o)
	l.send(t, modernCall("1", "fake_echo", "{}"))
	l.want(t, `"result"`)
	if got := <-faces; got != audit.Stdio {
		t.Errorf("stdio is %s", got)
	}
}
