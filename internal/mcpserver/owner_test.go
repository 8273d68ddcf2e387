package mcpserver

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// TestRS21SessionsOfOthers: whose session it is not learns nothing else than of
// one that never was, on every way to it and at every replica.
func TestRS21SessionsOfOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db func() *store.DB) {
		calls := newSteered()
		a, b := pair(t, db, Options{Invoker: invokerFunc(calls.Invoke), SlowCall: 20 * time.Millisecond, StreamsPerSession: 1, CallsPerSession: 1})
		g := people()
		for _, r := range []*replica{a, b} {
			if err := r.SetServers(behind(g.door())); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, a, "/mcp/catalog", "2025-11-25", "ada")
		own := request(t, "GET", b.url, bearer("ada", headers{sessionHeader: s}), "") // the one stream that it may have
		own.want(t, "")
		call := request(t, "POST", a.url, bearer("ada", headers{sessionHeader: s}), progressCall("1")) // and the one call
		primer := call.want(t, "")
		legacyStream := request(t, "GET", a.url+"/sse", bearer("ada"), "")
		first, _ := legacyStream.next(t)
		_, channel, _ := strings.Cut(first.data, "sessionId=")

		const never = "AAAAAAAAAAAAAAAAAAAAAA"
		for _, r := range []*replica{a, b} {
			for _, thief := range []string{"eve", "adaElsewhere"} {
				for _, way := range []struct {
					name, method, path string
					more               headers
					body               string
				}{
					{"call", "POST", "", nil, callBody("1", "fake_echo", "{}")},
					{"answer", "POST", "", nil, `{"jsonrpc":"2.0","id":"x","result":{}}`},
					{"cancel", "POST", "", nil, cancelBody("1")},
					{"batch", "POST", "", nil, "[" + callBody("1", "fake_echo", "{}") + "]"},
					{"listen", "GET", "", nil, ""},
					{"resume", "GET", "", headers{"Last-Event-ID": primer.id}, ""},
					{"resume lists", "GET", "", headers{"Last-Event-ID": "lists.a.b.c.d.1"}, ""},
					{"end", "DELETE", "", nil, ""},
					{"HTTP+SSE message", "POST", "/message?sessionId=", nil, callBody("1", "fake_echo", "{}")},
				} {
					said := func(id string) (int, string, string) {
						hs, path := bearer(thief, way.more, headers{sessionHeader: id}), way.path
						if path != "" {
							delete(hs, sessionHeader)
							path += id
						}
						got := request(t, way.method, r.url+path, hs, way.body)
						body, _ := got.next(t)
						got.header.Del("X-Request-Id")
						got.header.Del("Date")
						return got.status, body.data, strings.Join(got.header["Content-Type"], " ") + got.header.Get("Retry-After") + got.header.Get("WWW-Authenticate")
					}
					mine, not := s, never
					if way.path != "" {
						mine, not = channel, channelPrefix+never
					}
					status, body, header := said(mine)
					if unknownStatus, unknownBody, unknownHeader := said(not); status != 404 || status != unknownStatus || body != unknownBody || header != unknownHeader {
						t.Errorf("%s by %s: %d %s %s; unknown: %d %s %s", way.name, thief, status, body, header, unknownStatus, unknownBody, unknownHeader)
					}
				}
			}
		}
		// It was not touched, and its owner may come with another token.
		calls.send(t, "answer")
		call.want(t, `"steered":true`)
		if got := request(t, "POST", b.url, bearer("ada2", headers{sessionHeader: s}), callBody("2", "fake_echo", "{}")); got.status != 200 {
			t.Errorf("ada with her next token: %d", got.status)
		}
		if got := request(t, "POST", b.url+"/message?sessionId="+channel, bearer("ada2"), `{"jsonrpc":"2.0","id":"p","method":"ping"}`); got.status != 202 {
			t.Errorf("ada's channel: %d", got.status)
		}
		legacyStream.want(t, `"id":"p"`)
	})
}

