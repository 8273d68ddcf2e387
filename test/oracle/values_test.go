package oracle_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// texts gives every string in a value, names left out.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			out = append(out, texts(item)...)
		}
		return out
	case map[string]any:
		var out []string
		for _, member := range v {
			out = append(out, texts(member)...)
		}
		return out
	}
	return nil
}

// holds tells whether a string in the value has one of the characters.
func holds(v any, chars string) bool {
	for _, s := range texts(v) {
		if strings.ContainsAny(s, chars) {
			return true
		}
	}
	return false
}

// defined takes out of a value what RFC 6570 §2.3 calls undefined: null, and
// lists and objects of nothing; ok is false when nothing is left.
func defined(v any) (rest any, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, false
	case []any:
		out := []any{}
		for _, item := range v {
			if item, ok := defined(item); ok {
				out = append(out, item)
			}
		}
		return out, len(out) > 0
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			if member, ok := defined(member); ok {
				out[name] = member
			}
		}
		return out, len(out) > 0
	}
	return v, true
}

// decoded reads JSON with exact numbers.
func decoded(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
