package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// dialect is the schema language of a document.
type dialect int

const (
	dialect31 dialect = iota // JSON Schema 2020-12
	dialect30                // OpenAPI 3.0's own
)

// direction says which side of a call a schema describes: readOnly properties
// are no input, writeOnly ones no output (OpenAPI 3.1 §4.8.24.3).
type direction int

const (
	input direction = iota
	output
)

// schemaBudget bounds the schemas of one side of a tool. What lies beyond is
// admitted unchecked: a model could not read more of it anyway.
const schemaBudget = 4000

// schemas translates the schemas of one side of one action to 2020-12 and
// gathers what they refer to as $defs. References stay references, so that
// recursion is no special case.
type schemas struct {
	*reader
	direction direction
	count     int
	cut       bool
	names     map[*yaml.Node]string // def name of each referenced node
	queue     []*yaml.Node          // referenced, not yet translated
	defs      *object
	uses      map[string][]*object // the {"$ref": …} objects of each def
}

func (r *reader) schemas(d direction) *schemas {
	return &schemas{
		reader: r, direction: d, names: map[*yaml.Node]string{},
		defs: newObject(), uses: map[string][]*object{},
	}
}

// anything is the schema that admits every value.
func anything() json.RawMessage { return json.RawMessage("true") }

// finish adds the definitions that root needs and gives it as JSON.
func (s *schemas) finish(root *object) json.RawMessage {
	for len(s.queue) > 0 {
		n := s.queue[0]
		s.queue = s.queue[1:]
		s.defs.set(s.names[n], s.translate(n))
	}
	s.inlineSingleUses()
	if s.defs.len() > 0 {
		root.set("$defs", s.defs)
	}
	return rawJSON(root)
}

// inlineSingleUses puts a definition that is used once where it is used:
// fewer tokens, and easier for models that follow no references. A recursive
// definition is used twice at least, so this ends.
func (s *schemas) inlineSingleUses() {
	for _, name := range slices.Clone(s.defs.keys) {
		def, isObject := s.defs.get(name).(*object)
		uses := s.uses[name]
		if !isObject || len(uses) != 1 {
			continue
		}
		use := uses[0]
		if slices.ContainsFunc(use.keys, func(k string) bool { return k != "$ref" && !isAnnotation(k) }) {
			continue
		}
		own := *use
		*use = object{keys: slices.Clone(def.keys), values: maps.Clone(def.values)}
		for _, k := range own.keys {
			if k != "$ref" {
				use.set(k, own.values[k])
			}
		}
		// References inside moved along with the maps; nothing else points at def.
		s.replaceUse(def, use)
		s.defs.delete(name)
	}
}

// replaceUse keeps uses right when a definition that is itself a reference moves.
func (s *schemas) replaceUse(from, to *object) {
	for _, uses := range s.uses {
		for i, u := range uses {
			if u == from {
				uses[i] = to
			}
		}
	}
}

// translate turns one schema node into 2020-12.
func (s *schemas) translate(n *yaml.Node) any {
	if isBool(n) {
		return json.RawMessage(strconv.FormatBool(isTrue(n)))
	}
	if !isMapping(n) {
		if n != nil {
			s.schemaFinding("schema-invalid", n, "schema is not an object; it admits anything", "")
		}
		return anything()
	}
	if s.count++; s.count > schemaBudget {
		if !s.cut {
			s.cut = true
			s.report(SeverityWarning, "schema-cut", n,
				fmt.Sprintf("schema has more than %d parts; from here on it is left open", schemaBudget), "hide what a model does not need")
		}
		return newObject().set("description", "Left open: the schema is too large to be shown in full.")
	}
	if ref := get(n, "$ref"); ref != nil {
		return s.reference(n, ref)
	}
	out := newObject()
	first := []string{"type", "title", "description"} // others look at them
	for _, name := range first {
		if v := get(n, name); v != nil {
			keywordOf(name)(s, out, name, v)
		}
	}
	for k, v := range pairs(n) {
		if translate := keywordOf(k.Value); translate != nil && !slices.Contains(first, k.Value) {
			translate(s, out, k.Value, v)
		}
	}
	s.from30(n, out)
	s.dropDirection(n, out)
	return out
}

// schemaFinding reports on a schema, which many operations may share, without
// naming one of them: so each fault is told once.
func (s *schemas) schemaFinding(code string, n *yaml.Node, message, hint string) {
	op := s.op
	s.op = ""
	s.report(SeverityWarning, code, n, message, hint)
	s.op = op
}

