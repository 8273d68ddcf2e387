package mcpserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// The endpoints of HTTP+SSE, below a server's own (2024-11-05,
// basic/transports, "HTTP with SSE"). Deprecated since 2025-03-26.
const (
	endpointSSE     = "sse"
	endpointMessage = "message"
	sessionParam    = "sessionId"
	// maxMail bounds the messages that wait for a stream at another replica.
	maxMail = 4096
)

// serveSSE speaks HTTP+SSE: one stream has all messages to the client, and
// whatever the client has to say is posted, to any replica.
func (h *Handler) serveSSE(x *exchange, endpoint string) {
	switch {
	case x.server.noSSE:
		x.refuse(&refusal{status: http.StatusNotFound, message: "HTTP+SSE is switched off: POST to " + pathPrefix + x.server.name})
	case endpoint != endpointSSE && endpoint != endpointMessage:
		x.refuse(&refusal{status: http.StatusNotFound, message: "nothing is served here"})
	case endpoint == endpointSSE && x.r.Method == http.MethodGet:
		x.within(h.streams, "", func() { h.openSSE(x) })
	case endpoint == endpointSSE: // how clients find out that this is no Streamable HTTP
		x.refuse(notAllowed("GET"))
	case x.r.Method == http.MethodPost:
		h.messageSSE(x)
	default:
		x.refuse(notAllowed("POST"))
	}
}

// openSSE begins a session, which ends with the stream.
func (h *Handler) openSSE(x *exchange) {
	ctx := x.r.Context()
	if !accepts(x.r.Header.Values("Accept"), eventStream, "text/*", "*/*") {
		x.refuse(&refusal{status: http.StatusNotAcceptable, message: "Accept must admit " + eventStream})
		return
	}
	made := session.Session{ID: channelPrefix + newSessionID(), Server: x.server.name, Principal: x.key}
	if refused := h.open(ctx, x, made); refused != nil {
		x.refuse(refused)
		return
	}
	defer h.closeSSE(x, made.ID)
	outgoing := newChannel()
	defer h.channels.add(made.ID, outgoing)()
	beginEvents(x.w)
	allowed, done := h.whileAllowed(x)
	defer done()
	h.streamSSE(x, made.ID, outgoing, allowed.Done())
	x.unbound()
}

// closeSSE ends the session with its stream, and the work that it waited for.
func (h *Handler) closeSSE(x *exchange, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), signalTimeout)
	defer cancel()
	_ = h.close(ctx, x, id) // logged there; purged some time
	h.ended(id)             // also where the database could not be told
}

// streamSSE writes what there is for the client: from this replica, from others
// by mail, and changes of lists; until the client goes, or its right is over.
func (h *Handler) streamSSE(x *exchange, id string, outgoing *channel, over <-chan struct{}) {
	address := channelAddress(id)
	news, done := h.mail.wait(address)
	defer done()
	l := &listener{server: x.server.name, session: id, lists: toolsList | promptsList | resourcesList}
	defer h.listeners.add(l)()
	out := &notices{h: h, listener: l, subscribed: h.subscribed(id), knows: x.knows}
	out.deliver = func(message []byte) bool { return writeEvent(x.w, appendEvent(nil, message)) == nil }
	place := pathPrefix + x.server.name + "/" + endpointMessage + "?" + sessionParam + "=" + id
	if writeEvent(x.w, []byte("event: endpoint\ndata: "+place+"\n\n")) != nil { // from here on, there can be mail
		return
	}
	tick := time.NewTicker(h.options.KeepAlive)
	defer tick.Stop()
	draining, stopping, late := h.draining, false, (<-chan time.Time)(nil)
	for {
		var mail [][]byte
		select {
		case <-outgoing.wake:
		case <-l.wake:
		case <-news:
			mail = h.takeMail(x.r.Context(), address, outgoing)
		case <-tick.C:
			h.sessions.touch(id)
			if !x.comment() {
				return
			}
		case <-x.r.Context().Done():
			return
		case <-draining:
			draining, stopping = nil, true // its calls finish first; the deadline is the server's
		case <-over:
			over, stopping, late = nil, true, time.After(lastAnswers)
		case <-late:
			return
		}
		last := stopping && outgoing.idle()
		if last {
			mail = append(mail, h.takeMail(x.r.Context(), address, outgoing)...)
			last = outgoing.idle()
		}
		queued, closed := outgoing.take()
		for _, message := range append(mail, queued...) {
			if !out.deliver(message) {
				return
			}
		}
		if over := out.tell(x.r.Context()); over || closed || last {
			return
		}
	}
}

// Mail that is no message says that another replica works for the session, so
// that a gateway that stops waits for the answers of the others, too.
const (
	workBegins = "+"
	workEnds   = "-"
)

// takeMail gives what other replicas have for the client.
func (h *Handler) takeMail(ctx context.Context, address string, outgoing *channel) (messages [][]byte) {
	mail, err := h.options.Store.TakeMail(ctx, address)
	if err != nil { // it stays there
		time.AfterFunc(lookAgain, func() { h.mail.wake(address) })
		return nil
	}
	for _, m := range mail {
		switch string(m) {
		case workBegins:
			outgoing.begin()
		case workEnds:
			outgoing.done()
		default:
			messages = append(messages, m)
		}
	}
	return messages
}

func channelAddress(session string) string { return "channel " + session }

