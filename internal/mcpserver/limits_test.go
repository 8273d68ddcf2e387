package mcpserver

import (
	"net/http/httptest"
	"testing"
)

// What runs is bounded, for a session and for all; what ends it is not.
func TestLimits(t *testing.T) {
	calls := &fakeInvoker{gate: make(chan struct{})}
	r := newReplica(t, openStore(t), Options{Invoker: calls, Calls: 5, CallsPerSession: 2, Streams: 4, StreamsPerSession: 2})
	one, two := startSession(t, r, "/mcp/catalog", "2025-11-25", ""), startSession(t, r, "/mcp/catalog", "2025-03-26", "")
	wait := func(id, body string) {
		t.Helper()
		before := r.inflight.count()
		go func() { serve(r, "POST", "/mcp/catalog", inSession(id, ""), body) }()
		eventually(t, "the call runs", func() bool { return r.inflight.count() > before })
	}
	check := func(what string, want int, w *httptest.ResponseRecorder) {
		t.Helper()
		if w.Code != want || want >= 400 && (w.Header().Get("Retry-After") == "" || decode(t, w.Body).code() == 0) {
			t.Errorf("%s: %d %s, want %d", what, w.Code, w.Body, want)
		}
	}
	post := func(id, body string) *httptest.ResponseRecorder {
		return serve(r, "POST", "/mcp/catalog", inSession(id, ""), body)
	}
	echo := callBody("9", "fake_echo", "{}")
	modern := func() *httptest.ResponseRecorder {
		return serve(r, "POST", "/mcp/catalog", modernHeaders("tools/call", "fake_echo"), modernCall("1", "fake_echo", "{}"))
	}
	wait(one, callBody("1", "fake_wait", "{}"))
	wait(one, callBody("2", "fake_wait", "{}"))
	check("a third of one session", 429, post(one, echo))
	check("of another", 200, post(two, echo))
	check("of none", 200, modern())
	wait(two, "["+callBody("1", "fake_wait", "{}")+"]")
	wait(two, callBody("2", "fake_wait", "{}"))
	check("a batch of one session", 429, post(two, "["+echo+"]"))
	stream, channel := openSSE(t, r, "")
	say(t, r, channel, "", initializeBody("2024-11-05"))
	stream.want(t, "protocolVersion")
	say(t, r, channel, "", callBody("1", "fake_wait", "{}"))
	eventually(t, "the call runs", func() bool { return r.inflight.count() == 5 })
	check("a sixth of all", 503, modern())
	check("a new session", 503, serve(r, "POST", "/mcp/catalog", nil, initializeBody("2025-11-25")))
	check("over HTTP+SSE", 503, serve(r, "POST", "/mcp/catalog/message?sessionId="+channel, nil, echo))
	check("a stream to go on with", 503, serve(r, "GET", "/mcp/catalog", headers{"Mcp-Session-Id": one, "Accept": eventStream, "Last-Event-Id": "x.1"}, ""))
	check("its end", 202, post(one, cancelBody("1")))
	eventually(t, "the call ended", func() bool { return r.inflight.count() == 4 })
	check("afterwards", 200, modern())
	close(calls.gate)
	stream.want(t, `"id":1,"result"`)
	eventually(t, "all calls ended", func() bool { return r.calls.count() == 0 })

	var open []*eventReader
	for range 2 {
		open = append(open, request(t, "GET", r.url, inSession(one, ""), ""))
	}
	check("a third stream of one session", 429, serve(r, "GET", "/mcp/catalog", headers{"Mcp-Session-Id": one, "Accept": eventStream}, ""))
	open = append(open, request(t, "GET", r.url, inSession(two, ""), ""))
	check("a fifth of all", 503, serve(r, "GET", "/mcp/catalog/sse", nil, ""))
	listen := modernHeaders("subscriptions/listen", "")
	check("one of 2026-07-28", 503, serve(r, "POST", "/mcp/catalog", listen, listenBody("1", "{}")))
	for _, s := range append(open, stream) {
		s.close()
	}
	eventually(t, "all streams ended", func() bool { return r.streams.count() == 0 })
}

// count is what is under way, and who has any of it.
func (l *limit) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all + len(l.each)
}
