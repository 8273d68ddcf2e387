package invoke

import (
	"bytes"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// mediaKind is how an answer reaches a model.
type mediaKind int

const (
	kindJSON mediaKind = iota
	kindText
	kindSequence // many JSON texts, or events
	kindBinary
	kindUnknown // no type is given, or one that says nothing of the content
)

// mediaType is a Content-Type taken apart.
type mediaType struct {
	essence string // "application/json", in lower case; "" where there is none
	charset string
}

func parseMediaType(contentType string) mediaType {
	switch contentType { // what nearly all answers say
	case "application/json":
		return mediaType{essence: contentType}
	case "application/json; charset=utf-8":
		return mediaType{essence: "application/json", charset: "utf-8"}
	}
	if e, parameters, err := mime.ParseMediaType(contentType); err == nil {
		return mediaType{essence: e, charset: parameters["charset"]}
	}
	e, _, _ := strings.Cut(contentType, ";")
	return mediaType{essence: strings.ToLower(strings.TrimSpace(e))}
}

func essence(contentType string) string { return parseMediaType(contentType).essence }

func isJSON(essence string) bool {
	return essence == "application/json" || essence == "text/json" || strings.HasSuffix(essence, "+json")
}

// kind tells by name alone. SVG is text: no model takes it for an image.
func (m mediaType) kind() mediaKind {
	family, sub, _ := strings.Cut(m.essence, "/")
	switch {
	case sequenceOf(m.essence) != nil:
		return kindSequence
	case isJSON(m.essence):
		return kindJSON
	case family == "text", sub == "xml", strings.HasSuffix(sub, "+xml"), sub == "yaml", sub == "x-yaml", strings.HasSuffix(sub, "+yaml"),
		m.essence == "application/x-www-form-urlencoded", m.essence == "application/javascript":
		return kindText
	case family == "image", family == "audio", family == "video", family == "font":
		return kindBinary
	}
	return kindUnknown
}

// kindOf decides by name and content: a name that says nothing of the content
// is not believed, nor is one of text for what is plainly none.
func (m mediaType) kindOf(body []byte) mediaKind {
	kind := m.kind()
	switch {
	case m.charset != "" && kind != kindBinary, kind == kindJSON, kind == kindBinary:
		return kind
	case kind == kindUnknown && (!isReadable(body) || !utf8.Valid(body[:max(0, len(body)-utf8.UTFMax)])):
		return kindBinary
	case kind == kindText && charsetOf(body, "", true) == nil && !isReadable(body):
		return kindBinary
	}
	return kind
}

// isReadable tells what has neither zero bytes nor a file format's mark
// (WHATWG MIME Sniffing).
func isReadable(body []byte) bool {
	return bytes.IndexByte(body, 0) < 0 && (len(body) == 0 || strings.HasPrefix(http.DetectContentType(body), "text/"))
}
