package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// steered is an Invoker whose calls do, one after the other, what is sent on
// their channel: "progress" tells of some, "answer" ends the call.
type steered struct{ steps chan string }

func newSteered() *steered { return &steered{steps: make(chan string)} }

func (s *steered) Invoke(ctx context.Context, action string, arguments json.RawMessage) (*invoke.Result, error) {
	if action == "echo" {
		return &invoke.Result{JSON: arguments}, nil
	}
	for i := 1; ; i++ {
		select {
		case step := <-s.steps:
			if step == "answer" {
				return &invoke.Result{JSON: json.RawMessage(`{"steered":true}`)}, nil
			}
			if told := invoke.ProgressOf(ctx); told != nil {
				told(invoke.Progress{Value: json.Number(fmt.Sprint(i)), Message: step})
			}
		case <-ctx.Done():
			return nil, &invoke.Error{Kind: invoke.Cancelled, Message: "call was cancelled", Err: ctx.Err()}
		}
	}
}

func (s *steered) send(t testing.TB, steps ...string) {
	t.Helper()
	for _, step := range steps {
		select {
		case s.steps <- step:
		case <-time.After(patience):
			t.Fatalf("no call takes %q", step)
		}
	}
}

func inSession(id, user string) headers { return headers{"Mcp-Session-Id": id, "X-User": user} }

func from(id, user, event string) headers {
	return headers{"Mcp-Session-Id": id, "X-User": user, "Last-Event-ID": event}
}

