package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// kinds is a set of the types of values. Numbers are integers or fractions.
type kinds uint8

const (
	null kinds = 1 << iota
	boolean
	object
	array
	text
	integer
	fraction
	number   = integer | fraction
	anything = null | boolean | object | array | text | number
)

func kindOf(name any) kinds {
	switch name {
	case "null":
		return null
	case "boolean":
		return boolean
	case "object":
		return object
	case "array":
		return array
	case "string":
		return text
	case "integer":
		return integer
	case "number":
		return number
	}
	return 0
}

func (k kinds) String() string {
	var names []string
	for _, name := range []string{"string", "number", "integer", "boolean", "object", "array", "null"} {
		if one := kindOf(name); k&one == one && (name != "integer" || k&number == integer) {
			names = append(names, name)
		}
	}
	if k&number == fraction {
		names = append(names, "numbers that are not whole")
	}
	switch {
	case k == anything:
		return "anything"
	case len(names) == 0:
		return "nothing"
	}
	return strings.Join(names, " or ")
}

// kindOfValue is the type of a value of encoding/json with json.Number.
func kindOfValue(v any) kinds {
	switch v := v.(type) {
	case nil:
		return null
	case bool:
		return boolean
	case map[string]any:
		return object
	case []any:
		return array
	case string:
		return text
	case json.Number:
		if r := rational(v); r != nil && r.IsInt() {
			return integer
		} else if r != nil {
			return fraction
		}
		return number
	}
	return anything
}

// rational is a number exactly; nil where it is none, or one so large that
// reckoning with it would take long.
func rational(v any) *big.Rat {
	n, ok := v.(json.Number)
	if !ok || len(n) > 1000 {
		return nil
	}
	if _, exponent, has := strings.Cut(strings.ToLower(string(n)), "e"); has && len(strings.TrimLeft(exponent, "+-0")) > 3 {
		return nil
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return nil
	}
	return r
}

// part is a schema among those that a value is known to fit. Of one whose
// alternatives are looked at one by one, their keyword is spent.
type part struct {
	*schema
	anyOf, oneOf bool // spent
}

func (p part) alternatives() (string, []*schema) {
	if branches := p.list["anyOf"]; len(branches) > 0 && !p.anyOf {
		return "anyOf", branches
	}
	if branches := p.list["oneOf"]; len(branches) > 0 && !p.oneOf {
		return "oneOf", branches
	}
	return "", nil
}

// flat is what a value fits all of, without references and allOf.
type flat struct {
	parts   []part
	never   bool
	unknown bool // something leads nowhere
}

// flatten follows references and allOf.
func (c *comparison) flatten(parts []part) (f flat) {
	seen, above := map[*schema]bool{}, map[*schema]bool{}
	var add func(p part)
	add = func(p part) {
		if seen[p.schema] {
			f.unknown = f.unknown || above[p.schema] // it asks for itself
			return
		}
		seen[p.schema], above[p.schema] = true, true
		defer delete(above, p.schema)
		f.never = f.never || p.never
		f.parts = append(f.parts, p)
		if ref, ok := p.words["$ref"].(string); ok {
			if target := p.doc.target(ref); target != nil {
				add(part{schema: target})
			} else {
				f.unknown = true
			}
		}
		for _, inner := range p.list["allOf"] {
			add(part{schema: inner})
		}
		if virtual, _ := c.closing(p.schema); virtual != nil {
			add(part{schema: virtual})
		}
	}
	for _, p := range parts {
		add(p)
	}
	return f
}

// closing says unevaluatedProperties as additionalProperties, where what is
// evaluated does not depend on the value; known is false where it does.
func (c *comparison) closing(s *schema) (virtual *schema, known bool) {
	rest := s.one["unevaluatedProperties"]
	if rest == nil {
		return nil, true
	}
	if s.closed {
		return s.closing, s.closing != nil
	}
	s.closed = true
	c.ids++
	made := &schema{id: c.ids, doc: s.doc, words: map[string]any{}, one: map[string]*schema{"additionalProperties": rest},
		named: map[string]map[string]*schema{"properties": {}, "patternProperties": {}}}
	seen := map[*schema]bool{}
	var add func(s *schema, own bool) bool
	add = func(s *schema, own bool) bool {
		if seen[s] {
			return true
		}
		seen[s] = true
		depends := len(s.list["anyOf"]) > 0 || len(s.list["oneOf"]) > 0 || s.one["if"] != nil || s.named["dependentSchemas"] != nil ||
			s.one["additionalProperties"] != nil || !own && s.one["unevaluatedProperties"] != nil
		if depends {
			return false
		}
		for _, word := range []string{"properties", "patternProperties"} {
			for name := range s.named[word] {
				c.ids++
				made.named[word][name] = &schema{id: c.ids, doc: s.doc, words: map[string]any{}}
			}
		}
		if ref, ok := s.words["$ref"].(string); ok {
			target := s.doc.target(ref)
			if target == nil || !add(target, false) {
				return false
			}
		}
		return !slices.ContainsFunc(s.list["allOf"], func(inner *schema) bool { return !add(inner, false) })
	}
	if add(s, true) {
		s.closing = made
	}
	return s.closing, s.closing != nil
}

