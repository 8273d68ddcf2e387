package invoke

import (
	"encoding/base64"
	"mime"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const octetStream = "application/octet-stream"

// file is the content of a file argument.
type file struct {
	data      []byte
	name      string
	mediaType string // "": not said
}

// file reads a file argument: base64, a data URL (RFC 2397), or an object of
// data or text, filename and mediaType. place names it, for the caller.
func (b *requestBuilder) file(place string, v any) file {
	var f file
	switch v := v.(type) {
	case string:
		f = b.encodedFile(place, v)
	case map[string]any:
		f = b.describedFile(place, v)
	default:
		b.fail("%s: a file is base64, a data: URL, or an object of data or text, filename and mediaType", place)
	}
	if f.mediaType != "" && !isMediaType(f.mediaType) {
		b.fail("%s: mediaType %q is no media type", place, f.mediaType)
	}
	return f
}

// isMediaType tells what a Content-Type can carry: mime alone takes line breaks
// for white space.
func isMediaType(s string) bool {
	_, _, err := mime.ParseMediaType(s)
	return err == nil && httpguts.ValidHeaderFieldValue(s)
}

func (b *requestBuilder) describedFile(place string, v map[string]any) (f file) {
	data, isData := v["data"].(string)
	text, isText := v["text"].(string)
	switch {
	case isData == isText:
		b.fail("%s: a file has either data (base64) or text", place)
	case isData:
		f = b.encodedFile(place, data)
	default:
		f.data = []byte(text)
	}
	f.name, _ = v["filename"].(string)
	if mediaType, said := v["mediaType"].(string); said {
		f.mediaType = mediaType
	}
	return f
}

func (b *requestBuilder) encodedFile(place, s string) file {
	rest, isURL := strings.CutPrefix(s, "data:")
	if !isURL {
		return file{data: b.base64(place, s)}
	}
	meta, data, found := strings.Cut(rest, ",")
	if !found {
		b.fail("%s: data: URL has no comma before its data", place)
		return file{}
	}
	mediaType, encoded := strings.CutSuffix(meta, ";base64")
	if strings.HasPrefix(mediaType, ";") {
		mediaType = "" // RFC 2397 §2: text/plain then, but nobody said so
	}
	if encoded {
		return file{data: b.base64(place, data), mediaType: mediaType}
	}
	plain, err := url.PathUnescape(data)
	if err != nil {
		b.fail("%s: data: URL: %v", place, err)
	}
	return file{data: []byte(plain), mediaType: mediaType}
}

// base64 takes both alphabets (RFC 4648 §4 and §5) and line breaks: models write
// all of them. Padding has to be right, for it tells base64 from plain words.
func (b *requestBuilder) base64(place, s string) []byte {
	s = strings.NewReplacer("-", "+", "_", "/", "\r", "", "\n", "").Replace(s)
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		b.fail(`%s: expected base64 or a data: URL; what is plain text goes as {"text": "…"} (%v)`, place, err)
	}
	return data
}
