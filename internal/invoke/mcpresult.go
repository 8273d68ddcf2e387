package invoke

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stagedoor/stagedoor/openapi"
)

// asMCP makes an MCP result of an answer that was read. Half of one is none.
func (c *Client) asMCP(a *openapi.Action, in *answer, r *Result) (*Result, error) {
	if err := c.whole(a, r); err != nil {
		return nil, err
	}
	err := errors.New("it is not JSON")
	if r.JSON != nil {
		r.MCP, err = parseMCP(r.JSON, in.secrets)
	}
	if err == nil && r.MCP.Asks != nil {
		err = mayAsk(a.Response, r.MCP.Asks)
	}
	if err != nil {
		return nil, notMCP(in, err)
	}
	r.JSON, r.empty = nil, false
	return r, nil
}

func notMCP(in *answer, err error) *Error {
	return &Error{
		Kind: Unavailable, Status: in.status, Message: "the plugin's answer is not the MCP result that its document promises", Headers: in.headers, Err: err,
	}
}

// mayAsk refuses questions whose answers could not be given back.
func mayAsk(p openapi.ResponsePlan, asks *InputRequired) error {
	switch {
	case asks.Requests != nil && !p.Answers:
		return errors.New("inputRequests: x-action has no output.inputResponses, where the answers would go")
	case asks.State != "" && !p.State:
		return errors.New("requestState: x-action has no output.requestState, where it would go back")
	}
	return nil
}

// parseMCP reads a CallToolResult or an InputRequiredResult. Members that are
// neither's are left out.
func parseMCP(text json.RawMessage, hidden *secrets) (*MCP, error) {
	o := &checker{hidden: hidden}
	result := o.object("result", text)
	m := &MCP{Meta: o.meta(result)}
	switch kind := o.word(result, "resultType", false); kind {
	case "", "complete":
		m.Content = o.member(result, "content", '[', false)
		for i, block := range o.list("content", m.Content) {
			o.block(o.object("content["+strconv.Itoa(i)+"]", block))
		}
		m.Structured = result.members["structuredContent"]
		m.IsError = string(o.member(result, "isError", 't', false)) == "true"
		if m.Content == nil && m.Structured == nil {
			o.fault("result", "has neither content nor structuredContent")
		}
	case "input_required":
		m.Asks = o.asks(result)
	default:
		o.fault("resultType", fmt.Sprintf("is %.40q, and not complete or input_required", kind))
	}
	return m, o.err
}

// checker holds JSON to shapes; the first fault stays.
type checker struct {
	hidden *secrets
	err    error
}

// shape is an object in a result, and where it stands.
type shape struct {
	at      string
	members map[string]json.RawMessage
}

func (o *checker) fault(at, message string) {
	if o.err == nil {
		o.err = errors.New(at + " " + message)
	}
}

func (o *checker) object(at string, text json.RawMessage) shape {
	s := shape{at: at}
	if typeOf(text) != '{' || json.Unmarshal(text, &s.members) != nil {
		o.fault(at, "is not an object")
	}
	return s
}

func (o *checker) list(at string, text json.RawMessage) (items []json.RawMessage) {
	if text != nil && json.Unmarshal(text, &items) != nil {
		o.fault(at, "is not a list")
	}
	return items
}

// typeOf is a JSON text's type: its first byte, where all numbers count as 0 and
// both booleans as t. The text is valid and begins with its value.
func typeOf(text json.RawMessage) byte {
	switch {
	case len(text) == 0:
		return 0
	case text[0] == '-' || text[0] >= '0' && text[0] <= '9':
		return '0'
	case text[0] == 'f':
		return 't'
	}
	return text[0]
}

// typeName words what a member can have to be.
func typeName(kind byte) string {
	switch kind {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case '0':
		return "a number"
	}
	return "true or false"
}

// member gives a member that has to be of a type; nil: it is not there.
func (o *checker) member(s shape, name string, kind byte, required bool) json.RawMessage {
	text, there := s.members[name]
	switch {
	case !there && required:
		o.fault(s.at, "has no "+name)
	case there && typeOf(text) != kind:
		o.fault(s.at+"."+name, "is not "+typeName(kind))
	default:
		return text
	}
	return nil
}

// word gives a member that is a string.
func (o *checker) word(s shape, name string, required bool) (word string) {
	if text := o.member(s, name, '"', required); text != nil && json.Unmarshal(text, &word) != nil {
		o.fault(s.at+"."+name, "is not a string")
	}
	return word
}

