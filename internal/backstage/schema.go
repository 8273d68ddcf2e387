package backstage

import (
	"regexp"
	"slices"
	"strings"
)

// place puts a schema where root, a reference, leads to: references inside it
// count from there. Schemas come in draft 7, as zod-to-json-schema writes them;
// package openapi knows what of it is called otherwise in 2020-12. Lists of
// anything say so, for some models' APIs refuse a tool whose array has no items.
func place(v any, root string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			place(item, root)
		}
	case *object:
		for i := range v.members {
			placeKeyword(&v.members[i], root)
		}
		if isType(v.get("type"), "array") && v.get("items") == nil && v.get("prefixItems") == nil {
			v.members = slices.DeleteFunc(v.members, func(m member) bool { return m.name == "items" })
			v.add("items", ordered())
		}
	}
}

func placeKeyword(m *member, root string) {
	switch m.name {
	case "$ref":
		if ref, ok := m.value.(string); ok && (ref == "#" || strings.HasPrefix(ref, "#/")) {
			m.value = root + strings.TrimPrefix(ref, "#")
		}
	case "default", "const", "enum", "example", "examples": // values, in which nothing is a keyword
	case "properties", "patternProperties", "definitions", "$defs", "dependentSchemas":
		if schemas, ok := m.value.(*object); ok {
			for _, s := range schemas.members {
				place(s.value, root)
			}
		}
	default:
		place(m.value, root)
	}
}

// isType tells whether a "type" names a type, alone or among others.
func isType(v any, name string) bool {
	list, _ := v.([]any)
	return v == name || slices.Contains(list, any(name))
}

// plainName is a property that can be an argument and a place in an x-action.
var plainName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// properties are those of an object schema that says nothing but which members
// there are, so that each of them can be an argument; ok is false for any other
// schema.
func properties(schema *object) (names []string, ok bool) {
	if schema.get("type") != "object" {
		return nil, false
	}
	for _, m := range schema.members {
		switch m.name {
		case "type", "title", "description", "definitions", "$defs", "$schema", "$id", "$comment":
		case "additionalProperties":
			if m.value != false {
				return nil, false
			}
		case "properties":
			listed, isObject := m.value.(*object)
			if !isObject {
				return nil, false
			}
			for _, p := range listed.members {
				names = append(names, p.name)
			}
		case "required":
			if _, isList := m.value.([]any); !isList {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	required, _ := schema.get("required").([]any)
	for _, name := range required {
		text, isText := name.(string)
		if !isText {
			return nil, false
		}
		if !known[text] { // required, but described nowhere
			known[text], names = true, append(names, text)
		}
	}
	return names, !slices.ContainsFunc(names, func(name string) bool { return !plainName.MatchString(name) })
}
