package actionsapi

import (
	"slices"
	"strings"
)

const (
	defsPrefix = "#/$defs/"
	// maxInlined and maxDeep bound the values of an output schema in which
	// references were replaced, and how many stand in each other; what is over
	// them stays a reference. Backstage asks for the list before each call.
	maxInlined = 1000
	maxDeep    = 3
)

// inline replaces references to definitions by what they mean. Backstage makes
// the example output of a dry run from type, properties, items and examples
// alone (scaffolder-backend 4.2.0, generateExampleOutput): of what is behind a
// reference, a template could use nothing. Definitions that contain themselves
// stay, and so does what would make the schema too large.
func inline(schema *node) *node {
	if schema.kind != '{' {
		return schema
	}
	in := inliner{defs: schema.get("$defs"), kept: map[string]bool{}}
	out := in.schema(schema.without("$defs"), nil)
	kept := &node{kind: '{'}
	if in.defs != nil && out.kind == '{' {
		for _, def := range in.defs.members {
			if in.kept[def.name] {
				kept.members = append(kept.members, def)
			}
		}
	}
	if len(kept.members) == 0 {
		return out
	}
	return out.with(member{"$defs", kept})
}

// wrap makes the schema of {"result": value} from that of value. Definitions
// move to the new root, so that references to them stay valid; a schema that
// refers to its root cannot be moved.
func wrap(schema *node) *node {
	inner := schema
	if schema.kind == '{' {
		inner = schema.without("$defs")
	}
	if refersToRoot(schema) {
		inner = &node{kind: '{'}
	}
	out := parse([]byte(`{"type":"object","properties":{},"required":["result"]}`))
	out = &node{kind: '{', members: []member{
		out.members[0], {"properties", &node{kind: '{', members: []member{{"result", inner}}}}, out.members[2],
	}}
	if defs := schema.get("$defs"); defs != nil {
		out = out.with(member{"$defs", defs})
	}
	return out
}

func refersToRoot(n *node) bool {
	for _, m := range n.members {
		ref := m.value.text()
		if m.name == "$ref" && strings.HasPrefix(ref, "#") && !strings.HasPrefix(ref, defsPrefix) || refersToRoot(m.value) {
			return true
		}
	}
	return slices.ContainsFunc(n.items, refersToRoot)
}

type inliner struct {
	defs *node           // nil: none
	kept map[string]bool // definitions that are still referred to
	size int             // values so far
}

// schema gives a schema, or a list of them, with its references replaced; open
// are the definitions that it stands in.
func (in *inliner) schema(n *node, open []string) *node {
	in.size++
	switch n.kind {
	case 0:
		return n
	case '[':
		out := &node{kind: '['}
		for _, item := range n.items {
			out.items = append(out.items, in.schema(item, open))
		}
		return out
	}
	if name, siblings, ok := in.reference(n); ok {
		if slices.Contains(open, name) || len(open) >= maxDeep || in.size > maxInlined {
			in.keep(name)
			return n
		}
		return in.schema(in.defs.get(name), append(slices.Clip(open), name)).with(siblings...)
	}
	out := &node{kind: '{'}
	for _, m := range n.members {
		switch m.name {
		case "$ref": // with siblings that count: it stays
			in.keep(strings.TrimPrefix(m.value.text(), defsPrefix))
		case "const", "enum", "default", "examples", "required": // no schemas
			in.size++
		case "properties", "patternProperties", "dependentSchemas":
			m.value = in.each(m.value, open)
		default:
			m.value = in.schema(m.value, open)
		}
		out.members = append(out.members, m)
	}
	return out
}

// each does the members of properties, whose names are no keywords.
func (in *inliner) each(n *node, open []string) *node {
	out := &node{kind: n.kind}
	for _, m := range n.members {
		out.members = append(out.members, member{m.name, in.schema(m.value, open)})
	}
	return out
}

// reference tells whether a schema is a reference to a definition, and nothing
// beside it changes what is valid.
func (in *inliner) reference(n *node) (name string, siblings []member, ok bool) {
	for _, m := range n.members {
		switch m.name {
		case "$ref":
			name, ok = strings.CutPrefix(m.value.text(), defsPrefix)
			def := in.defs.get(name)
			ok = ok && def != nil && def.kind == '{'
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
	if def := in.defs.get(name); def != nil && !in.kept[name] {
		in.kept[name] = true
		in.keepAll(def)
	}
}

func (in *inliner) keepAll(n *node) {
	for _, m := range n.members {
		if ref, ok := strings.CutPrefix(m.value.text(), defsPrefix); ok {
			in.keep(ref)
		}
		in.keepAll(m.value)
	}
	for _, item := range n.items {
		in.keepAll(item)
	}
}
