package openapi

import (
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"
)

// maxFields bounds the fields of a form that are looked at.
const maxFields = 1000

// encodings tells of the fields of a form that are not written by default: by
// the document's Encoding Objects, and because they are files.
func (r *reader) encodings(c *content) map[string]Encoding {
	if c.format != FormatForm && c.format != FormatMultipart || c.schema == nil {
		return nil
	}
	out := map[string]Encoding{}
	for _, part := range r.conjuncts(c.schema) {
		for k, schema := range pairs(get(part, "properties")) {
			if _, known := out[k.Value]; known || len(out) > maxFields {
				continue
			}
			if e, special := r.encodingOf(c, k.Value, schema); special {
				out[k.Value] = e
			}
		}
	}
	for name := range c.encoding { // of members that the schema does not name
		if _, known := out[name]; !known && len(out) <= maxFields {
			if e, special := r.encodingOf(c, name, nil); special {
				out[name] = e
			}
		}
	}
	return out
}

func (r *reader) encodingOf(c *content, name string, schema *yaml.Node) (e Encoding, special bool) {
	declared, types := c.encoding[name], []string(nil)
	if declared != nil {
		types = strings.Split(declared.ContentType, ",")
		if declared.Style != "" || declared.Explode != nil || declared.AllowReserved {
			method := declared.SerializationMethod()
			e.Style, e.Explode, e.AllowReserved = method.Style, method.Explode, declared.AllowReserved
		}
	}
	if len(types) == 1 && !strings.Contains(types[0], "*") { // of several, or of a range, the value says which
		e.ContentType = strings.TrimSpace(types[0])
	}
	if c.format != FormatMultipart {
		return e, declared != nil
	}
	item := schema
	if r.typeOf(schema) == "array" {
		item = r.itemsOf(schema)
	}
	itemType := r.typeOf(item)
	e.File = r.isFile(item) ||
		e.Style == "" && len(types) > 0 && isBinaryMedia(essence(types[0])) && (itemType == "string" || itemType == "")
	e.Headers = r.partHeaders(c, name)
	return e, declared != nil || e.File
}

// partHeaders are the headers of a form's part for which the document gives a
// value: nobody else could.
func (r *reader) partHeaders(c *content, name string) map[string]string {
	var out map[string]string
	for k, header := range pairs(get(get(get(c.node, "encoding"), name), "headers")) {
		header, ok := r.follow(header, SeverityWarning, "header "+k.Value)
		if !ok || strings.EqualFold(k.Value, "Content-Type") {
			continue // OpenAPI 3.1 §4.8.15.1: it is described separately
		}
		schema := r.deref(get(header, "schema"))
		value := get(schema, "const")
		if enum := items(get(schema, "enum")); value == nil && len(enum) == 1 {
			value = enum[0]
		}
		if value == nil {
			value = get(schema, "default")
		}
		if value == nil || value.Kind != yaml.ScalarNode || !httpguts.ValidHeaderFieldName(k.Value) || !httpguts.ValidHeaderFieldValue(value.Value) {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k.Value] = value.Value
	}
	return out
}

func (r *reader) itemsOf(n *yaml.Node) *yaml.Node {
	for _, c := range r.conjuncts(n) {
		if item := get(c, "items"); item != nil {
			return item
		}
	}
	return nil
}

// hasFiles tells a form in which a field is a file.
func (r *reader) hasFiles(c *content) bool {
	for _, e := range r.encodings(c) {
		if e.File {
			return true
		}
	}
	return false
}
