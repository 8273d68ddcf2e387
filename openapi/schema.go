package openapi

import (
	"encoding/json"
	"fmt"
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

// Bounds of the schemas of one side of a tool, in parts. What lies beyond is
// admitted unchecked: a model could not read more of it anyway. A document that
// came to documentBudget has smaller tools from there on, so that many tools
// over many linked schemas cost no more than their bytes. Of real documents the
// largest tools have 1,000 parts, and the largest documents 40,000 in all.
const (
	schemaBudget   = 2000
	documentBudget = 200_000
	scarceBudget   = 100
)

// schemas translates the schemas of one side of one action to 2020-12 and
// gathers what they refer to as $defs. References stay references, so that
// recursion is no special case.
type schemas struct {
	*reader
	direction direction
	count     int
	budget    int
	cut       []*yaml.Node          // what was left open
	names     map[*yaml.Node]string // def name of each referenced node
	taken     map[string]int        // def names, and the last number given to each
	queue     []*yaml.Node          // referenced, not yet translated
	defs      *object
	uses      map[string][]*object // the {"$ref": …} objects of each def
	copies    int                  // see prune
	files     bool                 // strings of bytes are files
	headers   bool                 // some have an x-mcp-header
	fileName  string               // of the definition of files, "" until there is one
	widening
}

func (r *reader) schemas(d direction) *schemas {
	budget := schemaBudget
	if r.work > documentBudget {
		budget = scarceBudget
	}
	return &schemas{
		budget: budget, reader: r, direction: d, names: map[*yaml.Node]string{}, taken: map[string]int{},
		defs: newObject(), uses: map[string][]*object{}, widening: widening{parts: map[string]part{}},
	}
}

// anything is the schema that admits every value.
func anything() json.RawMessage { return json.RawMessage("true") }

// full tells that so much is left open that the rest is not even named:
// validators need the square of the number of parts to compile them.
func (s *schemas) full() bool { return len(s.cut) > toldCuts }

// toldCuts is how many of the parts that are left open say so.
const toldCuts = 20

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
	s.work++
	if s.count++; s.count > s.budget {
		s.cut = append(s.cut, n)
		s.losses++
		if s.full() {
			return anything() // saying it again and again would be as long as the schema
		}
		return newObject().set("description", "Left open: the schema is too large to be shown in full.")
	}
	if dropped := s.otherWay(n); len(dropped) > 0 && !s.onlyRefers(n) {
		n = s.prune(n, pruning{gone: dropped, optional: dropped}, 0)
		s.losses++ // it says nothing of these members any more, which may have told it from others
	}
	if ref := refOf(n); ref != nil {
		return s.reference(n, ref)
	}
	if s.files && s.isFile(n) {
		return s.describedFile(n)
	}
	out, guards := newObject(), len(s.guards)
	s.keywords(n, out, s.mark(), keywordOf)
	if home := s.from30(n, out); home != out {
		s.moveGuards(guards, out, home)
	}
	return out
}

// keywords translates what stands in n into out; from is where the schema's
// losses began.
func (s *schemas) keywords(n *yaml.Node, out *object, from mark, of func(string) keyword) {
	first := [...]string{"type", "title", "description"} // others look at them
	for _, name := range first {
		if translate := of(name); translate != nil {
			if v := get(n, name); v != nil {
				translate(s, out, name, v)
			}
		}
	}
	for k, v := range pairs(n) {
		if translate := of(k.Value); translate != nil && !slices.Contains(first[:], k.Value) {
			before := s.mark()
			translate(s, out, k.Value, v)
			s.guard(out, k.Value, before)
		}
	}
	s.mcpHeader(n, out)
	s.meanings(n, out)
	s.discriminate(n, out)
	s.guardClosed(n, out, from)
}

// schemaFinding reports on a schema, which many operations may share, without
// naming one of them: so each fault is told once.
func (s *schemas) schemaFinding(code string, n *yaml.Node, message, hint string) {
	s.losses++
	op := s.op
	s.op = ""
	s.report(SeverityWarning, code, n, message, hint)
	s.op = op
}

// reference turns a $ref into one into $defs. In 3.0 nothing beside it counts
// but what explains it; in 3.1 its siblings do.
func (s *schemas) reference(n, ref *yaml.Node) any {
	target, fault, hint := s.target(ref)
	if target == nil {
		s.schemaFinding("ref-unresolved", ref, "schema: "+fault+"; it admits anything", hint)
		return anything()
	}
	if s.closes(ref, target) {
		s.schemaFinding("schema-endless", ref, fmt.Sprintf("schema: $ref %q leads back to the schema that it is a part of; it admits anything", ref.Value), "refer to it from a property or from items")
		return anything()
	}
	from := s.mark()
	if second := get(n, "$dynamicRef"); second != nil && second != ref {
		s.invalid("$dynamicRef", second, "it not to stand beside $ref")
	}
	name := s.define(target, ref.Value)
	out := newObject().set("$ref", defsPrefix+name)
	s.uses[name] = append(s.uses[name], out)
	s.trail = append(s.trail, name)
	siblings := keywordOf
	if s.dialect == dialect30 {
		siblings = annotationOf
	}
	s.keywords(n, out, from, siblings)
	if s.nullable(n) {
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
	base := strings.Trim(defNameUnsafe.ReplaceAllString(refName(ref), "_"), "_")
	if base == "" {
		base = "schema"
	}
	name := s.freeName(base)
	s.names[target], s.taken[name] = name, 1
	s.queue = append(s.queue, target)
	return name
}

func (s *schemas) freeName(base string) string {
	name := base
	for s.taken[name] > 0 {
		s.taken[base]++
		name = fmt.Sprintf("%s_%d", base, s.taken[base])
	}
	return name
}

// from30 translates what OpenAPI 3.0 says in other words than 2020-12.
// "nullable" is taken in 3.1 as well, where many still write it. It gives the
// object that holds the keywords in the end.
func (s *schemas) from30(n *yaml.Node, out *object) *object {
	for _, bound := range [][2]string{{"exclusiveMinimum", "minimum"}, {"exclusiveMaximum", "maximum"}} {
		if isTrue(get(n, bound[0])) && out.has(bound[1]) {
			out.set(bound[0], out.get(bound[1]))
			out.delete(bound[1])
		}
	}
	if example := get(n, "example"); example != nil && !out.has("examples") && s.tame("example", example) {
		out.set("examples", []any{value(example)})
	}
	if !s.nullable(n) {
		return out
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
			return &inner
		}
	}
	return out
}

func isNullJSON(v any) bool {
	raw, ok := v.(json.RawMessage)
	return ok && string(raw) == "null"
}
