package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stagedoor/stagedoor/internal/session"
)

// lameStore is a store whose mail does not work for a while.
type lameStore struct {
	Store
	noTake, noPut atomic.Bool
	takes, puts   atomic.Int64 // that failed
}

func (s *lameStore) TakeMail(ctx context.Context, address string) ([][]byte, error) {
	if s.noTake.Load() {
		s.takes.Add(1)
		return nil, session.ErrAway
	}
	return s.Store.TakeMail(ctx, address)
}

func (s *lameStore) PutMail(ctx context.Context, address string, most int, bodies ...[]byte) error {
	if s.noPut.Load() {
		s.puts.Add(1)
		return session.ErrAway
	}
	return s.Store.PutMail(ctx, address, most, bodies...)
}

// An id of one transport is unknown to the other: answers would pile up where
// nobody looks.
func TestSessionsOfOtherTransports(t *testing.T) {
	db := openStore(t)
	r := newReplica(t, db, Options{})
	id := startSession(t, r, "/mcp/catalog", "2024-11-05", "")
	if w := serve(r, "POST", "/mcp/catalog/message?sessionId="+id, nil, callBody("1", "fake_echo", "{}")); w.Code != 404 {
		t.Errorf("Streamable HTTP's id at /message: %d", w.Code)
	}
	stream, channel := openSSE(t, r, "")
	say(t, r, channel, "", initializeBody("2024-11-05"))
	stream.want(t, "protocolVersion")
	for _, method := range []string{"POST", "GET", "DELETE"} {
		if w := serve(r, method, "/mcp/catalog", headers{"Mcp-Session-Id": channel, "Accept": "application/json, text/event-stream"}, callBody("1", "fake_echo", "{}")); w.Code != 404 {
			t.Errorf("%s with HTTP+SSE's id as Mcp-Session-Id: %d", method, w.Code)
		}
	}
	if mail, err := db.TakeMail(t.Context(), channelAddress(id)); len(mail) != 0 || err != nil {
		t.Errorf("%d messages that nobody can ever read, %v", len(mail), err)
	}
}

// The session of a replica that died ends when its mailbox is full.
func TestMailboxFull(t *testing.T) {
	db := openStore(t)
	h := newTestHandler(t, Options{Store: db})
	for _, before := range []int{maxMail, maxMail - 1} {
		s := session.Session{ID: channelPrefix + newSessionID(), Server: "catalog", ProtocolVersion: "2024-11-05"}
		if err := h.sessions.create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := db.PutMail(t.Context(), channelAddress(s.ID), maxMail, make([][]byte, before)...); err != nil {
			t.Fatal(err)
		}
		path := "/mcp/catalog/message?sessionId=" + s.ID
		want := 404
		if before < maxMail { // there is a place for the beginning of the work, and none for the answer
			want = 202
		}
		if w := serve(h, "POST", path, nil, callBody("1", "fake_echo", "{}")); w.Code != want {
			t.Errorf("after %d messages: %d, want %d", before, w.Code, want)
		}
		if w := serve(h, "POST", path, nil, callBody("2", "fake_echo", "{}")); w.Code != 404 {
			t.Errorf("after %d messages, then: %d", before, w.Code)
		}
	}
}

// One question has one answer, wherever it was asked.
func TestOneAnswer(t *testing.T) {
	db := openStore(t)
	h := newTestHandler(t, Options{Store: db})
	id := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	request := h.newRequestID(id) // as a question of another replica shows it
	reply := func(n int) int {
		return serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": id}, fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"n":%d}}`, request, n)).Code
	}
	for n := range 5 {
		if got := reply(n); got != 202 {
			t.Errorf("answer %d: %d", n, got)
		}
	}
	mail, err := db.TakeMail(t.Context(), answerAddress(id, request))
	if err != nil || len(mail) != 1 || !strings.Contains(string(mail[0]), `"n":0`) {
		t.Errorf("kept %q, %v", mail, err)
	}
	here, forget := h.questions.ask(answerAddress(id, request))
	defer forget()
	for n := range 5 {
		reply(n)
	}
	if got := <-here; !strings.Contains(string(got), `"n":0`) {
		t.Errorf("got %s", got)
	}
	if mail, _ := db.TakeMail(t.Context(), answerAddress(id, request)); len(mail) != 0 {
		t.Errorf("%d answers went through the database though the question was put here", len(mail))
	}
}

// Without a database, an answer to a question of this replica arrives; one for
// another replica is not taken.
func TestAnswersWithoutDatabase(t *testing.T) {
	lame := &lameStore{Store: openStore(t)}
	h, plugin := newCurious(t, Options{Store: lame})
	c := converse(t, listen(t, h).URL+"/mcp/curious", "2025-11-25", allCapabilities)
	c.answers["elicitation/create"] = `{"action":"accept","content":{"confirm":true}}`
	lame.noPut.Store(true)
	lame.noTake.Store(true)
	if got := resultOfAnswer(t, c.call(callBody("1", "drop", `{}`))); got.IsError || plugin.count("drop") != 1 {
		t.Errorf("asked here: %+v", got)
	}
	for path, version := range map[string]string{"one": "2025-11-25", "batch": "2025-03-26"} {
		id := startSession(t, h, "/mcp/curious", version, "")
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{}}`, h.newRequestID(id))
		if path == "batch" {
			w := serve(h, "POST", "/mcp/curious", headers{"Mcp-Session-Id": id}, "["+body+"]")
			if !strings.Contains(w.Body.String(), `"id":null,"error"`) {
				t.Errorf("in a batch: %d %s", w.Code, w.Body)
			}
			continue
		}
		w := serve(h, "POST", "/mcp/curious", headers{"Mcp-Session-Id": id}, body)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("asked elsewhere: %d %v", w.Code, w.Header())
		}
	}
	made := session.Session{ID: channelPrefix + newSessionID(), Server: "curious", ProtocolVersion: "2024-11-05"}
	if err := h.sessions.create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"answer":  fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{}}`, h.newRequestID(made.ID)),
		"request": callBody("1", "plain", "{}"),
	} {
		if w := serve(h, "POST", "/mcp/curious/message?sessionId="+made.ID, nil, body); w.Code != 503 {
			t.Errorf("%s over HTTP+SSE: %d", name, w.Code)
		}
	}
	if plugin.count("plain") != 0 {
		t.Error("a call was made whose answer could not be kept")
	}
}

