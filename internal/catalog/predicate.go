package catalog

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

const (
	maxPredicateBytes = 16 << 10
	maxPredicateDepth = 20
)

// predicate decides about an entity.
type predicate func(it *item) bool

// parsePredicate reads a query: field paths with values or operators, and
// $all, $any, $not of queries.
func parsePredicate(query json.RawMessage) (predicate, error) {
	if len(bytes.TrimSpace(query)) == 0 || string(bytes.TrimSpace(query)) == "null" {
		return func(*item) bool { return true }, nil
	}
	if len(query) > maxPredicateBytes {
		return nil, inputError("query is longer than %d bytes", maxPredicateBytes)
	}
	var value any
	if err := json.Unmarshal(query, &value); err != nil {
		return nil, inputError("query is not JSON")
	}
	return newPredicate(value, 0)
}

func newPredicate(value any, depth int) (predicate, error) {
	object, ok := value.(map[string]any)
	switch {
	case depth > maxPredicateDepth:
		return nil, inputError("query is nested deeper than %d levels", maxPredicateDepth)
	case !ok:
		return nil, inputError(`query: expected an object such as {"kind": "component"}, not %s`, typeName(value))
	}
	for key, operand := range object {
		if !strings.HasPrefix(key, "$") {
			continue
		}
		if len(object) > 1 {
			return nil, inputError("query: %s must stand alone in its object; combine it with others in $all", key)
		}
		return logical(key, operand, depth)
	}
	var fields []predicate
	for key, operand := range object {
		p, err := fieldPredicate(strings.ToLower(key), operand, depth)
		if err != nil {
			return nil, err
		}
		fields = append(fields, p)
	}
	return every(fields), nil
}

func logical(operator string, operand any, depth int) (predicate, error) {
	switch operator {
	case "$not":
		p, err := newPredicate(operand, depth+1)
		if err != nil {
			return nil, err
		}
		return func(it *item) bool { return !p(it) }, nil
	case "$all", "$any":
		list, ok := operand.([]any)
		if !ok {
			return nil, inputError("query: %s takes a list, not %s", operator, typeName(operand))
		}
		parts := make([]predicate, len(list))
		for i, part := range list {
			var err error
			if parts[i], err = newPredicate(part, depth+1); err != nil {
				return nil, err
			}
		}
		if operator == "$all" {
			return every(parts), nil
		}
		return some(parts), nil
	}
	return nil, inputError("query: operator %s is not known here: expected $all, $any, $not or a field path", shorten(operator))
}

func every(parts []predicate) predicate {
	return func(it *item) bool {
		return !slices.ContainsFunc(parts, func(p predicate) bool { return !p(it) })
	}
}

func some(parts []predicate) predicate {
	return func(it *item) bool {
		return slices.ContainsFunc(parts, func(p predicate) bool { return p(it) })
	}
}

func fieldPredicate(key string, operand any, depth int) (predicate, error) {
	if s, ok := scalar(operand); ok {
		return hasOneOf(key, s), nil
	}
	object, ok := operand.(map[string]any)
	if !ok || len(object) != 1 {
		return nil, inputError("query: field %q: expected a value or exactly one of $exists, $in, $contains, $hasPrefix", shorten(key))
	}
	for operator, argument := range object {
		switch operator {
		case "$exists":
			if want, ok := argument.(bool); ok {
				return func(it *item) bool { return len(it.terms[key]) > 0 == want }, nil
			}
			return nil, inputError("query: field %q: $exists takes true or false", shorten(key))
		case "$in":
			return inPredicate(key, argument)
		case "$hasPrefix":
			if prefix, ok := argument.(string); ok {
				return prefixPredicate(key, strings.ToLower(prefix)), nil
			}
			return nil, inputError("query: field %q: $hasPrefix takes text", shorten(key))
		case "$contains":
			return containsPredicate(key, argument, depth)
		default:
			return nil, inputError("query: field %q: operator %s is not known: expected $exists, $in, $contains or $hasPrefix", shorten(key), shorten(operator))
		}
	}
	return nil, inputError("query: field %q: expected an operator", shorten(key)) // not reached: one member
}

func hasOneOf(key string, wanted ...string) predicate {
	norms := make([]string, len(wanted))
	for i, w := range wanted {
		norms[i] = strings.ToLower(w)
	}
	return func(it *item) bool {
		return slices.ContainsFunc(norms, func(n string) bool { return it.terms.has(key, n) })
	}
}

func inPredicate(key string, argument any) (predicate, error) {
	list, ok := argument.([]any)
	if !ok {
		return nil, inputError("query: field %q: $in takes a list", shorten(key))
	}
	values := make([]string, len(list))
	for i, v := range list {
		if values[i], ok = scalar(v); !ok {
			return nil, inputError("query: field %q: $in takes a list of texts, numbers or booleans", shorten(key))
		}
	}
	return hasOneOf(key, values...), nil
}

func prefixPredicate(key, prefix string) predicate {
	return func(it *item) bool {
		return slices.ContainsFunc(it.terms[key], func(v value) bool { return !v.null && strings.HasPrefix(v.norm, prefix) })
	}
}

// containsPredicate holds when one of a list's items is the value, or fulfils
// the query when the argument is one.
func containsPredicate(key string, argument any, depth int) (predicate, error) {
	if s, ok := scalar(argument); ok {
		return hasOneOf(key, s), nil
	}
	p, err := newPredicate(argument, depth+1)
	if err != nil {
		return nil, err
	}
	return func(it *item) bool {
		for _, member := range members(it.entity, key) {
			if object, ok := member.(map[string]any); ok && p(&item{entity: object, terms: termsOf(object, nil)}) {
				return true
			}
		}
		return false
	}, nil
}

// members are the items of the list at a lower-case dotted path.
func members(v any, path string) []any {
	switch v := v.(type) {
	case []any:
		if path == "" {
			return v
		}
	case map[string]any:
		for key, member := range v {
			rest, found := strings.CutPrefix(path, strings.ToLower(key))
			if found && (rest == "" || rest[0] == '.') {
				if list := members(member, strings.TrimPrefix(rest, ".")); list != nil {
					return list
				}
			}
		}
	}
	return nil
}
