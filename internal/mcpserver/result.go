package mcpserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

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

// metaKey is where a result's _meta has what HTTP said beside the body. The
// prefix is the reverse of a name that is the project's (2025-11-25,
// basic/index, "_meta").
const metaKey = "io.github.stagedoor/http"

// outcome is what a call came to, before it is put in a revision's form.
type outcome struct {
	label   string
	json    []byte // structured content
	text    string
	binary  *invoke.Binary
	cut     *invoke.Cut
	status  int // of HTTP
	headers []invoke.Header
	isError bool
}

// outcomeOf is the one place that decides what a caller learns of a result or
// an error. An error's cause never leaves the gateway.
func outcomeOf(result *invoke.Result, err error, ref string) outcome {
	var fault *invoke.Error
	switch {
	case errors.As(err, &fault):
		return outcome{
			label: string(fault.Kind), text: faultText(fault, ref), status: fault.Status, headers: fault.Headers, isError: true,
		}
	case err != nil, result == nil:
		return outcome{label: string(invoke.Internal), text: internalText(ref), isError: true}
	}
	return outcome{
		label: outcomeOK, json: result.JSON, text: result.Text, binary: result.Binary, cut: result.Cut,
		status: result.Status, headers: result.Headers,
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
	switch {
	case content != nil || !t.typed || o.isError:
	// A typed tool must answer with structured content: text is a string, and
	// of binary data it says what stands in the content.
	case o.binary != nil:
		content = appendString([]byte(`{"mediaType":`), o.binary.MediaType)
		content = strconv.AppendInt(append(content, `,"bytes":`...), int64(len(o.binary.Data)), 10)
		content = append(content, '}')
	default:
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
	if o.hasMeta() {
		if e == modern { // into the _meta that is there
			dst = append(dst[:len(dst)-len(`},`)], ',')
		} else {
			dst = append(dst, `"_meta":{`...)
		}
		dst = append(append(dst, `"`+metaKey+`":`...), o.meta()...)
		dst = append(dst, `},`...)
	}
	dst = append(dst, `"content":[`...)
	switch {
	case o.binary != nil:
		dst = o.binaryContent(dst, t)
	case o.json != nil:
		dst = append(dst, `{"type":"text","text":"`...)
		dst = appendEscaped(dst, before)
		dst = appendEscaped(dst, content)
		dst = appendEscaped(dst, after)
		dst = append(dst, `"}`...)
	default:
		dst = appendText(dst, o.text)
	}
	if o.cut != nil {
		dst = appendText(append(dst, ','), o.cut.Note)
	}
	dst = append(dst, ']')
	if content != nil {
		dst = append(append(dst, `,"structuredContent":`...), before...)
		dst = append(append(dst, content...), after...)
	}
	if o.isError {
		dst = append(dst, `,"isError":true`...)
	}
	return append(dst, '}')
}

func appendText(dst []byte, text string) []byte {
	dst = append(dst, `{"type":"text","text":"`...)
	return append(appendEscaped(dst, text), `"}`...)
}

// binaryContent writes an image, a sound, or any other file as an embedded
// resource.
func (o *outcome) binaryContent(dst []byte, t *tool) []byte {
	family, _, _ := strings.Cut(o.binary.MediaType, "/")
	end := `"}`
	switch family {
	case "image", "audio":
		dst = append(append(append(dst, `{"type":"`...), family...), `","mimeType":`...)
		dst = append(appendString(dst, o.binary.MediaType), `,"data":"`...)
	default:
		dst = appendString(append(dst, `{"type":"resource","resource":{"uri":`...), o.uri(t))
		dst = append(appendString(append(dst, `,"mimeType":`...), o.binary.MediaType), `,"blob":"`...)
		end = `"}}`
	}
	return append(base64.StdEncoding.AppendEncode(dst, o.binary.Data), end...)
}

// uri names an embedded resource by its action and content: the plugin's own
// URL stays inside.
func (o *outcome) uri(t *tool) string {
	sum := sha256.Sum256(o.binary.Data)
	return "stagedoor:///" + url.PathEscape(t.action.Plugin) + "/" + url.PathEscape(t.action.Name) + "/" + hex.EncodeToString(sum[:8])
}

func (o *outcome) hasMeta() bool { return len(o.headers) > 0 || o.cut != nil }

// meta writes the status, the headers that one can act on, and how the result
// was cut.
func (o *outcome) meta() []byte {
	dst := strconv.AppendInt([]byte(`{"status":`), int64(o.status), 10)
	for i, h := range o.headers {
		if i == 0 {
			dst = append(dst, `,"headers":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(append(appendString(dst, h.Name), ':'), h.Value)
	}
	if len(o.headers) > 0 {
		dst = append(dst, '}')
	}
	if o.cut != nil {
		dst = appendString(append(dst, `,"truncated":{"reason":`...), o.cut.Reason)
		if o.cut.Items >= 0 {
			dst = appendString(append(dst, `,"path":`...), o.cut.Path)
			dst = strconv.AppendInt(append(dst, `,"items":`...), int64(o.cut.Items), 10)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// result is the same for mcp-go.
func (o *outcome) result(t *tool, e era) *mcp.CallToolResult {
	before, content, after := o.structured(t, e)
	joined := before + string(content) + after
	result := &mcp.CallToolResult{IsError: o.isError, Content: []mcp.Content{o.content(t, joined)}}
	if o.cut != nil {
		result.Content = append(result.Content, mcp.NewTextContent(o.cut.Note))
	}
	if o.hasMeta() {
		result.Meta = &mcp.Meta{AdditionalFields: map[string]any{metaKey: json.RawMessage(o.meta())}}
	}
	if content != nil {
		result.RawStructuredContent = []byte(joined)
	}
	return result
}

func (o *outcome) content(t *tool, structured string) mcp.Content {
	if o.binary == nil {
		if o.json != nil {
			return mcp.NewTextContent(structured)
		}
		return mcp.NewTextContent(o.text)
	}
	data := base64.StdEncoding.EncodeToString(o.binary.Data)
	switch family, _, _ := strings.Cut(o.binary.MediaType, "/"); family {
	case "image":
		return mcp.NewImageContent(data, o.binary.MediaType)
	case "audio":
		return mcp.NewAudioContent(data, o.binary.MediaType)
	}
	return mcp.NewEmbeddedResource(mcp.BlobResourceContents{URI: o.uri(t), MIMEType: o.binary.MediaType, Blob: data})
}
