package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// TestFingerprint: the same arguments have the same fingerprint, however they
// are written, and others another.
func TestFingerprint(t *testing.T) {
	f := newFingerprinter([]byte("key"))
	groups := [][]string{
		{`{}`, " {\n} "},
		{`{"a":1,"b":[true,null]}`, `{ "b" : [ true , null ], "a" : 1.0 }`, `{"\u0061":10e-1,"b":[true,null]}`, `{"a":0.1E1,"b":[true,null]}`},
		{`{"a":1,"b":[null,true]}`},
		{`{"a":"1"}`}, {`{"a":1}`}, {`{"a":-1}`}, {`{"a":11}`}, {`{"a":0}`, `{"a":-0}`, `{"a":0e5}`, `{"a":0.00}`},
		{`{"a":100}`, `{"a":1e2}`, `{"a":1E+02}`, `{"a":100.0}`}, {`{"a":0.001}`, `{"a":1e-3}`},
		{`{"a":9007199254740993}`}, {`{"a":9007199254740992}`}, {`{"a":1e999999999999999999}`}, {`{"a":1e999999999999999998}`},
		{`{"a":"é\n\"\\/"}`, `{"a":"\u00e9\u000a\u0022\u005c\/"}`, `{"a":"\u00E9\n\"\\/"}`},
		{`{"a":{"c":{"z":1,"y":2},"b":3}}`, `{"a":{"b":3,"c":{"y":2,"z":1}}}`},
		{`{"ab":1,"a":2}`, `{"a":2,"ab":1}`}, {`{"a":"😀"}`, `{"a":"\ud83d\ude00"}`},
		{`not json`}, {``}, {`{"a":1}x`}, {`{"a"`}, {`[1,2]`}, {`[12]`},
	}
	seen := map[string]int{}
	for i, group := range groups {
		for _, text := range group {
			got := f.of([]byte(text))
			if len(got) != 16 || f.of([]byte(text)) != got {
				t.Errorf("%s: %s", text, got)
			}
			if before, ok := seen[got]; ok && before != i {
				t.Errorf("%s is like %s", text, groups[before][0])
			}
			seen[got] = i
		}
		first := f.of([]byte(group[0]))
		for _, text := range group[1:] {
			if f.of([]byte(text)) != first {
				a, _ := canonical(nil, []byte(group[0]))
				b, _ := canonical(nil, []byte(text))
				t.Errorf("%s is unlike %s: %s, %s", text, group[0], b, a)
			}
		}
	}
	if newFingerprinter([]byte("other")).of([]byte(`{}`)) == f.of([]byte(`{}`)) {
		t.Error("the key makes no difference")
	}
}

// FuzzCanonical: the canonical form is JSON of the same value, is its own
// canonical form, and does not depend on the order of members.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2.50,-0e3,"x\u0000\ud800"],"b":{"a":null},"":false}`, `{"a":1,"a":2}`, `[`, `{"a" 1}`, "\"\xff\"", `1e5`, `--1`, `.5`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form, ok := canonical(nil, []byte(text))
		if !json.Valid([]byte(text)) {
			return // no promise but to come back
		}
		if !ok {
			if strings.Count(text, "[")+strings.Count(text, "{") < maxDepth {
				t.Fatalf("%q is JSON", text)
			}
			return
		}
		if !json.Valid(form) && !strings.Contains(text, "\xff") {
			t.Fatalf("%q became %q", text, form)
		}
		again, ok := canonical(nil, form)
		if !ok || !bytes.Equal(again, form) {
			t.Fatalf("%q became %q and then %q", text, form, again)
		}
		if was, is := decoded(text), decoded(string(form)); !reflect.DeepEqual(was, is) {
			t.Fatalf("%q became %q: %v, %v", text, form, was, is)
		}
	})
}

// decoded is a value with numbers as floats, where they are few enough digits.
func decoded(text string) (v any) {
	_ = json.Unmarshal([]byte(text), &v)
	return v
}

