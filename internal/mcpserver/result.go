package mcpserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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
	version string // of the session's protocol; "": the era's newest

	// Of a plugin that speaks MCP:
	blocks     [][]byte // content; nil where it gave structured content alone
	pluginMeta []byte   // _meta, an object
}

// outcomeOf is the one place that decides what a caller learns of a result or
// an error. An error's cause never leaves the gateway.
func outcomeOf(result *invoke.Result, err error, ref string) outcome {
	var fault *invoke.Error
	switch {
	case errors.As(err, &fault):
		return outcome{
			label: string(fault.Kind), text: fault.Told(ref), status: fault.Status, headers: fault.Headers, isError: true,
		}
	case err != nil, result == nil:
		return outcome{label: string(invoke.Internal), text: invoke.ToldInternal(ref), isError: true}
	}
	o := outcome{
		label: outcomeOK, json: result.JSON, text: result.Text, binary: result.Binary, cut: result.Cut,
		status: result.Status, headers: result.Headers,
	}
	if result.MCP != nil {
		o.ofMCP(result.MCP)
	}
	return o
}

func internalError(ref string) *rpcError {
	return &rpcError{code: mcp.INTERNAL_ERROR, message: invoke.ToldInternal(ref), status: http.StatusInternalServerError}
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
		dst = append(o.appendMeta(dst), `},`...)
	}
	dst = append(dst, `"content":[`...)
	switch {
	case o.blocks != nil:
		for i, raw := range o.blocks {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, block(raw, t, o.version)...)
		}
	case o.binary != nil:
		dst = appendBinary(dst, o.binary, t, o.version)
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

// appendBinary writes an image, a sound, or any other file as an embedded
// resource.
func appendBinary(dst []byte, binary *invoke.Binary, t *tool, version string) []byte {
	family := familyOf(binary, version)
	end := `"}`
	switch family {
	case "image", "audio":
		dst = append(append(append(dst, `{"type":"`...), family...), `","mimeType":`...)
		dst = append(appendString(dst, binary.MediaType), `,"data":"`...)
	default:
		dst = appendString(append(dst, `{"type":"resource","resource":{"uri":`...), resourceURI(t, binary.Data))
		dst = append(appendString(append(dst, `,"mimeType":`...), binary.MediaType), `,"blob":"`...)
		end = `"}}`
	}
	return append(base64.StdEncoding.AppendEncode(dst, binary.Data), end...)
}

// familyOf is "image", "audio" or something else, which goes as a resource.
func familyOf(binary *invoke.Binary, version string) string {
	family, _, _ := strings.Cut(binary.MediaType, "/")
	if family == "audio" && version != "" && version < audioSince {
		return ""
	}
	return family
}

// resourceURI names an embedded resource by its action and content: the
// plugin's own URL stays inside.
func resourceURI(t *tool, data []byte) string {
	sum := sha256.Sum256(data)
	return "stagedoor:///" + url.PathEscape(t.action.Plugin) + "/" + url.PathEscape(t.action.Name) + "/" + hex.EncodeToString(sum[:8])
}

func (o *outcome) hasMeta() bool { return len(o.headers) > 0 || o.cut != nil || o.pluginMeta != nil }

// appendMeta writes the members of _meta: the gateway's, and then the plugin's.
func (o *outcome) appendMeta(dst []byte) []byte {
	if len(o.headers) > 0 || o.cut != nil {
		dst = append(append(dst, `"`+metaKey+`":`...), o.meta()...)
		if o.pluginMeta != nil {
			dst = append(dst, ',')
		}
	}
	if o.pluginMeta != nil {
		dst = append(dst, o.pluginMeta[1:len(o.pluginMeta)-1]...)
	}
	return dst
}

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
