package mcpserver

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// ask is the status of a list in a session.
func ask(t *testing.T, r *replica, id, user string) int {
	t.Helper()
	return serve(r, "POST", "/mcp/catalog", inSession(id, user), list).Code
}

// untilEnd waits for the server to end the stream.
func untilEnd(t *testing.T, stream *eventReader) {
	t.Helper()
	for more := true; more; {
		_, more = stream.next(t)
	}
}

// TestSessionsPerPrincipal: with one too many, the session that was unused for
// the longest time ends, at all replicas and with its streams; sessions of
// others and at other servers are no concern of it.
func TestSessionsPerPrincipal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		clock := newClock()
		a, b := pair(t, open, Options{SessionsPerPrincipal: 2, Now: clock.Now})
		start := func(r *replica, path, user string) string {
			t.Helper()
			clock.advance(time.Second)
			return startSession(t, r, path, "2025-11-25", user)
		}
		eve, elsewhere := start(a, "/mcp/catalog", "eve"), start(a, "/mcp/admin", "ada")
		var nobodys []string
		for range 3 {
			nobodys = append(nobodys, start(a, "/mcp/catalog", ""))
		}
		used, unused := start(a, "/mcp/catalog", "ada"), start(a, "/mcp/catalog", "ada")
		stream := request(t, "GET", a.url, inSession(unused, "ada"), "")
		clock.advance(time.Second)
		if got := ask(t, b, used, "ada"); got != 200 {
			t.Fatalf("at the bound: %d", got)
		}
		a.flush(t.Context())
		b.flush(t.Context())
		third := start(b, "/mcp/catalog", "ada")
		untilEnd(t, stream)
		for _, r := range []*replica{a, b} {
			for id, want := range map[string]int{used: 200, unused: 404, third: 200} {
				eventually(t, "the replica knows", func() bool { return ask(t, r, id, "ada") == want })
			}
			if got := ask(t, r, eve, "eve"); got != 200 {
				t.Errorf("eve's: %d", got)
			}
			for _, id := range nobodys {
				if got := ask(t, r, id, ""); got != 200 {
					t.Errorf("the anonymous principal's: %d", got)
				}
			}
			if w := serve(r, "POST", "/mcp/admin", inSession(elsewhere, "ada"), list); w.Code != 200 {
				t.Errorf("ada's at another server: %d", w.Code)
			}
		}
	})
}

// Sessions of HTTP+SSE count, and end with their stream.
func TestChannelsPerPrincipal(t *testing.T) {
	clock := newClock()
	a, b := pair(t, func() *store.DB { return openStore(t) }, Options{SessionsPerPrincipal: 2, Now: clock.Now})
	first, _ := openSSE(t, a, "ada")
	clock.advance(time.Second)
	second, id := openSSE(t, b, "ada")
	others, _ := openSSE(t, b, "eve")
	clock.advance(time.Second)
	third, _ := openSSE(t, b, "ada")
	untilEnd(t, first)
	say(t, a, id, "ada", initializeBody("2024-11-05"))
	second.want(t, "protocolVersion")
	for _, s := range []*eventReader{second, third, others} {
		s.close()
	}
}

// A bound that was lowered holds again after some new sessions.
func TestSessionsPerPrincipalLowered(t *testing.T) {
	db := openStore(t)
	before := newTestHandler(t, Options{Store: db})
	clock := newClock()
	for range 40 {
		startSession(t, before, "/mcp/catalog", "2025-11-25", "ada")
	}
	after := newTestHandler(t, Options{Store: db, SessionsPerPrincipal: 1, Now: clock.Now})
	var last string
	for range 3 {
		clock.advance(time.Second)
		last = startSession(t, after, "/mcp/catalog", "2025-11-25", "ada")
	}
	s, err := db.Session(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	if others, err := db.OtherSessions(t.Context(), s, 0, 100); err != nil || len(others) > 0 {
		t.Errorf("%d others live, %v", len(others), err)
	}
}

// TestRateOfSessions: what a principal opens is bounded, too, on both ways.
func TestRateOfSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newMemoryStore()
		h := prepareHandler(t, Options{Store: db, SessionsPerPrincipal: 2})
		initialize := func(user string) (int, string) {
			w := serve(h, "POST", "/mcp/catalog", headers{"X-User": user}, initializeBody("2025-11-25"))
			return w.Code, w.Header().Get("Retry-After") + w.Body.String()
		}
		for i := range 60 {
			if code, said := initialize("ada"); code != 200 {
				t.Fatalf("session %d: %d %s", i, code, said)
			}
		}
		for range 3 {
			if code, said := initialize("ada"); code != 429 || !strings.HasPrefix(said, "1{") || !strings.Contains(said, "you have opened too many sessions") {
				t.Errorf("the next: %d %s", code, said)
			}
		}
		if w := serve(h, "GET", "/mcp/catalog/sse", headers{"X-User": "ada", "Accept": eventStream}, ""); w.Code != 429 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("over HTTP+SSE: %d %s", w.Code, w.Body)
		}
		if len(db.all) != 60 {
			t.Errorf("%d sessions are kept", len(db.all))
		}
		for range 100 { // who is everybody
			if code, said := initialize(""); code != 200 {
				t.Fatalf("anonymous: %d %s", code, said)
			}
		}
		if code, _ := initialize("eve"); code != 200 {
			t.Errorf("another principal: %d", code)
		}
		time.Sleep(time.Second) // of the bubble
		if code, said := initialize("ada"); code != 200 {
			t.Errorf("a second later: %d %s", code, said)
		}
	})
}