// reference turns a $ref into one into $defs. In 3.0 nothing beside it counts
// but what explains it; in 3.1 its siblings do.
func (s *schemas) reference(n, ref *yaml.Node) any {
	target, fault, hint := s.local(ref.Value)
	if target == nil {
		s.schemaFinding("ref-unresolved", ref, "schema: "+fault+"; it admits anything", hint)
		return anything()
	}
	out := newObject().set("$ref", "")
	for k, v := range pairs(n) {
		if translate := keywordOf(k.Value); translate != nil && (s.dialect == dialect31 || isAnnotation(k.Value)) {
			translate(s, out, k.Value, v)
		}
	}
	name := s.define(target, ref.Value)
	out.set("$ref", "#/$defs/"+name)
	s.uses[name] = append(s.uses[name], out)
	if isTrue(get(n, "nullable")) {
		return newObject().set("anyOf", []any{out, newObject().set("type", "null")})
	}
	return out
}

var defNameUnsafe = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// define gives the name of a definition, making one for a new target.
func (s *schemas) define(target *yaml.Node, ref string) string {
	if name, ok := s.names[target]; ok {
		return name
	}
	base := strings.Trim(defNameUnsafe.ReplaceAllString(ref[strings.LastIndex(ref, "/")+1:], "_"), "_")
	if base == "" {
		base = "schema"
	}
	taken := slices.Collect(maps.Values(s.names))
	name := base
	for i := 2; slices.Contains(taken, name); i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	s.names[target] = name
	s.queue = append(s.queue, target)
	return name
}

// from30 translates what OpenAPI 3.0 says in other words than 2020-12.
// "nullable" is taken in 3.1 as well, where many still write it.
func (s *schemas) from30(n *yaml.Node, out *object) {
	for _, bound := range [][2]string{{"exclusiveMinimum", "minimum"}, {"exclusiveMaximum", "maximum"}} {
		if isTrue(get(n, bound[0])) && out.has(bound[1]) {
			out.set(bound[0], out.get(bound[1]))
			out.delete(bound[1])
		}
	}
	if example := get(n, "example"); example != nil && !out.has("examples") && s.tame("example", example) {
		out.set("examples", []any{value(example)})
	}
	if !isTrue(get(n, "nullable")) {
		return
	}
	if enum, ok := out.get("enum").([]any); ok && !slices.ContainsFunc(enum, isNullJSON) {
		out.set("enum", append(enum, json.RawMessage("null")))
	}
	switch t := out.get("type").(type) {
	case string:
		out.set("type", []any{t, "null"})
	case nil:
		if out.has("allOf") || out.has("oneOf") || out.has("anyOf") {
			inner := *out
			*out = *newObject().set("anyOf", []any{&inner, newObject().set("type", "null")})
		}
	}
}

func isNullJSON(v any) bool {
	raw, ok := v.(json.RawMessage)
	return ok && string(raw) == "null"
}

// dropDirection takes out the properties that do not travel this way.
func (s *schemas) dropDirection(n *yaml.Node, out *object) {
	dropped := s.otherWay(n, 0)
	if len(dropped) == 0 {
		return
	}
	if properties, ok := out.get("properties").(*object); ok {
		for name := range dropped {
			properties.delete(name)
		}
	}
	s.dropRequired(out, dropped)
}

func (s *schemas) dropRequired(out *object, dropped map[string]bool) {
	if required, ok := out.get("required").([]any); ok {
		kept := slices.DeleteFunc(required, func(v any) bool { return dropped[v.(string)] })
		out.set("required", kept)
		if len(kept) == 0 {
			out.delete("required")
		}
	}
	parts, _ := out.get("allOf").([]any)
	for _, part := range parts {
		if o, ok := part.(*object); ok {
			s.dropRequired(o, dropped)
		}
	}
}

// otherWay names the properties of a schema, and of its allOf parts, that
// travel only the other way.
func (s *schemas) otherWay(n *yaml.Node, depth int) map[string]bool {
	var names map[string]bool
	if depth > 8 {
		return nil
	}
	for k, v := range pairs(get(n, "properties")) {
		if s.travelsOtherWay(v) {
			if names == nil {
				names = map[string]bool{}
			}
			names[k.Value] = true
		}
	}
	for _, part := range items(get(n, "allOf")) {
		for name := range s.otherWay(s.deref(part), depth+1) {
			if names == nil {
				names = map[string]bool{}
			}
			names[name] = true
		}
	}
	return names
}

func (s *schemas) travelsOtherWay(n *yaml.Node) bool {
	flag := "readOnly"
	if s.direction == output {
		flag = "writeOnly"
	}
	return isTrue(get(n, flag)) || isTrue(get(s.deref(n), flag))
}

// deref follows a schema's $refs silently; the node itself when they fail.
func (r *reader) deref(n *yaml.Node) *yaml.Node {
	for range 32 {
		ref := get(n, "$ref")
		if ref == nil {
			return n
		}
		target, _, _ := r.local(ref.Value)
		if target == nil {
			return n
		}
		n = target
	}
	return n
}
