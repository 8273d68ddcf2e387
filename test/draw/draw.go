// Package draw makes values that JSON Schemas describe, for property tests. It
// knows the dialects of OpenAPI 3.0 and of 2020-12, and misses some values: what
// it draws has to be validated, and may be refused.
package draw

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
)

// Drawer draws values. Schemas are values of encoding/json with json.Number.
type Drawer struct {
	Rand *rand.Rand
	// Root is what "$ref"s, JSON Pointers after "#", point into.
	Root any
	// Optional is how likely a member that is not required is there: 0 to 1.
	Optional float64
	// Text gives strings where a schema leaves them open.
	Text func(*rand.Rand) string
	// BareRefs tells that nothing beside a "$ref" counts, as in OpenAPI 3.0.
	BareRefs bool
	// Leave tells schemas of members that are left out; nil: none.
	Leave func(schema map[string]any) bool

	steps int // of the value at hand
}

// Depths at which only what is required is drawn, and at which nothing is.
const (
	deep    = 5
	deepest = 24
	// longest bounds the schemas that are looked at for one value.
	longest = 100_000
)

// Value draws a value of a schema, as encoding/json reads it with json.Number.
// ok is false when it finds none.
func (d *Drawer) Value(schema any) (v any, ok bool) {
	d.steps = 0
	return d.value(schema, 0)
}

func (d *Drawer) value(schema any, depth int) (any, bool) {
	s, ok := d.flatten(schema, depth)
	if !ok || depth > deepest {
		return nil, false
	}
	if v, ok := s["const"]; ok {
		return v, true
	}
	if values, ok := s["enum"].([]any); ok {
		if len(values) == 0 {
			return nil, false
		}
		return values[d.Rand.IntN(len(values))], true
	}
	switch d.typeOf(s) {
	case "object":
		return d.object(s, depth)
	case "array":
		return d.array(s, depth)
	case "string":
		return d.text(s)
	case "integer":
		return d.number(s, true)
	case "number":
		return d.number(s, d.Rand.IntN(2) == 0)
	case "boolean":
		return d.Rand.IntN(2) == 0, true
	}
	return nil, true
}

// typeOf chooses one of the types that a schema admits.
func (d *Drawer) typeOf(s map[string]any) string {
	if s["nullable"] == true && d.Rand.IntN(8) == 0 {
		return "null"
	}
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		if len(t) > 0 {
			name, _ := t[d.Rand.IntN(len(t))].(string)
			return name
		}
	}
	for _, hint := range []struct{ keyword, kind string }{
		{"properties", "object"}, {"required", "object"}, {"additionalProperties", "object"}, {"patternProperties", "object"}, {"minProperties", "object"},
		{"items", "array"}, {"prefixItems", "array"}, {"minItems", "array"}, {"contains", "array"},
		{"pattern", "string"}, {"format", "string"}, {"minLength", "string"}, {"maxLength", "string"},
		{"minimum", "number"}, {"maximum", "number"}, {"multipleOf", "number"}, {"exclusiveMinimum", "number"},
	} {
		if _, ok := s[hint.keyword]; ok {
			return hint.kind
		}
	}
	return []string{"string", "integer", "boolean"}[d.Rand.IntN(3)]
}

func (d *Drawer) object(s map[string]any, depth int) (any, bool) {
	out := map[string]any{}
	properties, _ := s["properties"].(map[string]any)
	add := func(name string) bool {
		schema, known := properties[name]
		if !known {
			schema = d.other(s, name)
		}
		v, ok := d.value(schema, depth+1)
		if ok {
			out[name] = v
		}
		return ok
	}
	required := strs(s["required"])
	for _, name := range sorted(properties) {
		if d.leaves(properties[name], depth) {
			required = slices.DeleteFunc(required, func(r string) bool { return r == name })
			continue
		}
		if !slices.Contains(required, name) && depth < deep && d.Rand.Float64() < d.Optional {
			add(name)
		}
	}
	for _, name := range required {
		if !add(name) {
			return nil, false
		}
	}
	d.extras(s, properties, depth, add)
	for range 3 { // what is there may ask for more, which may ask for more
		for _, name := range sorted(out) {
			for _, more := range d.dependents(s, name) {
				if _, there := out[more]; !there && !d.leaves(properties[more], depth) && !add(more) {
					return nil, false
				}
			}
		}
	}
	return out, true
}

// leaves tells whether a member is left out, or can have no value.
func (d *Drawer) leaves(schema any, depth int) bool {
	if schema == nil {
		return false
	}
	member, ok := d.flatten(schema, depth+1)
	return !ok || d.Leave != nil && d.Leave(member)
}

// extras adds members that no property names.
func (d *Drawer) extras(s, properties map[string]any, depth int, add func(string) bool) {
	missing := whole(s["minProperties"], 0) - len(strs(s["required"]))
	if d.other(s, "x") != any(false) && depth < deep && (len(properties) == 0 || d.Rand.IntN(6) == 0) {
		missing = max(missing, d.Rand.IntN(3))
	}
	patterns, _ := s["patternProperties"].(map[string]any)
	for pattern := range patterns {
		if name, ok := d.matching(pattern); ok && d.Rand.Float64() < d.Optional {
			add(name)
		}
	}
	for i := range missing {
		name := string(rune('p'+i%10)) + "_extra"
		if d.other(s, name) != any(false) {
			add(name)
		} else if i < len(properties) && !d.leaves(properties[sorted(properties)[i]], depth) {
			add(sorted(properties)[i])
		}
	}
}

// other is the schema of a member that no property names.
func (d *Drawer) other(s map[string]any, name string) any {
	patterns, _ := s["patternProperties"].(map[string]any)
	for pattern, schema := range patterns {
		if matches(pattern, name) {
			return schema
		}
	}
	for _, keyword := range []string{"additionalProperties", "unevaluatedProperties"} {
		if schema, ok := s[keyword]; ok {
			return schema
		}
	}
	return true
}

func (d *Drawer) dependents(s map[string]any, name string) []string {
	dependent, _ := s["dependentRequired"].(map[string]any)
	return strs(dependent[name])
}

func (d *Drawer) array(s map[string]any, depth int) (any, bool) {
	least := whole(s["minItems"], 0)
	n := least
	if depth < deep {
		n += d.Rand.IntN(4)
	}
	n = min(n, max(whole(s["maxItems"], n), least), 50)
	first, _ := s["prefixItems"].([]any)
	rest, described := s["items"]
	if !described {
		rest = true
		if schema, ok := s["unevaluatedItems"]; ok {
			rest = schema
		}
	}
	out := []any{}
	for i := 0; i < n; i++ {
		schema := rest
		if i < len(first) {
			schema = first[i]
		}
		if i == 0 && s["contains"] != nil {
			schema = map[string]any{"allOf": []any{schema, s["contains"]}}
		}
		if v, ok := d.value(schema, depth+1); ok && !(s["uniqueItems"] == true && slices.Contains(texts(out), text(v))) {
			out = append(out, v)
		}
	}
	return out, len(out) >= least
}

func texts(list []any) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		out = append(out, text(v))
	}
	return out
}

// text is a value as JSON, for comparing.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func strs(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func sorted(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
