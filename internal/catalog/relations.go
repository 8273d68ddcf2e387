package catalog

import (
	"cmp"
	"slices"
)

// relation is one end of a relation, as the entity that has it shows it.
type relation struct {
	Type      string `json:"type"`
	TargetRef string `json:"targetRef"`
}

// relationRule says which relations a field of spec makes, and of what kind
// its references are when they do not say.
type relationRule struct {
	field, forward, backward, kind string
}

func relationRules(kind string) []relationRule {
	owner := relationRule{"owner", "ownedBy", "ownerOf", "Group"}
	system := relationRule{"system", "partOf", "hasPart", "System"}
	dependsOn := relationRule{"dependsOn", "dependsOn", "dependencyOf", ""}
	dependencyOf := relationRule{"dependencyOf", "dependencyOf", "dependsOn", ""}
	switch kind {
	case "Component":
		return []relationRule{owner, system, dependsOn, dependencyOf,
			{"subcomponentOf", "partOf", "hasPart", "Component"},
			{"providesApis", "providesApi", "apiProvidedBy", "API"},
			{"consumesApis", "consumesApi", "apiConsumedBy", "API"}}
	case "API":
		return []relationRule{owner, system}
	case "Resource":
		return []relationRule{owner, system, dependsOn, dependencyOf}
	case "System":
		return []relationRule{owner, {"domain", "partOf", "hasPart", "Domain"}}
	case "Domain":
		return []relationRule{owner, {"subdomainOf", "partOf", "hasPart", "Domain"}}
	case "Group":
		return []relationRule{{"parent", "childOf", "parentOf", "Group"},
			{"children", "parentOf", "childOf", "Group"},
			{"members", "hasMember", "memberOf", "User"}}
	case "User":
		return []relationRule{{"memberOf", "memberOf", "hasMember", "Group"}}
	case "Template":
		return []relationRule{owner}
	}
	return nil
}

// relate works out the relations of all entities, in both directions, by ref.
// References to entities that do not exist make relations too, and those that
// cannot be read none.
func relate(entities []map[string]any) map[string][]relation {
	all := map[string][]relation{}
	for _, e := range entities {
		source := refOf(e)
		spec := object(e, "spec")
		for _, rule := range relationRules(source.Kind) {
			for _, target := range texts(spec, rule.field) {
				ref, err := ParseRef(target, rule.kind, source.Namespace)
				if err != nil {
					continue
				}
				from, to := source.String(), ref.String()
				all[from] = append(all[from], relation{rule.forward, to})
				all[to] = append(all[to], relation{rule.backward, from})
			}
		}
	}
	for ref, list := range all {
		slices.SortFunc(list, func(a, b relation) int {
			return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.TargetRef, b.TargetRef))
		})
		all[ref] = slices.Compact(list)
	}
	return all
}
