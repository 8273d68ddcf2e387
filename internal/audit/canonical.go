package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a value is walked; what is deeper is not canonical.
const maxDepth = 1000

// canonical appends JSON in the one form that all texts of the same value have:
// members ordered by name, no space, no needless escapes, numbers as their
// digits and exponent. It is RFC 8785 but for numbers, which lose nothing here,
// and for the order, which is that of UTF-8. Of what is no JSON it gives false.
func canonical(dst, text []byte) ([]byte, bool) {
	c := canon{in: text}
	dst = c.value(dst, 0)
	c.space()
	return dst, !c.bad && c.at == len(c.in)
}

type canon struct {
	in  []byte
	at  int
	bad bool
}

func (c *canon) space() {
	for c.at < len(c.in) && (c.in[c.at] == ' ' || c.in[c.at] == '\n' || c.in[c.at] == '\t' || c.in[c.at] == '\r') {
		c.at++
	}
}

// next is the first byte after space, 0 at the end.
func (c *canon) next() byte {
	if c.space(); c.at < len(c.in) {
		return c.in[c.at]
	}
	return 0
}

// take steps over a byte that has to be there.
func (c *canon) take(b byte) {
	if c.next() == b {
		c.at++
		return
	}
	c.bad = true
}

func (c *canon) value(dst []byte, depth int) []byte {
	if depth > maxDepth {
		c.bad = true
	}
	switch b := c.next(); {
	case c.bad:
		return dst
	case b == '{':
		return c.object(dst, depth)
	case b == '[':
		return c.array(dst, depth)
	case b == '"':
		return c.text(dst)
	case b == '-' || '0' <= b && b <= '9':
		return c.number(dst)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if bytes.HasPrefix(c.in[c.at:], []byte(word)) {
			c.at += len(word)
			return append(dst, word...)
		}
	}
	c.bad = true
	return dst
}

func (c *canon) array(dst []byte, depth int) []byte {
	c.at++
	dst = append(dst, '[')
	for first := true; !c.bad && c.next() != ']'; first = false {
		if !first {
			c.take(',')
			dst = append(dst, ',')
		}
		dst = c.value(dst, depth+1)
	}
	c.take(']')
	return append(dst, ']')
}

// span is where a member is written, and where its name ends.
type span struct{ from, name, to int }

func (c *canon) object(dst []byte, depth int) []byte {
	c.at++
	var few [8]span
	members, ordered := few[:0], true
	dst = append(dst, '{')
	start := len(dst)
	for first := true; !c.bad && c.next() != '}'; first = false {
		if !first {
			c.take(',')
		}
		m := span{from: len(dst)}
		if c.next() != '"' {
			c.bad = true
			break
		}
		dst = c.text(dst)
		m.name = len(dst)
		c.take(':')
		dst = append(c.value(append(dst, ':'), depth+1), ',')
		m.to = len(dst)
		if n := len(members); n > 0 && bytes.Compare(dst[members[n-1].from:members[n-1].name], dst[m.from:m.name]) > 0 {
			ordered = false
		}
		members = append(members, m)
	}
	c.take('}')
	if !ordered {
		written := slices.Clone(dst)
		slices.SortStableFunc(members, func(a, b span) int {
			return bytes.Compare(written[a.from:a.name], written[b.from:b.name])
		})
		dst = dst[:start]
		for _, m := range members {
			dst = append(dst, written[m.from:m.to]...)
		}
	}
	if len(members) > 0 {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

// text writes a string with only those escapes that it needs.
func (c *canon) text(dst []byte) []byte {
	from, plain := c.at, true
	for c.at++; ; c.at++ {
		if c.at >= len(c.in) {
			c.bad = true
			return dst
		}
		if c.in[c.at] == '"' {
			break
		}
		if c.in[c.at] == '\\' {
			plain = false
			c.at++
		}
	}
	c.at++
	raw := c.in[from:c.at]
	if plain && utf8.Valid(raw) {
		return append(dst, raw...)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		c.bad = true
	}
	dst = append(dst, '"')
	for i := range len(s) {
		switch b := s[i]; {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b < ' ':
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, '"')
}

// number writes a number as its digits, without zeros at either end, and the
// exponent of the last: 100, 1e2 and 100.0 are 1e2.
func (c *canon) number(dst []byte) []byte {
	from := c.at
	for c.at < len(c.in) && strings.IndexByte("+-.0123456789eE", c.in[c.at]) >= 0 {
		c.at++
	}
	raw := string(c.in[from:c.at])
	mantissa, exponent, exponential := strings.Cut(strings.ToLower(raw), "e")
	e, err := 0, error(nil)
	if exponential {
		e, err = strconv.Atoi(exponent)
	}
	if err != nil || e > 1<<30 || e < -1<<30 {
		return append(dst, raw...) // nobody means such numbers
	}
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	e -= len(fraction)
	short := strings.TrimRight(digits, "0")
	if e += len(digits) - len(short); short == "" {
		return append(dst, '0')
	}
	if mantissa[0] == '-' {
		dst = append(dst, '-')
	}
	dst = append(dst, short...)
	if e != 0 {
		dst = strconv.AppendInt(append(dst, 'e'), int64(e), 10)
	}
	return dst
}
