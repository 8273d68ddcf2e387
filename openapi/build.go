package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// action joins an operation with one x-action. ok is false when the findings
// say why it cannot be called as it is described.
func (r *reader) action(o *operation, x *xAction) (Action, bool) {
	b := &builder{reader: r, o: o, x: x, slots: r.slots(o)}
	if !b.assign() {
		return Action{}, false
	}
	name, ok := r.name(o, x)
	if !ok {
		return Action{}, false
	}
	a := Action{
		Name:         name,
		Title:        firstText(x.title, o.summary, titleFrom(name)),
		Description:  firstText(x.description, o.description, o.summary),
		Attributes:   r.attributes(o.method, x),
		InputSchema:  b.inputSchema(),
		OutputSchema: b.outputSchema(),
		Examples:     x.examples,
		Tags:         x.tags,
		Scopes:       x.scopes,
		Timeout:      x.timeout,
		Deprecated:   o.deprecated,
		Operation:    r.op,
		Location:     r.at(x.node),
		Request:      b.requestPlan(),
		Response:     ResponsePlan{Success: x.success, Select: x.selects},
	}
	if x.tags == nil {
		a.Tags = o.tags
	}
	if x.deprecated != nil {
		a.Deprecated = *x.deprecated
	}
	if a.Description == "" {
		r.report(SeverityInfo, "description-missing", o.node, "action has no description; a model has to guess what it does", "add a description")
	}
	return a, true
}

func firstText(candidates ...string) string {
	for _, c := range candidates {
		if c = cleanText(c); c != "" {
			return c
		}
	}
	return ""
}

// name is x-action's, else made from the operationId, else from method and
// path. A name that the author gave may stand only once; a derived one that is
// taken gets a number.
func (r *reader) name(o *operation, x *xAction) (string, bool) {
	if x.name != "" {
		if other, taken := r.names[x.name]; taken {
			r.report(SeverityError, "name-taken", x.node,
				fmt.Sprintf("action name %q is already that of %s", x.name, other), "give one of them another name")
			return "", false
		}
		r.names[x.name] = r.op
		return x.name, true
	}
	base := kebab(o.id)
	if base == "" {
		base = kebab(o.method + " " + o.path)
	}
	if base == "" {
		base = strings.ToLower(o.method)
	}
	name := base
	for i := 2; r.names[name] != ""; i++ {
		suffix := fmt.Sprintf("-%d", i)
		name = base[:min(len(base), 64-len(suffix))] + suffix
	}
	if name != base {
		r.report(SeverityWarning, "name-taken", o.node,
			fmt.Sprintf("action name %q is already that of %s; this one is called %q", base, r.names[base], name), "give it an operationId, or a name in x-action")
	}
	r.names[name] = r.op
	return name, true
}

