package openapi

import (
	"fmt"
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
	declared := c.encoding[name]
	if declared != nil {
		e.ContentType = r.partTypes(c, name, declared.ContentType)
		if declared.Style != "" || declared.Explode != nil || declared.AllowReserved {
			method := declared.SerializationMethod()
			e.Style, e.Explode, e.AllowReserved = method.Style, method.Explode, declared.AllowReserved
		}
	}
	if c.format != FormatMultipart {
		return e, declared != nil
	}
	item := schema
	if r.typeOf(schema) == "array" {
		item = r.itemsOf(schema)
	}
	itemType := r.typeOf(item)
	first, _, _ := strings.Cut(e.ContentType, ",")
	e.File = r.isFile(item) || r.isOpen(item) && e.ContentType == "" ||
		e.Style == "" && isBinaryMedia(essence(first)) && (itemType == "string" || itemType == "")
	switch {
	case e.File || e.ContentType != "":
	case r.isEncoded(item): // OpenAPI 3.1.1 §4.8.15, defaults of contentType
		e.ContentType = octetStream
	}
	if f := r.formatOf(essence(first), item); f == FormatXML {
		e.XML = r.xmlOf(item)
	}
	e.Headers = r.partHeaders(c, name)
	return e, declared != nil || e.File || e.ContentType != ""
}

// partTypes are the media types that a field's encoding names, without what no
// header can carry.
func (r *reader) partTypes(c *content, name, types string) string {
	var out []string
	for mediaType := range strings.SplitSeq(types, ",") {
		mediaType = strings.TrimSpace(mediaType)
		switch {
		case mediaType == "":
		case isMediaType(mediaType):
			out = append(out, mediaType)
		default:
			r.report(SeverityWarning, "media-type-invalid", get(get(get(c.node, "encoding"), name), "contentType"),
				fmt.Sprintf("%q is no media type; it is left out", mediaType), "for example image/png")
		}
	}
	return strings.Join(out, ",")
}

// isOpen tells the schema that says nothing, which is that of bytes in forms of
// OpenAPI 3.1 (§4.8.14.4).
func (r *reader) isOpen(n *yaml.Node) bool {
	if r.dialect != dialect31 || !isMapping(n) {
		return false
	}
	for k := range pairs(n) {
		if !isAnnotation(k.Value) && !strings.HasPrefix(k.Value, "x-") {
			return false
		}
	}
	return true
}

// isEncoded tells a string that stands for bytes.
func (r *reader) isEncoded(n *yaml.Node) bool {
	for _, c := range r.conjuncts(n) {
		if get(c, "contentEncoding") != nil {
			return true
		}
	}
	return false
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
