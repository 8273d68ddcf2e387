package contract

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/test/draw"
)

// TestCompatibleIsTrue is what a diff is for: where it says that a change of
// arguments breaks nobody, all that the old schema admits the new one admits,
// and of results the other way round. Schemas are drawn and changed a little;
// values are drawn of one side, and a validator judges them. Members that
// nobody described, of objects that nobody closed, are no part of a contract.
func TestCompatibleIsTrue(t *testing.T) {
	pairs, values := 1000, 30
	if testing.Short() {
		pairs = 100
	}
	compatible, judged := map[side]int{}, 0
	for seed := range pairs {
		g := &generator{Rand: rand.New(rand.NewPCG(uint64(seed), 5))}
		old := g.root()
		now := g.changed(old)
		before, after := mustJSON(t, old), mustJSON(t, now)
		for _, of := range []side{input, output} {
			if Breaking(newBudget().schemas(of, before, after)) {
				continue
			}
			compatible[of]++
			given, taking := before, after
			if of == output {
				given, taking = after, before
			}
			judged += holds(t, seed, of, given, taking, values)
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("of %d pairs: %v compatible, %d values judged", pairs, compatible, judged)
	if compatible[input] < pairs/5 || compatible[output] < pairs/10 || judged < pairs {
		t.Errorf("of %d pairs only %v are compatible, and %d values judged", pairs, compatible, judged)
	}
}

// holds draws values of one schema for the other to admit.
func holds(t *testing.T, seed int, of side, given, taking json.RawMessage, values int) (judged int) {
	t.Helper()
	have, want := validator(t, given), validator(t, taking)
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(given))
	if err != nil {
		t.Fatal(err)
	}
	root = described(root)
	d := &draw.Drawer{Rand: rand.New(rand.NewPCG(uint64(seed), 7)), Root: root, Optional: 0.6, Text: func(r *rand.Rand) string {
		return []string{"", "a", "b", "abc", "xyz", "zzzzzz"}[r.IntN(6)]
	}}
	for range values {
		v, ok := d.Value(root)
		if !ok || have.Validate(v) != nil {
			continue
		}
		judged++
		if err := want.Validate(v); err != nil {
			t.Errorf("seed %d: %s is said to be compatible\n%s\n%s\nbut %s: %v", seed, of, given, taking, shown(v), err)
			return judged
		}
	}
	return judged
}

// described closes what nobody closed, for drawing.
func described(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for word, inner := range v {
			switch word {
			case "enum", "const", "default", "required", "dependentRequired":
				out[word] = inner
			case "properties", "patternProperties", "$defs", "dependentSchemas":
				named := map[string]any{}
				for name, s := range inner.(map[string]any) {
					named[name] = described(s)
				}
				out[word] = named
			default:
				out[word] = described(inner)
			}
		}
		if _, closed := v["additionalProperties"]; !closed && v["unevaluatedProperties"] == nil {
			out["unevaluatedProperties"] = false
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = described(v[i])
		}
		return out
	}
	return v
}

func validator(t *testing.T, text json.RawMessage) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("test:schema", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("test:schema")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return s
}