func progressCall(id string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"fake_wait","arguments":{},"_meta":{"progressToken":` + id + `}}}`
}

// A client that lost its answer finds it again: during the call and after it,
// at the replica that has it and at another, more than once, and nobody else does.
func TestResume(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		calls := newSteered()
		a, b := pair(t, open, Options{Invoker: invokerFunc(calls.Invoke), SlowCall: 20 * time.Millisecond})
		ada := startSession(t, a, "/mcp/catalog", "2025-11-25", "ada")
		eve := startSession(t, a, "/mcp/catalog", "2025-11-25", "eve")
		other := startSession(t, a, "/mcp/catalog", "2025-11-25", "ada")
		first := request(t, "POST", a.url, inSession(ada, "ada"), progressCall("1"))
		calls.send(t, "one")
		primer, _ := first.next(t)
		if primer.id == "" || primer.data != "" || primer.retry != "1000" {
			t.Fatalf("primer %+v", primer)
		}
		one := first.want(t, "one")
		first.close()
		calls.send(t, "two", "three") // to nobody

		second := request(t, "GET", b.url, from(ada, "ada", one.id), "")
		second.want(t, `"message":"two"`)
		three := second.want(t, "three")
		third := request(t, "GET", a.url, from(ada, "ada", primer.id), "")
		for _, text := range []string{"one", "two", "three"} {
			third.want(t, text)
		}
		calls.send(t, "four", "answer")
		for _, r := range []*eventReader{second, third} {
			r.want(t, "four")
			r.want(t, `"steered":true`)
			r.ends(t)
		}
		for name, url := range map[string]string{"a": a.url, "b": b.url} {
			again := request(t, "GET", url, from(ada, "ada", three.id), "")
			again.want(t, "four")
			last := again.want(t, `"id":1,"result"`)
			again.ends(t)
			// Whoever has the answer is not made to wait, nor told that it is lost.
			start := time.Now()
			request(t, "GET", url, from(ada, "ada", last.id), "").ends(t)
			request(t, "GET", url, from(ada, "ada", primer.id+"999"), "").ends(t)
			if took := time.Since(start); took > settleTime/2 {
				t.Errorf("%s: an answer that was had ends after %v", name, took)
			}
			for who, hs := range map[string]headers{
				"another principal": from(ada, "eve", one.id), "another session": from(eve, "eve", one.id),
				"another of one's own": from(other, "ada", one.id), "none": {"X-User": "ada", "Last-Event-ID": one.id},
			} {
				got := request(t, "GET", url, hs, "")
				if want := map[bool]int{true: 404, false: 400}[who == "another principal"]; got.status != want {
					t.Errorf("%s, %s: %d", name, who, got.status)
				}
				if body, _ := got.next(t); strings.Contains(body.data, "two") || strings.Contains(body.data, "steered") {
					t.Errorf("%s, %s: %s", name, who, body.data)
				}
			}
		}
	})
}

// Ids that were never given lead nowhere, and to no fault.
func TestResumeGarbage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newReplica(t, open(), Options{})
		s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
		for _, id := range []string{"x.1", strings.Repeat("x", 64) + ".1", "\xff\xfe.1", "' OR 1=1.1", ".1", "x.9223372036854775807",
			"x", "x.y", "x.-1", "x.99999999999999999999", strings.Repeat("x", 65) + ".1", "lists", "a.b.c",
		} {
			if got := request(t, "GET", r.url, from(s, "", id), ""); got.status != 400 {
				t.Errorf("%q: %d", id, got.status)
			}
		}
		// One of a session's own stream, however garbled, begins it anew.
		got := request(t, "GET", r.url, from(s, "", "lists.1.2"), "")
		if first, ok := got.next(t); got.status != 200 || !ok || first.id == "" {
			t.Errorf("%d %+v", got.status, first)
		}
		got.close()
	})
}

// The replica that made a call dies: who comes back elsewhere is told.
func TestCallLostWithItsReplica(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a replica counts as dead")
	}
	t.Parallel() // it mostly waits
	db, err := store.Open(t.Context(), storetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	calls := newSteered()
	a, b := newReplica(t, db, Options{Invoker: invokerFunc(calls.Invoke), SlowCall: 20 * time.Millisecond}), newReplica(t, db, Options{})
	s := startSession(t, a, "/mcp/catalog", "2025-11-25", "")
	call := request(t, "POST", a.url, inSession(s, ""), progressCall(`"x"`))
	calls.send(t, "one")
	call.next(t)
	one := call.want(t, "one")
	eventually(t, "the event is in the log", func() bool {
		stream, _, _ := parseEventID(one.id)
		_, events, err := db.ReadStream(t.Context(), s, stream, 0, 1)
		return err == nil && len(events) == 1
	})
	a.stop()
	if err := db.Leave(t.Context(), a.options.Replica); err != nil {
		t.Fatal(err)
	}
	again := request(t, "GET", b.url, from(s, "", one.id), "")
	lost := again.want(t, "call was lost")
	if !strings.Contains(lost.data, `"id":"x"`) || !strings.Contains(lost.data, "-32603") || lost.id != "" {
		t.Errorf("%+v", lost)
	}
	again.ends(t)
	calls.send(t, "answer")
}

// The GET of a session is told of changed lists: once, on its newest stream,
// whichever replica changed and whichever has the stream.
func TestListChanged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := pair(t, open, Options{})
		s := startSession(t, a, "/mcp/catalog", "2025-11-25", "ada")
		change := func(r *replica, changed bool) {
			t.Helper()
			servers := testServers()
			if changed {
				servers = changedServers()
			}
			if err := r.SetServers(servers); err != nil {
				t.Fatal(err)
			}
		}
		onA := request(t, "GET", a.url, inSession(s, "ada"), "")
		primed, _ := onA.next(t)
		if primed.id == "" || primed.data != "" || onA.header.Get("X-Accel-Buffering") != "no" {
			t.Fatalf("%+v, %v", primed, onA.header)
		}
		change(a, true)
		told := onA.wantLists(t)
		if told.id == primed.id {
			t.Error("an event after a change has the id of before it")
		}
		change(b, true)
		onA.wantLists(t)
		change(b, true) // nothing new
		onB := request(t, "GET", b.url, inSession(s, "ada"), "")
		onB.next(t)
		eventually(t, "the older stream is not told any more", func() bool { return a.listeners.told(s) == 0 && b.listeners.told(s) == 1 })
		change(a, false)
		onB.wantLists(t)
		onA.quiet(t)
		onA2 := request(t, "GET", a.url, inSession(s, "ada"), "")
		onA2.next(t)
		eventually(t, "the newest stream is the only one told", func() bool { return a.listeners.told(s) == 1 && b.listeners.told(s) == 0 })
		onA2.close()
		onA.close()
		eventually(t, "the stream that is left is told again", func() bool { return b.listeners.told(s) == 1 })
		change(b, false)
		onB.wantLists(t)
		onB.close()
		eventually(t, "all streams are gone", func() bool { return a.listeners.count()+b.listeners.count() == 0 })

		// While nobody listened there was a change; who comes back is told, once.
		for _, r := range []*replica{a, b} {
			missed := request(t, "GET", r.url, from(s, "ada", told.id), "")
			missed.next(t)
			again := missed.wantLists(t)
			missed.close()
			none := request(t, "GET", r.url, from(s, "ada", again.id), "")
			if first, _ := none.next(t); first.id == again.id || first.data != "" {
				t.Errorf("%+v after the event %s", first, again.id)
			}
			change(r, true)
			none.wantLists(t)
			none.quiet(t)
			none.close()
			change(r, false)
		}
	})
}

// told is how many streams of a session are told of changes here.
func (ls *listeners) told(session string) (n int) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.bySession[session] {
		l.mu.Lock()
		if !l.quiet {
			n++
		}
		l.mu.Unlock()
	}
	return n
}

// Older revisions know no primer.
func TestListenByVersion(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	for _, version := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"} {
		s := startSession(t, r, "/mcp/catalog", version, "")
		get := request(t, "GET", r.url, inSession(s, ""), "")
		if got := <-get.events; got.comment == (version == "2025-11-25") || (got.id != "") != (version == "2025-11-25") {
			t.Errorf("%s begins with %+v", version, got)
		}
	}
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "ada")
	for _, test := range []struct {
		name   string
		hs     headers
		status int
	}{
		{"no session", headers{"X-User": "ada"}, 400},
		{"unknown session", inSession("never", "ada"), 404},
		{"another's session", inSession(s, "eve"), 404},
		{"JSON", headers{"Mcp-Session-Id": s, "X-User": "ada", "Accept": "application/json"}, 406},
		{"modern", headers{"Mcp-Session-Id": s, "X-User": "ada", "Mcp-Protocol-Version": "2026-07-28"}, 405},
		{"unknown version", headers{"Mcp-Session-Id": s, "X-User": "ada", "Mcp-Protocol-Version": "1999-01-01"}, 400},
		{"origin", headers{"Mcp-Session-Id": s, "X-User": "ada", "Origin": "https://evil.example"}, 403},
	} {
		if got := request(t, "GET", r.url, test.hs, ""); got.status != test.status {
			t.Errorf("%s: %d, want %d", test.name, got.status, test.status)
		}
	}
}

// A stream goes on after the time that a request has to arrive, and ends with
// its session, with its server and with the gateway.
func TestListenEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := pair(t, open, Options{KeepAlive: 50 * time.Millisecond})
		s := startSession(t, a, "/mcp/catalog", "2025-11-25", "")
		get := request(t, "GET", a.url, inSession(s, ""), "")
		get.next(t)
		for start := time.Now(); time.Since(start) < 2*a.web.Config.ReadTimeout; {
			if got := <-get.events; !got.comment {
				t.Fatalf("the stream ended or said %+v: %v", got, get.err)
			}
		}
		if got := request(t, "DELETE", b.url, inSession(s, ""), ""); got.status != 204 {
			t.Fatalf("DELETE: %d", got.status)
		}
		get.ends(t)
		s = startSession(t, a, "/mcp/catalog", "2025-11-25", "")
		get = request(t, "GET", a.url, inSession(s, ""), "")
		get.next(t)
		if err := a.SetServers(testServers()[1:]); err != nil {
			t.Fatal(err)
		}
		get.ends(t)
		get = request(t, "GET", b.url, inSession(s, ""), "")
		if get.status == 200 { // it may be cached there for a moment
			get.close()
		}
		s = startSession(t, b, "/mcp/catalog", "2025-11-25", "")
		get = request(t, "GET", b.url, inSession(s, ""), "")
		get.next(t)
		b.Drain()
		get.ends(t)
		if get.err == nil || get.err.Error() != "EOF" {
			t.Errorf("the end is not clean: %v", get.err)
		}
	})
}

// subscriptions/listen: acknowledged first, tagged, only what was asked for.
func TestListenModern(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := pair(t, open, Options{})
		hs := modernHeaders("subscriptions/listen", "")
		tools := request(t, "POST", a.url, hs, listenBody(`"t"`, `{"toolsListChanged":true,"resourceSubscriptions":["x://nope"]}`))
		prompts := request(t, "POST", a.url, hs, listenBody("2", `{"promptsListChanged":true}`))
		ack := tools.want(t, "notifications/subscriptions/acknowledged")
		if !strings.Contains(ack.data, `"io.modelcontextprotocol/subscriptionId":"t"`) || !strings.Contains(ack.data, `"toolsListChanged":true`) ||
			strings.Contains(ack.data, "nope") || ack.id != "" {
			t.Errorf("%+v", ack)
		}
		prompts.want(t, `"io.modelcontextprotocol/subscriptionId":2`)
		if err := b.SetServers(changedServers()); err != nil { // elsewhere
			t.Fatal(err)
		}
		if got := tools.want(t, "notifications/tools/list_changed"); !strings.Contains(got.data, `subscriptionId":"t"`) {
			t.Errorf("not tagged: %+v", got)
		}
		gone := request(t, "POST", a.url, hs, listenBody("3", `{"toolsListChanged":true}`))
		gone.want(t, "acknowledged")
		gone.close()
		eventually(t, "who is gone is forgotten", func() bool { return a.listeners.count() == 2 })
		a.Drain()
		for id, r := range map[string]*eventReader{`"t"`: tools, "2": prompts} {
			last := r.want(t, `"id":`+id+`,"result":{`)
			if !strings.Contains(last.data, `"resultType":"complete"`) || !strings.Contains(last.data, `subscriptionId":`+id) {
				t.Errorf("%+v", last)
			}
			r.ends(t)
		}
		eventually(t, "all are gone", func() bool { return a.listeners.count() == 0 })
		for body, want := range map[string]string{
			listenBody("4", `7`): "-32602", listenBody("5", `{"toolsListChanged":"yes"}`): "-32602",
		} {
			request(t, "POST", b.url, hs, body).want(t, want)
		}
		plain := modernHeaders("subscriptions/listen", "")
		plain["Accept"] = "application/json"
		if got := request(t, "POST", b.url, plain, listenBody("6", `{}`)); got.status != 406 {
			t.Errorf("without events: %d", got.status)
		}
	})
}

