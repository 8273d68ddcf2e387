package mcpserver

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// members walks an object of JSON text that is known to be valid, in the
// author's order and without copying.
type members struct {
	raw []byte
	pos int
}

// membersOf starts at the object's first member.
func membersOf(object []byte) members {
	return members{raw: object, pos: bytes.IndexByte(object, '{') + 1}
}

// next gives the next member's name and raw value.
func (m *members) next() (name string, value []byte, ok bool) {
	m.pos = skipBlank(m.raw, m.pos)
	if m.raw[m.pos] == ',' {
		m.pos = skipBlank(m.raw, m.pos+1)
	}
	if m.raw[m.pos] != '"' {
		return "", nil, false
	}
	end := skipString(m.raw, m.pos)
	name = unquote(m.raw[m.pos:end])
	start := skipBlank(m.raw, skipBlank(m.raw, end)+1) // past the colon
	m.pos = skipValue(m.raw, start)
	return name, m.raw[start:m.pos], true
}

// member gives the object's member of the name, nil where there is none.
func member(object []byte, name string) json.RawMessage {
	if !isObject(object) {
		return nil
	}
	for m := membersOf(object); ; {
		n, value, ok := m.next()
		if !ok {
			return nil
		}
		if n == name {
			return value
		}
	}
}

// addMember puts a member at the end of an object without blanks.
func addMember(object json.RawMessage, name string, value json.RawMessage) json.RawMessage {
	dst := append(json.RawMessage(nil), object[:len(object)-1]...)
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	dst = append(appendString(dst, name), ':')
	return append(append(dst, value...), '}')
}

// setMember gives an object with the value in the place of the member that it may
// have already.
func setMember(object json.RawMessage, name string, value json.RawMessage) json.RawMessage {
	rest := json.RawMessage(`{}`)
	if isObject(object) {
		for all := membersOf(object); ; {
			n, v, ok := all.next()
			if !ok {
				break
			}
			if n != name {
				rest = addMember(rest, n, v)
			}
		}
	}
	return addMember(rest, name, value)
}

// elements splits an array of JSON text that is known to be valid.
func elements(array []byte) [][]byte {
	var all [][]byte
	pos := skipBlank(array, bytes.IndexByte(array, '[')+1)
	for array[pos] != ']' {
		end := skipValue(array, pos)
		all = append(all, array[pos:end])
		pos = skipBlank(array, end)
		if array[pos] == ',' {
			pos = skipBlank(array, pos+1)
		}
	}
	return all
}

func skipBlank(raw []byte, pos int) int {
	for pos < len(raw) && (raw[pos] == ' ' || raw[pos] == '\n' || raw[pos] == '\t' || raw[pos] == '\r') {
		pos++
	}
	return pos
}

func skipString(raw []byte, pos int) int {
	for pos++; raw[pos] != '"'; pos++ {
		if raw[pos] == '\\' {
			pos++
		}
	}
	return pos + 1
}

func skipValue(raw []byte, pos int) int {
	switch raw[pos] {
	case '"':
		return skipString(raw, pos)
	case '{', '[':
		return skipNested(raw, pos)
	}
	for pos < len(raw) && strings.IndexByte(",]} \n\t\r", raw[pos]) < 0 {
		pos++
	}
	return pos
}

func skipNested(raw []byte, pos int) int {
	for depth := 0; ; {
		switch raw[pos] {
		case '"':
			pos = skipString(raw, pos)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if pos++; depth == 0 {
			return pos
		}
	}
}

// unquote decodes a JSON string.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // the text is known to be valid
	return s
}

func isObject(raw []byte) bool { return kind(raw) == '{' }
func isString(raw []byte) bool { return kind(raw) == '"' }

// kind is the first byte of a JSON text that is not blank, 0 for none.
func kind(raw []byte) byte {
	if pos := skipBlank(raw, 0); pos < len(raw) {
		return raw[pos]
	}
	return 0
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped appends what stands between the quotes of a JSON string. What
// is not UTF-8 becomes U+FFFD.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}
