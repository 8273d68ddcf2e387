package openapi

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestRandomSchemas does with schemas put together at random what
// TestPublishedSchemasAdmit does with written ones.
func TestRandomSchemas(t *testing.T) {
	for _, version := range []string{"3.0.3", "3.1.0"} {
		r := rand.New(rand.NewPCG(7, 8))
		for i := range 160 / slower {
			paths, schemas := map[string]any{}, map[string]any{}
			for i, name := range []string{"A", "B", "C"} {
				schemas[name] = generator{r, version == "3.0.3", i}.inPlace(4)
				media := map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/" + name}}}}
				answer := map[string]any{"description": "Done.", "content": media["content"]}
				paths["/"+name] = map[string]any{"post": map[string]any{"requestBody": media, "responses": map[string]any{"200": answer}}}
			}
			data := mustJSON(map[string]any{
				"openapi": version, "info": map[string]any{"title": "x", "version": "1"}, "paths": paths, "components": map[string]any{"schemas": schemas},
			})
			ok := t.Run(fmt.Sprint(version, " ", i), func(t *testing.T) { newProperty(t, "random.json", data).run(t, 6) })
			if !ok {
				t.Fatalf("%s", data)
			}
		}
	}
}

// generator makes schemas.
type generator struct {
	r   *rand.Rand
	old bool // of OpenAPI 3.0
	at  int  // which of A, B and C it makes
}

func (g generator) one(of ...any) any { return of[g.r.IntN(len(of))] }

// schema is one of a member, or of an item.
func (g generator) schema(depth int) any {
	if depth > 0 && g.r.IntN(5) == 0 {
		return map[string]any{"$ref": g.one("#/components/schemas/A", "#/components/schemas/B", "#/components/schemas/C")}
	}
	return g.inPlace(depth)
}

// inPlace is a schema of the same value as the one that it is part of: it
// refers to schemas after it only, since a loop would mean nothing (2020-12 §9.4.1).
func (g generator) inPlace(depth int) any {
	if depth == 0 || g.r.IntN(6) == 0 {
		return map[string]any{"type": g.one("string", "integer", "boolean", "number")}
	}
	if g.at < 2 && g.r.IntN(6) == 0 {
		return map[string]any{"$ref": "#/components/schemas/" + string(rune('B'+g.at+g.r.IntN(2-g.at)))}
	}
	out := map[string]any{}
	switch g.r.IntN(9) {
	case 0, 1, 2:
		g.object(out, depth)
	case 3:
		out["type"], out["items"] = "array", g.schema(depth-1)
		g.maybe(out, "minItems", json.Number("1"))
		g.maybe(out, "maxItems", json.Number("3"))
		g.maybe(out, "uniqueItems", true)
		if !g.old && g.r.IntN(3) == 0 {
			out["prefixItems"] = []any{g.schema(depth - 1), g.schema(depth - 1)}
		}
	case 4:
		out["type"] = "string"
		g.maybe(out, "enum", []any{"a", "ab", "7"})
		g.maybe(out, "minLength", json.Number("1"))
		g.maybe(out, "pattern", "^[a-z ]*$")
		g.maybe(out, "format", "made-up")
	case 5:
		g.number(out)
	case 6:
		out["allOf"] = []any{g.inPlace(depth - 1), g.inPlace(depth - 1)}
		if g.r.IntN(2) == 0 {
			g.object(out, depth)
		}
	case 7:
		out[g.one("oneOf", "anyOf").(string)] = []any{g.inPlace(depth - 1), g.inPlace(depth - 1)}
	case 8:
		out["not"] = g.inPlace(depth - 1)
		if g.old { // whether null is of no type is what readers of 3.0 differ on
			out["type"] = g.one("string", "integer", "boolean")
		}
	}
	g.rest(out, depth)
	return out
}

func (g generator) maybe(out map[string]any, keyword string, v any) {
	if g.r.IntN(4) == 0 {
		out[keyword] = v
	}
}

func (g generator) object(out map[string]any, depth int) {
	properties := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		if g.r.IntN(2) == 0 {
			schema := g.schema(depth - 1)
			if object, ok := schema.(map[string]any); ok && object["$ref"] == nil {
				g.maybe(object, g.one("readOnly", "writeOnly", "deprecated").(string), true)
			}
			properties[name] = schema
		}
	}
	out["type"], out["properties"] = "object", properties
	g.maybe(out, "required", []any{g.one("a", "b", "c")})
	g.maybe(out, "additionalProperties", g.one(false, true, g.schema(depth-1)))
	g.maybe(out, "maxProperties", json.Number("3"))
	if !g.old {
		g.maybe(out, "patternProperties", map[string]any{"^x": g.schema(depth - 1)})
		g.maybe(out, "dependentRequired", map[string]any{"a": []any{"b"}})
		g.maybe(out, "unevaluatedProperties", g.one(false, g.schema(depth-1)))
	}
}

func (g generator) number(out map[string]any) {
	out["type"] = g.one("number", "integer")
	g.maybe(out, "minimum", json.Number("-2"))
	g.maybe(out, "multipleOf", json.Number("2"))
	if g.old {
		g.maybe(out, "maximum", json.Number("9"))
		g.maybe(out, "exclusiveMaximum", true)
		g.maybe(out, "exclusiveMinimum", true)
	} else {
		g.maybe(out, "exclusiveMaximum", json.Number("9"))
		g.maybe(out, "const", json.Number("4"))
	}
}

// rest adds what stands beside anything.
func (g generator) rest(out map[string]any, depth int) {
	g.maybe(out, "description", "Text.")
	g.maybe(out, "default", g.one("a", json.Number("1"), nil))
	if g.old { // null passes kin-openapi wherever "nullable" stands, whatever stands beside it
		return
	}
	if g.r.IntN(10) == 0 {
		out["if"], out["then"], out["else"] = g.inPlace(depth-1), g.inPlace(depth-1), g.inPlace(depth-1)
	}
	if kind, ok := out["type"].(string); ok && g.r.IntN(5) == 0 {
		out["type"] = []any{kind, "null"}
	}
}
