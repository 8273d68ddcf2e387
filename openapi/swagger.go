package openapi

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// swagger puts one operation of Swagger 2.0 in the words of OpenAPI 3.0, node
// by node: places, order and exact numbers stay the author's, schemas stay the
// very nodes that $refs lead to, and a fault costs no more than its operation.
type swagger struct {
	*reader
	body   *yaml.Node   // the parameter in: body
	fields []*yaml.Node // the parameters in: formData
}

// fromSwagger gives a path item and one of its operations as OpenAPI 3.0 would
// have them. References that lead nowhere stay as they are, to be reported by
// whoever follows them.
func (r *reader) fromSwagger(item, op *yaml.Node) (newItem, newOp *yaml.Node) {
	s := &swagger{reader: r}
	newItem = s.with(item, "parameters", s.parameters(get(item, "parameters")))
	newOp = s.with(op, "parameters", s.parameters(get(op, "parameters")))
	newOp = s.with(newOp, "requestBody", s.requestBody(op))
	newOp = s.with(newOp, "responses", s.responses(op))
	return newItem, newOp
}

// with is a copy of an object in which a key has another value; nil: none.
func (s *swagger) with(n *yaml.Node, name string, v *yaml.Node) *yaml.Node {
	out := s.like(n)
	for k, old := range pairs(n) {
		if k.Value != name {
			out.Content = append(out.Content, k, old)
		}
	}
	if v != nil {
		s.put(out, name, v)
	}
	return out
}

func (s *swagger) object(at *yaml.Node) *yaml.Node { return s.made(at, yaml.MappingNode, "!!map", "") }

// parameters converts a list and sets aside what becomes the body.
func (s *swagger) parameters(list *yaml.Node) *yaml.Node {
	if !isSequence(list) {
		return list
	}
	out := s.like(list)
	for _, n := range list.Content {
		p := s.deref(n)
		if !isMapping(p) || get(p, "$ref") != nil {
			out.Content = append(out.Content, n)
			continue
		}
		switch text(get(p, "in")) {
		case "body":
			s.body = p
		case "formData":
			s.field(p)
		default:
			out.Content = append(out.Content, s.parameter(p))
		}
	}
	return out
}

// field takes in a form field; an operation's replaces its path's of that name.
func (s *swagger) field(p *yaml.Node) {
	same := func(q *yaml.Node) bool { return text(get(q, "name")) == text(get(p, "name")) }
	if i := slices.IndexFunc(s.fields, same); i >= 0 {
		s.fields[i] = p
	} else {
		s.fields = append(s.fields, p)
	}
}

// isParameterField tells the fields of a parameter that are not about its
// value (Swagger 2.0, Parameter Object).
func isParameterField(name string) bool {
	switch name {
	case "name", "in", "description", "required", "allowEmptyValue", "deprecated", "example":
		return true
	}
	return strings.HasPrefix(name, "x-") && name != "x-nullable"
}

func (s *swagger) parameter(p *yaml.Node) *yaml.Node {
	out := s.like(p)
	for k, v := range pairs(p) {
		if isParameterField(k.Value) {
			out.Content = append(out.Content, k, v)
		}
	}
	if style, explode := s.style(p); style != "" {
		s.put(out, "style", s.scalar(p, "!!str", style))
		s.put(out, "explode", s.scalar(p, "!!bool", explode))
	}
	s.put(out, "schema", s.schemaOf(p))
	return out
}

// schemaOf is what a parameter says about its value, as a schema.
func (s *swagger) schemaOf(p *yaml.Node) *yaml.Node {
	if schema := get(p, "schema"); schema != nil {
		return s.fileSchema(schema)
	}
	out := s.like(p)
	for k, v := range pairs(p) {
		if !isParameterField(k.Value) && k.Value != "collectionFormat" && k.Value != "items" {
			out.Content = append(out.Content, k, v)
		}
		if k.Value == "items" {
			s.checkItems(v)
			out.Content = append(out.Content, k, v)
		}
	}
	return s.fileSchema(out)
}

// fileSchema is a schema of which type: file is a binary string.
func (s *swagger) fileSchema(n *yaml.Node) *yaml.Node {
	t := get(n, "type")
	if text(t) != "file" {
		return n
	}
	out := s.with(n, "type", s.scalar(t, "!!str", "string"))
	return s.with(out, "format", s.scalar(t, "!!str", "binary"))
}

// checkItems reports lists inside lists: no style of OpenAPI writes them.
func (s *swagger) checkItems(n *yaml.Node) {
	if text(get(n, "type")) == "array" {
		s.report(SeverityWarning, "collection-format", n, "a list inside a list has no form in OpenAPI; the inner one is sent as JSON", "describe it as a string")
	}
}

// style is how a list is written: OpenAPI's style for its collectionFormat, or
// "tabDelimited" for tsv, which OpenAPI has none for. "": it is no list.
func (s *swagger) style(p *yaml.Node) (style, explode string) {
	format, in := get(p, "collectionFormat"), text(get(p, "in"))
	if text(get(p, "type")) != "array" {
		return "", ""
	}
	commas := "form"
	if in == "path" || in == "header" {
		commas = "simple"
	}
	if format == nil {
		return commas, "false"
	}
	switch {
	case format.Value == "csv":
	case format.Value == "ssv":
		return "spaceDelimited", "false"
	case format.Value == "tsv":
		return "tabDelimited", "false"
	case format.Value == "pipes":
		return "pipeDelimited", "false"
	case format.Value == "multi" && commas == "form":
		return "form", "true"
	default:
		s.report(SeverityWarning, "collection-format", format,
			fmt.Sprintf("%s parameter %q cannot have the collectionFormat %q; its list is sent with commas", in, text(get(p, "name")), format.Value),
			"csv, ssv, tsv and pipes are known, and multi in query and formData")
	}
	return commas, "false"
}

