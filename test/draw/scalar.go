package draw

import (
	"encoding/json"
	"math"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// safe is the largest integer that every JSON reader takes for what it is.
const safe = 1<<53 - 1

// number draws a number within the bounds, of few digits.
func (d *Drawer) number(s map[string]any, integral bool) (any, bool) {
	low, high := -1000.0, 1000.0
	_, hasLow := s["minimum"].(json.Number)
	_, hasHigh := s["maximum"].(json.Number)
	if hasLow {
		low = number(s["minimum"])
	}
	if hasHigh {
		high = number(s["maximum"])
	}
	step := 0.25
	if integral {
		step = 1
	}
	if by, ok := s["multipleOf"].(json.Number); ok {
		step = max(number(by), step)
	}
	if bound, ok := s["exclusiveMinimum"].(json.Number); ok {
		low, hasLow = number(bound)+step, true
	}
	if bound, ok := s["exclusiveMaximum"].(json.Number); ok {
		high, hasHigh = number(bound)-step, true
	}
	if s["exclusiveMinimum"] == true {
		low += step
	}
	if s["exclusiveMaximum"] == true {
		high -= step
	}
	if hasLow && !hasHigh && high < low {
		high = low + 1000*step
	}
	if hasHigh && !hasLow && low > high {
		low = high - 1000*step
	}
	first, last := math.Ceil(max(low, -safe)/step), math.Floor(min(high, safe)/step)
	if first > last {
		return json.Number(strconv.FormatFloat(low, 'f', -1, 64)), !integral && low <= high
	}
	at := first + math.Floor(d.Rand.Float64()*(last-first+1))
	switch d.Rand.IntN(6) {
	case 0:
		at = first
	case 1:
		at = last
	}
	return json.Number(strconv.FormatFloat(at*step+0, 'f', -1, 64)), true
}

// formats has a value or two of each format that validators assert.
var formats = map[string][]string{
	"date-time": {"2024-02-29T23:59:59Z", "1999-12-31T01:02:03.004+05:30"},
	"date":      {"2024-02-29", "1970-01-01"},
	"time":      {"23:59:59Z"},
	"duration":  {"P3DT4H"},
	"uuid":      {"123e4567-e89b-12d3-a456-426614174000"},
	"email":     {"o'brien+tag@example.org"},
	"uri":       {"https://example.org/a%20b?q=1&r=2#f", "urn:example:a:b"},
	"url":       {"https://example.org/?a=b&c=d"},
	"hostname":  {"a.example.org"},
	"ipv4":      {"192.0.2.1"},
	"ipv6":      {"2001:db8::1"},
	"byte":      {"aGVsbG8=", "/+8="},
	"binary":    {"plain text"},
	"regex":     {"^a+$"},
}

func (d *Drawer) text(s map[string]any) (any, bool) {
	if pattern, ok := s["pattern"].(string); ok {
		return d.matching(pattern)
	}
	format, _ := s["format"].(string)
	if values := formats[format]; len(values) > 0 {
		return values[d.Rand.IntN(len(values))], true
	}
	v := d.Text(d.Rand)
	least, most := whole(s["minLength"], 0), whole(s["maxLength"], math.MaxInt)
	if n := utf8.RuneCountInString(v); n < least {
		v += strings.Repeat("x", min(least-n, 10_000))
	} else if n > most {
		v = string([]rune(v)[:most])
	}
	return v, true
}

func matches(pattern, s string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(s)
}

// matching draws a text that a pattern matches.
func (d *Drawer) matching(pattern string) (string, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	d.write(&b, re.Simplify())
	return b.String(), matches(pattern, b.String())
}

func (d *Drawer) write(b *strings.Builder, re *syntax.Regexp) {
	times := 1
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
		return
	case syntax.OpCharClass:
		i := 2 * d.Rand.IntN(max(1, len(re.Rune)/2))
		if len(re.Rune) > 0 {
			b.WriteRune(re.Rune[i] + d.Rand.Int32N(min(re.Rune[i+1]-re.Rune[i], 90)+1))
		}
		return
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
		return
	case syntax.OpAlternate:
		d.write(b, re.Sub[d.Rand.IntN(len(re.Sub))])
		return
	case syntax.OpStar:
		times = d.Rand.IntN(3)
	case syntax.OpPlus:
		times = 1 + d.Rand.IntN(3)
	case syntax.OpQuest:
		times = d.Rand.IntN(2)
	}
	for range times {
		for _, sub := range re.Sub {
			d.write(b, sub)
		}
	}
}
