package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

type parameter struct {
	*openapi3.Parameter
	node   *yaml.Node
	listed *yaml.Node // in "parameters"
	schema *yaml.Node // of the parameter, or of its one content entry
	style  string     // in place of the Parameter's, where kin-openapi does not know it
}

// loadParameters reads the path item's parameters and then the operation's,
// which replace those of the same name and location (OpenAPI 3.1 §4.8.10.1).
func (r *reader) loadParameters(o *operation, lists ...*yaml.Node) bool {
	ok := true
	known := map[string]int{} // by location and name
	for _, list := range lists {
		if list != nil && !isSequence(list) && !isNull(list) { // "parameters:" with nothing after it says nothing
			r.report(SeverityError, "parameters-invalid", list, `"parameters" is not a list`, "")
			ok = false
		}
		for _, n := range items(list) {
			p, good := r.loadParameter(n)
			if !good {
				ok = false
				continue
			}
			if p == nil {
				continue
			}
			p.listed = n
			place := p.In + " " + p.Name
			if i, twice := known[place]; twice {
				if slices.Contains(list.Content, o.parameters[i].listed) {
					r.report(SeverityWarning, "parameter-duplicate", n,
						fmt.Sprintf("%s parameter %q stands twice; the last one counts", p.In, p.Name), "remove one")
				}
				o.parameters[i] = *p
			} else {
				known[place] = len(o.parameters)
				o.parameters = append(o.parameters, *p)
			}
		}
	}
	return r.oneQuerystring(o) && ok
}

// oneQuerystring leaves the query to one parameter in: querystring, or to those
// in: query (OpenAPI 3.2 §4.12.1).
func (r *reader) oneQuerystring(o *operation) bool {
	isQuery := func(p parameter) bool { return p.In == string(InQuery) }
	taken, ok := slices.ContainsFunc(o.parameters, isQuery), true
	o.parameters = slices.DeleteFunc(o.parameters, func(p parameter) bool {
		if p.In != string(InQuerystring) {
			return false
		}
		if taken {
			severity := SeverityWarning
			if p.Required {
				severity, ok = SeverityError, false
			}
			r.report(severity, "parameter-invalid", p.node,
				fmt.Sprintf("querystring parameter %q stands beside others of the query; it is left out", p.Name), "describe the whole query in one of them")
		}
		drop := taken
		taken = true
		return drop
	})
	return ok
}

// loadParameter gives nil for a parameter that is left out on purpose.
func (r *reader) loadParameter(n *yaml.Node) (*parameter, bool) {
	if n.Kind == yaml.ScalarNode {
		r.report(SeverityWarning, "object-expected", n, "parameter is not an object; it is left out", "")
		return nil, true
	}
	n, ok := r.follow(n, SeverityError, "parameter")
	if !ok {
		return nil, false
	}
	if text(get(n, "in")) == "header" && managedHeader(text(get(n, "name"))) {
		return nil, true // OpenAPI 3.1 §4.8.12.1: such definitions are ignored
	}
	if r.opts.Reserved.holds(In(text(get(n, "in"))), text(get(n, "name"))) {
		r.report(SeverityInfo, "parameter-credential", n,
			fmt.Sprintf("%s parameter %q is for the gateway's credentials, and no argument", text(get(n, "in")), cleanText(text(get(n, "name")))), "")
		return nil, true
	}
	n = r.described(n)
	p, err := r.typedParameter(n)
	if err == nil {
		return p, true
	}
	required := get(n, "required")
	if in := text(get(n, "in")); required != nil && (!isBool(required) || isTrue(required)) || in == "path" {
		r.report(SeverityError, "parameter-invalid", n, kinMessage(err), "")
		return nil, false
	}
	r.report(SeverityWarning, "parameter-invalid", n, kinMessage(err)+"; the optional parameter is left out", "")
	return nil, true
}

// typedParameter is a parameter as kin-openapi reads and checks it.
func (r *reader) typedParameter(n *yaml.Node) (*parameter, error) {
	p := &parameter{Parameter: &openapi3.Parameter{}, node: n, schema: get(n, "schema")}
	skeleton := r.skeleton(n)
	if text(get(n, "in")) == "path" && !isTrue(get(n, "required")) {
		r.report(SeverityWarning, "path-parameter-optional", n,
			fmt.Sprintf("path parameter %q is not marked as required; it is treated as if it were", text(get(n, "name"))), "add required: true")
		skeleton.set("required", true)
	}
	if text(get(n, "style")) == "deepObject" && isBool(get(n, "explode")) && !isTrue(get(n, "explode")) {
		r.report(SeverityWarning, "parameter-explode", get(n, "explode"),
			fmt.Sprintf("parameter %q has the style deepObject, which is always exploded", text(get(n, "name"))), "remove explode: false")
		skeleton.set("explode", true)
	}
	r.checkStyle(n, skeleton)
	switch in := text(get(n, "in")); {
	case in == "querystring" && get(n, "content") == nil:
		return nil, fmt.Errorf("querystring parameter %q is not described by content", text(get(n, "name")))
	case in == "querystring": // 3.2's, which kin-openapi does not know
		p.style = "form"
		skeleton.set("in", "query")
	case in == "cookie" && text(get(n, "style")) == "cookie": // likewise
		p.style = "cookie"
		skeleton.delete("style")
	case r.swagger: // the styles that swagger.style gives are right, but not all of them are OpenAPI's
		p.style = text(get(n, "style"))
		skeleton.delete("style")
	}
	if get(n, "schema") == nil && get(n, "content") == nil {
		skeleton.set("schema", newObject())
	}
	err := json.Unmarshal(rawJSON(skeleton), p.Parameter)
	if err == nil {
		err = p.Validate(context.Background(), openapi3.DisableExamplesValidation())
	}
	if err == nil && (p.In == "header" || p.In == "cookie") && !fieldName.MatchString(p.Name) {
		err = fmt.Errorf("%s parameter %q has a name that HTTP does not admit", p.In, p.Name)
	}
	if err != nil {
		return nil, err
	}
	p.In = text(get(n, "in"))
	for _, media := range pairs(get(n, "content")) {
		p.schema = get(media, "schema")
	}
	return p, nil
}

// checkStyle leaves out a style that a parameter's location does not have; the
// location's own is taken then.
func (r *reader) checkStyle(n *yaml.Node, skeleton *object) {
	style := get(n, "style")
	known := map[string][]string{
		"path": {"simple", "label", "matrix"}, "header": {"simple"}, "cookie": {"form", "cookie"},
		"query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
	}[text(get(n, "in"))]
	if style == nil || known == nil || r.swagger || slices.Contains(known, style.Value) {
		return
	}
	r.report(SeverityWarning, "parameter-style", style,
		fmt.Sprintf("%s parameter %q cannot have the style %q; it is sent as %s", text(get(n, "in")), text(get(n, "name")), style.Value, known[0]),
		"a parameter there can have "+strings.Join(known, ", "))
	skeleton.delete("style")
	skeleton.delete("explode")
}

// fieldName is a token (RFC 9110 §5.6.2), as names of headers and cookies are.
var fieldName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// managedHeader names headers that are the gateway's or the connection's and
// never an argument (RFC 9110 §7.6.1 and OpenAPI 3.1 §4.8.12.1).
func managedHeader(name string) bool {
	switch strings.ToLower(name) {
	case "accept", "accept-encoding", "content-type", "content-encoding", "content-length", "authorization", "cookie", "host", "connection",
		"transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "proxy-authorization", "proxy-connection", "expect",
		// These make another request of the one that is sent.
		"x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url",
		"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix", "x-forwarded-uri":
		return true
	}
	return false
}
