package openapi

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// readSoon reads a document of which the cost is to grow with its length only.
func readSoon(t *testing.T, doc string, within time.Duration) *Document {
	t.Helper()
	start := time.Now()
	got := Read(Source{"x", []byte(doc)}, Options{Mode: All})
	if took := time.Since(start); took > slower*within {
		t.Errorf("took %v", took)
	}
	return got
}

// TestOptionalBodyOfManyRequiredMembers: each of them needs all the others.
func TestOptionalBodyOfManyRequiredMembers(t *testing.T) {
	const n = 1500
	var doc, required strings.Builder
	doc.WriteString("openapi: 3.1.0\npaths:\n  /a:\n    post:\n      responses: {}\n      requestBody:\n        content:\n          application/json:\n            schema:\n              type: object\n              properties:\n                extra: {type: string}\n")
	for i := range n {
		fmt.Fprintf(&doc, "                p%d: {type: string}\n", i)
		fmt.Fprintf(&required, "p%d, ", i)
	}
	fmt.Fprintf(&doc, "              required: [%s]\n", required.String())
	got := readSoon(t, doc.String(), time.Second)
	if len(got.Actions) != 1 || len(got.Actions[0].InputSchema) > 200_000 {
		t.Fatalf("%d actions, %v", len(got.Actions), got.Findings)
	}
	schema := mustCompile(t, "a", got.Actions[0].InputSchema)
	all := map[string]any{}
	if err := schema.Validate(all); err != nil {
		t.Errorf("nothing is refused: %v", err)
	}
	if err := schema.Validate(map[string]any{"extra": ""}); err == nil {
		t.Error("an optional member alone is taken")
	}
	for i := range n {
		all[fmt.Sprintf("p%d", i)] = ""
	}
	if err := schema.Validate(all); err != nil {
		t.Errorf("all is refused: %v", err)
	}
	for _, missing := range []string{"p0", "p700", "p1499"} {
		delete(all, missing)
		if err := schema.Validate(all); err == nil {
			t.Errorf("all but %s is taken", missing)
		}
		all[missing] = ""
	}
}

// TestManyReferences: each one is looked up among all that there are.
func TestManyReferences(t *testing.T) {
	var doc, groups strings.Builder
	doc.WriteString("openapi: 3.1.0\npaths: {/a: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/All'}}}}, responses: {}}}}\ncomponents:\n  schemas:\n")
	for g := range 200 {
		fmt.Fprintf(&groups, "{$ref: '#/components/schemas/G%d'}, ", g)
		fmt.Fprintf(&doc, "    G%d:\n      allOf:\n", g)
		for i := range 200 {
			fmt.Fprintf(&doc, "      - $ref: '#/components/schemas/S%d'\n", g*200+i)
		}
	}
	for i := range 40_000 {
		fmt.Fprintf(&doc, "    S%d: {type: object}\n", i)
	}
	fmt.Fprintf(&doc, "    All: {allOf: [%s]}\n", groups.String())
	if got := readSoon(t, doc.String(), 2*time.Second); len(got.Actions) != 1 {
		t.Error(got.Findings)
	}
}

