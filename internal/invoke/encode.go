package invoke

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The functions here serialise values by OpenAPI's styles (3.1 §4.8.12.4),
// which follow RFC 6570. Values are those of encoding/json with json.Number.
// Members of objects go out in alphabetical order.

// escaper percent-encodes a string for the place it goes to.
type escaper func(string) string

const upperHex = "0123456789ABCDEF"

func percentEncode(s string, keep func(byte) bool) string {
	clean := true
	for i := range len(s) {
		if !keep(s[i]) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := range len(s) {
		if c := s[i]; keep(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

// escape keeps RFC 3986's unreserved characters only.
func escape(s string) string { return percentEncode(s, isUnreserved) }

// triple is a byte that is percent-encoded already.
var triple = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// escapeReserved also keeps triples, and the reserved characters that cannot
// end or split a query (OpenAPI 3.1.1 §4.8.12.2.2, allowReserved).
func escapeReserved(s string) string {
	return keepTriples(s, isReserved, func(string) bool { return true })
}

// keepTriples encodes what is not kept, and leaves the triples that fit as they are.
func keepTriples(s string, keep func(byte) bool, fits func(triple string) bool) string {
	var b strings.Builder
	last := 0
	for _, at := range append(triple.FindAllStringIndex(s, -1), []int{len(s), len(s)}) {
		if at[0] < len(s) && !fits(s[at[0]:at[1]]) {
			continue
		}
		b.WriteString(percentEncode(s[last:at[0]], keep))
		b.WriteString(s[at[0]:at[1]])
		last = at[1]
	}
	return b.String()
}

func isReserved(c byte) bool {
	return isUnreserved(c) || strings.IndexByte(":/?@!$'()*,;=", c) >= 0
}

// escapeSegment keeps the reserved characters and triples that a path segment
// has (RFC 3986 §3.3): none that would begin another segment, the query or the
// fragment.
func escapeSegment(s string) string {
	return keepTriples(s, func(c byte) bool { return isUnreserved(c) || strings.IndexByte(":@!$&'()*+,;=", c) >= 0 }, func(triple string) bool {
		return !slices.Contains([]string{"%2F", "%5C", "%00"}, strings.ToUpper(triple))
	})
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// scalar is a value as text; what has no form of its own in a style (an object
// inside a list, say) goes as JSON.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	case nil:
		return "null"
	}
	text, err := marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// integers writes integers, or those in a list, without fraction and exponent.
func integers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return plainInteger(v)
	case []any:
		out := slices.Clone(v)
		for i, item := range out {
			if n, ok := item.(json.Number); ok {
				out[i] = plainInteger(n)
			}
		}
		return out
	}
	return v
}

func plainInteger(n json.Number) json.Number {
	_, exponent, _ := strings.Cut(strings.ToLower(n.String()), "e")
	e, err := strconv.Atoi(cmp.Or(exponent, "0"))
	if !strings.ContainsAny(n.String(), ".eE") || err != nil || e < -400 || e > 400 {
		return n
	}
	var r big.Rat
	if _, ok := r.SetString(n.String()); !ok || !r.IsInt() {
		return n
	}
	return json.Number(r.Num().String())
}

// escapedList is a list's members, or an object's names and values, escaped.
// joiner stands between an object's name and value.
func escapedList(v any, esc escaper, joiner string) []string {
	switch v := v.(type) {
	case []any:
		out := make([]string, 0, len(v))
		for _, item := range v {
			if item != nil {
				out = append(out, esc(scalar(item)))
			}
		}
		return out
	case map[string]any:
		out := make([]string, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if v[k] != nil {
				out = append(out, escapeName(k, esc)+joiner+esc(scalar(v[k])))
			}
		}
		return out
	}
	return []string{esc(scalar(v))}
}

// escapeName keeps a name from ending early, whatever esc lets through.
func escapeName(name string, esc escaper) string {
	return strings.ReplaceAll(esc(name), "=", "%3D")
}

// isEmpty tells the values that RFC 6570 §2.3 calls undefined: null, and lists
// and objects with nothing else in them.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return item != nil })
	case map[string]any:
		for _, member := range v {
			if member != nil {
				return false
			}
		}
		return true
	}
	return false
}

// pathValue serialises a path parameter: simple, label or matrix.
func pathValue(name, style string, explode bool, v any, esc escaper) string {
	_, isObject := v.(map[string]any)
	_, isList := v.([]any)
	joiner := ","
	if explode {
		joiner = "="
	}
	parts := escapedList(v, esc, joiner)
	switch style {
	case "label":
		separator := ","
		if explode {
			separator = "."
		}
		return "." + strings.Join(parts, separator)
	case "matrix":
		switch {
		case explode && isList:
			for i, part := range parts {
				parts[i] = escape(name) + "=" + part
			}
		case !explode || !isObject:
			parts = []string{escape(name) + "=" + strings.Join(parts, ",")}
		}
		for i, part := range parts {
			parts[i] = strings.TrimSuffix(part, "=") // nothing stands for empty (RFC 6570 §3.2.7)
		}
		return ";" + strings.Join(parts, ";")
	}
	return strings.Join(parts, delimiter(style, escape))
}

// delimiter stands between the members of a list that is not exploded.
func delimiter(style string, esc escaper) string {
	switch style {
	case "spaceDelimited":
		return esc(" ")
	case "pipeDelimited":
		return esc("|")
	case "tabDelimited":
		return esc("\t")
	}
	return ","
}

// queryPairs serialises a query parameter, or a form field, as name=value
// pairs that are ready to be joined with "&".
func queryPairs(name, style string, explode bool, v any, esc escaper) []string {
	key := escapeName(name, esc)
	_, isObject := v.(map[string]any)
	_, isList := v.([]any)
	switch {
	case isEmpty(v):
		return nil
	case !isObject && !isList:
		return []string{key + "=" + esc(scalar(v))}
	case style == "deepObject":
		return deepObject(nil, key, v, esc)
	case !explode:
		between := delimiter(style, escape)
		return []string{key + "=" + strings.Join(escapedList(v, esc, between), between)}
	case isObject:
		return escapedList(v, esc, "=")
	}
	pairs := escapedList(v, esc, "")
	for i, p := range pairs {
		pairs[i] = key + "=" + p
	}
	return pairs
}

// deepObject writes color[R]=100. Deeper members OpenAPI leaves open; they get
// one more pair of brackets each, with the position for a list's: the form that
// keeps a list of one and a list of objects apart from all else, and that most
// servers and clients which know brackets agree on.
func deepObject(pairs []string, key string, v any, esc escaper) []string {
	switch v := v.(type) {
	case nil:
		return pairs
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			pairs = deepObject(pairs, key+"%5B"+escapeName(k, esc)+"%5D", v[k], esc)
		}
		return pairs
	case []any:
		position := 0
		for _, item := range v {
			if more := deepObject(pairs, key+"%5B"+strconv.Itoa(position)+"%5D", item, esc); len(more) > len(pairs) {
				pairs, position = more, position+1 // no gaps: servers differ on what they mean
			}
		}
		return pairs
	}
	return append(pairs, key+"="+esc(scalar(v)))
}

// headerValue serialises a header parameter: unescaped.
func headerValue(style string, explode bool, v any) string {
	joiner := ","
	if explode {
		joiner = "="
	}
	plain := func(s string) string { return s }
	return strings.Join(escapedList(v, plain, joiner), delimiter(style, plain))
}
