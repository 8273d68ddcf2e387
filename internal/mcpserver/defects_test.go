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
)

// TestDefects holds the transport to not having what is known of others: each
// was seen in a server that is widely used.
func TestDefects(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"1: any client cancels another's call":              defectForeignCancel,
		"2: progress is lost":                               defectLostProgress,
		"3: progress reaches another call of the session":   defectCrossTalk,
		"4: the end of a replica ends shared sessions":      defectShutdownEndsSessions,
		"5: an idle replica ends sessions in use elsewhere": defectIdleSweeper,
		"6: changes of lists come before answers":           defectQueuedChanges,
		"7: GET takes any session id":                       defectUncheckedGet,
		"8: an open stream holds up the end":                defectShutdownWaits,
		"9: requests are not checked":                       defectUnchecked,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

func defectForeignCancel(t *testing.T) {
	calls := newSteered()
	r := newReplica(t, openStore(t), Options{Invoker: invokerFunc(calls.Invoke), SlowCall: 20 * time.Millisecond})
	ada, eve := startSession(t, r, "/mcp/catalog", "2025-11-25", "ada"), startSession(t, r, "/mcp/catalog", "2025-11-25", "eve")
	for _, victim := range []struct {
		hs   headers
		body string
	}{
		{inSession(ada, "ada"), callBody("1", "fake_wait", "{}")},
		{modernHeaders("tools/call", "fake_wait"), modernCall("1", "fake_wait", "{}")},
	} {
		call := request(t, "POST", r.url, victim.hs, victim.body) // answers with events once it is slow
		for _, hs := range []headers{
			{}, {"X-User": "eve"}, inSession(eve, "eve"), inSession(ada, "eve"), inSession("", ""), modernHeaders("notifications/cancelled", ""),
		} {
			request(t, "POST", r.url, hs, cancelBody("1"))
			request(t, "POST", r.url, hs, strings.Replace(cancelBody("1"), `{"requestId"`, `{`+modernMeta+`,"requestId"`, 1))
		}
		calls.send(t, "answer")
		for {
			if got, ok := call.next(t); !ok || strings.Contains(got.data, "steered") {
				break
			} else if got.data != "" {
				t.Fatalf("the call ended with %s", got.data)
			}
		}
	}
}

func defectLostProgress(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	n := 1000
	if racing || testing.Short() {
		n = 50
	}
	for e := range eras {
		for range n {
			hs, body := withToken(e, "7")
			hs["Mcp-Session-Id"] = s
			hs["Accept"] = "application/json, text/event-stream"
			status, raw, err := post(t.Context(), r.url, hs, body)
			if err != nil || status != 200 || strings.Count(raw, "notifications/progress") != 3 || strings.Count(raw, `"id":7,"result"`) != 1 {
				t.Fatalf("era %d: %d %v\n%s", e, status, err, raw)
			}
		}
	}
}

func defectCrossTalk(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 60 {
				id := fmt.Sprintf("%d%03d", worker+1, i)
				body := strings.NewReplacer(`"id":1,`, `"id":`+id+`,`, "fake_wait", "fake_steps", `"progressToken":1}`, `"progressToken":`+id+`}`).Replace(progressCall("1"))
				hs := inSession(s, "")
				hs["Accept"] = "application/json, text/event-stream"
				_, raw, err := post(context.Background(), r.url, hs, body)
				if err != nil || strings.Count(raw, `"progressToken":`+id+`,`) != 3 || strings.Count(raw, "progressToken") != 3 || strings.Count(raw, `"id":`+id+`,"result"`) != 1 {
					t.Errorf("call %s: %v\n%s", id, err, raw)
					return
				}
			}
		})
	}
	all.Wait()
}

func defectShutdownEndsSessions(t *testing.T) {
	db := openStore(t)
	a, b := newReplica(t, db, Options{}), newReplica(t, db, Options{})
	s := startSession(t, a, "/mcp/catalog", "2025-11-25", "")
	a.Drain()
	a.web.Close()
	a.stop()
	for _, h := range []*replica{b, newReplica(t, db, Options{})} {
		request(t, "POST", h.url, inSession(s, ""), callBody("1", "fake_echo", "{}")).want(t, `"id":1,"result"`)
	}
}

func defectIdleSweeper(t *testing.T) {
	db, clock := openStore(t), newClock()
	o := Options{Now: clock.Now, SessionTTL: time.Hour}
	a, b := newReplica(t, db, o), newReplica(t, db, o)
	s := startSession(t, a, "/mcp/catalog", "2025-11-25", "") // and a never sees it again
	for range 5 {
		clock.advance(50 * time.Minute)
		request(t, "POST", b.url, inSession(s, ""), callBody("1", "fake_echo", "{}")).want(t, `"id":1,"result"`)
		b.flush(t.Context())
		a.flush(t.Context())
		a.purge(t.Context())
	}
	request(t, "POST", a.url, inSession(s, ""), callBody("1", "fake_echo", "{}")).want(t, `"id":1,"result"`)
}

