package catalog

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Longer keys cannot be searched by, longer values only by full text.
const maxSearchable = 200

// value is a scalar of an entity, as filters see it.
type value struct {
	text string // as written
	norm string // lower-case
	null bool   // no value, or one that is too long to be matched whole
}

// terms are the scalars of an entity by dotted, lower-case path.
type terms map[string][]value

// termsOf flattens an entity. A list's items stand at the list's own path, and
// each text in it also as path.text with the value true, so that a filter can
// ask for several. Relations stand at relations.type.
func termsOf(entity map[string]any, relations []relation) terms {
	t := terms{}
	for key, v := range entity {
		if key != "relations" && key != "status" && key != "attachments" {
			t.visit(key, v)
		}
	}
	for _, r := range relations {
		t.put("relations."+r.Type, r.TargetRef)
	}
	return t
}

func (t terms) visit(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			t.visit(path+"."+key, v[key])
		}
	case []any:
		for _, item := range v {
			t.visit(path, item)
			if s, ok := item.(string); ok {
				t.put(path+"."+s, "true")
			}
		}
	default:
		if s, ok := scalar(v); ok {
			t.put(path, s)
		} else {
			t.add(path, value{null: true})
		}
	}
}

func (t terms) put(path, text string) {
	t.add(path, value{text: text, norm: strings.ToLower(text), null: len(text) > maxSearchable})
}

func (t terms) add(path string, v value) {
	if len(path) > maxSearchable {
		return
	}
	path = strings.ToLower(path)
	if !slices.Contains(t[path], v) {
		t[path] = append(t[path], v)
	}
}

// has says whether one of the values at the path is the given one.
func (t terms) has(path, norm string) bool {
	for _, v := range t[path] {
		if !v.null && v.norm == norm {
			return true
		}
	}
	return false
}

// first is the value that orders the entity by the path.
func (t terms) first(path string) (string, bool) {
	for _, v := range t[path] {
		if !v.null {
			return v.norm, true
		}
	}
	return "", false
}

// scalar is a text, number or boolean as text.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	}
	return "", false
}

// caseTwins lists keys that stand beside one that differs in case only: a
// filter could not tell them apart.
func caseTwins(v any) (twins []string) {
	switch v := v.(type) {
	case map[string]any:
		seen := map[string]string{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if other, twice := seen[strings.ToLower(key)]; twice {
				twins = append(twins, other+" and "+key)
			}
			seen[strings.ToLower(key)] = key
			twins = append(twins, caseTwins(v[key])...)
		}
	case []any:
		for _, item := range v {
			twins = append(twins, caseTwins(item)...)
		}
	}
	return twins
}