var wordBoundary = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])`)
var notNameRune = regexp.MustCompile(`[^a-z0-9]+`)

// kebab makes getEntityByName, repos/create-fork or "GET /pets/{id}" a name.
func kebab(s string) string {
	s = wordBoundary.ReplaceAllString(s, "$1$3-$2$4")
	s = strings.Trim(notNameRune.ReplaceAllString(strings.ToLower(s), "-"), "-")
	return strings.Trim(s[:min(len(s), 64)], "-")
}

func titleFrom(name string) string {
	title := []rune(strings.ReplaceAll(name, "-", " "))
	title[0] = unicode.ToUpper(title[0])
	return string(title)
}

// attributes starts from what the method says (RFC 9110 §9.2): safe methods
// only read, PUT and DELETE are idempotent. Where it says nothing the cautious
// answer is the default: what is not safe may destroy, and the world is open.
// The document may make an action more dangerous, never less than its method
// says; what an overlay says is the operator's own word.
func (r *reader) attributes(method string, x *xAction) Attributes {
	a := methodAttributes(method)
	if n := x.attributes["destructive"]; n != nil {
		if !isTrue(n) && method == http.MethodDelete && !r.operators(n) {
			r.weaker(n, "destructive: false", method)
		} else {
			a.Destructive = isTrue(n)
		}
		a.ReadOnly = a.ReadOnly && !a.Destructive
	}
	if n := x.attributes["readOnly"]; n != nil {
		r.readOnly(&a, n, x.attributes["destructive"], method)
	}
	if n := x.attributes["idempotent"]; n != nil {
		a.Idempotent = isTrue(n)
	}
	if n := x.attributes["openWorld"]; n != nil {
		a.OpenWorld = isTrue(n)
	}
	return a
}

// readOnly takes the document's word on readOnly, as far as it counts.
func (r *reader) readOnly(a *Attributes, n, destructive *yaml.Node, method string) {
	switch {
	case !isTrue(n):
		a.ReadOnly = false
		a.Destructive = a.Destructive || destructive == nil
	case isTrue(destructive):
		r.report(SeverityWarning, "attributes-contradict", n, "an action cannot be readOnly and destructive; it is taken as destructive", "")
	case !a.ReadOnly && !r.operators(n):
		r.weaker(n, "readOnly: true", method)
	default:
		a.ReadOnly, a.Destructive, a.Idempotent = true, false, true
	}
}

// operators tells whether a node is the operator's word and not the plugin's.
func (r *reader) operators(n *yaml.Node) bool {
	_, fromOverlay := r.origin[n]
	return fromOverlay || r.opts.TrustAttributes
}

func (r *reader) weaker(n *yaml.Node, claim, method string) {
	r.report(SeverityWarning, "attribute-weaker", n,
		fmt.Sprintf("%s says less than the method %s does and is not taken on the document's word", claim, method),
		"the operator can say it: in an overlay, or under attributes in the plugin's config")
}

func methodAttributes(method string) Attributes {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY":
		return Attributes{ReadOnly: true, Idempotent: true, OpenWorld: true}
	case http.MethodPut, http.MethodDelete:
		return Attributes{Destructive: true, Idempotent: true, OpenWorld: true}
	}
	return Attributes{Destructive: true, OpenWorld: true}
}

// requestPlan writes down how the slots become a request.
func (b *builder) requestPlan() RequestPlan {
	p := RequestPlan{Method: b.o.method, Accept: b.accept()}
	byName := map[string]*Parameter{}
	for _, s := range b.slots {
		v, filled := s.value()
		if s.shown() && s.defaultValue != nil {
			p.setDefault(s.argument, s.defaultValue)
		}
		if s.virtual || !filled {
			continue
		}
		switch s.target.in {
		case InBody:
			b.planBody(&p, s, v)
		case InPath:
			byName[s.target.name] = s.plan(v)
		default:
			p.Parameters = append(p.Parameters, *s.plan(v))
		}
	}
	if b.o.body != nil && p.Body == nil && b.o.body.required {
		p.Body = &Body{MediaType: b.o.body.mediaType, Required: true}
	}
	if p.Body != nil { // a member comes after the one that holds it
		slices.SortStableFunc(p.Body.Members, func(m, n Member) int { return len(m.Path) - len(n.Path) })
	}
	p.Path = pathParts(b.o.path, byName)
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
	case s.hidden && s.defaultValue != nil:
		return Value{Fixed: rawJSON(value(s.defaultValue))}, true
	case s.hidden:
		return Value{}, false
	}
	return Value{Argument: s.argument}, true
}

func (s *slot) plan(v Value) *Parameter {
	p := &Parameter{Name: s.target.name, In: s.target.in, Required: s.required, Value: v}
	q := s.parameter
	if method, err := q.SerializationMethod(); err == nil {
		p.Style, p.Explode = method.Style, method.Explode
	}
	p.AllowReserved, p.AllowEmptyValue = q.AllowReserved, q.AllowEmptyValue
	for mediaType := range q.Content {
		p.ContentType = mediaType
	}
	return p
}

func (b *builder) planBody(p *RequestPlan, s *slot, v Value) {
	if p.Body == nil {
		p.Body = &Body{MediaType: b.o.body.mediaType, Required: b.o.body.required}
	}
	if len(s.target.path) == 0 {
		p.Body.Whole = &v
		return
	}
	p.Body.Members = append(p.Body.Members, Member{Path: s.target.path, Value: v})
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

// literalPart is template text as a URL carries it.
func literalPart(text string) PathPart {
	decoded, err := url.PathUnescape(text)
	if err != nil {
		decoded = text
	}
	return PathPart{Literal: (&url.URL{Path: decoded, RawPath: text}).EscapedPath()}
}
