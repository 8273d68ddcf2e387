package openapi

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// A schema that lost a keyword admits more than its author wrote. In some
// places more there is less here: under "not", as a condition, as one of
// exactly one. widening keeps these places in mind until it is known which
// schemas lost something, and then opens them.
type widening struct {
	losses int             // how many parts were left out so far
	trail  []string        // definitions referred to so far
	parts  map[string]part // of definitions
	guards []guard
}

// part is what came to light while a part was translated.
type part struct {
	lost bool
	refs []string
}

// guard is a keyword whose meaning turns round.
type guard struct {
	out  *object
	name string
	part part
}

type mark struct{ losses, trail int }

func (w *widening) mark() mark { return mark{w.losses, len(w.trail)} }

func (w *widening) since(m mark) part {
	return part{w.losses > m.losses, w.trail[m.trail:len(w.trail):len(w.trail)]}
}

func (w *widening) guard(out *object, name string, before mark) {
	switch name {
	case "not", "if", "oneOf", "contains":
		w.keep(guard{out, name, w.since(before)})
	}
}

// guardClosed looks at what admits nothing beside what other keywords describe:
// when one of those is lost, so is the ground for refusing the rest.
func (s *schemas) guardClosed(n *yaml.Node, out *object, from mark) {
	lost := func(name string) bool {
		v := get(n, name)
		if listed, _ := out.get(name).(*object); isMapping(v) && listed != nil {
			return listed.len() < len(v.Content)/2
		}
		return v != nil && !out.has(name)
	}
	if lost("properties") || lost("patternProperties") {
		s.leaveOut(out, "additionalProperties")
	}
	if lost("prefixItems") {
		s.leaveOut(out, "items")
	}
	if out.has("unevaluatedProperties") || out.has("unevaluatedItems") {
		s.keep(guard{out, "unevaluated", s.since(from)})
	}
}

func (w *widening) keep(g guard) {
	if g.part.lost || len(g.part.refs) > 0 {
		w.guards = append(w.guards, g)
	}
}

func (w *widening) moveGuards(from int, old, home *object) {
	for i := range w.guards[from:] {
		if w.guards[from+i].out == old {
			w.guards[from+i].out = home
		}
	}
}

// widen opens the guarded keywords that look at a schema which lost something,
// itself or by what it refers to.
func (s *schemas) widen() {
	if s.losses == 0 {
		return
	}
	lossy := s.lossy()
	opened := false
	for _, g := range s.guards {
		if g.part.lost || slices.ContainsFunc(g.part.refs, func(name string) bool { return lossy[name] }) {
			s.open(g)
			opened = true
		}
	}
	if opened {
		s.dropUnused()
	}
}

// lossy names the definitions that lost something, or refer to one that did.
func (w *widening) lossy() map[string]bool {
	users := map[string][]string{}
	var queue []string
	lossy := map[string]bool{}
	for name, p := range w.parts {
		for _, ref := range p.refs {
			users[ref] = append(users[ref], name)
		}
		if p.lost {
			lossy[name], queue = true, append(queue, name)
		}
	}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		for _, user := range users[name] {
			if !lossy[user] {
				lossy[user], queue = true, append(queue, user)
			}
		}
	}
	return lossy
}

func (s *schemas) open(g guard) {
	switch g.name {
	case "not":
		s.leaveOut(g.out, "not")
	case "if":
		s.leaveOut(g.out, "if", "then", "else")
	case "oneOf":
		s.anyInstead(g.out)
	case "contains":
		s.leaveOut(g.out, "maxContains")
	case "unevaluated":
		s.leaveOut(g.out, "unevaluatedProperties", "unevaluatedItems")
	}
}

func (s *schemas) leaveOut(out *object, names ...string) {
	for _, name := range names {
		s.forget(out.get(name))
		out.delete(name)
	}
}

// anyInstead makes anyOf of oneOf.
func (s *schemas) anyInstead(out *object) {
	if !out.has("oneOf") { // it was left out itself, or is open already
		return
	}
	branches := out.get("oneOf")
	if branches == nil {
		return // done already
	}
	out.delete("oneOf")
	if !out.has("anyOf") {
		out.set("anyOf", branches)
		return
	}
	all, _ := out.get("allOf").([]any)
	out.set("allOf", append(slices.Clone(all), newObject().set("anyOf", branches)))
}
