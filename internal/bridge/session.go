package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// maxSubscriptions bounds the resource subscriptions that outlive a session.
const maxSubscriptions = 1000

// session is what an initialize began, in revisions up to 2025-11-25.
type session struct {
	id      string // "": the server has no sessions
	version string
	params  json.RawMessage // of initialize, to begin another one with

	// What the client made of it; guarded by bridge.mu.
	ready         bool // the client has sent notifications/initialized
	listening     bool
	deaf          bool                       // the server has no stream for it
	level         json.RawMessage            // params of logging/setLevel
	subscriptions map[string]json.RawMessage // params of resources/subscribe, by URI
}

// errGone is in the chain of errors of requests to a session that has ended.
var errGone = errors.New("session has ended at the server")

func isGone(err error) bool { return errors.Is(err, errGone) }

// identify puts a session in a request's headers.
func (s *session) identify(h http.Header) {
	if s == nil {
		return
	}
	if s.id != "" {
		h.Set("Mcp-Session-Id", s.id)
	}
	if s.version != "" {
		h.Set("MCP-Protocol-Version", s.version)
	}
}

func (b *bridge) current() *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.session
}

// sessionFor is the session that a message is sent in; nil: none.
func (b *bridge) sessionFor(c *call) *session {
	switch {
	case c.session != nil:
		return c.session
	case c.modern() || c.method == methodInitialize:
		return nil
	}
	return b.current()
}

// newSession is what an initialize was answered with.
func newSession(c *call, answer message) *session {
	var result struct {
		Version string `json:"protocolVersion"`
	}
	if answer.result == nil || json.Unmarshal(answer.result, &result) != nil {
		return nil
	}
	s := &session{version: headerSafe(result.Version), params: c.given, subscriptions: map[string]json.RawMessage{}}
	if c.header != nil {
		s.id = headerSafe(c.header.Get("Mcp-Session-Id"))
	}
	return s
}

// headerSafe is a text of visible ASCII, as session ids have to be; "" otherwise.
func headerSafe(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' }) {
		return ""
	}
	return s
}

// learn keeps what an answer says about the session and the tools. It gives the
// answer as the client is to see it.
func (b *bridge) learn(c *call, answer message) []byte {
	if answer.fault != nil {
		return answer.raw
	}
	switch c.method {
	case methodInitialize:
		if c.quiet {
			return answer.raw
		}
		b.mu.Lock()
		before := b.session
		b.session = newSession(c, answer)
		b.mu.Unlock()
		if before != nil {
			b.work.Go(func() { b.endSession(b.life, before) })
		}
	case methodToolsList:
		return b.learnTools(c, answer)
	case methodSetLevel, methodSubscribe, methodUnsubscribe:
		b.mu.Lock()
		defer b.mu.Unlock()
		if s := b.session; s != nil && !c.modern() {
			s.keep(c)
		}
	}
	return answer.raw
}

// keep remembers what a later session has to be told again.
func (s *session) keep(c *call) {
	switch c.method {
	case methodSetLevel:
		s.level = c.given
	case methodSubscribe:
		if len(s.subscriptions) < maxSubscriptions {
			s.subscriptions[c.params.URI] = c.given
		}
	case methodUnsubscribe:
		delete(s.subscriptions, c.params.URI)
	}
}

// revive begins a new session in the place of one that the server has ended,
// with what the client said at first, and tells the new one what the client had
// told the old one.
func (b *bridge) revive(ctx context.Context, lost *session) error {
	return b.flights.once(ctx, b.life, "session "+lost.id, func(ctx context.Context) error {
		if b.current() != lost {
			return nil // it was done
		}
		b.log.say("the server has ended the session; beginning another one")
		answer, c, err := b.ask(ctx, methodInitialize, lost.params, nil)
		if err != nil {
			return err
		}
		next := newSession(c, answer)
		if next == nil || next.version != lost.version {
			return newFault(codeInternal, "session has ended, and the server speaks another protocol revision now; start the client anew")
		}
		if err := b.tell(ctx, next, lost); err != nil {
			return err
		}
		b.mu.Lock()
		next.deaf = lost.deaf
		b.session = next
		b.mu.Unlock()
		b.listen(next, true)
		return nil
	})
}

