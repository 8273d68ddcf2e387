package mcpserver

import (
	"errors"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

// Outcomes of calls, beside the kinds of [invoke.Error], as metrics and log
// name them.
const (
	outcomeOK      = "ok"
	outcomeUnknown = "unknown_tool"
	outcomeInvalid = "invalid_request"
)

// outcome is what a call came to, before it is put in a revision's form.
type outcome struct {
	label   string
	json    []byte // structured content
	text    string
	isError bool
}

// outcomeOf is the one place that decides what a caller learns of a result or
// an error. An error's cause never leaves the gateway.
func outcomeOf(result *invoke.Result, err error, ref string) outcome {
	var fault *invoke.Error
	switch {
	case errors.As(err, &fault):
		return outcome{label: string(fault.Kind), text: faultText(fault, ref), isError: true}
	case err != nil, result == nil:
		return outcome{label: string(invoke.Internal), text: internalText(ref), isError: true}
	case len(result.JSON) > 0:
		return outcome{label: outcomeOK, json: result.JSON}
	default:
		return outcome{label: outcomeOK, text: result.Text}
	}
}

// faultText adds the reference where the log knows more than the caller.
func faultText(fault *invoke.Error, ref string) string {
	switch fault.Kind {
	case invoke.Timeout, invoke.Unavailable:
		return fault.Message + " (reference " + ref + ")"
	case invoke.Internal:
		return internalText(ref)
	default:
		return fault.Message
	}
}

func internalText(ref string) string { return "internal error (reference " + ref + ")" }

func internalError(ref string) *rpcError {
	return &rpcError{code: mcp.INTERNAL_ERROR, message: internalText(ref), status: http.StatusInternalServerError}
}

// structured gives the structured content in two pieces around the wrapping:
// up to 2025-11-25 it must be an object (server/tools, "Structured Content").
func (o *outcome) structured(t *tool, e era) (before string, content []byte, after string) {
	content = o.json
	if content == nil && t.typed && !o.isError {
		// A typed tool must answer with structured content; text is a string.
		content = appendString(nil, o.text)
	}
	if content != nil && e == legacy && (t.wrap || !isObject(content)) {
		return `{"result":`, content, `}`
	}
	return "", content, ""
}

// append writes the result of tools/call. The text is the structured content
// once more, for clients that do not read it.
func (o *outcome) append(dst []byte, s *server, t *tool, e era) []byte {
	before, content, after := o.structured(t, e)
	dst = append(dst, '{')
	if e == modern {
		dst = append(append(dst, s.meta...), ',')
	}
	dst = append(dst, `"content":[{"type":"text","text":"`...)
	if o.json != nil {
		dst = appendEscaped(dst, before)
		dst = appendEscaped(dst, content)
		dst = appendEscaped(dst, after)
	} else {
		dst = appendEscaped(dst, o.text)
	}
	dst = append(dst, `"}]`...)
	if content != nil {
		dst = append(append(dst, `,"structuredContent":`...), before...)
		dst = append(append(dst, content...), after...)
	}
	if o.isError {
		dst = append(dst, `,"isError":true`...)
	}
	return append(dst, '}')
}

// result is the same for mcp-go.
func (o *outcome) result(t *tool, e era) *mcp.CallToolResult {
	before, content, after := o.structured(t, e)
	joined := before + string(content) + after
	text := o.text
	if o.json != nil {
		text = joined
	}
	result := mcp.NewToolResultText(text)
	result.IsError = o.isError
	if content != nil {
		result.RawStructuredContent = []byte(joined)
	}
	return result
}
