package openapi

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

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

// outputSchema describes the result, where the document says what it is: all
// success responses are JSON or empty, and a jq selection is a plain path.
func (b *builder) outputSchema() json.RawMessage {
	s := b.schemas(output)
	if b.x.schema != nil {
		s.dialect = dialect31
		return s.finish(asObject(s.translate(b.x.schema)))
	}
	path, plain := selectPath(b.x.selects)
	if !plain {
		return nil
	}
	var nodes []*yaml.Node
	empty := false
	for _, resp := range b.successResponses() {
		if len(resp.content) == 0 {
			empty = true
		}
		for _, mediaType := range slices.Sorted(maps.Keys(resp.content)) {
			schema := b.descend(resp.content[mediaType], path)
			if !isJSONMedia(essence(mediaType)) || schema == nil {
				return nil
			}
			if !slices.Contains(nodes, schema) && !slices.ContainsFunc(nodes, func(n *yaml.Node) bool { return b.deref(n) == b.deref(schema) }) {
				nodes = append(nodes, schema)
			}
		}
	}
	switch {
	case len(nodes) == 0:
		return nil
	case len(nodes) == 1 && !empty:
		return s.finish(asObject(s.translate(nodes[0])))
	}
	var parts []any
	for _, n := range nodes {
		parts = append(parts, s.translate(n))
	}
	if empty { // an answer without a body is the result {}
		parts = append(parts, newObject().set("type", "object").set("maxProperties", json.RawMessage("0")))
	}
	return s.finish(newObject().set("anyOf", parts))
}

// successResponses are those whose status is a result: x-action's, else 2xx,
// else "default".
func (b *builder) successResponses() []response {
	plan := ResponsePlan{Success: b.x.success}
	var out, fallback []response
	for _, resp := range b.o.responses {
		switch {
		case resp.status == "DEFAULT":
			fallback = append(fallback, resp)
		case resp.status == "2XX" && len(plan.Success) == 0, plan.IsSuccess(atoi(resp.status)):
			out = append(out, resp)
		}
	}
	if len(out) == 0 {
		return fallback
	}
	return out
}

func atoi(s string) int {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

var plainPath = regexp.MustCompile(`^(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// selectPath gives the member names of a jq program like .location.id.
func selectPath(q *Query) (path []string, plain bool) {
	if q == nil || q.source == "." {
		return nil, true
	}
	if !plainPath.MatchString(q.source) {
		return nil, false
	}
	return strings.Split(q.source[1:], "."), true
}

// descend follows member names into a schema; nil when it cannot say for
// certain that the member is always there.
func (r *reader) descend(schema *yaml.Node, path []string) *yaml.Node {
	for _, name := range path {
		member, required := r.property(schema, name, 0)
		if member == nil || !required {
			return nil
		}
		schema = member
	}
	return schema
}

// accept lists the media types of the success responses, JSON first, so that a
// plugin which negotiates gives what a model reads best.
func (b *builder) accept() string {
	var json, others []string
	for _, resp := range b.successResponses() {
		for mediaType := range resp.content {
			e := essence(mediaType)
			switch {
			case isJSONMedia(e):
				json = append(json, e)
			case !strings.ContainsAny(e, ", "):
				others = append(others, e)
			}
		}
	}
	slices.Sort(json)
	slices.Sort(others)
	all := slices.Compact(append(slices.Compact(json), slices.Compact(others)...))
	if len(all) == 0 {
		return "application/json, */*;q=0.1"
	}
	return strings.Join(all, ", ")
}
