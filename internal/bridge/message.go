package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Methods that the bridge has to know.
const (
	methodInitialize  = "initialize"
	methodInitialized = "notifications/initialized"
	methodCancelled   = "notifications/cancelled"
	methodListen      = "subscriptions/listen"
	methodToolsList   = "tools/list"
	methodToolsCall   = "tools/call"
	methodSetLevel    = "logging/setLevel"
	methodSubscribe   = "resources/subscribe"
	methodUnsubscribe = "resources/unsubscribe"
)

// Codes of the bridge's own errors. From -32000 to -32019 implementations have
// codes of their own (2026-07-28, basic/index, "Error Codes").
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeInternal       = -32603
	codeLoggedOut      = -32010
	codeBusy           = -32011
	codeHeaderMismatch = -32020
)

// message is a JSON-RPC message, or a list of them, as far as it matters on the way.
type message struct {
	raw    []byte
	id     json.RawMessage   // as it was written; nil for notifications and lists
	ids    []json.RawMessage // of the requests in it, which want answers
	method string            // "" for answers and lists
	params params
	given  json.RawMessage // params as they were written
	result json.RawMessage // of an answer
	fault  json.RawMessage // of an answer: its error
}

// params are what the transport needs of a message's params.
type params struct {
	Name      string          `json:"name"`
	URI       string          `json:"uri"`
	TaskID    string          `json:"taskId"`
	RequestID json.RawMessage `json:"requestId"`
	Arguments json.RawMessage `json:"arguments"`
	Meta      json.RawMessage `json:"_meta"`
	version   string          // in _meta: the protocol version
}

func (m *message) notification() bool { return m.method != "" && m.id == nil }
func (m *message) response() bool     { return m.result != nil || m.fault != nil }

// modern tells whether a message is of a revision that says so in each message
// (2026-07-28, basic/versioning).
func (m *message) modern() bool {
	return m.params.version != "" && !slices.Contains([]string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}, m.params.version)
}

// repeatable tells whether a request may be sent again when nobody knows whether
// the server got it: it changes nothing that matters.
func (m *message) repeatable() bool {
	switch m.method {
	case methodInitialize, methodToolsList, methodSetLevel, "ping", "server/discover", "prompts/list", "prompts/get", "resources/list",
		"resources/templates/list", "resources/read", "completion/complete", "tasks/list", "tasks/get":
		return true
	}
	return false
}

// parseMessage reads one message of the client, or in 2025-03-26 a list of them.
// With a fault, id is that of the message where it has one.
func parseMessage(line []byte) (message, *fault) {
	if len(line) > maxMessage {
		return message{}, newFault(codeInvalidRequest, "message is larger than 64 MiB")
	}
	if !utf8.Valid(line) || !json.Valid(line) {
		return message{}, newFault(codeParse, "message is no JSON in UTF-8")
	}
	if line[0] == '[' {
		return parseList(line)
	}
	m, err := decodeMessage(line)
	if err != nil {
		return m, newFault(codeInvalidRequest, err.Error())
	}
	return m, nil
}

func parseList(line []byte) (message, *fault) {
	list := message{raw: line}
	var members []json.RawMessage
	if json.Unmarshal(line, &members) != nil || len(members) == 0 {
		return list, newFault(codeInvalidRequest, "list has no messages")
	}
	for _, member := range members {
		m, err := decodeMessage(member)
		if err != nil {
			return list, newFault(codeInvalidRequest, "message of the list: "+err.Error())
		}
		list.ids = append(list.ids, m.ids...)
	}
	return list, nil
}

// decodeMessage reads a JSON text as a message. What params do not have as the
// protocol says is for the server to complain about.
func decodeMessage(raw []byte) (message, error) {
	var e struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Method  *string         `json:"method"`
		Params  json.RawMessage `json:"params"`
		Result  json.RawMessage `json:"result"`
		Error   json.RawMessage `json:"error"`
	}
	err := json.Unmarshal(raw, &e)
	m := message{raw: raw, given: e.Params, result: e.Result, fault: e.Error}
	if bytes.Equal(m.fault, []byte("null")) {
		m.fault = nil
	}
	if len(e.ID) > 0 && !bytes.Equal(e.ID, []byte("null")) {
		m.id = e.ID
	}
	if m.id != nil && keyOf(m.id) == "" {
		m.id = nil
		return m, errors.New("id must be a string or a number")
	}
	switch {
	case err != nil || e.Version != "2.0":
		return m, errors.New(`message must be an object with "jsonrpc": "2.0"`)
	case e.Method != nil && *e.Method != "" && !m.response():
		m.method = *e.Method
	case e.Method != nil || (m.result == nil) == (m.fault == nil):
		return m, errors.New("message must have one of method, result and error")
	case m.result != nil && m.id == nil:
		return m, errors.New("answer must have an id")
	}
	if m.method != "" && m.id != nil {
		m.ids = []json.RawMessage{m.id}
	}
	m.readParams()
	return m, nil
}

func (m *message) readParams() {
	if m.method == "" || len(m.given) == 0 {
		return
	}
	var meta struct {
		Version string `json:"io.modelcontextprotocol/protocolVersion"`
	}
	_ = json.Unmarshal(m.given, &m.params) // as far as it goes
	if len(m.params.Meta) > 0 {
		_ = json.Unmarshal(m.params.Meta, &meta)
	}
	m.params.version = meta.Version
}

// keyOf is the same for ids that are the same, however they are written; "" for
// what is no id.
func keyOf(id json.RawMessage) string {
	var text string
	switch {
	case len(id) == 0:
		return ""
	case id[0] == '"' && json.Unmarshal(id, &text) == nil:
		return "string " + text
	case id[0] != '-' && (id[0] < '0' || id[0] > '9'):
		return ""
	}
	if n, err := strconv.ParseInt(string(id), 10, 64); err == nil {
		return "number " + strconv.FormatInt(n, 10)
	}
	f, err := strconv.ParseFloat(string(id), 64)
	if err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return "number " + strconv.FormatInt(int64(f), 10)
	}
	return "number " + string(id)
}

// fault is a JSON-RPC error object.
type fault struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
	raw     json.RawMessage // as the server wrote it
}

func newFault(code int, message string) *fault {
	return &fault{Code: code, Message: printable(message)}
}

func (f *fault) Error() string { return f.Message }

// faultOf is what a client is told of an error.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return newFault(codeInternal, err.Error())
}

// answerWith is an error as an answer; a nil id is null.
func answerWith(id json.RawMessage, f *fault) []byte {
	raw := f.raw
	if raw == nil {
		raw, _ = json.Marshal(f) // strings and numbers
	}
	if id == nil {
		id = json.RawMessage("null")
	}
	return slices.Concat([]byte(`{"jsonrpc":"2.0","id":`), id, []byte(`,"error":`), raw, []byte("}"))
}
