package config

import (
	_ "embed" // the reference's introduction
	"fmt"
	"strings"
)

//go:embed reference.md
var introduction string

// Reference is docs/config.md: every key of the file, in Markdown.
func Reference() []byte {
	r := &reference{headings: map[string]string{}}
	r.text.WriteString(introduction)
	r.section(table(), "")
	return []byte(r.text.String())
}

type reference struct {
	text     strings.Builder
	headings map[string]string // Go type → where it is explained
}

// section writes the table of a section, then those of the sections inside it.
func (r *reference) section(s *shape, path string) {
	heading := "`" + path + "`"
	if path == "" {
		heading = "Top level"
	}
	r.headings[s.goType] = heading
	fmt.Fprintf(&r.text, "\n## %s\n\n| key | type | default | what it does |\n|---|---|---|---|\n", heading)
	var inside []field
	for _, f := range s.fields {
		sub, _ := f.section(path)
		what := cell(f.doc)
		if sub != nil && r.headings[sub.goType] != "" {
			what += " As in " + r.headings[sub.goType] + "."
		} else if sub != nil {
			inside = append(inside, f)
		}
		fmt.Fprintf(&r.text, "| `%s` | %s | %s | %s |\n", f.key, f.shape.written(), code(f.def), what)
	}
	for _, f := range inside {
		if sub, at := f.section(path); r.headings[sub.goType] == "" {
			r.section(sub, at)
		}
	}
}

// section is the section that the field is, or is a list or mapping of.
func (f field) section(path string) (*shape, string) {
	at := join(path, f.key)
	switch s := f.shape; {
	case s.kind == section:
		return s, at
	case s.kind == list && s.elem.kind == section:
		return s.elem, at + "[]"
	case s.kind == named && s.elem.kind == section:
		return s.elem, at + ".{name}"
	}
	return nil, ""
}

// written is a type for people.
func (s *shape) written() string {
	switch s.kind {
	case list:
		if s.elem.plain != "" {
			return "list of strings or sections"
		}
		return "list of " + s.elem.written() + "s"
	case named:
		return s.elem.written() + "s by name"
	case anyScalar:
		return "value"
	case section:
		return "section"
	case boolean:
		return "boolean"
	case integer:
		return "integer"
	case size:
		return "size"
	case duration:
		return "duration"
	case secret:
		return "secret"
	}
	if s.enum != nil {
		return "`" + strings.Join(s.enum, "`, `") + "`"
	}
	return "string"
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
