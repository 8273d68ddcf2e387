package openapi

import (
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// inputSchema describes the arguments: one object of the shown slots, closed.
func (b *builder) inputSchema() json.RawMessage {
	s := b.schemas(input)
	properties, required, sent := newObject(), []any{}, b.bodySent()
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
		if !s.full() {
			properties.set(slot.argument, schema)
		}
		inBody := slot.target.in == InBody && !slot.virtual
		if inBody {
			bodyArguments = append(bodyArguments, slot.argument)
		}
		switch {
		case !slot.required || slot.defaultValue != nil:
		case len(slot.omit) > 0 && !slot.demanding: // others fill what it has to have
		case inBody && !sent:
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
		root.set("dependentRequired", togetherOrNone(bodyArguments, bodyRequired))
	}
	if !s.full() { // else not all of them are listed
		root.set("additionalProperties", false)
	}
	return s.finish(root)
}

// togetherOrNone says that any of the arguments needs all of the required ones:
// those go round in a ring, which takes no more room than their names.
func togetherOrNone(arguments, required []any) *object {
	next := make(map[any]any, len(required))
	for i, name := range required {
		next[name] = required[(i+1)%len(required)]
	}
	dependent := newObject()
	for _, argument := range arguments {
		needed := next[argument]
		if needed == nil {
			needed = required[0]
		}
		if needed != argument { // the only one
			dependent.set(argument.(string), []any{needed})
		}
	}
	return dependent
}

// slotSchema is the schema of one argument. worthIt is false for an object
// that has no members left once those that others fill are taken out.
func (b *builder) slotSchema(s *schemas, slot *slot) (schema *object, worthIt bool) {
	dialect := s.dialect
	if slot.newDialect {
		s.dialect = dialect31
		defer func() { s.dialect = dialect }()
	}
	worthIt = true
	switch {
	case slot.target.isContentType() && !slot.virtual:
		schema = b.choiceSchema()
	case slot.contents != nil:
		schema, worthIt = b.contentsSchema(s, slot)
	case slot.file:
		schema = b.fileSchema(s, slot)
	default:
		schema, worthIt = b.valueSchema(s, slot)
		schema = orEmpty(slot, schema)
	}
	if !worthIt {
		return nil, false
	}
	if slot.title != "" {
		schema.set("title", slot.title)
	}
	if slot.description != "" {
		description := slot.description
		for _, n := range slot.schemas {
			for _, c := range b.conjuncts(n) {
				description = strings.TrimSpace(description + "\n\n" + meaningsOf(c))
			}
		}
		schema.set("description", b.short(description, maxArgumentText, b.x.node))
	}
	if slot.defaultValue != nil {
		schema.set("default", value(slot.defaultValue))
	}
	if slot.example != nil && !schema.has("examples") {
		example := value(slot.example)
		if isText(schema) && slot.example.Kind == yaml.ScalarNode {
			example = writtenText(slot.example)
		}
		schema.set("examples", []any{example})
	}
	if slot.deprecated {
		schema.set("deprecated", true)
	}
	b.slotHeader(s, slot, schema)
	return schema, true
}

// orEmpty admits the empty string where a query parameter says allowEmptyValue
// and its schema would not.
func orEmpty(slot *slot, schema *object) *object {
	if slot.parameter == nil || !slot.parameter.AllowEmptyValue || slot.target.in != InQuery || schema == nil {
		return schema
	}
	narrow := slices.ContainsFunc([]string{"enum", "const", "pattern", "minLength", "$ref", "allOf", "anyOf", "oneOf"}, schema.has)
	if !narrow && (isText(schema) || !schema.has("type")) {
		return schema
	}
	return newObject().set("anyOf", []any{schema, newObject().set("const", "")})
}

// valueSchema is the schema of a slot that is described by schemas alone.
func (b *builder) valueSchema(s *schemas, slot *slot) (schema *object, worthIt bool) {
	empty := len(slot.omit) > 0
	parts := make([]any, 0, len(slot.schemas))
	for _, n := range slot.schemas {
		n = s.without(n, slot.omit)
		slot.demanding = slot.demanding || b.demands(n)
		empty = empty && b.memberless(n)
		parts = append(parts, s.translate(n))
	}
	switch {
	case empty && len(parts) > 0:
		return nil, false
	case len(parts) == 1:
		return asObject(parts[0]), true
	case len(parts) > 1:
		return newObject().set("allOf", parts), true
	}
	return newObject(), true
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
