// Package oracle_test holds the requests that we build against programs that
// we did not write: what oapi-codegen's runtime reads back from them, and what
// swagger-client would have sent in their place. docs/conformance.md is written
// from here.
package oracle_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/openapi"
)

// cell is one field of the matrix: where a parameter called "color" travels,
// how it is written, and what it is.
type cell struct {
	in       string
	style    string // "content": described by application/json instead
	explode  bool
	kind     string
	reserved bool // allowReserved
}

// The schemas of the matrix. Objects have members of one level, save "nested".
var kinds = map[string]string{
	"string":   `{"type":"string"}`,
	"integer":  `{"type":"integer"}`,
	"number":   `{"type":"number"}`,
	"boolean":  `{"type":"boolean"}`,
	"array":    `{"type":"array","items":{"type":"string"}}`,
	"integers": `{"type":"array","items":{"type":"integer"}}`,
	"object":   `{"type":"object","properties":{"R":{"type":"string"},"G":{"type":"string"},"B":{"type":"string"}}}`,
	"nested": `{"type":"object","properties":{"name":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},` +
		`"size":{"type":"object","properties":{"w":{"type":"integer"},"h":{"type":"integer"}}},` +
		`"parts":{"type":"array","items":{"type":"object","properties":{"w":{"type":"integer"},"h":{"type":"integer"}}}}}}`,
}

// cells is the whole matrix, in the order of OpenAPI's table of styles. Where
// the table says n/a nothing is listed, save the exploded delimited lists,
// which all take for form.
func cells() []cell {
	var out []cell
	add := func(in, style string, explodes []bool, kinds ...string) {
		for _, explode := range explodes {
			for _, kind := range kinds {
				out = append(out, cell{in: in, style: style, explode: explode, kind: kind})
			}
		}
	}
	both, never, always := []bool{false, true}, []bool{false}, []bool{true}
	all := []string{"string", "integer", "number", "boolean", "array", "integers", "object"}
	for _, style := range []string{"simple", "label", "matrix"} {
		add("path", style, both, all...)
	}
	add("path", "content", never, "nested")
	add("query", "form", both, all...)
	add("query", "spaceDelimited", both, "array", "integers")
	add("query", "spaceDelimited", never, "object")
	add("query", "pipeDelimited", both, "array", "integers")
	add("query", "pipeDelimited", never, "object")
	add("query", "deepObject", always, "object", "nested")
	for _, kind := range []string{"string", "array", "object"} {
		out = append(out, cell{"query", "form", true, kind, true})
	}
	add("query", "content", never, "nested", "array")
	add("header", "simple", both, all...)
	add("header", "content", never, "nested")
	add("cookie", "form", both, all...)
	add("cookie", "content", never, "nested")
	return out
}

func (c cell) name() string {
	parts := []string{c.in, c.style}
	if c.explode {
		parts = append(parts, "explode")
	}
	if c.reserved {
		parts = append(parts, "reserved")
	}
	return strings.Join(append(parts, c.kind), "-")
}

// document describes one operation for each cell.
func document() []byte {
	var paths []string
	for _, c := range cells() {
		path := "/" + c.name()
		if c.in == "path" {
			path += "/{color}/end"
		}
		how := fmt.Sprintf(`"style":%q,"explode":%v,"schema":%s`, c.style, c.explode, kinds[c.kind])
		if c.style == "content" {
			how = fmt.Sprintf(`"content":{"application/json":{"schema":%s}}`, kinds[c.kind])
		}
		if c.reserved {
			how += `,"allowReserved":true`
		}
		paths = append(paths, fmt.Sprintf(
			`%q:{"get":{"operationId":%q,"parameters":[{"name":"color","in":%q,"required":true,%s}],"responses":{"200":{"description":"Done."}}}}`,
			path, c.name(), c.in, how))
	}
	return []byte(`{"openapi":"3.1.1","info":{"title":"Matrix","version":"1"},"paths":{` + strings.Join(paths, ",\n") + `}}`)
}

// actions reads a document and gives its actions by operation.
func actions(t testing.TB, src openapi.Source) (byOperation map[string]*openapi.Action, doc *openapi.Document) {
	t.Helper()
	doc = openapi.Read(src, openapi.Options{Mode: openapi.All})
	byOperation = map[string]*openapi.Action{}
	for i := range doc.Actions {
		byOperation[doc.Actions[i].Operation] = &doc.Actions[i]
	}
	return byOperation, doc
}