// A call of a session is cancelled at whichever replica it runs, and by its
// session only; so is a call whose session ends.
func TestCancelElsewhere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		calls := newSteered()
		a, b := pair(t, open, Options{Invoker: invokerFunc(calls.Invoke), SlowCall: 20 * time.Millisecond})
		ada, eve := startSession(t, a, "/mcp/catalog", "2025-11-25", "ada"), startSession(t, b, "/mcp/catalog", "2025-11-25", "eve")
		call := request(t, "POST", a.url, inSession(ada, "ada"), progressCall(`"é 1"`))
		calls.send(t, "one")
		call.next(t)
		call.want(t, "one")
		request(t, "POST", b.url, inSession(eve, "eve"), cancelBody(`"é 1"`))
		request(t, "POST", b.url, inSession(ada, "eve"), cancelBody(`"é 1"`))
		request(t, "POST", b.url, inSession(ada, "ada"), cancelBody(`"é 2"`))
		calls.send(t, "two")
		call.want(t, "two")
		request(t, "POST", b.url, inSession(ada, "ada"), cancelBody(`"é 1"`))
		call.want(t, "call was cancelled")
		long := `"` + strings.Repeat("long", 200) + `"`
		call = request(t, "POST", a.url, inSession(ada, "ada"), progressCall(long))
		calls.send(t, "one")
		request(t, "POST", b.url, inSession(ada, "ada"), cancelBody(long))
		call.next(t)
		call.want(t, "one")
		call.want(t, "call was cancelled")
		call = request(t, "POST", a.url, inSession(ada, "ada"), progressCall("1"))
		calls.send(t, "one")
		if got := request(t, "DELETE", b.url, inSession(ada, "ada"), ""); got.status != 204 {
			t.Fatalf("DELETE: %d", got.status)
		}
		call.next(t)
		call.want(t, "one")
		call.want(t, "call was cancelled")
		call.ends(t)
	})
}

