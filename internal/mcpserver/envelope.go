package mcpserver

import (
	"encoding/json"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// maxToken bounds what clients choose and are told again and again: ids of
// requests and progress tokens, in bytes.
const maxToken = 1 << 10

// envelope is what the transport needs of a JSON-RPC message, found in one
// walk; the rest stays as it came.
type envelope struct {
	raw      []byte // all of it
	id       []byte // as the client wrote it; nil for notifications
	method   string
	params   []byte   // an object, or nil
	response bool     // an answer to a request of ours
	batch    [][]byte // messages, in the place of all else

	name, uri    string // params.name, params.uri
	arguments    []byte // params.arguments
	cursor       []byte // params.cursor
	requestID    []byte // params.requestId
	version      string // params._meta protocolVersion
	hasVersion   bool
	capabilities []byte // params._meta clientCapabilities
	client       []byte // params._meta clientInfo
	progress     []byte // params._meta progressToken, a string or a number
}

// param gives a member of params that few methods have, nil where it is absent.
func (e *envelope) param(name string) json.RawMessage { return member(e.params, name) }

// metadata gives a member of params._meta, nil where it is absent.
func (e *envelope) metadata(name string) json.RawMessage { return member(e.param("_meta"), name) }

func (e *envelope) notification() bool { return e.id == nil && !e.response }

// parseEnvelope reads a message from JSON text that is known to be valid and
// an object. Names are compared exactly and may not be repeated, so that
// nothing in front of the gateway can read another message than it does.
func parseEnvelope(raw []byte) (envelope, *rpcError) {
	e := envelope{raw: raw}
	seen := newNames("jsonrpc", "id", "method", "params", "result", "error")
	var version, method []byte
	for m := membersOf(raw); ; {
		name, value, ok := m.next()
		if !ok {
			break
		}
		if fault := seen.add(name); fault != nil {
			return e, fault
		}
		switch name {
		case "jsonrpc":
			version = value
		case "id":
			if value[0] != '"' && strings.Trim(strings.TrimPrefix(string(value), "-"), "0123456789") != "" {
				return e, invalidRequest("id must be a string or an integer")
			}
			if len(value) > maxToken {
				return e, invalidRequest("id is longer than 1,024 bytes")
			}
			e.id = value
		case "method":
			method = value
		case "params":
			e.params = value
		case "result", "error":
			e.response = true
		}
	}
	if string(version) != `"2.0"` {
		return e, invalidRequest(`jsonrpc must be "2.0"`)
	}
	fault := e.shape(method)
	return e, fault
}

// shape makes sure that the message is a request, a notification or a response.
func (e *envelope) shape(method []byte) *rpcError {
	if method == nil {
		if e.response && e.id != nil {
			return nil
		}
		return invalidRequest("method is missing")
	}
	if e.response {
		return invalidRequest("a message has either method or result")
	}
	if !isString(method) {
		return invalidRequest("method must be a string")
	}
	e.method = unquote(method)
	if e.params == nil {
		return nil
	}
	if !isObject(e.params) {
		return invalidRequest("params must be an object")
	}
	return e.readParams()
}

func (e *envelope) readParams() *rpcError {
	seen := newNames("name", "uri", "arguments", "cursor", "requestId", "_meta")
	for m := membersOf(e.params); ; {
		name, value, ok := m.next()
		if !ok {
			return nil
		}
		if fault := seen.add(name); fault != nil {
			return fault
		}
		switch name {
		case "name":
			if isString(value) {
				e.name = unquote(value)
			}
		case "uri":
			if isString(value) {
				e.uri = unquote(value)
			}
		case "arguments":
			e.arguments = value
		case "cursor":
			e.cursor = value
		case "requestId":
			e.requestID = value
		case "_meta":
			if fault := e.readMeta(value); fault != nil {
				return fault
			}
		}
	}
}

func (e *envelope) readMeta(raw []byte) *rpcError {
	if !isObject(raw) {
		return invalidRequest("params._meta must be an object")
	}
	seen := newNames(mcp.MetaKeyProtocolVersion, mcp.MetaKeyClientCapabilities, progressToken)
	for m := membersOf(raw); ; {
		name, value, ok := m.next()
		if !ok {
			return nil
		}
		if fault := seen.add(name); fault != nil {
			return fault
		}
		switch name {
		case mcp.MetaKeyProtocolVersion:
			e.hasVersion = true
			if isString(value) {
				e.version = unquote(value)
			}
		case mcp.MetaKeyClientCapabilities:
			e.capabilities = value
		case mcp.MetaKeyClientInfo:
			e.client = value
		case progressToken:
			if c := value[0]; c == '"' || c == '-' || '0' <= c && c <= '9' {
				e.progress = value
			}
			if len(e.progress) > maxToken {
				return invalidRequest("progressToken is longer than 1,024 bytes")
			}
		}
	}
}
