package invoke

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"mime"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/stagedoor/stagedoor/openapi"
)

// part is one part of a multipart body.
type part struct {
	header textproto.MIMEHeader
	data   []byte
}

// multipart writes an object as parts (RFC 7578; OpenAPI 3.1 §4.8.14.4, §4.8.15.1.2),
// members in alphabetical order, and a list as parts without names. The
// boundary comes from the content, so that the same call gives the same bytes.
func (b *requestBuilder) multipart(content *openapi.Content, v any) (data []byte, contentType string) {
	var parts []part
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			e := content.Encoding[name]
			if e.Style != "" {
				b.stray(name, v[name], queryPairs(name, e.Style, e.Explode, v[name], escape), func(name string) bool { return v[name] != nil })
			}
			parts = append(parts, b.field(name, e, v[name])...)
		}
	case []any:
		for _, item := range v {
			p := b.part("", openapi.Encoding{}, item)
			p.header.Del("Content-Disposition")
			parts = append(parts, p)
		}
	default:
		b.fail("body has to be an object: it is sent as the parts of a form")
	}
	mediaType, params, err := mime.ParseMediaType(content.MediaType)
	if err != nil || strings.Contains(mediaType, "*") {
		mediaType, params = "multipart/form-data", nil
	}
	if params == nil {
		params = map[string]string{}
	}
	params["boundary"] = boundary(parts)
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	if err = w.SetBoundary(params["boundary"]); err == nil {
		for _, p := range parts {
			into, _ := w.CreatePart(p.header) // a buffer takes all
			_, _ = into.Write(p.data)
		}
		err = w.Close()
	}
	if err != nil && b.err == nil {
		b.err = internal(err)
	}
	return out.Bytes(), mime.FormatMediaType(mediaType, params)
}

// boundary is a hash of the parts: none of them can hold it.
func boundary(parts []part) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p.header.Get("Content-Disposition")))
		h.Write([]byte{0})
		h.Write(p.data)
		h.Write([]byte{0})
	}
	return "stagedoor-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// field gives the parts of one member: each item of a list is one of its own.
func (b *requestBuilder) field(name string, e openapi.Encoding, v any) []part {
	if e.Style != "" {
		return b.styledParts(name, e, v)
	}
	items, isList := v.([]any)
	if !isList {
		items = []any{v}
	}
	var parts []part
	for _, item := range items {
		if item != nil {
			parts = append(parts, b.part(name, e, item))
		}
	}
	return parts
}

// styledParts writes a value in RFC 6570's way, each pair as a part of its own,
// which needs no escapes.
func (b *requestBuilder) styledParts(name string, e openapi.Encoding, v any) []part {
	var parts []part
	for _, pair := range queryPairs(name, e.Style, e.Explode, v, escape) {
		key, text, _ := strings.Cut(pair, "=")
		key, _ = url.PathUnescape(key) // escape wrote it
		text, _ = url.PathUnescape(text)
		parts = append(parts, b.part(key, openapi.Encoding{Headers: e.Headers}, text))
	}
	return parts
}

func (b *requestBuilder) part(name string, e openapi.Encoding, v any) part {
	p := part{header: textproto.MIMEHeader{}}
	disposition := `form-data; name="` + quoteName(name) + `"`
	mediaType, _, _ := strings.Cut(e.ContentType, ",")
	_, isObject := v.(map[string]any)
	_, isList := v.([]any)
	switch {
	case e.File:
		f := b.file(name, v)
		p.data = f.data
		if f.name == "" {
			f.name = name // without one, servers take it for a text field
		}
		disposition += `; filename="` + quoteName(f.name) + `"`
		mediaType = fileType(e.ContentType, f.mediaType)
	case e.XML != nil && !isString(v):
		p.data = b.xml(e.XML, v)
	case isObject, isList, isJSON(essence(mediaType)):
		p.data = b.json(v)
		if !isJSON(essence(mediaType)) { // what we cannot write is not called so
			mediaType = "application/json"
		}
	default: // RFC 7578 §4.4: a part is text/plain unless it says otherwise
		p.data = b.text(mediaType, v)
	}
	for header, value := range e.Headers {
		p.header.Set(header, value)
	}
	p.header.Set("Content-Disposition", disposition)
	if mediaType != "" {
		p.header.Set("Content-Type", mediaType)
	}
	return p
}

func isString(v any) bool {
	_, ok := v.(string)
	return ok
}

// fileType is the media type of a file's part: the file's own if the document
// allows it, else the first that the document names.
func fileType(declared, own string) string {
	first := ""
	for mediaType := range strings.SplitSeq(declared, ",") {
		if own != "" && inRange(essence(own), essence(mediaType)) {
			return own
		}
		if first == "" && !strings.Contains(mediaType, "*") {
			first = mediaType
		}
	}
	switch {
	case first != "":
		return first
	case own != "" && declared == "":
		return own
	}
	return octetStream
}

// quoteName escapes what would end a quoted name, as browsers do (WHATWG HTML,
// multipart/form-data encoding algorithm). Other control characters, which no
// header carries, are left out.
func quoteName(s string) string {
	s = strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(s)
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}
