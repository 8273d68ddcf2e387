package catalog

import (
	"slices"
	"strings"
)

// What a filter may be at most.
const (
	maxFilterSets  = 100
	maxConditions  = 200
	maxFilterBytes = 16 << 10
)

// condition holds for an entity that has Key with one of Values, or with any
// value when there are none.
type condition struct {
	Key    string   `json:"k"`
	Values []string `json:"v,omitempty"`
}

// filter holds when all conditions of one of its sets do. The empty filter
// holds for everything.
type filter [][]condition

// parseFilter reads the filter parameters of a request: each is a set of
// conditions "key=value" or "key", separated by commas.
func parseFilter(params []string) (filter, error) {
	var f filter
	size, conditions := 0, 0
	for _, param := range params {
		set, err := parseSet(param)
		if err != nil {
			return nil, err
		}
		size += len(param)
		conditions += len(set)
		if set != nil {
			f = append(f, set)
		}
	}
	if len(f) > maxFilterSets || conditions > maxConditions || size > maxFilterBytes {
		return nil, inputError("filter is too long: at most %d sets, %d conditions and %d bytes", maxFilterSets, maxConditions, maxFilterBytes)
	}
	return f, nil
}

func parseSet(param string) ([]condition, error) {
	var set []condition
	for statement := range strings.SplitSeq(param, ",") {
		statement = strings.TrimSpace(statement)
		if statement == "" {
			continue
		}
		key, value, valued := strings.Cut(statement, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if key == "" {
			return nil, inputError("filter statement %q is not valid: expected key=value, key= or key", shorten(statement))
		}
		i := slices.IndexFunc(set, func(c condition) bool { return c.Key == key })
		if i < 0 {
			set, i = append(set, condition{Key: key}), len(set)
		}
		if valued {
			set[i].Values = append(set[i].Values, strings.ToLower(strings.TrimSpace(value)))
		}
	}
	return set, nil
}

func (f filter) match(t terms) bool {
	if len(f) == 0 {
		return true
	}
	for _, set := range f {
		if !slices.ContainsFunc(set, func(c condition) bool { return !c.match(t) }) {
			return true
		}
	}
	return false
}

func (c condition) match(t terms) bool {
	if len(c.Values) == 0 {
		return len(t[c.Key]) > 0
	}
	return slices.ContainsFunc(c.Values, func(v string) bool { return t.has(c.Key, v) })
}
