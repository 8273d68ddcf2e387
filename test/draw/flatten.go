package draw

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// flatten gives one object for a schema, its reference, its allOf and one each
// of its oneOf and anyOf. ok is false for what admits nothing or has no end.
func (d *Drawer) flatten(schema any, depth int) (flat map[string]any, ok bool) {
	if admits, isBool := schema.(bool); isBool {
		return map[string]any{}, admits
	}
	s, isObject := schema.(map[string]any)
	if d.steps++; !isObject || depth > deepest || d.steps > longest {
		return map[string]any{}, !isObject
	}
	if ref, isRef := s["$ref"].(string); isRef && d.BareRefs {
		return d.flatten(d.Resolve(ref), depth+1)
	}
	flat = map[string]any{}
	for keyword, v := range s {
		switch keyword {
		case "$ref", "allOf", "oneOf", "anyOf", "$defs":
		default:
			flat[keyword] = v
		}
	}
	parts, _ := s["allOf"].([]any)
	parts = slices.Clone(parts)
	if ref, ok := s["$ref"].(string); ok {
		parts = append(parts, d.Resolve(ref))
	}
	for _, choice := range []string{"oneOf", "anyOf"} {
		if options, ok := s[choice].([]any); ok && len(options) > 0 {
			option := options[d.Rand.IntN(len(options))]
			parts = append(parts, option)
			if mark := marked(s["discriminator"], option); mark != nil {
				parts = append(parts, mark)
			}
		}
	}
	for _, part := range parts {
		more, ok := d.flatten(part, depth+1)
		if !ok {
			return nil, false
		}
		if flat, ok = merge(flat, more); !ok {
			return nil, false
		}
	}
	return flat, true
}

// Resolve gives what a reference points at, or true.
func (d *Drawer) Resolve(ref string) any {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return true
	}
	if pointer != "" && pointer[0] != '/' {
		return anchored(d.Root, pointer)
	}
	v := d.Root
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if name != "" {
			v, ok = member(v, strings.NewReplacer("~1", "/", "~0", "~", "%7B", "{", "%7D", "}").Replace(name))
		}
		if !ok {
			return true
		}
	}
	return v
}

// member gives a member of an object, or an item of a list.
func member(v any, name string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		inner, ok := v[name]
		return inner, ok
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			return v[i], true
		}
	}
	return nil, false
}

// anchored finds the schema with a "$anchor".
func anchored(v any, name string) any {
	var inner []any
	switch v := v.(type) {
	case map[string]any:
		if v["$anchor"] == name {
			return v
		}
		inner = slices.Collect(maps.Values(v))
	case []any:
		inner = v
	}
	for _, c := range inner {
		if found := anchored(c, name); found != any(true) {
			return found
		}
	}
	return true
}

// marked is the schema that a discriminator puts on one of its options.
func marked(discriminator, option any) any {
	d, _ := discriminator.(map[string]any)
	o, _ := option.(map[string]any)
	name, _ := d["propertyName"].(string)
	ref, _ := o["$ref"].(string)
	if name == "" || ref == "" {
		return nil
	}
	value := any(ref[strings.LastIndex(ref, "/")+1:])
	mapping, _ := d["mapping"].(map[string]any)
	for key, target := range mapping {
		if target == ref || target == value {
			value = key
		}
	}
	return map[string]any{"properties": map[string]any{name: map[string]any{"const": value}}, "required": []any{name}}
}

// merge gives what two flat schemas ask for together, as well as one object
// can say it.
func merge(a, b map[string]any) (map[string]any, bool) {
	out := maps.Clone(a)
	if a["type"] != nil && b["type"] != nil && (a["nullable"] != true || b["nullable"] != true) {
		delete(out, "nullable") // it widens the type that it stands beside, and no other
		b = maps.Clone(b)
		delete(b, "nullable")
	}
	for keyword, v := range b {
		old, both := out[keyword]
		switch {
		case !both:
			out[keyword] = v
		case keyword == "properties" || keyword == "patternProperties":
			out[keyword] = together(old, v)
		case keyword == "required":
			out[keyword] = append(slices.Clone(list(old)), list(v)...)
		case keyword == "enum":
			values := slices.DeleteFunc(slices.Clone(list(old)), func(x any) bool { return !slices.Contains(texts(list(v)), text(x)) })
			if len(values) == 0 {
				return nil, false
			}
			out[keyword] = values
		case keyword == "type":
			kind := common(old, v)
			if kind == nil {
				return nil, false
			}
			out[keyword] = kind
		case keyword == "items" || keyword == "additionalProperties":
			out[keyword] = map[string]any{"allOf": []any{old, v}}
			if old == any(false) || v == any(false) {
				out[keyword] = false
			}
		case strings.HasPrefix(keyword, "min") && number(v) < number(old), strings.HasPrefix(keyword, "max") && number(v) > number(old):
		default:
			out[keyword] = v
		}
	}
	return out, true
}

func together(a, b any) map[string]any {
	one, _ := a.(map[string]any)
	other, _ := b.(map[string]any)
	out := maps.Clone(one)
	for name, schema := range other {
		if old, both := out[name]; both {
			schema = map[string]any{"allOf": []any{old, schema}}
		}
		out[name] = schema
	}
	return out
}

// common is the type that two "type"s have in common; nil: none.
func common(a, b any) any {
	one, other := kinds(a), kinds(b)
	var out []any
	for _, kind := range one {
		switch {
		case slices.Contains(other, kind):
			out = append(out, kind)
		case kind == "number" && slices.Contains(other, "integer"), kind == "integer" && slices.Contains(other, "number"):
			out = append(out, "integer")
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func kinds(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	return strs(v)
}

func list(v any) []any {
	out, _ := v.([]any)
	return out
}

func number(v any) float64 {
	n, _ := v.(json.Number)
	f, err := n.Float64()
	if err != nil {
		return 0
	}
	return f
}

func whole(v any, otherwise int) int {
	if _, ok := v.(json.Number); !ok {
		return otherwise
	}
	return int(number(v))
}
