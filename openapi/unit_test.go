package openapi

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestKebab(t *testing.T) {
	for in, want := range map[string]string{
		"getEntityByName": "get-entity-by-name", "GetHTTPServer": "get-http-server", "list_pets": "list-pets",
		"repos/create-fork": "repos-create-fork", "GET /pets/{id}": "get-pets-id", "v2API": "v2-api",
		"日本": "", "": "", "---": "", "A": "a", strings.Repeat("ab", 40): strings.Repeat("ab", 27) + "a-a8a0b75e",
	} {
		if got := kebab(in); got != want {
			t.Errorf("kebab(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCleanText(t *testing.T) {
	for in, want := range map[string]string{
		"  plain \n": "plain", "a\r\nb": "a\nb", "zero\u200bwidth\ufeff": "zerowidth", "bidi\u202e\u2066": "bidi",
		"<!-- hidden -->shown": "shown", "open <!-- never closed": "open", "tag\U000E0041": "tag", "bell\a": "bell",
		"**bold** `code` <b>html</b>": "**bold** `code` <b>html</b>", "émoji 🎭": "émoji 🎭", "line\u2028sep": "linesep",
	} {
		if got := cleanText(in); got != want {
			t.Errorf("cleanText(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"path.id": "path.id", "query.filter[a.b]": "query.filter[a.b]", "header.X-A": "header.X-A", "body": "body", "body.a.b": "body.a.b",
	} {
		if got, err := parseTarget(in); err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "id", "path", "path.", "body.", "body..a", "form.x", "Body.a"} {
		if got, err := parseTarget(bad); err == nil {
			t.Errorf("%q was taken as %v", bad, got)
		}
	}
}

func TestQuery(t *testing.T) {
	run := func(source string, input any) (any, error) {
		q, err := compileQuery(source)
		if err != nil {
			t.Fatal(err)
		}
		return q.Run(context.Background(), input, map[string]any{"n": 1}, 201)
	}
	for source, want := range map[string]any{
		".a": "b", "empty": nil, "null": nil, "$arguments.n": 1, "$status": 201, "halt": nil,
		`"a: [1]" | fromyaml | .a | length`: 1, `try ("a: [" | fromyaml) catch "no"`: "no", `try (1 | fromyaml) catch "no"`: "no",
		`try ("" | fromyaml) catch "no"`:              "no",
		`try ("a: 1\na: 2" | fromyaml) catch "twice"`: "twice", `env | length`: 0, `$ENV | length`: 0,
	} {
		if got, err := run(source, map[string]any{"a": "b"}); err != nil || got != want {
			t.Errorf("%s: got %#v, %v, want %#v", source, got, err, want)
		}
	}
	_, err := run(`error("say this")`, nil)
	var said *QueryError
	if !errors.As(err, &said) || said.Message != "say this" {
		t.Errorf("got %v", err)
	}
	if _, err = run(`.a.b.c`, map[string]any{"a": 1}); err == nil || errors.As(err, &said) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q, err := compileQuery(`last(range(1; infinite))`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Run(ctx, nil, nil, 0); err == nil {
		t.Error("an endless program outlives its context")
	}
	for _, bad := range []string{".a |", "input", "import \"x\" as x; .", "nosuch(1)"} {
		if _, err := compileQuery(bad); err == nil {
			t.Errorf("%q compiles", bad)
		}
	}
}

func TestCompiles(t *testing.T) {
	for _, good := range []string{`true`, `{}`, `{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}`} {
		if err := compiles([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{`{`, `1`, `{"type":"text"}`, `{"multipleOf":0}`, `{"$ref":"#/$defs/a"}`, `{"$ref":"file:///etc/passwd"}`} {
		if compiles([]byte(bad)) == nil {
			t.Errorf("%s compiles", bad)
		}
	}
	r := &reader{op: "GET /a", entry: &file{name: "x"}}
	o := &operation{}
	if r.usable(o, []byte(`{"type":1}`)) || len(r.findings) != 1 || r.findings[0].Operation != "GET /a" {
		t.Error(r.findings)
	}
}

// FuzzFromYAML: whatever text a caller gives a program, it gets a value or an
// error.
func FuzzFromYAML(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: 1\na: 2", "&a [*a]", "a: &x {b: 1}\nc: *x\n<<: *x", "", "\t", "- .inf", "? [a]\n: b", "1e999999999"} {
		f.Add(seed)
	}
	q, err := compileQuery("fromyaml | tojson | length")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := q.Run(t.Context(), text, nil, 0)
		if got == nil && err == nil {
			t.Error("neither value nor error")
		}
	})
}

// TestShort: what is too long is cut where a reader would, and a finding says so.
func TestShort(t *testing.T) {
	paragraph := strings.Repeat("word ", 350) // 1750 bytes
	for _, test := range []struct{ in, end string }{
		{paragraph, "word "},
		{paragraph + "end.\n\n" + paragraph, "end. …"},
		{paragraph + "end. " + paragraph, "end. …"},
		{paragraph + paragraph, "word word …"},
		{strings.Repeat("é", 1500), "éé …"},
	} {
		r := &reader{op: "GET /x", entry: &file{}}
		got := r.short(test.in, maxArgumentText, nil)
		if cut := len(test.in) > maxArgumentText; !strings.HasSuffix(got, test.end) || len(got) > maxArgumentText+len(" …") || cut != (len(r.findings) == 1) || r.op != "GET /x" {
			t.Errorf("got %d bytes ending in %q, and %v", len(got), got[max(0, len(got)-20):], r.findings)
		}
	}
}
