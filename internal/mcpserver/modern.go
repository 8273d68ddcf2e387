package mcpserver

import (
	"net/http"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/principal"
)

const (
	methodHeader = "Mcp-Method"
	nameHeader   = "Mcp-Name"
)

// isModern tells a message's era. The version in its _meta decides, where
// there is one (2026-07-28, basic/versioning, "Backward Compatibility with
// Initialization-Based Versions"); an unknown one is answered as the newest
// revision wants it, for only that one has it there.
func isModern(header http.Header, m *envelope) bool {
	if mcp.IsModernProtocol(header.Get(versionHeader)) {
		return true
	}
	return m.hasVersion && (mcp.IsModernProtocol(m.version) || !mcp.IsValidProtocolVersion(m.version))
}

// serveModern answers one message of 2026-07-28. There is no session; when the
// client goes away the work ends with it ("Cancellation").
func (h *Handler) serveModern(x *exchange, m *envelope) {
	if m.notification() { // this revision has none over HTTP, but a way to post them
		x.accept()
		return
	}
	if fault := checkModern(x.r.Header, m); fault != nil {
		x.fail(m.id, fault)
		return
	}
	if m.method == string(mcp.MethodToolsCall) {
		if fault := x.server.checkMirrored(x.r.Header, m, x.principal); fault != nil {
			x.fail(m.id, fault)
			return
		}
	}
	x.request = m.id
	if m.method == string(mcp.MethodSubscriptionsListen) {
		x.within(h.streams, "", func() { h.listenModern(x, m) })
		return
	}
	if fault := h.permit(x, m); fault != nil {
		x.fail(m.id, fault)
		return
	}
	defer x.letGo()
	x.within(h.calls, "", func() { h.answerModern(x, m, inflightKey{"", x.ref}) })
}

// answerModern answers a request that is known to be in order.
func (h *Handler) answerModern(x *exchange, m *envelope, key inflightKey) {
	x.client = m.client
	ctx, done := h.inflight.start(x.r.Context(), x, key)
	defer done()
	buffer := h.buffers.get()
	defer h.buffers.put(buffer)
	switch m.method {
	case string(mcp.MethodToolsList):
		x.sendList(modern, m)
	case string(mcp.MethodToolsCall):
		answer, fault := h.appendCall(ctx, x, *buffer, modern, m)
		if fault != nil {
			x.fail(m.id, fault)
			return
		}
		*buffer = answer
		x.send(http.StatusOK, answer)
	default:
		result, fault := h.ask(ctx, x, newClientSession("request:"+x.ref, m.version), m)
		if fault != nil && fault.code == mcp.METHOD_NOT_FOUND {
			fault = methodNotFound(m.method)
		}
		if fault != nil {
			x.fail(m.id, fault)
			return
		}
		x.send(http.StatusOK, appendAnswer(*buffer, m.id, result, nil))
	}
}

// checkModern holds a request to "Request Metadata" and "Server Validation" of
// basic/transports/streamable-http, and to "_meta" of basic/index.
func checkModern(header http.Header, m *envelope) *rpcError {
	if m.response {
		return invalidRequest("the server sends no requests that could be answered")
	}
	if fault := checkModernVersion(header, m); fault != nil {
		return fault
	}
	if fault := checkHeader(header, methodHeader, m.method); fault != nil {
		return fault
	}
	fault := (*rpcError)(nil)
	switch m.method {
	case string(mcp.MethodToolsCall), string(mcp.MethodPromptsGet):
		fault = checkHeader(header, nameHeader, m.name)
	case string(mcp.MethodResourcesRead):
		fault = checkHeader(header, nameHeader, m.uri)
	case string(mcp.MethodTasksGet), methodTasksUpdate, string(mcp.MethodTasksCancel):
		fault = checkHeader(header, nameHeader, textOf(m.param("taskId")))
	}
	if fault == nil {
		fault = checkCapabilities(m)
	}
	return fault
}

func checkCapabilities(m *envelope) *rpcError {
	if isObject(m.capabilities) {
		return nil
	}
	fault := invalidParams("_meta." + mcp.MetaKeyClientCapabilities + " is required")
	fault.status = http.StatusBadRequest
	return fault
}

func checkModernVersion(header http.Header, m *envelope) *rpcError {
	version, ok := one(header, versionHeader)
	switch {
	case !ok || version == "":
		return headerMismatch("header mismatch: MCP-Protocol-Version is required, once")
	case !mcp.IsValidProtocolVersion(version) && (!m.hasVersion || m.version == version):
		return unsupportedVersion(version)
	case !m.hasVersion || m.version == "":
		fault := invalidParams("_meta." + mcp.MetaKeyProtocolVersion + " is required")
		fault.status = http.StatusBadRequest
		return fault
	case m.version != version:
		return headerMismatch("header mismatch: MCP-Protocol-Version " + quoteShort(version) +
			" does not match the body's " + quoteShort(m.version))
	}
	return nil
}

// checkHeader compares a header with what it mirrors. Names may be wrapped in
// the base64 sentinel ("Value Encoding").
func checkHeader(header http.Header, name, want string) *rpcError {
	value, ok := one(header, name)
	if !ok || value == "" {
		return headerMismatch("header mismatch: " + name + " is required, once")
	}
	for _, c := range []byte(value) {
		if c < ' ' && c != '\t' || c > '~' {
			return headerMismatch("header mismatch: " + name + " has invalid characters")
		}
	}
	got := value
	if name == nameHeader {
		if got, ok = mcp.DecodeHeaderValue(value); !ok {
			return headerMismatch("header mismatch: " + name + " is not base64")
		}
	}
	if got != want {
		return headerMismatch("header mismatch: " + name + " " + quoteShort(got) + " does not match the body's " + quoteShort(want))
	}
	return nil
}

// checkMirrored compares Mcp-Param-* headers with the arguments that they
// mirror ("Custom Headers from Tool Parameters").
func (s *server) checkMirrored(header http.Header, m *envelope, p principal.Principal) *rpcError {
	t := s.tools[m.name]
	if t == nil || !t.mirrored || !s.sees(p, t.action) {
		return nil
	}
	lookup := func(name string) (string, bool) {
		values := header.Values(name)
		return strings.Join(values, ","), len(values) > 0
	}
	if err := mcp.ValidateParamHeadersLookup(lookup, &t.defined[modern], m.params); err != nil {
		return headerMismatch(err.Error())
	}
	return nil
}

// methodNotFound is 404 with -32601, so that nobody takes it for a server of
// another kind ("Protocol Version Header").
func methodNotFound(method string) *rpcError {
	return &rpcError{
		code: mcp.METHOD_NOT_FOUND, message: "method not found: " + quoteShort(method), status: http.StatusNotFound,
	}
}