// Streams are kept for a while.
func TestRetention(t *testing.T) {
	db := openStore(t)
	r := newReplica(t, db, Options{EventTTL: time.Hour, EventBytes: 1 << 20})
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	hs, body := withToken(legacy, "1")
	hs["Mcp-Session-Id"] = s
	call := request(t, "POST", r.url, hs, body)
	primer, _ := call.next(t)
	eventually(t, "the answer is there", func() bool {
		got := request(t, "GET", r.url, from(s, "", primer.id), "")
		defer got.close()
		return got.status == 200
	})
	call.close()
	if n, err := db.PurgeStreams(t.Context(), -time.Hour, time.Hour); n != 1 || err != nil {
		t.Fatalf("%d purged, %v", n, err)
	}
	got := request(t, "GET", r.url, from(s, "", primer.id), "")
	if got.status != 400 {
		t.Errorf("an event that is not kept any more: %d", got.status)
	}
}

// The session's database row is read again when the cache says that it is not
// initialized; see [Handler.channelSession].
func TestSignalsOfOthers(t *testing.T) {
	h := newTestHandler(t, Options{})
	for _, s := range []session.Signal{
		{}, {Topic: "unknown", Key: "x"}, {Topic: session.SignalCancel, Key: "x"}, {Topic: session.SignalLists, Key: "catalog"},
		{Topic: session.SignalLists, Key: "nope tools,what"}, {Topic: session.SignalMail}, {Topic: session.SignalFollow, Key: "x"},
		{Topic: session.SignalEvents, Key: "x"}, {Topic: session.SignalListen, Key: "x"}, {Topic: session.SignalUnlisten, Key: "x"},
		{Topic: session.SignalEnded, Key: "x"}, {Topic: session.SignalDocuments}, {Topic: session.SignalTask, Key: "x"}, {Topic: session.SignalResync},
	} {
		h.Heard(s)
	}
}

// TestListEventIDs: no two events of a session have one id, and who loses the
// connection between two of one reload is told of the second.
func TestListEventIDs(t *testing.T) {
	r := newReplica(t, openStore(t), Options{})
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	stream := request(t, "GET", r.url, inSession(s, ""), "")
	primer, _ := stream.next(t)
	if err := r.SetServers(changedServers()); err != nil {
		t.Fatal(err)
	}
	tools := stream.want(t, "notifications/tools/list_changed")
	resources := stream.want(t, "notifications/resources/list_changed")
	stream.close()
	seen := map[string]bool{primer.id: true, tools.id: true, resources.id: true}
	last := tools.id
	for range 2 { // the first is lost before it is told anything
		again := request(t, "GET", r.url, from(s, "", last), "")
		first, _ := again.next(t)
		told := again.want(t, "notifications/resources/list_changed")
		again.quiet(t)
		again.close()
		last = first.id
		seen[first.id], seen[told.id] = true, true
	}
	knows := request(t, "GET", r.url, from(s, "", resources.id), "")
	knows.next(t) // the primer
	knows.quiet(t)
	if len(seen) != 7 {
		t.Errorf("%d ids of 7 events: %v", len(seen), seen)
	}
}