// TestManyRequiredNames: those that no property describes, those that many
// parts describe, and those of a schema that stays whole.
func TestManyRequiredNames(t *testing.T) {
	const n = 40_000
	var names, properties strings.Builder
	for i := range n {
		fmt.Fprintf(&names, "p%d, ", i)
		fmt.Fprintf(&properties, "p%d: true, ", i)
	}
	for name, tt := range map[string]struct {
		schema string
		flat   bool
	}{
		"undescribed": {fmt.Sprintf("{type: object, required: [%s]}", &names), true},
		"parts":       {fmt.Sprintf("{allOf: [{properties: {%[1]s}}, {properties: {%[1]s}}]}", &properties), true},
		"whole":       {fmt.Sprintf("{minProperties: 1, required: [%s]}", &names), false},
	} {
		t.Run(name, func(t *testing.T) {
			root := parse(Source{"x", []byte(tt.schema)}, defaultMaxBytes, false, 0).root
			start := time.Now()
			f := &flattener{reader: &reader{entry: &file{root: root}}}
			if f.flat(root) != tt.flat || tt.flat && len(f.members) != n {
				t.Errorf("%d members", len(f.members))
			}
			f.schemas(input).translate(root)
			if took := time.Since(start); took > slower*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestManyMappedBranches: each has to find its values among those of all. Those
// that are told by the same values are not told apart.
func TestManyMappedBranches(t *testing.T) {
	var doc, branches, mapping strings.Builder
	doc.WriteString("openapi: 3.1.0\npaths:\n")
	for i := range 20 {
		fmt.Fprintf(&doc, "  /p%d: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/All'}}}}, responses: {}}}\n", i)
	}
	doc.WriteString("components:\n  schemas:\n")
	for i := range 1000 {
		fmt.Fprintf(&doc, "    S%d: {type: object}\n", i)
		fmt.Fprintf(&branches, "{$ref: '#/components/schemas/S%d'}, ", i)
		fmt.Fprintf(&mapping, "v%d: '#/components/schemas/S%d', w%d: S%d, ", i, i, i, i)
	}
	fmt.Fprintf(&doc, "    All: {oneOf: [%s], discriminator: {propertyName: p, mapping: {%s}}}\n", &branches, &mapping)
	got := readSoon(t, doc.String(), 3*time.Second)
	if len(got.Actions) != 20 || !strings.Contains(string(got.Actions[0].InputSchema), `"enum":["v7","w7","S7"]`) {
		t.Errorf("%d actions", len(got.Actions))
	}

	doc.Reset()
	doc.WriteString("openapi: 3.1.0\npaths: {/a: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/All'}}}}, responses: {}}}}\ncomponents:\n  schemas:\n    S: {type: object}\n    All:\n      oneOf: [")
	doc.WriteString(strings.Repeat("{$ref: '#/components/schemas/S'}, ", 1000) + "]\n      discriminator: {propertyName: p, mapping: {")
	for i := range 1000 {
		fmt.Fprintf(&doc, "v%d: S, ", i)
	}
	got = readSoon(t, doc.String()+"}}\n", 3*time.Second)
	if len(got.Actions) != 1 || len(got.Actions[0].InputSchema) > 100_000 {
		t.Errorf("%d actions, input schema of %d bytes", len(got.Actions), len(got.Actions[0].InputSchema))
	}
}

// TestManyOfOneThing: what a document has thousands of costs no more than its
// bytes do.
func TestManyOfOneThing(t *testing.T) {
	list := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	body := func(schema string) string {
		return `"/x": {"post": {"requestBody": {"content": {"application/json": {"schema": ` + schema + `}}}, "responses": {}}}`
	}
	for name, paths := range map[string]string{
		"properties":  body(`{"type": "object", "properties": {` + list(30_000, `"p%d": {"type": "string"}`) + `}}`),
		"choices":     body(`{"oneOf": [` + list(20_000, `{"type": "object", "required": ["a%d"]}`) + `]}`),
		"parameters":  `"/x": {"get": {"parameters": [` + list(5_000, `{"name": "p%d", "in": "query", "schema": {"type": "string"}}`) + `], "responses": {}}}`,
		"media types": `"/x": {"post": {"requestBody": {"content": {` + list(5_000, `"application/x%d": {"schema": {"type": "object"}}`) + `}}, "responses": {}}}`,
		"names":       list(5_000, `"/x%d": {"get": {"operationId": "same", "responses": {}}}`),
		"patterns":    body(`{"type": "object", "properties": {` + list(1_500, `"p%d": {"pattern": "^(\\p{L}{1,100}[\\p{L}\\p{N}]{1,200}){1,3}$"}`) + `}}`),
	} {
		t.Run(name, func(t *testing.T) {
			doc := readSoon(t, `{"openapi": "3.1.0", "paths": {`+paths+`}}`, 1500*time.Millisecond)
			if len(doc.Actions) != doc.Operations || doc.Operations == 0 {
				t.Errorf("%d operations, %d actions", doc.Operations, len(doc.Actions))
			}
		})
	}
}
