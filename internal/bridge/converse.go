package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// maxRepeats bounds how often a message is sent again after the server took it
// in some way: after a session that ended, an answer that broke off, headers
// that did not fit.
const maxRepeats = 2

// errLost is in the chain of errors of answers that broke off.
var errLost = errors.New("connection to the server broke before the answer was there")

// converse sends a message and sees to what comes back. A nil error does not
// mean that all was answered.
func (b *bridge) converse(ctx context.Context, c *call) error {
	for repeats := 0; ; repeats++ {
		s := b.sessionFor(c)
		resp, err := b.send(ctx, b.post(c, s))
		if err != nil {
			return err
		}
		again, err := b.heed(ctx, c, s, resp)
		resp.Body.Close()
		if !again || repeats == maxRepeats {
			return err
		}
		if c.method == methodToolsCall && isMismatch(err) && b.relist(ctx, c) == nil {
			continue
		}
		if isGone(err) {
			err = b.revive(ctx, s)
		}
		if err != nil && !errors.Is(err, errLost) {
			return err
		}
	}
}

// heed looks at an answer. With again it is worth to send the message once
// more, after what the error says has been seen to.
func (b *bridge) heed(ctx context.Context, c *call, s *session, resp *http.Response) (again bool, err error) {
	switch {
	case resp.StatusCode == http.StatusNotFound && s != nil && s.id != "":
		if c.session != nil || c.response() { // a session's own; an answer to a question of a session that is no more
			return false, errGone
		}
		return true, errGone // it was not delivered (2025-11-25, basic/transports, "Session Management")
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		refused := b.refusal(resp)
		return c.modern() && isMismatch(refused), refused
	}
	c.header = resp.Header
	b.listen(s, c.method == methodInitialized)
	if len(c.ids) == 0 {
		discard(resp)
		return false, nil
	}
	err = b.receive(ctx, c, s, resp)
	if b.calls.answered(c) {
		return false, nil
	}
	return errors.Is(err, errLost) && c.repeatable() && ctx.Err() == nil, err
}

// post is the HTTP request that carries a message.
func (b *bridge) post(c *call, s *session) request {
	header := http.Header{
		"Content-Type": {"application/json"},
		"Accept":       {"application/json, text/event-stream"},
	}
	if c.modern() {
		b.mirror(&c.message, header)
	}
	s.identify(header)
	return request{method: http.MethodPost, body: c.raw, header: header, repeatable: c.repeatable(), out: &c.out}
}

// receive delivers what an answer to requests has.
func (b *bridge) receive(ctx context.Context, c *call, s *session, resp *http.Response) error {
	switch mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mediaType {
	case "application/json":
		data, done, err := readAll(resp.Body, &b.reading)
		if err != nil {
			return b.broken(ctx, err)
		}
		defer done()
		return b.deliver(data, c)
	case "text/event-stream":
		return b.follow(ctx, c, s, resp)
	default:
		return newFault(codeInternal, fmt.Sprintf("server answered a request with HTTP %d and %.100q, which is neither JSON nor a stream of events", resp.StatusCode, resp.Header.Get("Content-Type")))
	}
}

// broken is the error of an answer that cannot be read to its end.
func (b *bridge) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errTooLarge) || errors.Is(err, errTooMuch):
		return newFault(codeInternal, err.Error())
	}
	return fmt.Errorf("%w: %s", errLost, reason(plain(err)))
}

// follow delivers the messages of a stream until all of the call is answered. A
// stream that breaks, or that the server closes for a while, is resumed where the
// revision has that and the server gave its events ids (2025-11-25,
// basic/transports, "Resumability and Redelivery").
func (b *bridge) follow(ctx context.Context, c *call, s *session, resp *http.Response) error {
	at := cursor{}
	for {
		err := b.deliverEvents(resp.Body, &at, c)
		resp.Body.Close()
		switch {
		case b.calls.answered(c):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errTooLarge) || errors.Is(err, errTooMuch):
			return newFault(codeInternal, err.Error())
		case at.id == "" || c.modern() || c.method == methodInitialize:
			return b.broken(ctx, err)
		}
		if resp, err = b.resume(ctx, s, at); err != nil {
			return err
		}
	}
}