func defectQueuedChanges(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	for i := range 10 {
		servers := testServers()
		if i%2 == 0 {
			servers = changedServers()
		}
		if err := r.SetServers(servers); err != nil {
			t.Fatal(err)
		}
		got := request(t, "POST", r.url, inSession(s, ""), callBody("1", "fake_echo", "{}"))
		if got.header.Get("Content-Type") != "application/json" {
			t.Errorf("answer is %s", got.header.Get("Content-Type"))
		}
		if answer := got.want(t, `"id":1,"result"`); strings.Contains(answer.data, "list_changed") {
			t.Error(answer.data)
		}
	}
}

func defectUncheckedGet(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	for id, want := range map[string]int{"": 400, "mcp-session-1b4e28ba-2fa1-11d2-883f-0016d3cca427": 404, newSessionID(): 404, strings.Repeat("x", 10_000): 404} {
		got := request(t, "GET", r.url, headers{"Mcp-Session-Id": id}, "")
		if got.status != want {
			t.Errorf("GET with %.20q: %d, want %d", id, got.status, want)
		}
	}
	if n := r.listeners.count() + len(r.sessions.cached.all) + len(r.sessions.seen); n != 0 {
		t.Errorf("%d of them are remembered", n)
	}
}

func defectShutdownWaits(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	r.web.Config.RegisterOnShutdown(r.Drain)
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	get := request(t, "GET", r.url, inSession(s, ""), "")
	get.next(t)
	listen := request(t, "POST", r.url, modernHeaders("subscriptions/listen", ""), listenBody("1", `{"toolsListChanged":true}`))
	listen.want(t, "acknowledged")
	sse, _ := openSSE(t, r, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.web.Config.Shutdown(ctx) }()
	get.ends(t)
	listen.want(t, `"resultType":"complete"`)
	sse.ends(t)
	if err := <-ended; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func defectUnchecked(t *testing.T) {
	r := newReplica(t, openStore(t), Options{MaxBody: 1 << 20})
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	modernPing := modernHeaders("server/discover", "")
	modernPing["Last-Event-ID"] = "x.1"
	for _, test := range []struct {
		name   string
		hs     headers
		body   string
		status int
	}{
		{"another origin", headers{"Mcp-Session-Id": s, "Origin": "https://evil.example"}, callBody("1", "fake_echo", "{}"), 403},
		{"a long body", inSession(s, ""), callBody("1", "fake_echo", `{"x":"`+strings.Repeat("x", 2<<20)+`"}`), 413},
		{"no JSON wanted", headers{"Mcp-Session-Id": s, "Accept": "text/html"}, callBody("1", "fake_echo", "{}"), 406},
		{"no session", nil, callBody("1", "fake_echo", "{}"), 400},
		{"an unknown session", inSession("x", ""), callBody("1", "fake_echo", "{}"), 404},
		{"2026-07-28 with Last-Event-ID", modernPing, `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + modernMeta + `}}`, 200},
		{"an unknown method", inSession(s, ""), `{"jsonrpc":"2.0","id":1,"method":"nope"}`, 200},
		{"an unknown method of 2026-07-28", modernHeaders("nope", ""), `{"jsonrpc":"2.0","id":1,"method":"nope","params":{` + modernMeta + `}}`, 404},
	} {
		got := request(t, "POST", r.url, test.hs, test.body)
		if answer, _ := got.next(t); got.status != test.status || !json.Valid([]byte(answer.data)) {
			t.Errorf("%s: %d %s", test.name, got.status, answer.data)
		}
	}
}

// TestSlowCall: below the threshold an answer is JSON, above it events; where
// the client reads none, JSON at last.
func TestSlowCall(t *testing.T) {
	calls := newSteered()
	r := newReplica(t, openStore(t), Options{Invoker: invokerFunc(calls.Invoke), SlowCall: 100 * time.Millisecond, KeepAlive: 100 * time.Millisecond})
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	for e := range eras {
		hs, body := inSession(s, ""), callBody("1", "fake_wait", "{}")
		if e == modern {
			hs, body = modernHeaders("tools/call", "fake_wait"), modernCall("1", "fake_wait", "{}")
		}
		go func() { calls.steps <- "answer" }()
		if got := request(t, "POST", r.url, hs, body); got.header.Get("Content-Type") != "application/json" {
			t.Errorf("era %d: a quick answer is %s", e, got.header.Get("Content-Type"))
		}
		slow := request(t, "POST", r.url, hs, body)
		if slow.header.Get("Content-Type") != eventStream || slow.header.Get("X-Accel-Buffering") != "no" {
			t.Errorf("era %d: a slow answer is %v", e, slow.header)
		}
		comments := 0
		for got := range slow.events {
			if got.comment {
				comments++
			}
			if comments == 3 { // it is kept alive
				calls.send(t, "answer")
				comments++
			}
			if strings.Contains(got.data, "steered") {
				break
			}
		}
		slow.ends(t)
		hs["Accept"] = "application/json"
		go func() {
			time.Sleep(500 * time.Millisecond) // past the threshold
			calls.steps <- "answer"
		}()
		if got := request(t, "POST", r.url, hs, body); got.header.Get("Content-Type") != "application/json" {
			t.Errorf("era %d: who reads no events gets %s", e, got.header.Get("Content-Type"))
		}
	}
}

// nosy is an Invoker whose calls ask the client.
type nosy struct{ at *replica }

func (a *nosy) invoke(ctx context.Context, _ string, _ json.RawMessage) (*invoke.Result, error) {
	a.at.inflight.mu.Lock()
	var x *exchange
	for _, own := range a.at.inflight.calls {
		for _, call := range own {
			x = call.x
		}
	}
	a.at.inflight.mu.Unlock()
	answer, err := x.askClient(ctx, "roots/list", json.RawMessage(`{"q":1}`))
	if err != nil {
		return nil, &invoke.Error{Kind: invoke.Rejected, Message: err.Error()}
	}
	return &invoke.Result{JSON: answer}, nil
}

// TestAskClient: a request of ours is answered at any replica, by the session
// that was asked and nobody else.
func TestAskClient(t *testing.T) {
	db := openStore(t)
	ask := &nosy{}
	a, b := newReplica(t, db, Options{Invoker: invokerFunc(ask.invoke)}), newReplica(t, db, Options{})
	ask.at = a
	ada, eve := startSession(t, a, "/mcp/catalog", "2025-11-25", "ada"), startSession(t, a, "/mcp/catalog", "2025-11-25", "eve")
	begin := func(hs headers) (*eventReader, string) {
		t.Helper()
		call := request(t, "POST", a.url, hs, callBody("1", "fake_wait", "{}"))
		call.next(t) // the primer
		var asked struct {
			ID, Method string
			Params     json.RawMessage
		}
		got := call.want(t, `"method":"roots/list"`)
		if err := json.Unmarshal([]byte(got.data), &asked); err != nil || string(asked.Params) != `{"q":1}` || asked.ID == "" {
			t.Fatalf("%s: %v", got.data, err)
		}
		return call, asked.ID
	}
	reply := func(r *replica, hs headers, id, body string) {
		t.Helper()
		if got := request(t, "POST", r.url, hs, `{"jsonrpc":"2.0","id":`+id+`,`+body+`}`); got.status != 202 && got.status != 404 {
			t.Errorf("answer: %d", got.status)
		}
	}
	call, id := begin(inSession(ada, "ada"))
	forged := `"result":{"forged":true}`
	reply(b, inSession(eve, "eve"), `"`+id+`"`, forged)
	reply(b, inSession(ada, "eve"), `"`+id+`"`, forged)
	reply(b, inSession(ada, "ada"), `"`+id+`x"`, forged)
	reply(b, inSession(ada, "ada"), `"stagedoor-x.y"`, forged)
	reply(b, inSession(ada, "ada"), `"`+strings.Repeat("x", 1000)+`"`, forged)
	reply(b, inSession(ada, "ada"), `1`, forged)
	reply(b, inSession(ada, "ada"), `"`+id+`"`, `"result":{"mine":true}`)
	if got := call.want(t, `"mine":true`); strings.Contains(got.data, "forged") {
		t.Error(got.data)
	}
	for body, want := range map[string]string{
		`"error":{"code":-1,"message":"no \"roots\""}`: `client answered with an error: no`,
		`"result":7`: "no result",
	} {
		call, id = begin(inSession(ada, "ada"))
		reply(a, inSession(ada, "ada"), `"`+id+`"`, body)
		call.want(t, want)
	}
	call, _ = begin(inSession(ada, "ada"))
	request(t, "POST", b.url, inSession(ada, "ada"), cancelBody("1")) // who is not answered gives up
	call.want(t, "isError")
	plain := inSession(ada, "ada")
	plain["Accept"] = "application/json"
	request(t, "POST", a.url, plain, callBody("1", "fake_wait", "{}")).want(t, "client reads no events")
	if n := len(a.mail.keys); n != 0 {
		t.Errorf("%d are waited for", n)
	}
}

// Whoever leaves during a look-up says nothing about the database.
func TestCallerLeftIsNoOutage(t *testing.T) {
	clock := newClock()
	db := &brokenStore{Store: openStore(t)}
	h := newTestHandler(t, Options{Store: db, Now: clock.Now})
	s, other := startSession(t, h, "/mcp/catalog", "2025-11-25", ""), startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	clock.advance(cacheLife + time.Millisecond)
	h.sessions.forget(other)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	db.broken = true
	_, _ = h.sessions.find(ctx, s) // it fails as it does when the context ends
	db.broken = false
	if w := serve(h, http.MethodPost, "/mcp/catalog", headers{"Mcp-Session-Id": other}, list); w.Code != 200 {
		t.Errorf("the database counts as away: %d %s", w.Code, w.Body)
	}
}
