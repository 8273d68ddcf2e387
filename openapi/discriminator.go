package openapi

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// discriminate says in 2020-12's words what a discriminator says: which value
// of a member belongs to which branch. Where the mapping does not name all
// branches nobody can tell, and a value may be of more than one.
func (s *schemas) discriminate(n *yaml.Node, out *object) {
	discriminator := get(n, "discriminator")
	name := text(get(discriminator, "propertyName"))
	if name == "" {
		return
	}
	for _, keyword := range []string{"oneOf", "anyOf"} {
		nodes := items(get(n, keyword))
		branches, _ := out.get(keyword).([]any)
		if len(branches) == 0 || len(branches) != len(nodes) {
			continue
		}
		if values, closed := s.mapped(nodes, get(discriminator, "mapping")); closed {
			s.nameBranches(name, nodes, branches, values)
		} else if keyword == "oneOf" {
			s.anyInstead(out)
		}
	}
}

// mapped gives the values that a discriminator's mapping has for each branch,
// beside the component's name, which always counts (OpenAPI 3.1 §4.8.25).
// closed is false when a branch has none, or the same ones as another.
func (s *schemas) mapped(branches []*yaml.Node, mapping *yaml.Node) (values [][]any, closed bool) {
	names := map[string][]any{} // by component
	for value, to := range pairs(mapping) {
		component := lastName(to.Value)
		names[component] = append(names[component], value.Value)
	}
	for _, branch := range branches {
		ref := refOf(branch)
		if ref == nil {
			return nil, false
		}
		component := lastName(ref.Value)
		own := names[component]
		if len(own) == 0 {
			return nil, false
		}
		delete(names, component)
		if !slices.Contains(own, any(component)) {
			own = append(own, component)
		}
		values = append(values, own)
	}
	return values, true
}

func lastName(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// nameBranches gives each branch the values of the member that tell it from
// the others, unless it says them itself.
func (s *schemas) nameBranches(name string, nodes []*yaml.Node, branches []any, values [][]any) {
	for i, branch := range branches {
		o, isObject := branch.(*object)
		own, _ := s.property(nodes[i], name)
		if own != nil {
			own = s.deref(own)
		}
		if !isObject || o.has("properties") || get(own, "enum") != nil || get(own, "const") != nil {
			continue
		}
		o.set("properties", newObject().set(name, newObject().set("enum", values[i])))
	}
}
