package actionsapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/specs"
)

func TestInline(t *testing.T) {
	large := `"properties":{"p0":{}`
	for i := range maxInlined {
		large += fmt.Sprintf(`,"p%d":{}`, i+1)
	}
	large += "}"
	for name, tt := range map[string]struct{ schema, want string }{
		"nothing to do": {`{"type":"object","properties":{"a":{"type":"string"}}}`, `{"type":"object","properties":{"a":{"type":"string"}}}`},
		"root":          {`{"$ref":"#/$defs/A","$defs":{"A":{"type":"object"}}}`, `{"type":"object"}`},
		"chain": {
			`{"items":{"$ref":"#/$defs/A"},"$defs":{"A":{"$ref":"#/$defs/B"},"B":{"type":"string"}}}`,
			`{"items":{"type":"string"}}`,
		},
		"what is said beside it counts more": {
			`{"items":{"description":"mine","$ref":"#/$defs/A"},"$defs":{"A":{"description":"theirs","type":"string"}}}`,
			`{"items":{"type":"string","description":"mine"}}`,
		},
		"more than annotations beside it": {
			`{"items":{"minLength":1,"$ref":"#/$defs/A"},"$defs":{"A":{"type":"string"}}}`,
			`{"items":{"minLength":1,"$ref":"#/$defs/A"},"$defs":{"A":{"type":"string"}}}`,
		},
		"recursion": {
			`{"$ref":"#/$defs/A","$defs":{"A":{"properties":{"a":{"$ref":"#/$defs/A"},"b":{"$ref":"#/$defs/B"}}},"B":{"type":"string"}}}`,
			`{"properties":{"a":{"$ref":"#/$defs/A"},"b":{"type":"string"}},"$defs":{"A":{"properties":{"a":{"$ref":"#/$defs/A"},"b":{"$ref":"#/$defs/B"}}},"B":{"type":"string"}}}`,
		},
		"two that need each other": {
			`{"items":{"$ref":"#/$defs/A"},"$defs":{"A":{"items":{"$ref":"#/$defs/B"}},"B":{"items":{"$ref":"#/$defs/A"}}}}`,
			`{"items":{"items":{"items":{"$ref":"#/$defs/A"}}},"$defs":{"A":{"items":{"$ref":"#/$defs/B"}},"B":{"items":{"$ref":"#/$defs/A"}}}}`,
		},
		"deep": {
			`{"items":{"$ref":"#/$defs/A"},"$defs":{"A":{"items":{"$ref":"#/$defs/B"}},"B":{"items":{"$ref":"#/$defs/C"}},"C":{"items":{"$ref":"#/$defs/D"}},"D":{"type":"string"}}}`,
			`{"items":{"items":{"items":{"items":{"$ref":"#/$defs/D"}}}},"$defs":{"D":{"type":"string"}}}`,
		},
		"data is no schema": {
			`{"const":{"$ref":"#/$defs/A"},"enum":[{"$ref":"#/$defs/A"}],"examples":[{"$ref":"#/$defs/A"}],"$defs":{"A":{"type":"string"}}}`,
			`{"const":{"$ref":"#/$defs/A"},"enum":[{"$ref":"#/$defs/A"}],"examples":[{"$ref":"#/$defs/A"}]}`,
		},
		"properties named like keywords": {
			`{"properties":{"$ref":{"$ref":"#/$defs/A"},"enum":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}}}`,
			`{"properties":{"$ref":{"type":"string"},"enum":{"type":"string"}}}`,
		},
		"a definition that is true": {
			`{"items":{"$ref":"#/$defs/A"},"$defs":{"A":true}}`, `{"items":{"$ref":"#/$defs/A"},"$defs":{"A":true}}`,
		},
		"lists": {
			`{"anyOf":[{"$ref":"#/$defs/A"},true,{"type":"null"}],"$defs":{"A":{"type":"string"}}}`,
			`{"anyOf":[{"type":"string"},true,{"type":"null"}]}`,
		},
		"too large": {
			`{"prefixItems":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/A"}],"$defs":{"A":{` + large + `}}}`,
			`{"prefixItems":[{` + large + `},{"$ref":"#/$defs/A"}],"$defs":{"A":{` + large + `}}}`,
		},
	} {
		if diff := cmp.Diff(tt.want, string(inline(parse([]byte(tt.schema))).append(nil))); diff != "" {
			t.Errorf("%s (-want +got)\n%.2000s", name, diff)
		}
	}
}