// Sessions of the anonymous principal stay where nobody is asked who they are,
// and are nobody's where somebody is.
func TestAnonymousSessions(t *testing.T) {
	h := newTestHandler(t, Options{})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	old, err := h.options.Store.Session(t.Context(), s)
	if err != nil || old.Principal != "" {
		t.Fatalf("%+v %v", old, err)
	}
	if w := serve(h, "POST", "/mcp/catalog", headers{sessionHeader: s}, callBody("1", "fake_echo", "{}")); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	if err := h.SetServers(behind(people().door())); err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{"": 401, "ada": 404} {
		if w := serve(h, "POST", "/mcp/catalog", bearer(token, headers{sessionHeader: s}), callBody("1", "fake_echo", "{}")); w.Code != want {
			t.Errorf("token %q: %d", token, w.Code)
		}
	}
}

// TestRS22HandlesOfOthers: tasks of both eras and states of requests.
func TestRS22HandlesOfOthers(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	g := people()
	servers := taskServers(time.Hour)
	for _, s := range servers {
		s.Door = g.door()
	}
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	modern := func(token, method, name, params string) (int, string) {
		w := serve(h, "POST", "/mcp/curious", bearer(token, modernHeaders(method, name)), `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{`+params+
			`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":`+withTasks+`}}}`)
		return w.Code, w.Body.String()
	}
	// A state of 2026-07-28.
	drop := `"name":"drop","arguments":{"id":7}`
	_, body := modern("ada", "tools/call", "drop", drop)
	var asked struct{ Result struct{ RequestState string } }
	if err := json.Unmarshal([]byte(body), &asked); err != nil || asked.Result.RequestState == "" {
		t.Fatal(body, err)
	}
	with := drop + `,"requestState":"` + asked.Result.RequestState + `","inputResponses":` + agreed
	for _, thief := range []string{"eve", "adaElsewhere"} {
		if _, body := modern(thief, "tools/call", "drop", with); !strings.Contains(body, "does not belong") || plugin.count("drop") != 0 {
			t.Errorf("%s goes on with ada's state: %s", thief, body)
		}
	}
	if _, body := modern("ada", "tools/call", "drop", with); !strings.Contains(body, `"result"`) || plugin.count("drop") != 1 {
		t.Errorf("ada: %s", body)
	}
	// A task of 2026-07-28 whose id is known.
	task := session.Task{
		ID: newSessionID(), Server: "curious", Principal: g.known["ada"].Key(), Tool: "plain", Status: session.TaskCompleted,
		Outcome: json.RawMessage(`{"content":[]}`), Created: time.Now(), Updated: time.Now(), Expires: time.Now().Add(time.Hour),
	}
	if err := h.options.Store.CreateTask(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		for _, thief := range []string{"eve", "adaElsewhere"} {
			_, of := modern(thief, method, task.ID, `"taskId":"`+task.ID+`","inputResponses":{}`)
			_, never := modern(thief, method, "never", `"taskId":"never","inputResponses":{}`)
			if of != never || !strings.Contains(of, "-32602") {
				t.Errorf("%s by %s: %s; unknown: %s", method, thief, of, never)
			}
		}
	}
	if _, body := modern("ada2", "tasks/get", task.ID, `"taskId":"`+task.ID+`"`); !strings.Contains(body, `"completed"`) {
		t.Errorf("ada: %s", body)
	}
	// Those of 2025-11-25 hang on the session, which is bound.
	s := open(t, h, "/mcp/curious", "2025-11-25", "ada")
	call := func(token, id, body string) (int, http.Header, string) {
		w := serve(h, "POST", "/mcp/curious", bearer(token, headers{sessionHeader: id, "Accept": "application/json"}), body)
		return w.Code, w.Header(), w.Body.String()
	}
	_, _, body = call("ada", s, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"plain","arguments":{},"task":{}}}`)
	var made struct {
		Result struct{ Task struct{ TaskID string } }
	}
	if err := json.Unmarshal([]byte(body), &made); err != nil || made.Result.Task.TaskID == "" {
		t.Fatal(body, err)
	}
	get := `{"jsonrpc":"2.0","id":2,"method":"tasks/get","params":{"taskId":"` + made.Result.Task.TaskID + `"}}`
	if status, _, _ := call("eve", s, get); status != 404 {
		t.Errorf("eve in ada's session: %d", status)
	}
	if _, _, body := call("eve", open(t, h, "/mcp/curious", "2025-11-25", "eve"), get); !strings.Contains(body, "task is unknown") {
		t.Errorf("eve in her own session: %s", body)
	}
	if _, _, body := call("ada2", s, get); !strings.Contains(body, `"taskId"`) {
		t.Errorf("ada: %s", body)
	}
}
