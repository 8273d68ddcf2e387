package invoke

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// toUTF8 decodes text. A byte order mark says more than the charset parameter
// (Encoding Standard, §6.1 "decode"), and JSON without either tells UTF-16 by
// its zero bytes (RFC 4627 §3). Text without a label that looks more like it
// than like UTF-8 is windows-1252, which is what the web takes it for. What is
// no UTF-8 afterwards is for the caller to replace.
func toUTF8(body []byte, charset string, isJSON bool) []byte {
	from := charsetOf(body, charset, isJSON)
	if from == nil {
		return bytes.TrimPrefix(body, []byte("\uFEFF"))
	}
	decoded, err := from.NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return bytes.TrimPrefix(decoded, []byte("\uFEFF"))
}

// charsetOf gives the encoding of a text; nil: UTF-8, or as good as.
func charsetOf(body []byte, charset string, isJSON bool) encoding.Encoding {
	big := unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	little := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	switch {
	case bytes.HasPrefix(body, []byte("\xEF\xBB\xBF")):
		return nil
	case bytes.HasPrefix(body, []byte("\xFE\xFF")):
		return big
	case bytes.HasPrefix(body, []byte("\xFF\xFE")):
		return little
	case len(body) >= 2 && body[0] == 0 && body[1] != 0:
		return big
	case len(body) >= 2 && body[0] != 0 && body[1] == 0:
		return little
	}
	switch name := strings.ToLower(charset); name {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return nil
	case "":
		if isJSON { // has to be UTF-8 (RFC 8259 §8.1)
			return nil
		}
		return unlabelled(body)
	default:
		if labelled, err := htmlindex.Get(name); err == nil {
			return labelled
		}
		return unlabelled(body)
	}
}

// unlabelled guesses between windows-1252 and UTF-8 (nil), in which a broken
// character may stand.
func unlabelled(body []byte) encoding.Encoding {
	whole, broken := 0, 0
	for i := 0; i < len(body); {
		r, size := utf8.DecodeRune(body[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			broken++
		case size > 1:
			whole++
		}
		i += size
	}
	if broken > whole {
		return charmap.Windows1252
	}
	return nil
}
