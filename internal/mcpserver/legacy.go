package mcpserver

import (
	"context"
	"encoding/json"
	"net/http"

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
		h.initialize(ctx, x, m)
		return
	}
	s, refused := h.session(ctx, x)
	if refused != nil {
		x.refuse(refused)
		return
	}
	if m.method == string(mcp.MethodToolsList) && m.id != nil {
		x.sendList(legacy, m)
		return
	}
	buffer := h.buffers.get()
	defer h.buffers.put(buffer)
	if *buffer = h.appendLegacy(ctx, x, s, *buffer, m); len(*buffer) == 0 {
		x.accept()
		return
	}
	x.send(http.StatusOK, *buffer)
}

// appendLegacy answers a message within a session; notifications and responses
// get no answer.
func (h *Handler) appendLegacy(ctx context.Context, x *exchange, s session.Session, dst []byte, m *envelope) []byte {
	if m.response {
		return dst // to a request that we never sent
	}
	if m.notification() {
		if m.method == string(mcp.MethodNotificationCancelled) {
			h.inflight.cancel(s.ID, m.requestID)
		}
		_, _ = h.ask(ctx, x, newClientSession(s.ID, s.ProtocolVersion), m)
		return dst
	}
	ctx, done := h.inflight.start(ctx, s.ID, m.id)
	defer done()
	switch m.method {
	case string(mcp.MethodToolsCall):
		return h.appendCall(ctx, x, dst, legacy, m)
	case string(mcp.MethodToolsList):
		return x.appendList(dst, legacy, m)
	}
	result, fault := h.ask(ctx, x, newClientSession(s.ID, s.ProtocolVersion), m)
	return appendAnswer(dst, m.id, result, fault)
}

// initialize opens a session of the version that both sides speak.
func (h *Handler) initialize(ctx context.Context, x *exchange, m *envelope) {
	client := newClientSession(newSessionID(), "")
	result, fault := h.ask(ctx, x, client, m)
	if fault != nil {
		x.fail(m.id, fault)
		return
	}
	info, capabilities := m.clientSaid()
	if len(info)+len(capabilities) > maxClientSaid {
		x.fail(m.id, invalidParams("clientInfo and capabilities are too long"))
		return
	}
	err := h.sessions.create(ctx, session.Session{
		ID: client.id, Server: x.server.name, Principal: x.principal.Subject,
		ProtocolVersion: client.version, ClientInfo: info, Capabilities: capabilities,
	})
	if err != nil {
		x.refuse(h.storeAway(ctx, x, err))
		return
	}
	x.w.Header().Set(sessionHeader, client.id)
	x.send(http.StatusOK, appendAnswer(nil, m.id, result, nil))
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

// clientSaid gives initialize's words about the client, as they came.
func (e *envelope) clientSaid() (info, capabilities json.RawMessage) {
	if e.params == nil {
		return nil, nil
	}
	for m := membersOf(e.params); ; {
		name, value, ok := m.next()
		switch {
		case !ok:
			return info, capabilities
		case name == "clientInfo":
			info = value
		case name == "capabilities":
			capabilities = value
		}
	}
}
