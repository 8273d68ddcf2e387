package mcpserver

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/mark3labs/mcp-go/mcp"
)

// rpcError is a JSON-RPC error: the message was understood as far as the
// message, or it was not. Faults of plugins are tool results instead.
type rpcError struct {
	code    int
	message string
	data    json.RawMessage
	status  int       // HTTP status, 0 for 200
	header  [2]string // one more header, for example Retry-After; "": none
	outcome string    // of a call that is refused for it
}

func (e *rpcError) Error() string { return e.message }

func invalidRequest(message string) *rpcError {
	return &rpcError{code: mcp.INVALID_REQUEST, message: message, status: http.StatusBadRequest}
}

func invalidParams(message string) *rpcError {
	return &rpcError{code: mcp.INVALID_PARAMS, message: message}
}

func headerMismatch(message string) *rpcError {
	return &rpcError{code: mcp.HEADER_MISMATCH, message: message, status: http.StatusBadRequest}
}

// unsupportedVersion is -32022 with the versions that the client may use
// instead (2026-07-28, basic/versioning, "Protocol Version Negotiation").
func unsupportedVersion(version string) *rpcError {
	data, err := json.Marshal(mcp.UnsupportedProtocolVersionData{
		Supported: mcp.ValidProtocolVersions, Requested: version,
	})
	if err != nil {
		data = nil
	}
	return &rpcError{
		code: mcp.UNSUPPORTED_PROTOCOL_VERSION, message: "unsupported protocol version", data: data,
		status: http.StatusBadRequest,
	}
}

// append writes the error as the answer to the id. Where no id could be read
// that is null, as JSON-RPC wants it.
func (e *rpcError) append(dst, id []byte) []byte {
	if id == nil {
		id = []byte("null")
	}
	dst = appendHead(dst, id)
	dst = append(dst, `,"error":`...)
	dst = e.appendBody(dst)
	return append(dst, '}')
}

func (e *rpcError) appendBody(dst []byte) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.code), 10)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.message)
	if e.data != nil {
		dst = append(dst, `,"data":`...)
		dst = append(dst, e.data...)
	}
	return append(dst, '}')
}

// refusal is why a request is turned away before its body is understood.
type refusal struct {
	status  int
	message string
	header  [2]string // one more header, for example Allow
}

func (f *refusal) Error() string { return f.message }

// quoteShort quotes what a client sent, without sending all of it back.
func quoteShort(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}
