package mcpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	sessionHeader = "Mcp-Session-Id"
	versionHeader = "Mcp-Protocol-Version"
	// maxClientSaid bounds what initialize puts into the database.
	maxClientSaid = 16 << 10
)

// serveLegacy answers one message of a revision up to 2025-11-25.
func (h *Handler) serveLegacy(x *exchange, m *envelope) {
	if fault := checkLegacyVersion(x.r.Header); fault != nil {
		x.fail(m.id, fault)
		return
	}
	// A lost connection is no cancellation (2025-11-25, basic/transports,
	// "Sending Messages to the Server"), so only time ends the work.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), h.options.CallTimeout)
	defer cancel()
	if m.method == string(mcp.MethodInitialize) && m.id != nil {
		x.within(h.calls, "", func() { h.initialize(ctx, x, m) })
		return
	}
	s, refused := h.session(ctx, x)
	if refused != nil {
		x.refuse(refused)
		return
	}
	x.session = s
	switch {
	case m.response:
		if refused := h.answered(ctx, x, m); refused != nil {
			x.refuse(refused)
			return
		}
		x.accept()
		return
	case m.method == string(mcp.MethodToolsList) && m.id != nil:
		x.sendList(legacy, m)
		return
	case m.notification(): // what ends calls is never too much
		_ = h.appendLegacy(ctx, x, nil, m)
		x.accept()
		return
	}
	if fault := h.permit(x, m); fault != nil {
		x.fail(m.id, fault)
		return
	}
	defer x.letGo()
	x.within(h.calls, s.ID, func() { h.answerLegacy(ctx, x, m) })
}

// answerLegacy answers a request.
func (h *Handler) answerLegacy(ctx context.Context, x *exchange, m *envelope) {
	buffer := h.buffers.get()
	defer h.buffers.put(buffer)
	*buffer = h.appendLegacy(ctx, x, *buffer, m)
	x.send(http.StatusOK, *buffer)
}

// appendLegacy answers a message within a session. Notifications get no answer,
// and neither do responses that were taken.
func (h *Handler) appendLegacy(ctx context.Context, x *exchange, dst []byte, m *envelope) []byte {
	s := &x.session
	if m.response {
		if refused := h.answered(ctx, x, m); refused != nil {
			return (&rpcError{code: mcp.INTERNAL_ERROR, message: refused.message}).append(dst, nil)
		}
		return dst
	}
	if m.notification() {
		if m.method == string(mcp.MethodNotificationCancelled) {
			h.cancel(ctx, s.ID, m.requestID)
			return dst
		}
		_, _ = h.ask(ctx, x, newClientSession(s.ID, s.ProtocolVersion), m)
		return dst
	}
	x.request = m.id
	ctx, done := h.inflight.start(ctx, x, inflightKey{s.ID, requestKey(m.id)})
	defer done()
	switch m.method {
	case string(mcp.MethodToolsCall):
		answer, fault := h.appendCall(ctx, x, dst, legacy, m)
		if fault != nil {
			return fault.append(dst, m.id)
		}
		return answer
	case string(mcp.MethodToolsList):
		return x.appendList(dst, legacy, m)
	case string(mcp.MethodSetLogLevel):
		return h.setLogLevel(ctx, x, m).append(dst, m.id)
	case string(mcp.MethodResourcesSubscribe), string(mcp.MethodResourcesUnsubscribe):
		return h.subscribe(ctx, x, m).append(dst, m.id)
	}
	result, fault := h.ask(ctx, x, newClientSession(s.ID, s.ProtocolVersion), m)
	return appendAnswer(dst, m.id, result, fault)
}

// cancel ends a request of the session, wherever it is being answered.
func (h *Handler) cancel(ctx context.Context, sessionID string, request []byte) {
	if request == nil {
		return
	}
	key := requestKey(request)
	if h.inflight.cancel(sessionID, key) {
		return
	}
	h.signal(ctx, session.SignalCancel, sessionID+" "+key)
	for _, later := range []time.Duration{2 * time.Second, 7 * time.Second, 15 * time.Second} { // who has just lost the database hears it then
		time.AfterFunc(later, func() { h.signal(context.Background(), session.SignalCancel, sessionID+" "+key) })
	}
}

// initialize opens a session of the version that both sides speak.
func (h *Handler) initialize(ctx context.Context, x *exchange, m *envelope) {
	made, result, fault := h.introduce(ctx, x, newSessionID(), m)
	if fault != nil {
		x.fail(m.id, fault)
		return
	}
	if refused := h.open(ctx, x, made); refused != nil {
		x.refuse(refused)
		return
	}
	x.w.Header().Set(sessionHeader, made.ID)
	x.send(http.StatusOK, appendAnswer(nil, m.id, result, nil))
}

// introduce answers initialize, and gives the session that it makes.
func (h *Handler) introduce(ctx context.Context, x *exchange, id string, m *envelope) (made session.Session, result json.RawMessage, fault *rpcError) {
	client := newClientSession(id, "")
	if result, fault = h.ask(ctx, x, client, m); fault != nil {
		return made, nil, fault
	}
	info, capabilities := m.param("clientInfo"), m.param("capabilities")
	if len(info)+len(capabilities) > maxClientSaid {
		return made, nil, invalidParams("clientInfo and capabilities are too long")
	}
	return session.Session{
		ID: id, Server: x.server.name, Principal: x.key,
		ProtocolVersion: client.version, ClientInfo: info, Capabilities: capabilities,
	}, result, nil
}

// checkLegacyVersion refuses versions that were never ours (2025-11-25,
// basic/transports, "Protocol Version Header"). Without the header the session
// knows the version.
func checkLegacyVersion(header http.Header) *rpcError {
	version, ok := one(header, versionHeader)
	if !ok || version != "" && !mcp.IsValidProtocolVersion(version) {
		return unsupportedVersion(version)
	}
	return nil
}