// data checks a member that is base64, where no secret may hide either.
func (o *checker) data(s shape, name string) {
	data, err := base64.StdEncoding.DecodeString(o.word(s, name, true))
	switch {
	case err != nil:
		o.fault(s.at+"."+name, "is not base64")
	case o.hidden.standIn(data):
		o.fault(s.at+"."+name, "has the gateway's credentials in it")
	}
}

// block checks one piece of content (2026-07-28, schema, "ContentBlock").
func (o *checker) block(s shape) {
	switch kind := o.word(s, "type", true); kind {
	case "text":
		o.word(s, "text", true)
	case "image", "audio":
		o.data(s, "data")
		o.word(s, "mimeType", true)
	case "resource_link":
		for _, name := range []string{"uri", "name"} {
			o.word(s, name, true)
		}
		for _, name := range []string{"title", "description", "mimeType"} {
			o.word(s, name, false)
		}
		o.member(s, "size", '0', false)
		o.member(s, "icons", '[', false)
	case "resource":
		o.resource(o.object(s.at+".resource", o.member(s, "resource", '{', true)))
	default:
		o.fault(s.at+".type", fmt.Sprintf("is %.40q, which is no kind of content", kind))
	}
	o.member(s, "_meta", '{', false)
	if text := o.member(s, "annotations", '{', false); text != nil {
		annotations := o.object(s.at+".annotations", text)
		o.member(annotations, "audience", '[', false)
		o.member(annotations, "priority", '0', false)
		o.word(annotations, "lastModified", false)
	}
}

// resource checks an embedded resource: text or bytes.
func (o *checker) resource(s shape) {
	o.word(s, "uri", true)
	o.word(s, "mimeType", false)
	o.member(s, "_meta", '{', false)
	if _, isText := s.members["text"]; isText {
		o.word(s, "text", true)
		return
	}
	o.data(s, "blob")
}

// meta gives _meta without the names that MCP keeps to itself (2025-06-18 and
// later, basic/index, "_meta"), and those that are the gateway's.
func (o *checker) meta(result shape) json.RawMessage {
	text := o.member(result, "_meta", '{', false)
	if text == nil {
		return nil
	}
	members, dropped := o.object("_meta", text).members, false
	for name := range members {
		prefix, _, found := strings.Cut(name, "/")
		reserved := func(label string) bool {
			return strings.EqualFold(label, "modelcontextprotocol") || strings.EqualFold(label, "mcp")
		}
		if found && (prefix == "io.github.stagedoor" || slices.ContainsFunc(strings.Split(prefix, "."), reserved)) {
			delete(members, name)
			dropped = true
		}
	}
	switch {
	case len(members) == 0:
		return nil
	case !dropped:
		return text
	}
	out, err := marshal(members)
	if err != nil {
		o.fault("_meta", "is not JSON")
	}
	return out
}

// asks reads what a plugin wants to know: "Servers MUST include at least one of
// inputRequests or requestState".
func (o *checker) asks(result shape) *InputRequired {
	asks := &InputRequired{State: o.word(result, "requestState", false)}
	requests := o.object("inputRequests", json.RawMessage("{}"))
	if text := o.member(result, "inputRequests", '{', false); text != nil {
		requests = o.object("inputRequests", text)
		asks.Requests = text
	}
	if len(requests.members) == 0 {
		asks.Requests = nil
	}
	for _, id := range slices.Sorted(maps.Keys(requests.members)) {
		o.request(o.object("inputRequests."+id, requests.members[id]))
	}
	if asks.Requests == nil && asks.State == "" {
		o.fault("result", "asks for nothing: it has neither inputRequests nor requestState")
	}
	return asks
}

// request checks one question to the client.
func (o *checker) request(s shape) {
	method := o.word(s, "method", true)
	text := o.member(s, "params", '{', method != "roots/list")
	if text == nil {
		text = json.RawMessage("{}")
	}
	params := o.object(s.at+".params", text)
	switch method {
	case "elicitation/create":
		o.word(params, "message", true)
		if o.word(params, "mode", false) == "url" {
			o.word(params, "url", true)
		} else {
			o.member(params, "requestedSchema", '{', true)
		}
	case "sampling/createMessage":
		o.member(params, "messages", '[', true)
		o.member(params, "maxTokens", '0', true)
	case "roots/list":
	default:
		o.fault(s.at+".method", fmt.Sprintf("is %.40q, which no client is asked", method))
	}
}
