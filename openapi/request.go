package openapi

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// requestPlan writes down how the slots become a request.
func (b *builder) requestPlan() RequestPlan {
	p := RequestPlan{Method: b.o.method, Accept: b.accept(), Parameters: literalQuery(b.o.query)}
	byName := map[string]*Parameter{}
	var chosen *Value
	for _, s := range b.slots {
		v, filled := s.value()
		if s.shown() && s.defaultValue != nil {
			p.setDefault(s.argument, s.defaultValue)
		}
		if s.virtual || !filled {
			continue
		}
		switch s.target.location() {
		case "":
			chosen = &v
		case InBody:
			b.planBody(&p, s, v)
		case InPath:
			byName[s.target.name] = b.planParameter(s, v)
		default:
			p.Parameters = append(p.Parameters, *b.planParameter(s, v))
		}
	}
	if b.o.body != nil && p.Body == nil && b.o.body.required {
		p.Body = b.body()
	}
	if p.Body != nil { // a member comes after the one that holds it
		p.Body.ContentType = chosen
		slices.SortStableFunc(p.Body.Members, func(m, n Member) int { return len(m.Path) - len(n.Path) })
	}
	p.Path = append(literalPath(b.o.server), pathParts(b.o.path, byName)...)
	return p
}

func (p *RequestPlan) setDefault(argument string, n *yaml.Node) {
	if p.Defaults == nil {
		p.Defaults = map[string]json.RawMessage{}
	}
	p.Defaults[argument] = rawJSON(value(n))
}

// value says who fills the slot; filled is false when nobody does.
func (s *slot) value() (v Value, filled bool) {
	switch {
	case s.fixed != nil:
		return Value{Fixed: rawJSON(value(s.fixed))}, true
	case s.query != nil:
		return Value{Query: s.query}, true
	case s.secret != "":
		return Value{Secret: s.secret}, true
	case s.known != "":
		return Value{Known: s.known}, true
	case s.hidden && s.defaultValue != nil:
		return Value{Fixed: rawJSON(value(s.defaultValue))}, true
	case s.hidden:
		return Value{}, false
	}
	return Value{Argument: s.argument}, true
}

func (b *builder) planParameter(s *slot, v Value) *Parameter {
	p := &Parameter{Name: s.target.name, In: s.target.in, Required: s.required, Value: v}
	q := s.parameter
	if method, err := q.SerializationMethod(); err == nil {
		p.Style, p.Explode = method.Style, method.Explode
	}
	if q.style != "" {
		p.Style = q.style
	}
	for _, n := range s.schemas {
		p.Integer = b.typeOf(n) == "integer" || b.typeOf(n) == "array" && b.typeOf(b.itemsOf(n)) == "integer"
	}
	p.AllowReserved, p.AllowEmptyValue = q.AllowReserved, q.AllowEmptyValue
	for mediaType := range q.Content {
		p.ContentType = mediaType
	}
	return p
}

func (b *builder) planBody(p *RequestPlan, s *slot, v Value) {
	if p.Body == nil {
		p.Body = b.body()
	}
	if len(s.target.path) == 0 {
		p.Body.Whole = &v
		return
	}
	p.Body.Members = append(p.Body.Members, Member{Path: s.target.path, Value: v})
}

// body is the plan of the body without its values.
func (b *builder) body() *Body {
	out := &Body{Required: b.o.body.required}
	for _, c := range b.o.body.contents {
		content := Content{MediaType: c.mediaType, Format: c.format, Encoding: b.encodings(c)}
		if c.format == FormatXML {
			content.XML = b.xmlOf(c.schema)
		}
		out.Contents = append(out.Contents, content)
	}
	return out
}

// pathParts cuts a template at its expressions.
func pathParts(template string, parameters map[string]*Parameter) []PathPart {
	var parts []PathPart
	last := 0
	for _, at := range templateExpression.FindAllStringSubmatchIndex(template, -1) {
		if at[0] > last {
			parts = append(parts, literalPart(template[last:at[0]]))
		}
		parts = append(parts, PathPart{Parameter: parameters[template[at[2]:at[3]]]})
		last = at[1]
	}
	if last < len(template) {
		parts = append(parts, literalPart(template[last:]))
	}
	return parts
}

func literalPath(path string) []PathPart {
	if path == "" {
		return nil
	}
	return []PathPart{{Literal: path}} // escaped already
}

// literalQuery gives the pairs of a query in a path as constants.
func literalQuery(query string) []Parameter {
	var out []Parameter
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		out = append(out, Parameter{
			Name: unescape(name), In: InQuery, Style: "form", Explode: true, AllowEmptyValue: true,
			Value: Value{Fixed: mustJSON(unescape(value))},
		})
	}
	return out
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// literalPart is template text as a URL carries it.
func literalPart(text string) PathPart {
	decoded, err := url.PathUnescape(text)
	if err != nil {
		decoded = text
	}
	return PathPart{Literal: (&url.URL{Path: decoded, RawPath: text}).EscapedPath()}
}
