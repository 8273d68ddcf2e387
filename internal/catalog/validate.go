package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// validate says everything that is wrong with an entity, in the order of its
// fields, each beginning with the field's path; nothing when the catalog takes
// it.
func validate(value any) []string {
	entity, ok := value.(map[string]any)
	if !ok {
		return []string{"an entity must be an object with apiVersion, kind, metadata and spec"}
	}
	v := &validator{}
	v.field("apiVersion", entity["apiVersion"], isAPIVersion, "a version such as backstage.io/v1alpha1")
	v.field("kind", entity["kind"], isKind, "letters and digits, beginning with a letter, at most 63")
	v.rootFields(entity)
	metadata, ok := entity["metadata"].(map[string]any)
	if !ok {
		v.add("metadata must be an object with a name")
	} else {
		v.metadata(metadata)
	}
	v.kind(entity)
	if len(v.faults) == 0 {
		if twins := caseTwins(entity); len(twins) > 0 {
			v.add("fields differ only in case: %s", strings.Join(twins, ", "))
		}
	}
	return v.faults
}

type validator struct{ faults []string }

func (v *validator) add(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// field requires a value of which is says that it is right.
func (v *validator) field(path string, value any, is func(string) bool, expected string) {
	s, ok := value.(string)
	switch {
	case value == nil:
		v.add("%s is missing: expected %s", path, expected)
	case !ok:
		v.add("%s must be text, not %s", path, typeName(value))
	case !is(s):
		v.add("%s is not valid: expected %s, found %q", path, expected, shorten(s))
	}
}

func (v *validator) optional(m map[string]any, path, key string, is func(string) bool, expected string) {
	if value, there := m[key]; there {
		v.field(path+key, value, is, expected)
	}
}

func (v *validator) rootFields(entity map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(entity)) {
		switch key {
		case "apiVersion", "kind", "metadata", "spec":
		default:
			v.add("%s is not a field of entities (apiVersion, kind, metadata, spec); does it belong in spec?", shorten(key))
		}
	}
}

const expectedName = "letters and digits, separated by any of [-_.], at most 63 characters"

func (v *validator) metadata(m map[string]any) {
	v.field("metadata.name", m["name"], isName, expectedName)
	v.optional(m, "metadata.", "namespace", isLabel, "lower-case letters and digits, separated by [-], at most 63 characters")
	v.optional(m, "metadata.", "title", isFilled, "some text")
	v.optional(m, "metadata.", "description", isAny, "text")
	v.pairs(m, "labels", isLabelValue, expectedName)
	v.pairs(m, "annotations", isAny, "text")
	for i, tag := range v.list(m, "metadata.", "tags") {
		v.field(fmt.Sprintf("metadata.tags.%d", i), tag, isTag, "lower-case letters, digits and any of [:+#], separated by [-], at most 63 characters")
	}
	for i, link := range v.list(m, "metadata.", "links") {
		path := fmt.Sprintf("metadata.links.%d", i)
		l, ok := link.(map[string]any)
		if !ok {
			v.add("%s must be an object with a url", path)
			continue
		}
		v.field(path+".url", l["url"], isURL, "a URL")
		v.optional(l, path+".", "title", isNotBlank, "text")
		v.optional(l, path+".", "icon", isNotBlank, "text")
		v.optional(l, path+".", "type", isNotBlank, "text")
	}
}

// pairs checks labels and annotations.
func (v *validator) pairs(m map[string]any, key string, is func(string) bool, expected string) {
	value, there := m[key]
	if !there {
		return
	}
	pairs, ok := value.(map[string]any)
	if !ok {
		v.add("metadata.%s must be an object, not %s", key, typeName(value))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		if !isQualified(name) {
			v.add("metadata.%s: the key %q is not valid: expected [prefix/]name, the prefix a DNS name, the name %s", key, shorten(name), expectedName)
		}
		v.field("metadata."+key+"."+shorten(name), pairs[name], is, expected)
	}
}

func (v *validator) list(m map[string]any, path, key string) []any {
	value, there := m[key]
	if !there {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		v.add("%s%s must be a list, not %s", path, key, typeName(value))
	}
	return list
}

func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "text"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "a number"
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:100]) + "…"
	}
	return s
}