// TestShareOfAPrincipal: no principal takes all places, with however many
// sessions and without one; the others have theirs.
func TestShareOfAPrincipal(t *testing.T) {
	calls := &fakeInvoker{gate: make(chan struct{})}
	r := newReplica(t, openStore(t), Options{Invoker: calls, Calls: 12, CallsPerSession: 1, Streams: 12, StreamsPerSession: 1})
	one, two := startSession(t, r, "/mcp/catalog", "2025-11-25", "ada"), startSession(t, r, "/mcp/catalog", "2025-11-25", "ada")
	three := startSession(t, r, "/mcp/catalog", "2025-11-25", "ada")
	as := func(user string, hs headers) headers { hs["X-User"] = user; return hs }
	start := func(what string, hs headers, body string) {
		t.Helper()
		before := r.inflight.count()
		go func() { serve(r, "POST", "/mcp/catalog", hs, body) }()
		eventually(t, what, func() bool { return r.inflight.count() > before })
	}
	modern := func(user, tool string) (headers, string) {
		return as(user, modernHeaders("tools/call", tool)), modernCall("1", tool, "{}")
	}
	check := func(what string, want int, method, path string, hs headers, body string) {
		t.Helper()
		w := serve(r, method, path, hs, body)
		if w.Code != want || want == 429 && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "you have too many")) {
			t.Errorf("%s: %d %s, want %d", what, w.Code, w.Body, want)
		}
	}
	start("a call in a session", inSession(one, "ada"), callBody("1", "fake_wait", "{}"))
	start("a call in another", inSession(two, "ada"), callBody("1", "fake_wait", "{}"))
	hs, body := modern("ada", "fake_wait")
	start("a call in none", hs, body)
	hs, body = modern("ada", "fake_echo")
	check("a fourth in none", 429, "POST", "/mcp/catalog", hs, body)
	check("a fourth in a session", 429, "POST", "/mcp/catalog", inSession(three, "ada"), callBody("2", "fake_echo", "{}"))
	check("at another server", 429, "POST", "/mcp/offers", as("ada", modernHeaders("tools/call", "echo")), modernCall("1", "echo", "{}"))
	check("a new session", 429, "POST", "/mcp/catalog", headers{"X-User": "ada"}, initializeBody("2025-11-25"))
	check("what ends a call", 202, "POST", "/mcp/catalog", inSession(one, "ada"), cancelBody("7"))
	hs, body = modern("eve", "fake_echo")
	check("another principal", 200, "POST", "/mcp/catalog", hs, body)
	for range 9 { // the anonymous one has all the rest
		hs, body = modern("", "fake_wait")
		start("a call of nobody", hs, body)
	}
	hs, body = modern("eve", "fake_echo")
	check("a thirteenth of all", 503, "POST", "/mcp/catalog", hs, body)
	close(calls.gate)
	eventually(t, "all calls ended", func() bool { return r.calls.count() == 0 })

	channel, _ := openSSE(t, r, "ada")
	listen := func(user string) headers { return as(user, modernHeaders("subscriptions/listen", "")) }
	open := []*eventReader{
		channel, request(t, "GET", r.url, inSession(one, "ada"), ""), request(t, "POST", r.url, listen("ada"), listenBody("1", "{}")),
	}
	check("a fourth stream in none", 429, "POST", "/mcp/catalog", listen("ada"), listenBody("1", "{}"))
	check("a fourth stream in a session", 429, "GET", "/mcp/catalog", as("ada", headers{"Mcp-Session-Id": two, "Accept": eventStream}), "")
	check("a fourth channel", 429, "GET", "/mcp/catalog/sse", headers{"X-User": "ada", "Accept": eventStream}, "")
	others := request(t, "POST", r.url, listen("eve"), listenBody("1", "{}"))
	if others.status != 200 {
		t.Errorf("another principal's stream: %d", others.status)
	}
	for _, s := range append(open, others) {
		s.close()
	}
	eventually(t, "all streams ended", func() bool { return r.streams.count() == 0 })
}