func mustJSON(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// generator makes schemas, small ones with many keywords.
type generator struct {
	*rand.Rand
}

type words = map[string]any

func (g *generator) root() words {
	s := g.object(1 + g.IntN(3))
	if g.IntN(3) == 0 {
		s = words{"type": "object", "properties": words{"a": g.any(2)}, "additionalProperties": false}
	}
	s["$defs"] = words{"d": g.object(1), "e": g.any(1), "n": words{"type": "object", "properties": words{"next": words{"$ref": "#/$defs/n"}, "v": g.any(1)}}}
	return s
}

func (g *generator) one(list ...any) any { return list[g.IntN(len(list))] }

func (g *generator) any(depth int) any {
	if depth > 0 {
		switch g.IntN(12) {
		case 0:
			return words{"anyOf": []any{g.any(depth - 1), g.any(depth - 1)}}
		case 1:
			return words{"oneOf": []any{g.tagged("x", depth-1), g.tagged("y", depth-1)}}
		case 2:
			return words{"allOf": []any{g.any(depth - 1), g.any(depth - 1)}}
		case 3, 4, 5:
			return g.object(depth)
		case 6, 7:
			return g.array(depth)
		case 8:
			return words{"$ref": g.one("#/$defs/d", "#/$defs/e", "#/$defs/n")}
		}
	}
	return g.scalar()
}

// tagged is an alternative that says which one it is.
func (g *generator) tagged(name string, depth int) any {
	s := g.object(depth)
	s["properties"].(words)["kind"] = words{"const": name}
	s["required"] = append(s["required"].([]any), "kind")
	return s
}

func (g *generator) scalar() any {
	s := words{}
	switch g.IntN(8) {
	case 0, 1, 2:
		s["type"] = g.one("string", "string", []any{"string", "null"})
		g.maybe(s, "minLength", g.IntN(3))
		g.maybe(s, "maxLength", 2+g.IntN(4))
		g.maybe(s, "pattern", g.one("^a", "c$", "^x"))
	case 3, 4:
		s["type"] = g.one("integer", "number", []any{"integer", "string"})
		g.maybe(s, "minimum", g.IntN(5))
		g.maybe(s, "maximum", 5+g.IntN(5))
		g.maybe(s, "exclusiveMinimum", g.IntN(4))
		g.maybe(s, "multipleOf", g.one(1, 2, 0.5))
	case 5:
		s["enum"] = []any{g.one("a", 1, nil), g.one("b", "abc", 2.0), g.one(true, 3, words{"a": 1})}
		s["enum"] = slices.CompactFunc(s["enum"].([]any), func(a, b any) bool { return shown(a) == shown(b) })
	case 6:
		return words{"type": "boolean"}
	case 7:
		return g.one(true, words{}, words{"type": []any{"string", "integer", "null"}, "not": words{"const": "a"}},
			words{"if": words{"type": "string"}, "then": words{"maxLength": g.IntN(4)}, "else": words{"type": "integer"}})
	}
	return s
}

func (g *generator) maybe(s words, word string, v any) {
	if g.IntN(3) == 0 {
		s[word] = v
	}
}

func (g *generator) array(depth int) words {
	s := words{"type": "array"}
	if g.IntN(4) > 0 {
		s["items"] = g.any(depth - 1)
	}
	g.maybe(s, "minItems", g.IntN(2))
	g.maybe(s, "maxItems", 1+g.IntN(3))
	g.maybe(s, "uniqueItems", true)
	if g.IntN(5) == 0 {
		s["prefixItems"] = []any{g.any(depth - 1)}
	}
	if g.IntN(8) == 0 {
		s["contains"] = g.scalar()
	}
	return s
}

func (g *generator) object(depth int) words {
	properties, required := words{}, []any{}
	for _, name := range []string{"a", "b", "c"} {
		if g.IntN(3) > 0 {
			properties[name] = g.any(depth - 1)
		}
		if g.IntN(4) == 0 {
			required = append(required, name)
		}
	}
	s := words{"type": "object", "properties": properties, "required": required}
	switch g.IntN(6) {
	case 0:
		delete(s, "type")
	case 1, 2:
		s["additionalProperties"] = false
	case 3:
		s["additionalProperties"] = g.scalar()
	case 4:
		g.maybe(s, "unevaluatedProperties", false)
	}
	if g.IntN(6) == 0 {
		s["patternProperties"] = words{g.one("^p", "^[ab]", "_extra$").(string): g.scalar()}
	}
	if g.IntN(6) == 0 {
		s["dependentRequired"] = words{"a": []any{g.one("b", "c")}}
	}
	if g.IntN(8) == 0 {
		s["dependentSchemas"] = words{"a": words{"properties": words{"b": g.scalar()}}}
	}
	if g.IntN(8) == 0 {
		s["propertyNames"] = words{"maxLength": 1 + g.IntN(7)}
	}
	g.maybe(s, "minProperties", g.IntN(2))
	g.maybe(s, "maxProperties", 2+g.IntN(3))
	if depth > 0 && g.IntN(5) == 0 {
		s[g.one("anyOf", "allOf").(string)] = []any{g.object(depth - 1), g.object(depth - 1)}
	}
	return s
}

// changed is a copy of a schema with one keyword more, less or another.
func (g *generator) changed(s words) words {
	out := g.copy(s).(words)
	for before := shown(out); before == shown(out); {
		var all []words
		collect(out, &all)
		at := all[g.IntN(min(len(all), 1+g.IntN(len(all))))] // rather near the root
		keys := slices.Sorted(maps.Keys(at))
		if len(keys) > 0 && g.IntN(3) == 0 {
			if word := keys[g.IntN(len(keys))]; word != "$defs" {
				delete(at, word)
			}
			continue
		}
		if inner, ok := at["properties"].(words); ok && g.IntN(3) == 0 {
			inner[g.one("a", "b", "c", "d").(string)] = g.any(1)
			continue
		}
		word, v := g.constraint(at)
		at[word] = v
	}
	return out
}

// constraint is a keyword that has to do with the type of a schema, or with any.
func (g *generator) constraint(at words) (string, any) {
	n := g.IntN(6)
	of := map[string][]string{
		"string":  {"minLength", "maxLength", "pattern"},
		"integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
		"number":  {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
		"array":   {"minItems", "maxItems", "uniqueItems", "items", "prefixItems", "contains", "minContains", "maxContains"},
		"object": {
			"minProperties", "maxProperties", "required", "additionalProperties", "patternProperties", "dependentRequired", "dependentSchemas",
			"propertyNames", "unevaluatedProperties", "properties",
		},
	}
	list := []string{"type", "enum", "const", "not", "if", "then", "else", "anyOf", "oneOf", "allOf"}
	if kind, ok := at["type"].(string); ok && g.IntN(4) > 0 && of[kind] != nil {
		list = of[kind]
	}
	word := list[g.IntN(len(list))]
	switch word {
	case "type":
		return word, g.one("string", "integer", "number", "object", []any{"string", "null", "integer"}, []any{"object", "string"})
	case "enum":
		return word, []any{"a", n, nil}
	case "const":
		return word, g.one("a", n, nil, words{})
	case "pattern":
		return word, g.one("^a", "c$", "^x")
	case "uniqueItems":
		return word, true
	case "multipleOf":
		return word, g.one(1, 2, 3, 0.5, 0.25)
	case "required":
		return word, []any{g.one("a", "b", "c")}
	case "anyOf", "allOf", "prefixItems":
		return word, []any{g.any(1), g.any(1)}
	case "oneOf":
		return word, []any{g.tagged("x", 1), g.tagged("y", 1)}
	case "patternProperties":
		return word, words{g.one("^p", "^[ab]", "_extra$").(string): g.scalar()}
	case "dependentRequired":
		return word, words{g.one("a", "b").(string): []any{g.one("b", "c")}}
	case "dependentSchemas":
		return word, words{g.one("a", "b").(string): g.object(0)}
	case "propertyNames":
		return word, g.one(words{"maxLength": n}, words{"enum": []any{"a", "b"}})
	case "additionalProperties", "unevaluatedProperties":
		return word, g.one(false, g.scalar())
	case "properties":
		return word, words{"a": g.any(1), "b": g.any(1)}
	case "items", "contains", "not", "if", "then", "else":
		return word, g.scalar()
	}
	return word, n // a bound
}

// copy copies what was drawn.
func (g *generator) copy(v any) any {
	switch v := v.(type) {
	case words:
		out := words{}
		for name, inner := range v {
			out[name] = g.copy(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = g.copy(v[i])
		}
		return out
	}
	return v
}

// collect gathers a schema and its subschemas.
func collect(v any, all *[]words) {
	s, ok := v.(words)
	if !ok {
		return
	}
	*all = append(*all, s)
	keys := slices.Sorted(maps.Keys(s))
	slices.Reverse(keys) // "$defs" last: few of them are referred to
	for _, word := range keys {
		switch inner := s[word].(type) {
		case words:
			switch {
			case among(maps2, word):
				for _, name := range slices.Sorted(maps.Keys(inner)) {
					collect(inner[name], all)
				}
			case among(ones, word):
				collect(inner, all)
			}
		case []any:
			if among(lists, word) {
				for _, part := range inner {
					collect(part, all)
				}
			}
		}
	}
}