// TestCanonicalOfAnyOrder shuffles members at all depths.
func TestCanonicalOfAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var write func(depth int) string
	write = func(depth int) string {
		names := r.Perm(12)
		var members []string
		for _, n := range names {
			value := fmt.Sprint(n)
			if depth > 0 && n < 3 {
				value = write(depth - 1)
			}
			members = append(members, fmt.Sprintf(`"n%d":%s`, n, value))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	first, _ := canonical(nil, []byte(write(2)))
	for range 50 {
		if got, ok := canonical(nil, []byte(write(2))); !ok || !bytes.Equal(got, first) {
			t.Fatalf("got %s, want %s", got, first)
		}
	}
}

func TestRedact(t *testing.T) {
	const schema = `{"type":"object","properties":{
		"answer":{"type":"string","writeOnly":true},
		"phrase":{"type":"string","format":"password"},
		"list":{"type":"array","items":{"$ref":"#/$defs/entry"}},
		"either":{"anyOf":[{"type":"null"},{"allOf":[{"$ref":"#/$defs/entry"}]}]},
		"pair":{"prefixItems":[{"type":"string"},{"type":"string","writeOnly":true}]},
		"any":{"additionalProperties":{"format":"password"}}},
		"patternProperties":{"^x-":{"writeOnly":true}},
		"$defs":{"entry":{"properties":{"inner":{"format":"password"},"next":{"$ref":"#/$defs/entry"}}},"loop":{"$ref":"#/$defs/loop"}}}`
	for _, test := range []struct{ name, arguments, want string }{
		{"nothing", `{}`, `{}`},
		{"plain", `{"b":1.50,"a":"x<y","c":[true,null]}`, `{"a":"x<y","b":1.50,"c":[true,null]}`},
		{"name", `{"password":"k","headers":{"X-Api-Key":["k"],"accept":"a"},"authToken":{"v":"k"}}`, `{"authToken":"[redacted]","headers":{"X-Api-Key":"[redacted]","accept":"a"},"password":"[redacted]"}`},
		{"write only", `{"answer":"k"}`, `{"answer":"[redacted]"}`},
		{"write only, and no string", `{"answer":{"k":"k"}}`, `{"answer":"[redacted]"}`},
		{"format", `{"phrase":"k"}`, `{"phrase":"[redacted]"}`},
		{"reference", `{"list":[{"inner":"k","next":{"inner":"k","x":1}}]}`, `{"list":[{"inner":"[redacted]","next":{"inner":"[redacted]","x":1}}]}`},
		{"union", `{"either":{"inner":"k"}}`, `{"either":{"inner":"[redacted]"}}`},
		{"prefix", `{"pair":["a","k"]}`, `{"pair":["a","[redacted]"]}`},
		{"additional", `{"any":{"one":"k"}}`, `{"any":{"one":"[redacted]"}}`},
		{"pattern", `{"x-a":"k"}`, `{"x-a":"[redacted]"}`},
		{"no JSON", `{"a":`, ``},
		{"long text", `{"a":"` + strings.Repeat("é", 200) + `"}`, `{"a":"` + strings.Repeat("é", 128) + `…"}`},
		{"terminal", `{"a":"\u001b[31m"}`, `{"a":"\u001b[31m"}`},
	} {
		if got := redact([]byte(test.arguments), []byte(schema)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
	if got := redact([]byte(`{"a":1,"token":"k"}`), []byte(`{"$ref":"#/$defs/loop","$defs":{"loop":{"allOf":[{"$ref":"#/$defs/loop"}]}}}`)); got != `{"a":1,"token":"[redacted]"}` {
		t.Errorf("of a schema that is about itself: %s", got)
	}
}

// TestRedactedIsBounded: whatever comes, what is kept is JSON of at most 4 KiB.
func TestRedactedIsBounded(t *testing.T) {
	many, deep := `{"a":0`, strings.Repeat(`{"a":[`, 500)+"1"+strings.Repeat(`]}`, 500)
	for i := range 5000 {
		many += fmt.Sprintf(`,"name%d":"value"`, i)
	}
	for name, arguments := range map[string]string{
		"many members": many + "}",
		"many items":   `{"a":[` + strings.Repeat(`"x",`, 9000) + `1]}`,
		"deep":         deep,
		"long name":    `{"` + strings.Repeat("x", 9000) + `":1}`,
		"long number":  `{"a":` + strings.Repeat("1", 9000) + `}`,
		"escapes":      `{"a":["` + strings.Repeat(strings.Repeat(`\u0001`, 200)+`","`, 50) + `"]}`,
		"separators":   `{"a":["` + strings.Repeat(strings.Repeat("\u2028", 80)+`","`, 50) + `"]}`,
		"names":        `{"` + strings.Repeat(`\u0001`, 250) + `":1,"` + strings.Repeat(`\u0002`, 250) + `":{"` + strings.Repeat(`\u0003`, 250) + `":1}}`,
		"empty":        `{"a":[` + strings.Repeat(`{},`, 9000) + `{}]}`,
		"empty lists":  `{"a":[` + strings.Repeat(`[],`, 9000) + `[]]}`,
	} {
		got := redact([]byte(arguments), nil)
		if !json.Valid([]byte(got)) || len(got) > maxArguments {
			t.Errorf("%s: %d bytes, valid %v", name, len(got), json.Valid([]byte(got)))
		}
	}
}

func BenchmarkFingerprint(b *testing.B) {
	f, arguments := newFingerprinter([]byte("key")), []byte(`{"kind":"Component","filter":{"owner":"team-a"},"limit":20}`)
	b.ReportAllocs()
	for b.Loop() {
		f.of(arguments)
	}
}