// A database that is away for a moment costs HTTP+SSE no answer, neither where
// it is written nor where it is read.
func TestSSEWithoutDatabase(t *testing.T) {
	t.Parallel() // it mostly waits
	db := openStore(t)
	calls := newSteered()
	a, b := newReplica(t, db, Options{}), newReplica(t, db, Options{Invoker: invokerFunc(calls.Invoke)})
	reads, writes := &lameStore{Store: db}, &lameStore{Store: db}
	a.options.Store, b.options.Store = reads, writes
	stream, id := openSSE(t, a, "")
	say(t, b, id, "", initializeBody("2024-11-05"))
	stream.want(t, "protocolVersion")
	say(t, b, id, "", callBody("1", "fake_wait", "{}"))
	eventually(t, "the call runs", func() bool { return b.inflight.count() == 1 })
	writes.noPut.Store(true)
	calls.send(t, "answer")
	eventually(t, "the answer was tried", func() bool { return writes.puts.Load() > 0 })
	reads.noTake.Store(true)
	writes.noPut.Store(false)
	eventually(t, "the mail was tried", func() bool { return reads.takes.Load() > 0 })
	reads.noTake.Store(false)
	stream.want(t, `"id":1,"result"`)
}

// TestSSEDrainsElsewhere: a gateway that stops waits for what other replicas do
// for its streams.
func TestSSEDrainsElsewhere(t *testing.T) {
	db := openStore(t)
	calls := newSteered()
	a, b := newReplica(t, db, Options{}), newReplica(t, db, Options{Invoker: invokerFunc(calls.Invoke)})
	stream, id := openSSE(t, a, "")
	say(t, b, id, "", initializeBody("2024-11-05"))
	stream.want(t, "protocolVersion")
	say(t, b, id, "", progressCall("7"))
	calls.send(t, "one")
	stream.want(t, "one")
	a.Drain()
	calls.send(t, "two", "answer")
	stream.want(t, "two")
	stream.want(t, `"id":7,"result"`)
	stream.ends(t)
	eventually(t, "nothing is left", func() bool { return a.listeners.count()+b.inflight.count() == 0 })
}

// Batches on the transports with one connection: the revision that has them
// wants them to be understood.
func TestBatchesOnChannels(t *testing.T) {
	batch := "[" + callBody("1", "fake_echo", `{"said":1}`) + "," + initialized + "," + callBody(`"b"`, "nope", "{}") + ",7]"
	check := func(t *testing.T, raw string) {
		t.Helper()
		var answers []answer
		if err := json.Unmarshal([]byte(raw), &answers); err != nil || len(answers) != 3 ||
			answers[0].code() != 0 || string(answers[1].ID) != `"b"` || answers[1].code() != -32602 || answers[2].code() != -32600 {
			t.Errorf("got %s, %v", raw, err)
		}
	}
	t.Run("stdio", func(t *testing.T) {
		l, _ := startStdio(t, Options{})
		l.send(t, batch)
		l.want(t, "only part of protocol version 2025-03-26")
		l.send(t, initializeBody("2025-03-26"))
		l.want(t, `"protocolVersion":"2025-03-26"`)
		l.send(t, "["+initialized+"]", batch)
		check(t, l.want(t, "["))
		l.send(t, "[]")
		l.want(t, "1 to 100 messages")
		l.end(t)
	})
	t.Run("HTTP+SSE", func(t *testing.T) {
		r := newReplica(t, openStore(t), Options{})
		stream, id := openSSE(t, r, "")
		say(t, r, id, "", initializeBody("2025-03-26"))
		stream.want(t, "protocolVersion")
		say(t, r, id, "", batch)
		check(t, stream.want(t, "[").data)
	})
}

// What clients choose and are told again and again is short.
func TestLongTokens(t *testing.T) {
	h := newTestHandler(t, Options{})
	id := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	for _, n := range []int{maxToken - 2, maxToken - 1} {
		token := `"` + strings.Repeat("t", n) + `"`
		for name, body := range map[string]string{
			"id":    callBody(token, "fake_steps", "{}"),
			"token": strings.Replace(callBody("1", "fake_steps", "{}"), `"arguments":{}`, `"_meta":{"progressToken":`+token+`}`, 1),
		} {
			w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": id}, body)
			if long := n > maxToken-2; (w.Code == 400) != long || strings.Contains(w.Body.String(), `"code":-32600`) != long || long && w.Body.Len() > 500 {
				t.Errorf("%s of %d bytes: %d %.200s", name, len(token), w.Code, w.Body)
			}
		}
	}
}
