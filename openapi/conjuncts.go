package openapi

import "go.yaml.in/yaml/v3"

// maxConjuncts bounds the parts of one schema that are looked at together.
const maxConjuncts = 200

// conjuncts are the schemas that all apply where n does: n itself, and what its
// reference and its allOf bring, each once.
func (r *reader) conjuncts(n *yaml.Node) []*yaml.Node {
	if refOf(n) == nil && get(n, "allOf") == nil {
		return []*yaml.Node{n}
	}
	var out []*yaml.Node
	seen := map[*yaml.Node]bool{}
	var visit func(*yaml.Node)
	visit = func(n *yaml.Node) {
		if seen[n] || len(out) == maxConjuncts {
			return
		}
		seen[n] = true
		out = append(out, n)
		if ref := refOf(n); ref != nil {
			if target, _, _ := r.target(ref); target != nil {
				visit(target)
			}
		}
		for _, part := range items(get(n, "allOf")) {
			visit(part)
		}
	}
	visit(n)
	return out
}

// property finds a member's schema in a schema, through $ref and allOf.
func (r *reader) property(n *yaml.Node, name string) (schema *yaml.Node, required bool) {
	for _, c := range r.conjuncts(n) {
		if schema == nil {
			schema = get(get(c, "properties"), name)
		}
		required = required || requires(c, name)
	}
	return schema, required
}

func requires(n *yaml.Node, name string) bool {
	for _, c := range items(get(n, "required")) {
		if c.Value == name {
			return true
		}
	}
	return false
}

// demands tells whether a schema requires any member at all.
func (r *reader) demands(n *yaml.Node) bool {
	for _, c := range r.conjuncts(n) {
		if len(items(get(c, "required"))) > 0 {
			return true
		}
	}
	return false
}

// memberless tells a schema that describes members and has none of them left.
func (r *reader) memberless(n *yaml.Node) bool {
	described := false
	for _, c := range r.conjuncts(n) {
		properties := get(c, "properties")
		if isMapping(properties) && len(properties.Content) > 0 {
			return false
		}
		described = described || isMapping(properties)
	}
	return described
}

// otherWay names the properties of a schema, through $ref and allOf, that
// travel only the other way.
func (s *schemas) otherWay(n *yaml.Node) map[string]bool {
	if names, known := s.hidden[s.direction][n]; known {
		return names
	}
	var names map[string]bool
	for _, c := range s.conjuncts(n) {
		for k, v := range pairs(get(c, "properties")) {
			if s.travelsOtherWay(v) {
				if names == nil {
					names = map[string]bool{}
				}
				names[k.Value] = true
			}
		}
	}
	if s.hidden[s.direction] == nil {
		s.hidden[s.direction] = map[*yaml.Node]map[string]bool{}
	}
	s.hidden[s.direction][n] = names
	return names
}

func (s *schemas) travelsOtherWay(n *yaml.Node) bool {
	flag := "readOnly"
	if s.direction == output {
		flag = "writeOnly"
	}
	for _, c := range s.conjuncts(n) {
		if isTrue(get(c, flag)) {
			return true
		}
	}
	return false
}
