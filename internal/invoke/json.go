package invoke

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

// marshal writes JSON without HTML escapes, so that what a model wrote is what
// a plugin gets.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// unmarshal reads one JSON value; numbers keep all their digits.
func unmarshal(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more text after the JSON value")
	}
	return v, nil
}

// mended gives JSON that every client can read: bytes that are no UTF-8 and
// escapes of half a character (RFC 8259 §8.2) become U+FFFD. The text is
// changed where it is.
func mended(text []byte) []byte {
	text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	if !bytes.Contains(text, []byte(`\ud`)) && !bytes.Contains(text, []byte(`\uD`)) {
		return text
	}
	for i := 0; ; {
		next := bytes.IndexByte(text[i:], '\\')
		if next < 0 {
			return text
		}
		i += next
		switch first, second := surrogate(text[i:]), surrogate(text[min(i+6, len(text)):]); {
		case first == 'h' && second == 'l':
			i += 12
		case first != 0:
			copy(text[i:], `\ufffd`)
			i += 6
		default:
			i += 2
		}
	}
}

// surrogate tells whether an escape begins the text that is a high (h) or low
// (l) surrogate; 0: neither.
func surrogate(text []byte) byte {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	switch unit, err := strconv.ParseUint(string(text[2:6]), 16, 16); {
	case err != nil || unit < 0xd800 || unit > 0xdfff:
		return 0
	case unit < 0xdc00:
		return 'h'
	}
	return 'l'
}