// deliverEvents delivers the messages of a stream until it ends, or until
// nothing of the call wants an answer any more; c is nil for a stream of the
// session's own.
func (b *bridge) deliverEvents(body io.Reader, at *cursor, c *call) error {
	stream := newEventStream(body, &b.reading)
	for c == nil || !b.calls.answered(c) {
		data, err := stream.next(at)
		if err != nil {
			return err
		}
		if err := b.deliver(data, c); err != nil {
			b.log.say(err.Error())
		}
	}
	return nil
}

// resume goes on with a stream after the server's time for that.
func (b *bridge) resume(ctx context.Context, s *session, at cursor) (*http.Response, error) {
	if err := sleep(ctx, b.resumption(at)); err != nil {
		return nil, err
	}
	resp, err := b.send(ctx, get(s, at))
	if err != nil {
		return nil, err
	}
	if !isStream(resp) {
		discard(resp)
		return nil, fmt.Errorf("%w, and the server does not go on with it (HTTP %d)", errLost, resp.StatusCode)
	}
	return resp, nil
}

// resumption is how long to wait before a stream is resumed.
func (b *bridge) resumption(at cursor) time.Duration {
	if at.retry == 0 {
		return b.delays.resume
	}
	return max(at.retry, b.delays.leastResume)
}

// get asks for a session's own stream, or for another one from the cursor on.
func get(s *session, at cursor) request {
	header := http.Header{"Accept": {"text/event-stream"}}
	if at.id != "" {
		header.Set("Last-Event-ID", at.id)
	}
	s.identify(header)
	return request{method: http.MethodGet, header: header, repeatable: true}
}

func isStream(resp *http.Response) bool {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return resp.StatusCode == http.StatusOK && mediaType == "text/event-stream"
}

// deliver gives the client what the server sent in answer to a call, or by
// itself. It passes on requests, notifications, and the first answer to each
// request that wants one, wherever that comes from.
func (b *bridge) deliver(data []byte, from *call) error {
	data = bytes.TrimSpace(data)
	if !json.Valid(data) {
		return newFault(codeInternal, "server sent something that is no JSON")
	}
	messages := []json.RawMessage{data}
	if len(data) > 0 && data[0] == '[' {
		_ = json.Unmarshal(data, &messages) // it is valid
	}
	var faults error
	for _, raw := range messages {
		m, err := decodeMessage(raw)
		switch {
		case err != nil:
			faults = newFault(codeInternal, "server sent something that is no JSON-RPC: "+err.Error())
		case m.response():
			b.pass(m, from)
		default:
			b.out.write(raw)
		}
	}
	return faults
}

// pass gives an answer to whoever waits for it. An error without an id is that of
// the only request that it can be about.
func (b *bridge) pass(m message, from *call) {
	if m.id == nil {
		if from != nil && len(from.ids) == 1 {
			b.refuse(from, serverFault(m.fault))
		}
		return
	}
	if c := b.calls.pending(keyOf(m.id)); c != nil && c != from && (c.quiet || c.method == methodInitialize) {
		return // what these say is in the answer to them, headers and all
	}
	c := b.calls.take(keyOf(m.id))
	if c == nil {
		return // it was cancelled, or is answered
	}
	raw := b.learn(c, m)
	if c.quiet {
		c.result = raw
	} else {
		b.out.write(raw)
	}
	if c != from && b.calls.answered(c) {
		c.cancel() // its own connection has nothing more to say
	}
}

// serverFault is an error object of the server.
func serverFault(raw json.RawMessage) *fault {
	f := &fault{}
	if json.Unmarshal(raw, f) != nil {
		return newFault(codeInternal, "server answered with an error that is none")
	}
	f.raw = raw
	return f
}

// ask sends a request of the bridge's own and gives the whole answer. s is the
// session that it is for; nil: none.
func (b *bridge) ask(ctx context.Context, method string, params any, s *session) (message, *call, error) {
	given, err := json.Marshal(params)
	if err != nil {
		return message{}, nil, err
	}
	b.mu.Lock()
	b.asked++
	id := fmt.Sprintf(`"stagedoor-connect-%d"`, b.asked)
	b.mu.Unlock()
	m, err := decodeMessage(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`, id, method, given))
	if err != nil {
		return message{}, nil, err
	}
	c := newCall(ctx, m)
	c.quiet, c.session = true, s
	if f := b.calls.add(c); f != nil {
		c.cancel()
		return message{}, nil, f
	}
	defer b.calls.remove(c)
	limited, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	b.settle(c, b.converse(limited, c))
	answer, err := decodeMessage(c.result)
	if err == nil && answer.fault != nil {
		err = serverFault(answer.fault)
	}
	return answer, c, err
}
