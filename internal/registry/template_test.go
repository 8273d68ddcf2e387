package registry

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	values := map[string]string{"a": "{b}", "b_2": "x/y é", "c-d": ""}
	for text, want := range map[string]struct{ names, filled, uri string }{
		"":                      {"", "", ""},
		"plain":                 {"", "plain", "plain"},
		"{a}":                   {"a", "{b}", "{b}"}, // alone, it is taken as it is
		"{b_2}{a}{b_2}":         {"b_2 a", "x/y é{b}x/y é", "x%2Fy%20%C3%A9%7Bb%7Dx%2Fy%20%C3%A9"},
		"[{c-d}]":               {"c-d", "[]", "[]"},
		"{{a}} {{{a}}} }} {{":   {"a", "{a} {{b}} } {", "{a} {%7Bb%7D} } {"},
		"{unknown}":             {"unknown", "", ""},
		"{\"json\": {{}}}":      {names: "!"},
		"{":                     {names: "!"},
		"}":                     {names: "!"},
		"{}":                    {names: "!"},
		"{a":                    {names: "!"},
		"{ a }":                 {names: "!"},
		"{+a}":                  {names: "!"},
		"{a}}":                  {names: "!"},
		"{{a}":                  {names: "!"},
		"{1}":                   {names: "!"},
		strings.Repeat("{", 99): {names: "!"},
	} {
		parsed, err := ParseText(text)
		if want.names == "!" {
			if err == nil {
				t.Errorf("%q was read as %q", text, parsed.Names())
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := strings.Join(parsed.Names(), " "); got != want.names {
			t.Errorf("%q: names %q", text, got)
		}
		if got := parsed.Fill(values); got != want.filled {
			t.Errorf("%q: filled in %q", text, got)
		}
		if got := parsed.FillURI(values); got != want.uri {
			t.Errorf("%q: URI %q", text, got)
		}
	}
}

func TestURITemplate(t *testing.T) {
	for _, tt := range []struct {
		template, uri string
		want          map[string]string // nil: no match
	}{
		{"tickets://{id}", "tickets://7", map[string]string{"id": "7"}},
		{"tickets://{id}", "tickets://a%2Fb%20c", map[string]string{"id": "a/b c"}},
		{"tickets://{id}", "tickets://a:b@c,d", map[string]string{"id": "a:b@c,d"}},
		{"tickets://{id}", "tickets://", nil},
		{"tickets://{id}", "tickets://a/b", nil},
		{"tickets://{id}", "tickets://a#b", nil},
		{"tickets://{id}", "tickets://a?b", nil},
		{"tickets://{id}", "tickets://%zz", nil},
		{"tickets://{id}", "tickets://%ff", nil},
		{"tickets://{id}", "tickets://a\xff", nil},
		{"tickets://{id}", "TICKETS://7", nil},
		{"tickets://{id}", "xtickets://7", nil},
		{"test://template/{id}/data", "test://template/123/data", map[string]string{"id": "123"}},
		{"test://template/{id}/data", "test://template/123/datas", nil},
		{"test://template/{id}/data", "test://template/123", nil},
		{"x:{a}.{b}", "x:1.2", map[string]string{"a": "1", "b": "2"}},
		{"x:{a}0{b}", "x:00%2010", map[string]string{"a": "0", "b": " 10"}},
		{"x:{a}%A9{b}", "x:%C3%A9%A9%C3%A9", map[string]string{"a": "é", "b": "é"}},
		{"x:{a}", "x:%C3", nil},
		{"x:a+b.c/{a}", "x:a+b.c/1", map[string]string{"a": "1"}},
		{"x:a+b.c/{a}", "x:aab_c/1", nil},
		{"x:?q={a}", "x:?q=1", map[string]string{"a": "1"}},
	} {
		parsed, err := ParseURITemplate(tt.template)
		if err != nil {
			t.Errorf("%s: %v", tt.template, err)
			continue
		}
		got, ok := parsed.Match(tt.uri)
		if ok != (tt.want != nil) || ok && !maps.Equal(got, tt.want) {
			t.Errorf("%s of %s: %v %v", tt.template, tt.uri, got, ok)
		}
	}
	for _, wrong := range []string{
		"", "docs://intro", "{id}", "/a/{id}", "tickets://{id", "tickets://{+id}", "tickets://{id*}", "tickets://{?id}",
		"tickets://{a}{b}", "tickets://{a}/{a}", "stagedoor://x/{id}", "STAGEDOOR:{id}", "a b://{id}", "tickets://{id}#x", "x:a|{id}", "x:<{id}>",
	} {
		if parsed, err := ParseURITemplate(wrong); err == nil {
			t.Errorf("%q was read as %q", wrong, parsed.Names())
		}
	}
}

// Whatever is filled into a template is found again.
func FuzzURITemplate(f *testing.F) {
	f.Add("tickets://{id}/{x}", "a/b", "..")
	f.Add("x:{a}-{b}", "é\x00", "%2F")
	f.Fuzz(func(t *testing.T, template, one, two string) {
		parsed, err := ParseURITemplate(template)
		if err != nil || one == "" || two == "" || !utf8.ValidString(template+one) || !utf8.ValidString(two) {
			return
		}
		values := map[string]string{}
		for i, name := range parsed.Names() {
			values[name] = []string{one, two}[i%2]
		}
		uri := parsed.text.fill(func(name string) string { return escapeValue(values[name]) })
		got, ok := parsed.Match(uri)
		if !ok {
			t.Fatalf("%q does not match its own %q", template, uri)
		}
		refilled := parsed.text.fill(func(name string) string { return escapeValue(got[name]) })
		if refilled != uri { // where a literal is in a value, another split is as good
			t.Errorf("%q: %q became %q", template, uri, refilled)
		}
	})
}

// A text without names says what strings.NewReplacer says; filled in with their
// own names in braces, one with names does, too.
func FuzzText(f *testing.F) {
	f.Add("a {b} {{c}}")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := ParseText(text)
		if err != nil {
			return
		}
		values := map[string]string{}
		for _, name := range parsed.Names() {
			values[name] = "{" + name + "}"
		}
		if got, want := parsed.Fill(values), strings.NewReplacer("{{", "{", "}}", "}").Replace(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	})
}
