package invoke

import (
	"bytes"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/stagedoor/stagedoor/openapi"
)

// body puts the request's body together. It is nil when there is none; an empty
// one is not.
func (b *requestBuilder) body() (data []byte, contentType string) {
	plan := b.plan.Body
	if plan == nil || b.err != nil {
		return nil, ""
	}
	v, present := b.bodyValue(plan)
	if b.err != nil || !present {
		return nil, ""
	}
	content, contentType := b.content(plan)
	if b.err != nil {
		return nil, ""
	}
	if content.Format != openapi.FormatText && content.Format != openapi.FormatBinary {
		contentType = inUTF8(contentType)
	}
	switch content.Format {
	case openapi.FormatForm:
		data = b.form(content, v)
	case openapi.FormatMultipart:
		data, contentType = b.multipart(content, v)
	case openapi.FormatLines, openapi.FormatSequence:
		data = b.sequence(content.Format, v)
	case openapi.FormatXML:
		data = b.xml(content.XML, v)
	case openapi.FormatText:
		if strings.Contains(contentType, "*") {
			contentType = "text/plain"
		}
		data = b.text(contentType, v)
	case openapi.FormatBinary:
		data, contentType = b.binary(contentType, v)
	default:
		data = b.json(v)
	}
	if data == nil {
		data = []byte{}
	}
	return data, contentType
}

// content is the media type to write: the caller's choice, or the preferred one.
func (b *requestBuilder) content(plan *openapi.Body) (content *openapi.Content, contentType string) {
	first := &plan.Contents[0]
	if plan.ContentType == nil {
		return first, first.MediaType
	}
	v, chosen := b.value(*plan.ContentType)
	if !chosen {
		return first, first.MediaType
	}
	name, _ := v.(string)
	var names []string
	for i := range plan.Contents {
		c := &plan.Contents[i]
		if strings.EqualFold(c.MediaType, name) || isMediaType(name) && inRange(essence(name), essence(c.MediaType)) {
			return c, name
		}
		names = append(names, c.MediaType)
	}
	b.fail("contentType %q is not among %s", name, strings.Join(names, ", "))
	return nil, ""
}

// inRange tells whether a media type is one, or one of a range (RFC 9110 §12.5.1).
func inRange(mediaType, of string) bool {
	prefix, isRange := strings.CutSuffix(of, "*")
	if of == "*/*" {
		prefix = ""
	}
	return mediaType == of || isRange && strings.HasPrefix(mediaType, prefix)
}

func (b *requestBuilder) json(v any) []byte {
	text, err := marshal(v)
	if err != nil && b.err == nil {
		b.err = internal(err)
	}
	return text
}

// bodyValue is the body's value: the whole, with members put into it.
func (b *requestBuilder) bodyValue(plan *openapi.Body) (v any, present bool) {
	if plan.Whole != nil {
		v, present = b.value(*plan.Whole)
	}
	for _, m := range plan.Members {
		member, ok := b.value(m.Value)
		if !ok {
			continue
		}
		object, isObject := v.(map[string]any)
		if !isObject {
			if present {
				b.fail("body has to be an object")
				return nil, false
			}
			object = map[string]any{}
		}
		v, present = setMember(object, m.Path, member), true
	}
	if !present && plan.Required {
		return map[string]any{}, true
	}
	return v, present
}

// setMember gives a copy of object with the value at path: arguments are never
// changed.
func setMember(object map[string]any, path []string, v any) map[string]any {
	out := make(map[string]any, len(object)+1)
	for k, old := range object {
		out[k] = old
	}
	if len(path) > 1 {
		inner, _ := out[path[0]].(map[string]any)
		out[path[0]] = setMember(inner, path[1:], v)
	} else {
		out[path[0]] = v
	}
	return out
}

// form writes an object as form fields: by the styles that the document names,
// else lists repeat their name and objects go as JSON (OpenAPI 3.1 §4.8.15.1.1).
func (b *requestBuilder) form(content *openapi.Content, v any) []byte {
	if text, isText := v.(string); isText { // a form that is written already
		return []byte(text)
	}
	object, ok := v.(map[string]any)
	if !ok {
		b.fail("body has to be an object: it is sent as form fields")
		return nil
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		field, e := object[name], content.Encoding[name]
		esc := url.QueryEscape
		if e.AllowReserved {
			esc = escapeReserved
		}
		if e.Style != "" {
			own := queryPairs(name, e.Style, e.Explode, field, esc)
			b.stray(name, field, own, func(name string) bool { return object[name] != nil })
			pairs = append(pairs, own...)
			continue
		}
		if _, isObject := field.(map[string]any); isObject || isJSON(essence(e.ContentType)) {
			field = contentText("application/json", field)
		}
		pairs = append(pairs, queryPairs(name, "form", true, field, esc)...)
	}
	return []byte(strings.Join(pairs, "&"))
}

// inUTF8 is a media type whose charset, if it names one, is what we write.
func inUTF8(contentType string) string {
	mediaType, params, err := mime.ParseMediaType(contentType)
	if charset := params["charset"]; err != nil || charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii") {
		return contentType
	}
	params["charset"] = "utf-8"
	return mime.FormatMediaType(mediaType, params)
}

// sequence writes the items of a list, each a JSON text of its own: on a line,
// or as RFC 7464 has them.
func (b *requestBuilder) sequence(format openapi.Format, v any) []byte {
	items, isList := v.([]any)
	if text, isText := v.(string); isText {
		return []byte(text)
	}
	if !isList {
		items = []any{v}
	}
	var out bytes.Buffer
	for _, item := range items {
		if format == openapi.FormatSequence {
			out.WriteByte(0x1e)
		}
		out.Write(b.json(item))
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// text writes a string as it is, and all else as JSON, in the charset that the
// media type names.
func (b *requestBuilder) text(contentType string, v any) []byte {
	text := []byte(scalar(v))
	_, params, err := mime.ParseMediaType(contentType)
	name := params["charset"]
	if err != nil || name == "" {
		return text
	}
	charset, err := htmlindex.Get(name)
	if err != nil {
		return text
	}
	encoded, err := charset.NewEncoder().Bytes(text)
	if err != nil {
		b.fail("body has characters that the charset %s, which the plugin wants, does not have", name)
	}
	return encoded
}

// binary writes a file. Where the document leaves the media type open, the
// file says what it is.
func (b *requestBuilder) binary(contentType string, v any) (data []byte, mediaType string) {
	f := b.file("body", v)
	switch {
	case !strings.Contains(contentType, "*"):
		return f.data, contentType
	case f.mediaType != "" && inRange(essence(f.mediaType), essence(contentType)):
		return f.data, f.mediaType
	case contentType == "*/*", contentType == "application/*":
		return f.data, octetStream
	}
	b.fail("body: say by contentType which of %s it is", contentType)
	return nil, ""
}
