package openapi

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// contentsSchema is the schema of a whole body: of its media type, or of any
// of those that the caller chooses from.
func (b *builder) contentsSchema(s *schemas, slot *slot) (schema *object, worthIt bool) {
	var parts []*object
	var seen []*content
	for _, c := range slot.contents {
		same := func(other *content) bool {
			return other.format == c.format && b.sameSchema(other.schema, c.schema)
		}
		if !slices.ContainsFunc(seen, same) {
			seen = append(seen, c)
			parts = append(parts, b.contentSchema(s, slot, c))
		}
	}
	worthIt = len(slot.omit) == 0 || slices.ContainsFunc(slot.contents, func(c *content) bool {
		return !b.memberless(s.without(c.schema, slot.omit))
	})
	if len(parts) == 1 {
		return parts[0], worthIt
	}
	alternatives := make([]any, 0, len(parts))
	for i, part := range parts {
		if !part.has("title") {
			part.set("title", "as "+seen[i].mediaType)
		}
		alternatives = append(alternatives, part)
	}
	return newObject().set("anyOf", alternatives), worthIt
}

// contentSchema describes the body's value where it is written as c.
func (b *builder) contentSchema(s *schemas, slot *slot, c *content) *object {
	described := func() *object {
		if c.schema == nil {
			return newObject()
		}
		n := s.without(c.schema, slot.omit)
		slot.demanding = slot.demanding || b.demands(n)
		return asObject(s.translate(n))
	}
	switch c.format {
	case FormatBinary:
		return s.describedFile(c.schema)
	case FormatLines, FormatSequence:
		if b.typeOf(c.schema) != "array" && b.typeOf(c.schema) != "string" {
			return newObject().set("type", "array").set("items", described())
		}
	case FormatText:
		if t := b.typeOf(c.schema); t == "object" || t == "array" { // what writes YAML or CSV may write it itself
			return orText(described(), "the text itself")
		} else if c.schema == nil {
			return newObject().set("type", "string")
		}
	case FormatXML:
		if c.schema == nil || b.typeOf(c.schema) == "string" {
			return newObject().set("type", "string").set("description", "XML")
		}
		return orText(described(), "the XML itself")
	case FormatMultipart:
		s.files = true
	}
	return described()
}

func orText(described *object, description string) *object {
	return newObject().set("anyOf", []any{described, newObject().set("type", "string").set("description", description)})
}

// fileSchema is that of a form's field which is a file, or a list of files.
func (b *builder) fileSchema(s *schemas, slot *slot) *object {
	var n *yaml.Node
	if len(slot.schemas) > 0 {
		n = slot.schemas[0]
	}
	if b.typeOf(n) != "array" {
		return s.describedFile(n)
	}
	out := newObject().set("type", "array").set("items", s.describedFile(b.itemsOf(n)))
	for _, c := range b.conjuncts(n) {
		for _, name := range []string{"description", "minItems", "maxItems"} {
			if v := get(c, name); v != nil && !out.has(name) {
				keywordOf(name)(s, out, name, v)
			}
		}
	}
	return out
}

// describedFile is the schema of a file with what the document says of it.
func (s *schemas) describedFile(n *yaml.Node) *object {
	out := newObject()
	for _, c := range s.conjuncts(n) {
		for _, name := range []string{"title", "description"} {
			if t := cleanText(text(get(c, name))); t != "" && !out.has(name) {
				out.set(name, t)
			}
		}
	}
	return s.file(out)
}

// choiceSchema describes the argument that says which media type the body is.
func (b *builder) choiceSchema() *object {
	out := newObject().set("type", "string").set("description", "Media type of the body.")
	names := make([]any, 0, len(b.o.body.contents))
	patterns := make([]string, 0, len(b.o.body.contents))
	ranges := false
	for _, c := range b.o.body.contents {
		names = append(names, c.mediaType)
		pattern := regexp.QuoteMeta(c.mediaType)
		if strings.Contains(c.mediaType, "*") {
			ranges, pattern = true, strings.ReplaceAll(pattern, `\*`, "[^ ,;/]+")
		}
		patterns = append(patterns, pattern)
	}
	if !ranges {
		return out.set("enum", names)
	}
	return out.set("pattern", "^("+strings.Join(patterns, "|")+")(;.*)?$").set("examples", names)
}
