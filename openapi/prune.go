package openapi

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// Bounds of what prune copies for one side of a tool, and looks at for a document.
const (
	maxPruneDepth  = 8
	maxPruneCopies = 2000
	maxPruneWork   = 4 * documentBudget
)

// pruning says what to take out of an object schema.
type pruning struct {
	gone     map[string]bool       // members that others fill, or that do not travel this way
	inner    map[string][][]string // paths to take out of members
	optional map[string]bool       // names that are no longer required
}

// without is a schema without the members at the given paths.
func (s *schemas) without(n *yaml.Node, paths [][]string) *yaml.Node {
	if len(paths) == 0 {
		return n
	}
	p := pruning{gone: map[string]bool{}, inner: map[string][][]string{}, optional: map[string]bool{}}
	for _, path := range paths {
		if len(path) == 1 {
			p.gone[path[0]], p.optional[path[0]] = true, true
		} else {
			p.inner[path[0]] = append(p.inner[path[0]], path[1:])
		}
	}
	for name, rest := range p.inner { // others fill all that the member has to have
		member, _ := s.property(n, name)
		if member != nil && !s.demands(s.without(member, rest)) {
			p.optional[name] = true
		}
	}
	return s.prune(n, p, 0)
}

// prune copies a schema without what p takes out, and without the demand for
// it. Where a reference brings that, its target is copied in.
func (s *schemas) prune(n *yaml.Node, p pruning, depth int) *yaml.Node {
	s.copies, s.work = s.copies+1, s.work+1
	if !isMapping(n) || depth > maxPruneDepth || s.copies > maxPruneCopies || s.work > maxPruneWork {
		return n
	}
	var part *yaml.Node
	if ref := refOf(n); ref != nil {
		if target, _, _ := s.target(ref); target != nil && s.mentions(target, p) {
			part = s.prune(target, p, depth+1)
		}
	}
	out := s.like(n)
	for k, v := range pairs(n) {
		switch k.Value {
		case "$ref", "$dynamicRef":
			if part != nil {
				continue
			}
		case "properties":
			v = s.pruneProperties(v, p)
		case "required":
			v = s.pruneRequired(v, p)
		case "dependentRequired":
			dependent := s.like(v)
			for name, list := range pairs(v) {
				dependent.Content = append(dependent.Content, key(name.Value), s.pruneRequired(list, p))
			}
			v = dependent
		case "allOf":
			all := s.like(v)
			for _, c := range items(v) {
				all.Content = append(all.Content, s.prune(c, p, depth+1))
			}
			v = all
		case "minProperties": // those that are taken out count too
			continue
		}
		out.Content = append(out.Content, k, v)
	}
	if part == nil {
		return out
	}
	return s.join(n, out, part)
}

// join puts what a reference led to beside its siblings.
func (s *schemas) join(n, siblings, part *yaml.Node) *yaml.Node {
	if !s.onlyRefers(n) {
		all := s.like(part)
		all.Kind, all.Tag, all.Content = yaml.SequenceNode, "!!seq", []*yaml.Node{part}
		if old := get(siblings, "allOf"); old != nil {
			old.Content = append(old.Content, part)
		} else {
			siblings.Content = append(siblings.Content, key("allOf"), all)
		}
		return siblings
	}
	out := s.like(part)
	for k, v := range pairs(part) {
		if get(siblings, k.Value) == nil || !isAnnotation(k.Value) {
			out.Content = append(out.Content, k, v)
		}
	}
	for k, v := range pairs(siblings) {
		if isAnnotation(k.Value) {
			out.Content = append(out.Content, k, v)
		}
	}
	return out
}

func key(name string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name} }

// onlyRefers tells a reference beside which nothing constrains the value.
func (s *schemas) onlyRefers(n *yaml.Node) bool {
	ref := refOf(n)
	if ref == nil || s.dialect == dialect30 {
		return ref != nil
	}
	for k := range pairs(n) {
		if keywordOf(k.Value) != nil && !isAnnotation(k.Value) {
			return false
		}
	}
	return true
}

func (s *schemas) pruneProperties(n *yaml.Node, p pruning) *yaml.Node {
	out := s.like(n)
	s.work += len(n.Content) / 8
	for k, v := range pairs(n) {
		if p.gone[k.Value] {
			continue
		}
		out.Content = append(out.Content, k, s.without(v, p.inner[k.Value]))
	}
	return out
}

func (s *schemas) pruneRequired(n *yaml.Node, p pruning) *yaml.Node {
	if !isSequence(n) {
		return n
	}
	out := s.like(n)
	out.Content = slices.DeleteFunc(slices.Clone(n.Content), func(c *yaml.Node) bool { return p.optional[c.Value] })
	return out
}

// mentions tells whether a schema has or requires what p takes out. What does
// not travel this way leaves the schema by itself.
func (s *schemas) mentions(n *yaml.Node, p pruning) bool {
	own := s.otherWay(n)
	for _, c := range s.conjuncts(n) {
		if properties := get(c, "properties"); properties != nil {
			s.work += len(properties.Content) / 8
		}
		for k := range pairs(get(c, "properties")) {
			if (p.gone[k.Value] || p.inner[k.Value] != nil) && !own[k.Value] {
				return true
			}
		}
		for _, name := range items(get(c, "required")) {
			if p.optional[name.Value] && !own[name.Value] {
				return true
			}
		}
	}
	return false
}

// like is an empty node that stands where n does.
func (r *reader) like(n *yaml.Node) *yaml.Node {
	c := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Line: n.Line, Column: n.Column}
	if f, ok := r.home[n]; ok {
		r.home[c] = f
	}
	return c
}

// put adds a member to an object.
func (r *reader) put(n *yaml.Node, name string, v *yaml.Node) {
	n.Content = append(n.Content, r.scalar(v, "!!str", name), v)
}

// scalar is a new scalar that stands where at does.
func (r *reader) scalar(at *yaml.Node, tag, value string) *yaml.Node {
	return r.made(at, yaml.ScalarNode, tag, value)
}

func (r *reader) made(at *yaml.Node, kind yaml.Kind, tag, value string) *yaml.Node {
	n := r.like(at)
	n.Kind, n.Tag, n.Value = kind, tag, value
	return n
}
