package openapi

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxXML bounds the XML Objects of one body; beyond, elements are called like
// their members.
const maxXML = 5000

// xmlName is a name without a colon (Namespaces in XML 1.0, NCName).
var xmlName = regexp.MustCompile(`^[\p{L}_][\p{L}\p{N}_.\-]*$`)

// xmlReader gathers the XML Objects of a schema's parts.
type xmlReader struct {
	*reader
	known map[*yaml.Node]*XML
}

// xmlOf tells how values of a body's schema are written as XML. The root is
// called as its XML Object says, or like the component that describes it.
func (r *reader) xmlOf(schema *yaml.Node) *XML {
	x := (&xmlReader{reader: r, known: map[*yaml.Node]*XML{}}).of(schema)
	if x == nil {
		x = &XML{}
	}
	if x.Name == "" {
		x.Name = "root"
		if ref := refOf(schema); ref != nil {
			if name := ref.Value[strings.LastIndex(ref.Value, "/")+1:]; xmlName.MatchString(name) {
				x.Name = name
			}
		}
	}
	return x
}

func (x *xmlReader) of(n *yaml.Node) *XML {
	if known, ok := x.known[n]; ok || n == nil || len(x.known) >= maxXML {
		return known
	}
	out := &XML{}
	x.known[n] = out
	named := false
	for _, part := range x.conjuncts(n) {
		if hints := get(part, "xml"); hints != nil && !named {
			out.hints(hints)
			named = true
		}
		if item := get(part, "items"); item != nil && out.Items == nil {
			out.Items = x.of(item)
		}
		for name, member := range pairs(get(part, "properties")) {
			out.Members = append(out.Members, XMLMember{name.Value, x.of(member)})
		}
	}
	return out
}

// hints reads an XML Object; nodeType is OpenAPI 3.2's word for attribute and
// wrapped.
func (x *XML) hints(n *yaml.Node) {
	if name := text(get(n, "name")); xmlName.MatchString(name) {
		x.Name = name
	}
	if prefix := text(get(n, "prefix")); xmlName.MatchString(prefix) {
		x.Prefix = prefix
	}
	x.Namespace = text(get(n, "namespace"))
	x.Attribute = isTrue(get(n, "attribute"))
	x.Wrapped = isTrue(get(n, "wrapped"))
	switch text(get(n, "nodeType")) {
	case "attribute":
		x.Attribute = true
	case "text", "cdata":
		x.Text = true
	case "element":
		x.Wrapped = true
	case "none":
		x.Inline = true
	}
}
