package contract

import (
	"fmt"
	"maps"
	"slices"
)

// annotations compares what schemas tell a model beside what they admit: titles,
// descriptions and defaults.
func (c *comparison) annotations(of side, old, now *schema) []Change {
	w := &annotated{of: of, seen: map[[2]*schema]bool{}}
	w.walk(string(of), old, now)
	return w.changes
}

// annotated walks two schemas side by side.
type annotated struct {
	of      side
	seen    map[[2]*schema]bool
	changes []Change
}

func (w *annotated) walk(where string, old, now *schema) {
	pair := [2]*schema{old, now}
	if old == nil || now == nil || w.seen[pair] || len(w.changes) >= maxGaps {
		return
	}
	w.seen[pair] = true
	w.texts(where, old, now)
	w.defaults(where, old, now)
	if a, ok := old.words["$ref"].(string); ok {
		if b, ok := now.words["$ref"].(string); ok {
			w.walk(where, old.doc.target(a), now.doc.target(b))
		}
	}
	for _, word := range []string{"properties", "patternProperties", "dependentSchemas"} {
		for _, name := range slices.Sorted(maps.Keys(old.named[word])) {
			inner := where
			switch word {
			case "properties":
				inner += step(name)
			case "patternProperties":
				inner += ".*"
			}
			w.walk(inner, old.named[word][name], now.named[word][name])
		}
	}
	for _, word := range slices.Sorted(maps.Keys(old.one)) {
		w.walk(where+map[string]string{"items": "[]", "contains": "[]", "unevaluatedItems": "[]", "additionalProperties": ".*", "unevaluatedProperties": ".*"}[word], old.one[word], now.one[word])
	}
	for _, word := range slices.Sorted(maps.Keys(old.list)) {
		for i := range min(len(old.list[word]), len(now.list[word])) {
			inner := where
			if word == "prefixItems" {
				inner += fmt.Sprintf("[%d]", i)
			}
			w.walk(inner, old.list[word][i], now.list[word][i])
		}
	}
}

func (w *annotated) texts(where string, old, now *schema) {
	for _, word := range []string{"title", "description"} {
		a, _ := old.words[word].(string)
		b, _ := now.words[word].(string)
		if a == b {
			continue
		}
		code := DescriptionChanged
		if word == "title" {
			code = TitleChanged
		}
		w.changes = append(w.changes, Change{Code: code, Where: where, Message: fmt.Sprintf("%s: %s: %s", subject(w.of, where), word, wordDiff(a, b))})
	}
	switch a, b := old.words["deprecated"] == true, now.words["deprecated"] == true; {
	case b && !a:
		w.changes = append(w.changes, Change{Code: Deprecated, Where: where, Message: subject(w.of, where) + " is deprecated"})
	case a && !b:
		w.changes = append(w.changes, Change{Code: Undeprecated, Where: where, Message: subject(w.of, where) + " is no longer deprecated"})
	}
}

// defaults compares what holds where an argument is not given. A default that
// was not written before may have been one all the same.
func (w *annotated) defaults(where string, old, now *schema) {
	a, had := old.words["default"]
	b, has := now.words["default"]
	if had == has && sameValue(a, b) {
		return
	}
	tell := func(v any, there bool) string {
		if !there {
			return "not said"
		}
		return clip(shown(v))
	}
	w.changes = append(w.changes, Change{
		Code: DefaultChanged, Where: where, Breaking: had && w.of == input,
		Message: fmt.Sprintf("%s: default was %s, is %s", subject(w.of, where), tell(a, had), tell(b, has)),
	})
}
