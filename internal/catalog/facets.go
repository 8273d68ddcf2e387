package catalog

import (
	"cmp"
	"slices"
	"strings"
)

const maxFacets = 50

// facet is a value and how many entities have it.
type facet struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// facets counts the values of each path among the matching entities.
func (ix *index) facets(paths []string, q *query) (map[string][]facet, error) {
	switch {
	case len(paths) == 0:
		return nil, inputError("facet is missing: name at least one path, for example kind")
	case len(paths) > maxFacets:
		return nil, inputError("at most %d facets at once", maxFacets)
	}
	matching, err := ix.find(q)
	if err != nil {
		return nil, err
	}
	result := make(map[string][]facet, len(paths))
	for _, path := range paths {
		result[path] = count(matching, strings.ToLower(path))
	}
	return result, nil
}

func count(items []ranked, path string) []facet {
	counts := map[string]int{}
	for _, it := range items {
		for _, v := range it.terms[path] {
			if !v.null {
				counts[v.text]++
			}
		}
	}
	list := make([]facet, 0, len(counts))
	for value, n := range counts {
		list = append(list, facet{value, n})
	}
	slices.SortFunc(list, func(a, b facet) int { return cmp.Compare(a.Value, b.Value) })
	return list
}
