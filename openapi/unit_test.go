package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
		"<!-- hidden -->shown": "shown", "<!\u200b-- hidden -->a": "a", "<!-<!--x-->- hidden -->b": "b", "s\U000E0141\U000E0142": "s", "\u3164f\uFE01": "f", "❤\uFE0F": "❤\uFE0F", "open <!-- never closed": "open", "tag\U000E0041": "tag", "bell\a": "bell",
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
}

// TestRefuseUnusable: an action that no validator takes is refused, and so are
// those that share its schema.
func TestRefuseUnusable(t *testing.T) {
	good, bad := json.RawMessage(`{"type":"object"}`), json.RawMessage(`{"type":1}`)
	d := &Document{Actions: []Action{
		{Name: "a", Operation: "GET /a", InputSchema: bad}, {Name: "b", Operation: "GET /b", InputSchema: good},
		{Name: "c", Operation: "GET /c", InputSchema: bad}, {Name: "d", Operation: "GET /d", InputSchema: good},
	}}
	d.refuseUnusable()
	if len(d.Actions) != 2 || d.Actions[0].Name != "b" || d.Actions[1].Name != "d" {
		t.Errorf("left are %v", d.Actions)
	}
	if len(d.Findings) != 2 || d.Findings[0].Operation != "GET /a" || d.Findings[1].Operation != "GET /c" || d.Findings[0].Code != "schema-invalid" {
		t.Error(d.Findings)
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
	paragraph := strings.Repeat("word ", 700) // 3500 bytes
	for _, test := range []struct{ in, end string }{
		{paragraph, "word "},
		{paragraph + "end.\n\n" + paragraph, "end. …"},
		{paragraph + "end. " + paragraph, "end. …"},
		{paragraph + paragraph, "word word …"},
		{strings.Repeat("é", 3000), "éé …"},
	} {
		r := &reader{op: "GET /x", entry: &file{}}
		got := r.short(test.in, maxArgumentText, nil)
		if cut := len(test.in) > maxArgumentText; !strings.HasSuffix(got, test.end) || len(got) > maxArgumentText+len(" …") || cut != (len(r.findings) == 1) || r.op != "GET /x" {
			t.Errorf("got %d bytes ending in %q, and %v", len(got), got[max(0, len(got)-20):], r.findings)
		}
	}
}

// TestPatternFault: what RE2 reads otherwise than ECMA-262, or what costs too
// much, is not checked.
func TestPatternFault(t *testing.T) {
	for pattern, checked := range map[string]bool{
		`^[a-z]{2,5}$`: true, `^\w+@\w+$`: true, `\\z`: true, `^[^\]]$`: true, `\p{L}{1,100}`: true,
		`^a\z$`: false, `^[^]]$`: false, `[]a]`: false, `^\a$`: false, `^[[:alpha:]]$`: false, `(?i)a`: false, `(?=x)`: false,
		`^(\p{L}{1,100}[\p{L}\p{N}]{1,200}){1,3}$`: false, `(((a{50}){50}){50}){50}`: false,
	} {
		r := &reader{patterns: map[string]error{}}
		if fault := r.patternFault(pattern); (fault == nil) != checked {
			t.Errorf("%s: %v", pattern, fault)
		}
	}
}

// TestAppendString: text is written as encoding/json writes it.
func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", `"\`, "a\nb\tc\r", "größe 世界 🎉", "\x00\x1f\x7f", "\u2028\u2029", "bad \xff utf-8", "<a href='x'>&"} {
		if got, want := string(appendString([]byte("x"), s)), "x"+string(mustJSON(s)); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}

// TestColumnsCountCharacters: in JSON and in YAML, and in text that is neither.
func TestColumnsCountCharacters(t *testing.T) {
	const text = `{"openapi": "3.1.0", "x": "größe 世界", "paths": {"/é": {"get": 1}}}`
	for name, begin := range map[string]string{"a.json": "\n", "a.yaml": "# not JSON\n"} {
		doc := Read(Source{name, []byte(begin + text)}, Options{Mode: All})
		if len(doc.Findings) != 1 || doc.Findings[0].Location != (Location{name, 2, 56}) {
			t.Errorf("%s: got %v", name, doc.Findings)
		}
	}
	if got := fmt.Sprint(Read(Source{"a.json", []byte(`{"ö": "世" x`)}, Options{}).Findings); !strings.Contains(got, "a.json:1:11: ") {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(Read(Source{"a", []byte("größe: \xff")}, Options{}).Findings); !strings.Contains(got, "a:1:8: ") {
		t.Errorf("got %s", got)
	}
}
