package oracle_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/test/draw"
)

// ownCalls draws from testdata/*.yaml: bodies of every media type, and what
// real documents seldom have.
func (n *counts) ownCalls(t *testing.T, r *rand.Rand) []*call {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no documents", err)
	}
	var calls []*call
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			calls = append(calls, n.documentCalls(t, r, filepath.Base(file), data)...)
		}
	}
	return calls
}

// matrixCalls draws for each cell of the matrix.
func matrixCalls(t *testing.T, draws int) []*call {
	t.Helper()
	client, doc := builder(t), tree(t, document())
	r := rand.New(rand.NewPCG(3, 4))
	all := matrix(t)
	var calls []*call
	for _, c := range cells() {
		path := strings.TrimPrefix(all[c].Operation, "GET ")
		for range draws {
			v := drawColor(r, c.kind)
			if made := prepare(t, client, all[c], alone(doc, path, "get"), map[string]any{"color": v}); made != nil && exactInJavaScript(v) {
				made.cell = &c
				calls = append(calls, made)
			}
		}
	}
	return calls
}

// exactInJavaScript tells values whose numbers survive there.
func exactInJavaScript(v any) bool {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return false
		}
		text, err := json.Marshal(f)
		return err == nil && string(text) == v.String() && f > -(1<<53) && f < 1<<53
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !exactInJavaScript(item) })
	case map[string]any:
		for _, member := range v {
			if !exactInJavaScript(member) {
				return false
			}
		}
	}
	return true
}

// corpusCalls draws from every real document below STAGEDOOR_CORPUS.
func (n *counts) corpusCalls(t *testing.T, r *rand.Rand) []*call {
	t.Helper()
	var calls []*call
	for _, file := range corpus(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if head := data[:min(len(data), 20_000)]; bytes.Contains(head, []byte("openapi")) || bytes.Contains(head, []byte("swagger")) {
			calls = append(calls, n.documentCalls(t, r, filepath.Base(file), data)...)
		}
	}
	return calls
}

// documentCalls draws arguments for every action of a document.
func (n *counts) documentCalls(t *testing.T, r *rand.Rand, name string, data []byte) []*call {
	t.Helper()
	doc := tree(t, data)
	if doc == nil {
		return nil
	}
	client := builder(t)
	_, read := actions(t, openapi.Source{Name: name, Data: data})
	n.documents++
	n.operations += read.Operations
	var calls []*call
	for i := range read.Actions {
		a := &read.Actions[i]
		n.actions++
		method, path, _ := strings.Cut(a.Operation, " ")
		spec, of, drawn := alone(doc, path, strings.ToLower(method)), argumentsOf(t, a), false
		for i, optional := range []float64{0, 1, 0.5, 0.3, 0.5, 1} {
			values, ok := of.draw(r, optional, i > 2)
			if !ok || !exactInJavaScript(values) {
				continue
			}
			if made := prepare(t, client, a, spec, values); made != nil {
				calls, drawn = append(calls, made), true
			}
		}
		if !drawn {
			n.undrawn++
			t.Logf("%s %s: nothing was drawn", name, a.Operation)
		}
	}
	return calls
}

// arguments draws what fits an action's input schema.
type arguments struct {
	schema any
	valid  *jsonschema.Schema
	body   *openapi.Body
}

func argumentsOf(t *testing.T, a *openapi.Action) arguments {
	t.Helper()
	schema := decoded(t, a.InputSchema)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("mem:///input", schema); err != nil {
		t.Fatal(err)
	}
	valid, err := compiler.Compile("mem:///input")
	if err != nil {
		t.Fatalf("%s: %v", a.Operation, err)
	}
	return arguments{schema, valid, a.Request.Body}
}

func (of arguments) draw(r *rand.Rand, optional float64, wild bool) (map[string]any, bool) {
	d := draw.Drawer{Rand: r, Root: of.schema, Optional: optional, Text: func(r *rand.Rand) string {
		if wild {
			return drawString(r)
		}
		return []string{"blue", "a-b_c.d~e", "two words", "7", "é"}[r.IntN(5)]
	}}
	for range 8 {
		v, ok := d.Value(of.schema)
		object, isObject := v.(map[string]any)
		if !ok || !isObject {
			continue
		}
		putFiles(r, of.body, object)
		if of.valid.Validate(v) == nil {
			return object, true
		}
	}
	return nil, false
}
