package openapi

import (
	"encoding/json"
	"slices"

	"go.yaml.in/yaml/v3"
)

// inputSchema describes the arguments: one object of the shown slots, closed.
func (b *builder) inputSchema() json.RawMessage {
	s := b.schemas(input)
	properties, required := newObject(), []any{}
	var bodyArguments, bodyRequired []any
	for _, slot := range b.slots {
		if !slot.shown() {
			continue
		}
		schema, worthIt := b.slotSchema(s, slot)
		if !worthIt {
			slot.hidden = true
			continue
		}
		properties.set(slot.argument, schema)
		inBody := slot.target.in == InBody && !slot.virtual
		if inBody {
			bodyArguments = append(bodyArguments, slot.argument)
		}
		switch {
		case !slot.required || slot.defaultValue != nil:
		case len(slot.omit) > 0 && !schema.has("required"): // others fill what it has to have
		case inBody && !b.bodySent():
			bodyRequired = append(bodyRequired, slot.argument)
		default:
			required = append(required, slot.argument)
		}
	}
	root := newObject().set("type", "object").set("properties", properties)
	if len(required) > 0 {
		root.set("required", required)
	}
	if len(bodyRequired) > 0 && len(bodyArguments) > 1 { // an optional body: all that it requires, or nothing
		dependent := newObject()
		for _, argument := range bodyArguments {
			others := slices.DeleteFunc(slices.Clone(bodyRequired), func(name any) bool { return name == argument })
			if len(others) > 0 {
				dependent.set(argument.(string), others)
			}
		}
		root.set("dependentRequired", dependent)
	}
	return s.finish(root.set("additionalProperties", false))
}

// slotSchema is the schema of one argument. worthIt is false for an object
// that has no members left once those that others fill are taken out.
func (b *builder) slotSchema(s *schemas, slot *slot) (schema *object, worthIt bool) {
	dialect := s.dialect
	if slot.newDialect {
		s.dialect = dialect31
		defer func() { s.dialect = dialect }()
	}
	switch len(slot.schemas) {
	case 0:
		schema = newObject()
	case 1:
		schema = asObject(s.without(slot.schemas[0], slot.omit))
	default:
		var parts []any
		for _, n := range slot.schemas {
			parts = append(parts, s.without(n, slot.omit))
		}
		schema = newObject().set("allOf", parts)
	}
	if len(slot.omit) > 0 {
		if p, ok := schema.get("properties").(*object); ok && p.len() == 0 {
			return nil, false
		}
	}
	if slot.title != "" {
		schema.set("title", slot.title)
	}
	if slot.description != "" {
		schema.set("description", slot.description)
	}
	if slot.defaultValue != nil {
		schema.set("default", value(slot.defaultValue))
	}
	if slot.example != nil && !schema.has("examples") {
		schema.set("examples", []any{value(slot.example)})
	}
	if slot.deprecated {
		schema.set("deprecated", true)
	}
	return schema, true
}

func asObject(v any) *object {
	if o, ok := v.(*object); ok {
		return o
	}
	if raw, ok := v.(json.RawMessage); ok && string(raw) == "false" {
		return newObject().set("not", newObject())
	}
	return newObject()
}

// without translates a schema, leaving out the members at the given paths.
func (s *schemas) without(n *yaml.Node, paths [][]string) any {
	if len(paths) == 0 {
		return s.translate(n)
	}
	n = s.deref(n)
	out := asObject(s.translate(n))
	properties, _ := out.get("properties").(*object)
	dropped := map[string]bool{}
	inner := map[string][][]string{}
	for _, p := range paths {
		if len(p) == 1 {
			dropped[p[0]] = true
		} else {
			inner[p[0]] = append(inner[p[0]], p[1:])
		}
	}
	s.dropRequired(out, dropped)
	if properties == nil {
		return out
	}
	for name := range dropped {
		properties.delete(name)
	}
	for name, rest := range inner {
		member, _ := s.property(n, name, 0)
		if schema := asObject(s.without(member, rest)); member != nil {
			properties.set(name, schema)
			if !schema.has("required") {
				s.dropRequired(out, map[string]bool{name: true})
			}
		}
	}
	return out
}
