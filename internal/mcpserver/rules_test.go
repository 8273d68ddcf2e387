package mcpserver

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

// The rules of 2026-07-28 that concern a gateway, and the tests that hold it to them:
//
//	no sessions; GET and DELETE are 405; Last-Event-ID counts for nothing      TestModernHasNoSessions
//	version and capabilities in each request, as in the headers                TestModernChecks
//	server/discover                                                            testdata/2026-07-28.txtar
//	Mcp-Method, Mcp-Name, Mcp-Param-*, sentinel included                       TestModernChecks, TestMirroredArguments
//	x-mcp-header is checked when a document is read                            openapi
//	Origin, Host                                                               TestChecksBeforeTheBody, TestHostBehindLoopback
//	an answer's events are its own; X-Accel-Buffering; comments keep it alive  TestProgress, TestDefects, TestModernStreams
//	a closed response is a cancelled request                                   TestDisconnect, TestModernStreams
//	subscriptions/listen                                                       TestListenModern, TestStdioListens
//	resultType, ttlMs, cacheScope                                              testdata/2026-07-28.txtar, TestPages
//	lists depend on who asks, and never on the connection                      TestVisibility, TestToolsListIsWhatClientsGet
//	any structured content; results are held to their schemas                  TestResults, TestWrapSchema
//	wrong arguments are results, an unknown tool is an error                   TestFaultsAreToolResults, TestResults
//	references that lead elsewhere, depth and size of schemas                  openapi
//	input of the client: state bound, sealed, single-use                       TestConfirmModern, TestConfirmOnce
//	no ping, no logging/setLevel, logs only where the request wants them       TestModernLacks, TestModernLogs
//	error codes                                                                TestModernChecks, testdata/refused.txtar
//	authorization                                                              access_test.go, owner_test.go, watch_test.go, quota_test.go

func TestModernHasNoSessions(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	ada := startSession(t, r, "/mcp/catalog", "2025-11-25", "ada")
	for _, id := range []string{"", "never", ada} {
		hs := modernHeaders("tools/call", "fake_echo")
		hs["Mcp-Session-Id"], hs["Last-Event-ID"], hs["X-User"] = id, "x.1", "eve"
		got := request(t, "POST", r.url, hs, modernCall("1", "fake_echo", "{}"))
		if got.want(t, `"id":1,"result"`); got.header.Get("Mcp-Session-Id") != "" {
			t.Error("a session is given")
		}
		for _, method := range []string{"GET", "DELETE"} {
			delete(hs, "Accept")
			if got := request(t, method, r.url, hs, ""); got.status != 405 || got.header.Get("Allow") != "POST" {
				t.Errorf("%s: %d %v", method, got.status, got.header)
			}
		}
	}
	request(t, "POST", r.url, inSession(ada, "ada"), callBody("1", "fake_echo", "{}")).want(t, `"result"`) // DELETE ended nothing
}

func TestModernLacks(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	for _, method := range []string{"ping", "logging/setLevel", "initialize", "resources/subscribe", "resources/unsubscribe", "tasks/list"} {
		body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"level":"debug","uri":"x:y",` + modernMeta + `}}`
		got := request(t, "POST", r.url, modernHeaders(method, ""), body)
		if answer, _ := got.next(t); got.status != 404 || !strings.Contains(answer.data, "-32601") {
			t.Errorf("%s: %d %s", method, got.status, answer.data)
		}
	}
}

func TestModernLogs(t *testing.T) {
	h := newTestHandler(t, Options{Invoker: invokerFunc(func(ctx context.Context, _ string, _ json.RawMessage) (*invoke.Result, error) {
		if log := invoke.LogOf(ctx); log != nil {
			log(invoke.Log{Level: "error", Data: json.RawMessage(`"e"`)})
		}
		return &invoke.Result{JSON: json.RawMessage(`{}`)}, nil
	})})
	servers := testServers()
	for i := range servers[0].Tools {
		servers[0].Tools[i].Action.Response.MCP = true
	}
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	for level, want := range map[string]int{"": 0, "emergency": 0, "nonsense": 0, "error": 1, "debug": 1} {
		body := modernCall("1", "fake_echo", "{}")
		if level != "" {
			body = strings.Replace(body, `"_meta":{`, `"_meta":{"io.modelcontextprotocol/logLevel":"`+level+`",`, 1)
		}
		w := serve(h, "POST", "/mcp/catalog", modernHeaders("tools/call", "fake_echo"), body)
		if got := strings.Count(w.Body.String(), "notifications/message"); got != want || w.Code != 200 {
			t.Errorf("level %q: %d messages, want %d\n%s", level, got, want, w.Body)
		}
	}
}

// A stream is kept alive while nothing happens, and who closes one cancels.
func TestModernStreams(t *testing.T) {
	calls := newSteered()
	r := newReplica(t, openStore(t), Options{Invoker: invokerFunc(calls.Invoke), KeepAlive: 20 * time.Millisecond, SlowCall: 20 * time.Millisecond})
	call := request(t, "POST", r.url, modernHeaders("tools/call", "fake_wait"), modernCall("1", "fake_wait", "{}"))
	listen := request(t, "POST", r.url, modernHeaders("subscriptions/listen", ""), listenBody("1", `{"toolsListChanged":true}`))
	listen.want(t, "acknowledged")
	for name, stream := range map[string]*eventReader{"call": call, "listen": listen} {
		for range 3 {
			if got, ok := <-stream.events; !ok || !got.comment || got.id != "" {
				t.Errorf("%s: %+v (%v)", name, got, ok)
			}
		}
		stream.close()
	}
	eventually(t, "both have ended", func() bool { return r.inflight.count() == 0 && r.listeners.count() == 0 })
}

// TestAskAgain: a client that was asked when its connection broke comes back,
// elsewhere, is asked again, answers there, and gets the answer to its own request.
func TestAskAgain(t *testing.T) {
	db := openStore(t)
	ask := &nosy{}
	o := Options{Invoker: invokerFunc(ask.invoke)}
	a, b := newReplica(t, db, o), newReplica(t, db, o)
	ask.at = a
	s := startSession(t, a, "/mcp/catalog", "2025-11-25", "ada")
	call := request(t, "POST", a.url, inSession(s, "ada"), callBody("1", "fake_wait", "{}"))
	primer, _ := call.next(t)
	call.close()
	again := request(t, "GET", b.url, from(s, "ada", primer.id), "")
	var asked struct{ ID string }
	if err := json.Unmarshal([]byte(again.want(t, `"method":"roots/list"`).data), &asked); err != nil {
		t.Fatal(err)
	}
	request(t, "POST", b.url, inSession(s, "ada"), `{"jsonrpc":"2.0","id":"`+asked.ID+`","result":{"late":true}}`)
	again.want(t, `"late":true`)
	again.ends(t)
}