// TestInlineBomb: definitions of which each means the next one twice would
// double 40 times.
func TestInlineBomb(t *testing.T) {
	defs := []string{}
	for i := range 40 {
		next := fmt.Sprintf(`{"$ref":"#/$defs/D%d"}`, i+1)
		defs = append(defs, fmt.Sprintf(`"D%d":{"properties":{"a":%s,"b":%s}}`, i, next, next))
	}
	schema := json.RawMessage(`{"$ref":"#/$defs/D0","$defs":{` + strings.Join(defs, ",") + `,"D40":{"type":"string"}}}`)
	if out := inline(parse(schema)).append(nil); len(out) > 100*maxInlined || !json.Valid(out) {
		t.Errorf("%d bytes", len(out))
	}
}

func TestWrap(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"array"}`: `{"type":"object","properties":{"result":{"type":"array"}},"required":["result"]}`,
		`{"items":{"$ref":"#/$defs/A"},"$defs":{"A":{}}}`: `{"type":"object","properties":{"result":{"items":{"$ref":"#/$defs/A"}}},"required":["result"],"$defs":{"A":{}}}`,
		`{"items":{"$ref":"#"}}`:                          `{"type":"object","properties":{"result":{}},"required":["result"]}`,
	} {
		if got := string(wrap(parse([]byte(schema))).append(nil)); got != want {
			t.Errorf("%s: got %s, want %s", schema, got, want)
		}
	}
}

func compiled(t *testing.T, schema json.RawMessage) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatalf("%v: %s", err, schema)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("test:///schema", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("test:///schema")
	if err != nil {
		t.Fatalf("%v: %s", err, schema)
	}
	return s
}

// TestInlineMeansTheSame: what the catalog's own schemas admit and refuse, they
// admit and refuse without references.
func TestInlineMeansTheSame(t *testing.T) {
	doc := openapi.Read(openapi.Source{Name: "catalog.yaml", Data: specs.Catalog()}, openapi.Options{Mode: openapi.All})
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- no secret
	schemas, verdicts := 0, map[bool]int{}
	for _, a := range doc.Actions {
		for _, schema := range []json.RawMessage{a.InputSchema, a.OutputSchema} {
			if schema == nil {
				continue
			}
			schemas++
			tree := parse(schema)
			before, after := compiled(t, schema), compiled(t, inline(tree).append(nil))
			wrapped := compiled(t, wrap(inline(tree)).append(nil))
			for range 200 {
				value := guess(random, tree, tree.get("$defs"), 0)
				valid := before.Validate(value) == nil
				verdicts[valid]++
				if (after.Validate(value) == nil) != valid || (wrapped.Validate(map[string]any{"result": value}) == nil) != valid {
					t.Fatalf("%s: %v is valid: %v, but not without references\n%s", a.Name, value, valid, inline(tree).append(nil))
				}
			}
		}
	}
	if schemas < 20 || verdicts[true] < 100 || verdicts[false] < 100 {
		t.Errorf("%d schemas, %v", schemas, verdicts)
	}
}

// guess makes a value that has to do with a schema, and often breaks it.
func guess(random *rand.Rand, schema, defs *node, depth int) any {
	if ref, ok := strings.CutPrefix(schema.get("$ref").text(), defsPrefix); ok {
		schema = defs.get(ref)
	}
	if depth > 4 || random.IntN(12) == 0 {
		return []any{"x", json.Number("3"), true, nil}[random.IntN(4)]
	}
	for _, word := range []string{"anyOf", "oneOf", "allOf"} {
		if branches := schema.get(word); branches != nil && len(branches.items) > 0 {
			return guess(random, branches.items[random.IntN(len(branches.items))], defs, depth)
		}
	}
	switch schema.get("type").text() {
	case "array":
		return []any{guess(random, schema.get("items"), defs, depth+1)}
	case "string":
		return "component:default/x"
	case "integer", "number":
		return json.Number("7")
	case "boolean":
		return true
	}
	object := map[string]any{}
	if properties := schema.get("properties"); properties != nil {
		for _, m := range properties.members {
			if random.IntN(10) > 0 {
				object[m.name] = guess(random, m.value, defs, depth+1)
			}
		}
	}
	return object
}