// tell makes a session what another one was. What it does not take is left out.
func (b *bridge) tell(ctx context.Context, next, lost *session) error {
	m, err := decodeMessage([]byte(`{"jsonrpc":"2.0","method":"` + methodInitialized + `"}`))
	if err != nil {
		return err
	}
	note := newCall(ctx, m)
	defer note.cancel()
	resp, err := b.send(ctx, b.post(note, next))
	if err != nil {
		return err
	}
	discard(resp)
	b.mu.Lock()
	next.level = lost.level
	for uri, params := range lost.subscriptions {
		next.subscriptions[uri] = params
	}
	again := make([]json.RawMessage, 0, len(next.subscriptions))
	for _, params := range next.subscriptions {
		again = append(again, params)
	}
	b.mu.Unlock()
	if next.level != nil {
		_, _, err = b.ask(ctx, methodSetLevel, next.level, next)
	}
	for _, params := range again {
		if _, _, failed := b.ask(ctx, methodSubscribe, params, next); failed != nil {
			err = failed
		}
	}
	if err != nil {
		b.log.say("the new session did not take all that the old one had: " + err.Error())
	}
	return nil
}

// listen keeps the stream open on which the server speaks to the session by
// itself, unless it is open, the server has none, or it is too early for it.
func (b *bridge) listen(s *session, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s == nil || s != b.session {
		return
	}
	s.ready = s.ready || ready
	if !s.ready || s.listening || s.deaf || b.listening.Err() != nil {
		return
	}
	s.listening = true
	b.listens.Go(func() {
		deaf := b.hear(b.listening, s)
		b.mu.Lock()
		defer b.mu.Unlock()
		s.listening, s.deaf = false, deaf
	})
}

// hear delivers what the server says by itself, for as long as the session
// lasts. deaf: the server has no such stream.
func (b *bridge) hear(ctx context.Context, s *session) (deaf bool) {
	at, failures, heard := cursor{}, 0, false
	for ctx.Err() == nil && b.current() == s {
		wait := min(b.delays.resume<<min(failures, 10), 30*b.delays.resume)
		failures++
		stream := get(s, at)
		stream.idle = true
		resp, err := b.send(ctx, stream)
		switch {
		case err != nil && faultOf(err).Code == codeLoggedOut:
			return false // a request that succeeds opens it again
		case err != nil: // it waits below
		case isStream(resp):
			heard = true
			if b.overhear(resp, &at) {
				wait, failures = 0, 0
			}
			wait = max(wait, b.resumption(at))
		case heard && resp.StatusCode == http.StatusNotFound && s.id != "":
			discard(resp)
			_ = b.revive(ctx, s) // or the next request tries
			return false
		case resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests:
			discard(resp)
			return true
		default:
			discard(resp)
		}
		if sleep(ctx, wait) != nil {
			return false
		}
	}
	return false
}

// overhear delivers what comes on a session's stream until it ends, and tells
// whether that was of use: it moved on, or stood for a while.
func (b *bridge) overhear(resp *http.Response, at *cursor) bool {
	began, before := time.Now(), at.id
	_ = b.deliverEvents(resp.Body, at, nil) // whatever ended it, it is resumed
	resp.Body.Close()
	return at.id != before || time.Since(began) > b.delays.maxBackoff
}

// endSession tells the server that a session is needed no more. It begins no
// login for that.
func (b *bridge) endSession(ctx context.Context, s *session) {
	if s == nil || s.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, b.delays.end)
	defer cancel()
	token := ""
	if b.idle.tokens != nil {
		token, _ = b.idle.tokens.Token(ctx) // without one, the server forgets it some time
	}
	header := http.Header{}
	s.identify(header)
	if resp, err := b.attempt(ctx, request{method: http.MethodDelete, header: header}, token); err == nil {
		discard(resp)
	}
}