// matrix gives the action of each cell.
func matrix(t testing.TB) map[cell]*openapi.Action {
	t.Helper()
	byOperation, doc := actions(t, openapi.Source{Name: "matrix.json", Data: document()})
	out := map[cell]*openapi.Action{}
	for _, c := range cells() {
		for operation, a := range byOperation {
			if path, _, _ := strings.Cut(strings.TrimPrefix(operation, "GET /"), "/"); path == c.name() {
				out[c] = a
			}
		}
		if out[c] == nil {
			t.Fatalf("%s is no action: %v", c.name(), doc.Findings)
		}
	}
	return out
}

// builder builds requests; it never sends them.
func builder(t testing.TB) *invoke.Client {
	t.Helper()
	client, err := invoke.New(invoke.Options{BaseURL: "http://plugin.test/base"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// build gives the request of an action, or nil for arguments that no request
// can carry.
func build(t testing.TB, client *invoke.Client, a *openapi.Action, arguments map[string]any) *http.Request {
	t.Helper()
	req, err := client.Request(context.Background(), a, arguments)
	var refused *invoke.Error
	if errors.As(err, &refused) && refused.Kind == invoke.InvalidArguments {
		return nil
	}
	if err != nil {
		t.Fatalf("%s %v: %v", a.Operation, arguments, err)
	}
	return req
}

// The pieces of drawn strings: what has a meaning in some place of a request,
// and what has none.
var pieces = []string{
	"a", "Z", "7", "blue", "-", "_", "~", ".", "..", " ", "  ", "+", "%", "%2F", "%41", "&", "=", "?", "#", "/", "\\", ":", ";", ",",
	"|", "[", "]", "{", "}", "(", ")", "'", `"`, "<", ">", "@", "!", "$", "*", "^", "`", "é", "日本", "🎭", "\u200b", "\t", "\n", "\x00", "true", "null", "1.0",
}

func drawString(r *rand.Rand) string {
	if r.IntN(8) == 0 {
		return ""
	}
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// drawColor draws a value of a cell.
func drawColor(r *rand.Rand, kind string) any {
	list := func(item func() any) any {
		out := []any{}
		for range r.IntN(4) {
			out = append(out, item())
		}
		return out
	}
	members := func(of map[string]func() any) any {
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(of)) {
			if r.IntN(4) > 0 {
				out[name] = of[name]()
			}
		}
		return out
	}
	text := func() any { return drawString(r) }
	integer := func() any {
		return json.Number(strconv.FormatInt(r.Int64()>>r.IntN(63)*int64(1-2*r.IntN(2)), 10))
	}
	size := func() any { return members(map[string]func() any{"w": integer, "h": integer}) }
	switch kind {
	case "integer":
		return integer()
	case "number":
		return json.Number(strconv.FormatFloat((r.Float64()-0.5)*[]float64{1, 1000, 1e21, 1e-9}[r.IntN(4)], 'g', 1+r.IntN(15), 64))
	case "boolean":
		return r.IntN(2) == 0
	case "array":
		return list(text)
	case "integers":
		return list(integer)
	case "object":
		return members(map[string]func() any{"R": text, "G": text, "B": text})
	case "nested":
		return members(map[string]func() any{
			"name": text, "tags": func() any { return list(text) }, "size": size, "parts": func() any { return list(size) },
		})
	}
	return text()
}

// smaller gives values that are a little less than v, for telling what of it
// matters.
func smaller(v any) []any {
	var out []any
	switch v := v.(type) {
	case string:
		runes := []rune(v)
		for i := range runes {
			out = append(out, string(slices.Delete(slices.Clone(runes), i, i+1)))
		}
	case []any:
		for i := range v {
			out = append(out, slices.Delete(slices.Clone(v), i, i+1))
			for _, item := range smaller(v[i]) {
				replaced := slices.Clone(v)
				replaced[i] = item
				out = append(out, replaced)
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			less := maps.Clone(v)
			delete(less, name)
			out = append(out, less)
			for _, member := range smaller(v[name]) {
				replaced := maps.Clone(v)
				replaced[name] = member
				out = append(out, replaced)
			}
		}
	}
	return out
}

// shrink gives the smallest value that still fails.
func shrink(v any, fails func(any) bool) any {
	for {
		i := slices.IndexFunc(smaller(v), fails)
		if i < 0 {
			return v
		}
		v = smaller(v)[i]
	}
}