// key tells sets of parts apart.
func key(parts []part) string {
	names := make([]string, 0, len(parts))
	for _, p := range parts {
		names = append(names, fmt.Sprintf("%d%t%t", p.plain().id, p.anyOf, p.oneOf))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// kinds are the types that all parts admit.
func (f flat) kinds() kinds {
	all := anything
	if f.never {
		return 0
	}
	for _, p := range f.parts {
		all &= p.kinds()
	}
	return all
}

func (s *schema) kinds() kinds {
	all := kinds(0)
	switch t := s.words["type"].(type) {
	case string:
		all = kindOf(t)
	case []any:
		for _, name := range t {
			all |= kindOf(name)
		}
	}
	if all == 0 {
		all = anything
	}
	if values, finite := s.enumerated(); finite {
		some := kinds(0)
		for _, v := range values {
			some |= kindOfValue(v)
		}
		all &= some
	}
	return all
}

// enumerated are the values that const and enum leave.
func (s *schema) enumerated() (values []any, finite bool) {
	if enum, ok := s.words["enum"].([]any); ok {
		values, finite = enum, true
	}
	if v, ok := s.words["const"]; ok {
		if !finite || slices.ContainsFunc(values, func(other any) bool { return sameValue(v, other) }) {
			return []any{v}, true
		}
		return nil, true
	}
	return values, finite
}

// sameValue compares as JSON Schema does: 1.0 is 1.
func sameValue(a, b any) bool {
	x, y := rational(a), rational(b)
	if x != nil && y != nil {
		return x.Cmp(y) == 0
	}
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValue)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameValue)
	}
	return kindOfValue(a)&(object|array) == 0 && kindOfValue(b)&(object|array) == 0 && a == b
}

// finite gives all values that can fit, where they can be counted; some of them
// may not fit.
func (f flat) finite() (values []any, ok bool) {
	for _, p := range f.parts {
		if some, finite := p.enumerated(); finite && (!ok || len(some) < len(values)) {
			values, ok = some, true
		}
	}
	if k := f.kinds(); !ok && k&^(null|boolean) == 0 {
		if k&null != 0 {
			values = append(values, nil)
		}
		if k&boolean != 0 {
			values = append(values, true, false)
		}
		return values, true
	}
	return values, ok
}

// required are the members that must be there.
func (f flat) required() map[string]bool {
	names := map[string]bool{}
	for _, p := range f.parts {
		for _, name := range strs(p.words["required"]) {
			names[name] = true
		}
	}
	return names
}

func strs(v any) (names []string) {
	list, _ := v.([]any)
	for _, item := range list {
		if s, ok := item.(string); ok {
			names = append(names, s)
		}
	}
	return names
}

// described are the members that some part names.
func (f flat) described() []string {
	names := map[string]bool{}
	for _, p := range f.parts {
		for name := range p.named["properties"] {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// member gives what a member fits. It is silent where no part says anything of
// it, nor can.
func (c *comparison) member(f flat, name string) (parts []part, silent bool) {
	silent = true
	for _, p := range f.parts {
		found := false
		if s := p.named["properties"][name]; s != nil {
			parts, found = append(parts, part{schema: s}), true
		}
		for pattern, s := range p.named["patternProperties"] {
			switch matches, known := c.matches(pattern, name); {
			case !known:
				found, silent = true, false // nobody can tell what else holds
			case matches:
				parts, found = append(parts, part{schema: s}), true
			}
		}
		if rest := p.one["additionalProperties"]; rest != nil && !found {
			parts = append(parts, part{schema: rest})
		}
		silent = silent && !p.depends()
	}
	return parts, silent && len(parts) == 0
}

// depends tells whether keywords that are not looked at may speak of members.
func (p part) depends() bool {
	_, branches := p.alternatives()
	return branches != nil || p.one["if"] != nil || p.one["unevaluatedProperties"] != nil && p.closing == nil || p.named["dependentSchemas"] != nil
}

// others gives what members fit that no part names.
func (f flat) others() (parts []part) {
	for _, p := range f.parts {
		if rest := p.one["additionalProperties"]; rest != nil {
			parts = append(parts, part{schema: rest})
		}
	}
	return parts
}

// patterned gives what members fit whose names match a part's pattern.
func (f flat) patterned(owner part, pattern string) []part {
	parts := []part{{schema: owner.named["patternProperties"][pattern]}}
	for _, p := range f.parts {
		if rest := p.one["additionalProperties"]; rest != nil && len(p.named["patternProperties"]) == 0 {
			parts = append(parts, part{schema: rest})
		}
	}
	return parts
}

// matches tells whether a name matches a pattern, where that can be known.
func (c *comparison) matches(pattern, name string) (matches, known bool) {
	re, tried := c.patterns[pattern]
	if !tried {
		re, _ = regexp.Compile(pattern)
		c.patterns[pattern] = re
	}
	return re != nil && re.MatchString(name), re != nil
}