// messageSSE takes a message for a session whose stream may be at another
// replica. It is answered on the stream.
func (h *Handler) messageSSE(x *exchange) {
	if contentType, _ := one(x.r.Header, "Content-Type"); !isJSON(contentType) || x.r.Header.Get("Content-Encoding") != "" {
		x.refuse(&refusal{status: http.StatusUnsupportedMediaType, message: "Content-Type must be application/json, not encoded"})
		return
	}
	var refused *refusal
	if x.session, refused = h.channelSession(x); refused != nil {
		x.refuse(refused)
		return
	}
	body, refused := readBody(x.w, x.r, h.options.MaxBody)
	if refused != nil {
		x.refuse(refused)
		return
	}
	m, fault := parseMessage(body, x.session.ProtocolVersion)
	if fault != nil {
		x.fail(m.id, fault)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), h.options.CallTimeout)
	defer cancel()
	if m.response {
		if refused = h.answered(ctx, x, &m); refused != nil {
			x.refuse(refused)
			return
		}
		x.accept()
		return
	}
	if m.notification() && m.batch == nil { // what ends calls is never too much
		h.workSSE(ctx, x, &m)
		return
	}
	if m.batch != nil {
		if h.refusesBatch(x, m.batch) {
			return
		}
	} else if fault := h.permit(x, &m); fault != nil {
		x.fail(m.id, fault)
		return
	}
	defer x.letGo()
	x.within(h.calls, x.session.ID, func() { h.workSSE(ctx, x, &m) })
}

// workSSE does what a message asks for.
func (h *Handler) workSSE(ctx context.Context, x *exchange, m *envelope) {
	done, refused := h.beginSSE(ctx, x)
	if refused != nil {
		x.refuse(refused)
		return
	}
	defer done()
	// The answer to this request ends here, the work does not; the connection
	// cannot be used for another one meanwhile.
	x.w.Header().Set("Connection", "close")
	x.w.Header().Set("Content-Length", "0")
	x.accept()
	_ = http.NewResponseController(x.w).Flush()
	x.w = nil
	x.stream.forward = func(message []byte) { h.deliver(ctx, x, message) }
	h.converse(ctx, x, m)
}

// beginSSE tells whoever holds the session's stream that there is work for it.
func (h *Handler) beginSSE(ctx context.Context, x *exchange) (done func(), refused *refusal) {
	if c := h.channels.get(x.session.ID); c != nil {
		c.begin()
		return c.done, nil
	}
	bounded, cancel := context.WithTimeout(ctx, signalTimeout)
	defer cancel()
	err := h.options.Store.PutMail(bounded, channelAddress(x.session.ID), maxMail, []byte(workBegins))
	if errors.Is(err, session.ErrTooMany) {
		h.abandon(ctx, x)
		return nil, unknownSession()
	}
	if err != nil {
		return nil, h.storeAway(ctx, x, err)
	}
	return func() { h.deliver(ctx, x, []byte(workEnds)) }, nil
}

// abandon ends a session whose client has stopped reading, or whose stream was
// at a replica that is gone.
func (h *Handler) abandon(ctx context.Context, x *exchange) {
	_ = h.close(context.WithoutCancel(ctx), x, x.session.ID) // logged there; purged some time
}

// channelSession gives the session that the request names; see [Handler.session].
func (h *Handler) channelSession(x *exchange) (session.Session, *refusal) {
	ids := x.r.URL.Query()[sessionParam]
	if len(ids) != 1 || ids[0] == "" {
		return session.Session{}, &refusal{status: http.StatusBadRequest, message: sessionParam + " is required, once"}
	}
	if !strings.HasPrefix(ids[0], channelPrefix) { // its answers would go nowhere
		return session.Session{}, unknownSession()
	}
	s, refused := h.findSession(x.r.Context(), x, ids[0])
	if refused == nil && s.ProtocolVersion == "" { // unless another replica has initialized it meanwhile
		h.sessions.forget(s.ID)
		s, refused = h.findSession(x.r.Context(), x, s.ID)
	}
	return s, refused
}

// deliver gives a message to whoever holds the session's stream; also when the
// time of the work that it comes from is over.
func (h *Handler) deliver(ctx context.Context, x *exchange, message []byte) {
	message = append([]byte(nil), message...)
	if c := h.channels.get(x.session.ID); c != nil {
		c.put(message)
		return
	}
	err := h.putMail(ctx, x.session.ID, message)
	switch {
	case errors.Is(err, session.ErrTooMany):
		h.abandon(ctx, x)
	case err != nil:
		_ = h.storeAway(ctx, x, err)
	}
}

// putMail leaves a message for the replica that holds the session's stream. All
// but notifications is tried again while the work's time lasts.
func (h *Handler) putMail(ctx context.Context, id string, message []byte) error {
	notification := isObject(message) && member(message, "id") == nil
	for {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), signalTimeout)
		err := h.options.Store.PutMail(bounded, channelAddress(id), maxMail, message)
		cancel()
		if !errors.Is(err, session.ErrAway) || notification {
			return err
		}
		select {
		case <-time.After(logRetry):
		case <-ctx.Done():
			return err
		}
	}
}

// parseMessage reads a message, or a batch in a session of 2025-03-26, from a body
// of which nothing is known.
func parseMessage(body []byte, version string) (m envelope, fault *rpcError) {
	if fault := checkJSON(body); fault != nil {
		return m, fault
	}
	switch kind(body) {
	case '{':
		return parseEnvelope(body)
	case '[':
		m.batch, fault = parseBatch(body, version)
		return m, fault
	}
	return m, invalidRequest("a message must be an object")
}