// requestBody is made of the body parameter, or else of the form fields.
func (s *swagger) requestBody(op *yaml.Node) *yaml.Node {
	if s.body == nil {
		if len(s.fields) == 0 {
			return nil
		}
		return s.form(op)
	}
	for _, p := range s.fields {
		s.report(SeverityWarning, "parameter-invalid", p,
			fmt.Sprintf("form field %q stands beside a body parameter; it is left out", text(get(p, "name"))), "describe it as a member of the body")
	}
	out := s.like(s.body)
	for k, v := range pairs(s.body) {
		if k.Value == "description" || k.Value == "required" {
			out.Content = append(out.Content, k, v)
		}
	}
	types := s.mediaTypes(op, "consumes", s.body, "application/json")
	s.put(out, "content", s.content(s.body, types, "schema", s.schemaOf(s.body)))
	return out
}

// form is a body of form fields. Files can only go as multipart/form-data.
func (s *swagger) form(op *yaml.Node) *yaml.Node {
	at := s.fields[0]
	properties, required, encoding := s.object(at), s.made(at, yaml.SequenceNode, "!!seq", ""), s.object(at)
	file := false
	for _, p := range s.fields {
		name := get(p, "name")
		if !isString(name) {
			s.report(SeverityWarning, "parameter-invalid", p, "form field has no name; it is left out", "")
			continue
		}
		schema := s.schemaOf(p)
		file = file || text(get(p, "type")) == "file"
		if description := get(p, "description"); description != nil {
			schema = s.with(schema, "description", description)
		}
		properties.Content = append(properties.Content, name, schema)
		if isTrue(get(p, "required")) {
			required.Content = append(required.Content, name)
		}
		if style, explode := s.style(p); style != "" {
			e := s.object(p)
			s.put(e, "style", s.scalar(p, "!!str", style))
			s.put(e, "explode", s.scalar(p, "!!bool", explode))
			encoding.Content = append(encoding.Content, name, e)
		}
	}
	schema := s.object(at)
	s.put(schema, "type", s.scalar(at, "!!str", "object"))
	s.put(schema, "properties", properties)
	out := s.object(at)
	if len(required.Content) > 0 {
		s.put(schema, "required", required)
		s.put(out, "required", s.scalar(at, "!!bool", "true"))
	}
	content := s.content(at, s.formTypes(op, at, file), "schema", schema)
	if len(encoding.Content) > 0 {
		for _, media := range pairs(content) {
			s.put(media, "encoding", encoding)
		}
	}
	s.put(out, "content", content)
	return out
}

// formTypes are the media types of consumes that carry form fields.
func (s *swagger) formTypes(op, at *yaml.Node, file bool) []*yaml.Node {
	const urlencoded, multipart = "application/x-www-form-urlencoded", "multipart/form-data"
	fallback := urlencoded
	if file {
		fallback = multipart
	}
	fit := slices.DeleteFunc(s.mediaTypes(op, "consumes", at, fallback), func(n *yaml.Node) bool {
		e := essence(n.Value)
		return e != multipart && (file || e != urlencoded)
	})
	if len(fit) == 0 {
		fit = append(fit, s.scalar(at, "!!str", fallback))
	}
	return fit
}

// mediaTypes are the operation's, or else the document's, consumes or produces.
func (s *swagger) mediaTypes(op *yaml.Node, name string, at *yaml.Node, fallback string) []*yaml.Node {
	list := get(op, name)
	if list == nil {
		list = get(s.entry.root, name)
	}
	var types []*yaml.Node
	for _, n := range append(slices.Clone(items(list)), present(list)...) {
		if isString(n) && !slices.ContainsFunc(types, func(t *yaml.Node) bool { return t.Value == n.Value }) {
			types = append(types, n)
		}
	}
	if len(types) == 0 {
		types = append(types, s.scalar(at, "!!str", fallback))
	}
	return types
}

// content gives each media type an object with one member.
func (s *swagger) content(at *yaml.Node, types []*yaml.Node, name string, v *yaml.Node) *yaml.Node {
	content := s.object(at)
	for _, t := range types {
		media := s.object(at)
		s.put(media, name, v)
		content.Content = append(content.Content, t, media)
	}
	return content
}

func (s *swagger) responses(op *yaml.Node) *yaml.Node {
	old := get(op, "responses")
	if !isMapping(old) {
		return old
	}
	out := s.like(old)
	for status, n := range pairs(old) {
		if resp := s.deref(n); isMapping(resp) && get(resp, "$ref") == nil {
			n = s.response(op, resp)
		}
		out.Content = append(out.Content, status, n)
	}
	return out
}

// response is one whose body, if it has any, comes in any of produces.
func (s *swagger) response(op, resp *yaml.Node) *yaml.Node {
	out := s.like(resp)
	for k, v := range pairs(resp) {
		if k.Value == "description" || strings.HasPrefix(k.Value, "x-") {
			out.Content = append(out.Content, k, v)
		}
	}
	schema := get(resp, "schema")
	if schema == nil { // no content is returned (Swagger 2.0, Response Object)
		return out
	}
	fallback := "application/json"
	if text(get(schema, "type")) == "file" {
		fallback = "application/octet-stream"
	}
	content := s.content(schema, s.mediaTypes(op, "produces", schema, fallback), "schema", s.fileSchema(schema))
	for mediaType, media := range pairs(content) {
		if example := get(get(resp, "examples"), mediaType.Value); example != nil {
			s.put(media, "example", example)
		}
	}
	s.put(out, "content", content)
	return out
}
