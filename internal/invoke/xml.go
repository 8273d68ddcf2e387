package invoke

import (
	"bytes"
	"encoding/xml"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/stagedoor/stagedoor/openapi"
)

// xml writes a value as the XML that its schema describes (OpenAPI 3.1
// §4.8.26). A string is XML already.
func (b *requestBuilder) xml(x *openapi.XML, v any) []byte {
	if text, ok := v.(string); ok {
		return []byte(text)
	}
	w := &xmlWriter{b: b}
	w.out.WriteString(xml.Header)
	if _, isList := v.([]any); isList { // a document has one root
		root := *x
		root.Wrapped = true
		x = &root
	}
	w.element("root", x, v)
	return w.out.Bytes()
}

type xmlWriter struct {
	b   *requestBuilder
	out bytes.Buffer
}

// element writes a value under its own name, or else the one that it gets from
// its place. Items of a list follow one another, in an element of their own
// where the list is wrapped.
func (w *xmlWriter) element(name string, x *openapi.XML, v any) {
	if x == nil {
		x = &openapi.XML{}
	}
	own := name
	if x.Name != "" {
		own = x.Name
	}
	switch v := v.(type) {
	case nil:
	case []any:
		if !x.Wrapped {
			w.items(name, x.Items, v)
			return
		}
		w.open(own, x, nil, nil)
		w.items(own, x.Items, v)
		w.close(own, x)
	case map[string]any:
		if x.Inline {
			w.members(x.Members, v)
			return
		}
		w.open(own, x, x.Members, v)
		w.members(x.Members, v)
		w.close(own, x)
	default:
		w.open(own, x, nil, nil)
		w.text(v)
		w.close(own, x)
	}
}

func (w *xmlWriter) items(name string, x *openapi.XML, items []any) {
	for _, item := range items {
		w.element(name, x, item)
	}
}

// members writes an object's members: those that the schema has in its order,
// then the others.
func (w *xmlWriter) members(known []openapi.XMLMember, v map[string]any) {
	written := map[string]bool{}
	for _, m := range known {
		value, ok := v[m.Name]
		if !ok || written[m.Name] {
			continue
		}
		written[m.Name] = true
		switch {
		case m.XML != nil && m.XML.Attribute:
		case m.XML != nil && m.XML.Text:
			w.text(value)
		default:
			w.element(m.Name, m.XML, value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if !written[name] {
			w.element(name, nil, v[name])
		}
	}
}

func (w *xmlWriter) open(name string, x *openapi.XML, known []openapi.XMLMember, v map[string]any) {
	w.out.WriteByte('<')
	w.name(name, x.Prefix)
	if x.Namespace != "" {
		w.out.WriteString(" xmlns")
		if x.Prefix != "" {
			w.out.WriteString(":" + x.Prefix)
		}
		w.quoted(x.Namespace)
	}
	written, declared := map[string]bool{}, map[string]bool{}
	for _, m := range known {
		value, ok := v[m.Name]
		if !ok || value == nil || m.XML == nil || !m.XML.Attribute || written[m.Name] {
			continue
		}
		written[m.Name] = true
		name := m.Name
		if m.XML.Name != "" {
			name = m.XML.Name
		}
		if m.XML.Prefix != "" && m.XML.Namespace != "" && m.XML.Prefix != x.Prefix && !declared[m.XML.Prefix] {
			declared[m.XML.Prefix] = true
			w.out.WriteString(" xmlns:" + m.XML.Prefix)
			w.quoted(m.XML.Namespace)
		}
		w.out.WriteByte(' ')
		w.name(name, m.XML.Prefix)
		w.quoted(scalar(value))
	}
	w.out.WriteByte('>')
}

func (w *xmlWriter) close(name string, x *openapi.XML) {
	w.out.WriteString("</")
	w.name(name, x.Prefix)
	w.out.WriteByte('>')
}

func (w *xmlWriter) name(name, prefix string) {
	if !isXMLName(name) {
		w.b.fail("body: member %q cannot be the name of an XML element", name)
	}
	if prefix != "" {
		w.out.WriteString(prefix + ":")
	}
	w.out.WriteString(name)
}

func (w *xmlWriter) quoted(s string) {
	w.out.WriteString(`="`)
	_ = xml.EscapeText(&w.out, []byte(s)) // a buffer takes all
	w.out.WriteByte('"')
}

func (w *xmlWriter) text(v any) {
	if v != nil {
		_ = xml.EscapeText(&w.out, []byte(scalar(v)))
	}
}

// isXMLName tells a name without a colon (Namespaces in XML 1.0 §3).
func isXMLName(s string) bool {
	for i, r := range s {
		if !unicode.IsLetter(r) && r != '_' && (i == 0 || !unicode.IsDigit(r) && !strings.ContainsRune("-.", r)) {
			return false
		}
	}
	return s != ""
}
