package actionsapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

const (
	defsPrefix = "#/$defs/"
	// maxInlined bounds an output schema in which references were replaced; what
	// is over it stays a reference.
	maxInlined = 64 << 10
)

// inline replaces references to definitions by what they mean. Backstage makes
// the example output of a dry run from type, properties, items and examples
// alone (scaffolder-backend 4.2.0, generateExampleOutput): of what is behind a
// reference, a template could use nothing. Definitions that contain themselves
// stay, and so does what would make the schema too large.
func inline(schema json.RawMessage) json.RawMessage {
	in := inliner{defs: map[string]json.RawMessage{}, kept: map[string]bool{}}
	for _, m := range membersOf(member(schema, "$defs")) {
		in.defs[m.name] = m.value
	}
	out := []byte{'{'}
	for _, m := range membersOf(in.schema(without(schema, "$defs"), nil)) {
		out = appendMember(out, m.name, m.value)
	}
	if len(in.kept) > 0 {
		out = appendMember(out, "$defs", in.keptDefs())
	}
	return append(out, '}')
}

// wrap makes the schema of {"result": value} from that of value. Definitions
// move to the new root, so that references to them stay valid.
func wrap(schema json.RawMessage) json.RawMessage {
	inner := without(schema, "$defs")
	if refersToRoot(schema) {
		inner = json.RawMessage(`{}`)
	}
	out := append([]byte(`{"type":"object","properties":{"result":`), inner...)
	out = append(out, `},"required":["result"]`...)
	if defs := member(schema, "$defs"); defs != nil {
		out = appendMember(out, "$defs", defs)
	}
	return append(out, '}')
}

// refersToRoot finds references to something else than definitions, which
// would lead nowhere in another schema.
func refersToRoot(schema json.RawMessage) bool {
	all := bytes.Count(schema, []byte(`"$ref":"#`))
	return all != bytes.Count(schema, []byte(`"$ref":"`+defsPrefix))
}

type inliner struct {
	defs map[string]json.RawMessage
	kept map[string]bool // definitions that are still referred to
	size int
}

// schema gives a schema, or a list of them, with its references replaced; open
// are the definitions that it stands in.
func (in *inliner) schema(raw json.RawMessage, open []string) json.RawMessage {
	switch {
	case isArray(raw):
		var items []json.RawMessage
		_ = json.Unmarshal(raw, &items) // the text is known to be valid
		for i := range items {
			items[i] = in.schema(items[i], open)
		}
		return join('[', items, ']')
	case !isObject(raw):
		in.size += len(raw)
		return raw
	}
	if name, siblings, ok := in.reference(raw); ok {
		if slices.Contains(open, name) || in.size > maxInlined {
			in.keep(name)
			return raw
		}
		return overlay(in.schema(in.defs[name], append(slices.Clip(open), name)), siblings)
	}
	out := []byte{'{'}
	for _, m := range membersOf(raw) {
		in.size += len(m.name) + len(`"":,`)
		switch m.name {
		case "const", "enum", "default", "examples", "required", "$ref", "$defs": // no schemas
			in.size += len(m.value)
			if m.name == "$ref" { // with siblings that count: it stays
				in.keep(strings.TrimPrefix(text(m.value), defsPrefix))
			}
		case "properties", "patternProperties", "dependentSchemas":
			m.value = in.each(m.value, open)
		default:
			m.value = in.schema(m.value, open)
		}
		out = appendMember(out, m.name, m.value)
	}
	return append(out, '}')
}

// each does the members of properties, whose names are no keywords.
func (in *inliner) each(raw json.RawMessage, open []string) json.RawMessage {
	out := []byte{'{'}
	for _, m := range membersOf(raw) {
		in.size += len(m.name) + len(`"":,`)
		out = appendMember(out, m.name, in.schema(m.value, open))
	}
	return append(out, '}')
}

// reference tells whether a schema is a reference to a definition, and nothing
// beside it changes what is valid.
func (in *inliner) reference(raw json.RawMessage) (name string, siblings []jsonMember, ok bool) {
	for _, m := range membersOf(raw) {
		switch m.name {
		case "$ref":
			name, ok = strings.CutPrefix(text(m.value), defsPrefix)
			ok = ok && isObject(in.defs[name])
		case "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment":
			siblings = append(siblings, m)
		default:
			return "", nil, false
		}
	}
	return name, siblings, ok
}

// keep notes a definition as one that is needed, and those that it needs.
func (in *inliner) keep(name string) {
	def, there := in.defs[name]
	if !there || in.kept[name] {
		return
	}
	in.kept[name] = true
	for other := range in.defs {
		quoted, err := json.Marshal(defsPrefix + other)
		if err == nil && bytes.Contains(def, quoted) {
			in.keep(other)
		}
	}
}

func (in *inliner) keptDefs() json.RawMessage {
	out := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(in.kept)) {
		out = appendMember(out, name, in.defs[name])
	}
	return append(out, '}')
}

// overlay puts members in the place of those of the same name.
func overlay(object json.RawMessage, members []jsonMember) json.RawMessage {
	if len(members) == 0 || !isObject(object) {
		return object
	}
	out := []byte{'{'}
	for _, m := range membersOf(object) {
		if !slices.ContainsFunc(members, func(o jsonMember) bool { return o.name == m.name }) {
			out = appendMember(out, m.name, m.value)
		}
	}
	for _, m := range members {
		out = appendMember(out, m.name, m.value)
	}
	return append(out, '}')
}
