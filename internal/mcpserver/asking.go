package mcpserver

import (
	"encoding/json"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// requestsOf walks an object of requests to a client in its author's order.
func requestsOf(asked json.RawMessage) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		if !isObject(asked) {
			return
		}
		for all := membersOf(asked); ; {
			key, request, ok := all.next()
			if !ok || !yield(key, request) {
				return
			}
		}
	}
}

// elicitation is an object of one request: a form for the user.
func elicitation(key, message string, schema json.RawMessage) json.RawMessage {
	dst := append(appendString([]byte{'{'}, key), `:{"method":"elicitation/create","params":{"mode":"form","message":`...)
	dst = append(appendString(dst, message), `,"requestedSchema":`...)
	return append(append(dst, schema...), `}}}`...)
}

// capabilities are names of client capabilities, each with its parts.
type capabilities struct {
	names []string
	parts map[string][]string
}

// lacking gives the capabilities that requests without an answer need and the
// client did not declare; nil: it can be asked.
func lacking(declared, asked json.RawMessage, answers map[string]json.RawMessage) *capabilities {
	missing := &capabilities{parts: map[string][]string{}}
	for key, request := range requestsOf(asked) {
		if answers[key] != nil {
			continue
		}
		if name, part := needs(request); !declares(declared, name, part) {
			missing.add(name, part)
		}
	}
	if missing.names == nil {
		return nil
	}
	return missing
}

// needs gives the capability that a request takes (2026-07-28, client/elicitation,
// client/sampling and client/roots, "Capabilities").
func needs(request json.RawMessage) (name, part string) {
	params := member(request, "params")
	switch mcp.MCPMethod(methodOf(request)) {
	case mcp.MethodElicitationCreate:
		if textOf(member(params, "mode")) == "url" {
			return "elicitation", "url"
		}
		return "elicitation", "form"
	case mcp.MethodSamplingCreateMessage:
		if member(params, "tools") != nil || member(params, "toolChoice") != nil {
			return "sampling", "tools"
		}
		return "sampling", ""
	}
	return "roots", ""
}

// declares looks a capability up. Elicitation without a mode means forms.
func declares(declared json.RawMessage, name, part string) bool {
	found := member(declared, name)
	switch {
	case !isObject(found):
		return false
	case part == "":
		return true
	case part == "form":
		return member(found, "form") != nil || member(found, "url") == nil
	}
	return member(found, part) != nil
}

func (c *capabilities) add(name, part string) {
	if !slices.Contains(c.names, name) {
		c.names = append(c.names, name)
	}
	if part != "" && !slices.Contains(c.parts[name], part) {
		c.parts[name] = append(c.parts[name], part)
	}
}

// String lists them for people: "elicitation form, roots".
func (c *capabilities) String() string {
	var all []string
	for _, name := range c.names {
		all = append(all, strings.Join(append([]string{name}, c.parts[name]...), " "))
	}
	return strings.Join(all, ", ")
}

// fault is -32021 with the capabilities (2026-07-28, schema,
// "MissingRequiredClientCapabilityError").
func (c *capabilities) fault() *rpcError {
	required := []byte(`{"requiredCapabilities":{`)
	for i, name := range c.names {
		if i > 0 {
			required = append(required, ',')
		}
		required = append(appendString(required, name), `:{`...)
		for j, part := range c.parts[name] {
			if j > 0 {
				required = append(required, ',')
			}
			required = append(appendString(required, part), `:{}`...)
		}
		required = append(required, '}')
	}
	return &rpcError{
		code: mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, message: "missing required client capability: " + c.String(),
		data: append(required, `}}`...), status: http.StatusBadRequest,
	}
}

// checkAnswer says what is wrong with the shape of an answer, nothing where it is
// right. What a form was filled in with is for whoever asked to check.
func checkAnswer(request, answer json.RawMessage) (problem string) {
	if !isObject(answer) {
		return "must be an object"
	}
	switch mcp.MCPMethod(methodOf(request)) {
	case mcp.MethodElicitationCreate:
		return checkElicited(request, answer)
	case mcp.MethodSamplingCreateMessage:
		role, content := member(answer, "role"), member(answer, "content")
		if !slices.Contains([]string{"assistant", "user"}, textOf(role)) {
			return "role must be assistant or user"
		}
		if !isObject(content) && kind(content) != '[' {
			return "content must be an object or a list"
		}
		if !isString(member(answer, "model")) {
			return "model must be a string"
		}
	default:
		if kind(member(answer, "roots")) != '[' {
			return "roots must be a list"
		}
		for _, root := range elements(member(answer, "roots")) {
			if !isString(member(root, "uri")) {
				return "each root must have a uri"
			}
		}
	}
	return ""
}

func checkElicited(request, answer json.RawMessage) (problem string) {
	action, content := member(answer, "action"), member(answer, "content")
	if !slices.Contains([]string{"accept", "decline", "cancel"}, textOf(action)) {
		return "action must be accept, decline or cancel"
	}
	_, mode := needs(request)
	if content != nil && string(content) != "null" && !isObject(content) || textOf(action) == "accept" && mode == "form" && !isObject(content) {
		return "content must be an object"
	}
	return ""
}

// cutText is a text of at most n bytes, and says where it was cut.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// methodOf is the method of a request to a client.
func methodOf(request json.RawMessage) string { return textOf(member(request, "method")) }

// textOf gives a JSON string's text, nothing of what is none.
func textOf(raw json.RawMessage) string {
	if !isString(raw) {
		return ""
	}
	return unquote(raw)
}
