package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

// operation is one operation with everything that it references resolved.
// kin-openapi reads and checks each part's structure; schemas stay nodes of the
// tree, where they keep order, exact numbers and places.
type operation struct {
	node, item  *yaml.Node
	method      string
	path        string
	id          string
	summary     string
	description string
	tags        []string
	deprecated  bool
	parameters  []parameter
	body        *requestBody
	responses   []response
}

type parameter struct {
	*openapi3.Parameter
	node   *yaml.Node
	schema *yaml.Node // of the parameter, or of its one content entry
}

type requestBody struct {
	node        *yaml.Node
	required    bool
	description string
	mediaType   string
	schema      *yaml.Node
}

type response struct {
	node   *yaml.Node
	status string // "200", "2XX", "default"
	// content has the schema node of each media type; nil node: no schema.
	content map[string]*yaml.Node
}

// load reads an operation's parts. Faults that leave no right request are
// errors and refuse it; a bad response only costs its schema.
func (r *reader) load(method, path, item, op *yaml.Node) (*operation, bool) {
	o := &operation{
		node: op, item: item, method: strings.ToUpper(method.Value), path: path.Value,
		id: text(get(op, "operationId")), summary: text(get(op, "summary")),
		description: text(get(op, "description")), deprecated: isTrue(get(op, "deprecated")),
	}
	for _, tag := range items(get(op, "tags")) {
		o.tags = append(o.tags, tag.Value)
	}
	okParameters := r.loadParameters(o, get(item, "parameters"), get(op, "parameters"))
	okPath := r.checkPath(o, path)
	okBody := r.loadBody(o, get(op, "requestBody"))
	r.loadResponses(o, get(op, "responses"))
	return o, okParameters && okPath && okBody
}

// loadParameters reads the path item's parameters and then the operation's,
// which replace those of the same name and location (OpenAPI 3.1 §4.8.10.1).
func (r *reader) loadParameters(o *operation, lists ...*yaml.Node) bool {
	ok := true
	for _, list := range lists {
		if list != nil && !isSequence(list) {
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
			same := func(q parameter) bool { return q.Name == p.Name && q.In == p.In }
			if i := slices.IndexFunc(o.parameters, same); i >= 0 {
				o.parameters[i] = *p
			} else {
				o.parameters = append(o.parameters, *p)
			}
		}
	}
	return ok
}

// loadParameter gives nil for a parameter that is left out on purpose.
func (r *reader) loadParameter(n *yaml.Node) (*parameter, bool) {
	n, ok := r.follow(n, SeverityError, "parameter")
	if !ok {
		return nil, false
	}
	if text(get(n, "in")) == "header" && managedHeader(text(get(n, "name"))) {
		return nil, true // OpenAPI 3.1 §4.8.12.1: such definitions are ignored
	}
	p := &parameter{Parameter: &openapi3.Parameter{}, node: n, schema: get(n, "schema")}
	skeleton := r.skeleton(n)
	if text(get(n, "in")) == "path" && !isTrue(get(n, "required")) {
		r.report(SeverityWarning, "path-parameter-optional", n,
			fmt.Sprintf("path parameter %q is not marked as required; it is treated as if it were", text(get(n, "name"))), "add required: true")
		skeleton.set("required", true)
	}
	if get(n, "schema") == nil && get(n, "content") == nil {
		skeleton.set("schema", newObject())
	}
	err := json.Unmarshal(rawJSON(skeleton), p.Parameter)
	if err == nil {
		err = p.Validate(context.Background(), openapi3.DisableExamplesValidation())
	}
	if err != nil {
		r.report(SeverityError, "parameter-invalid", n, kinMessage(err), "")
		return nil, false
	}
	for _, media := range pairs(get(n, "content")) {
		p.schema = get(media, "schema")
	}
	return p, true
}

// managedHeader names headers that are the gateway's or the connection's and
// never an argument (RFC 9110 §7.6.1 and OpenAPI 3.1 §4.8.12.1).
func managedHeader(name string) bool {
	switch strings.ToLower(name) {
	case "accept", "content-type", "authorization", "host", "content-length", "connection",
		"transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "proxy-authorization", "proxy-connection", "expect":
		return true
	}
	return false
}

// skeleton is an object of the document as JSON for kin-openapi, without
// schemas and examples: those it would check, refuse or round.
func (r *reader) skeleton(n *yaml.Node) *object {
	out := newObject()
	for k, v := range pairs(n) {
		switch {
		case k.Value == "example", k.Value == "examples", k.Value == "headers", k.Value == "links",
			strings.HasPrefix(k.Value, "x-"):
		case k.Value == "schema", k.Value == "itemSchema":
			out.set(k.Value, newObject())
		case k.Value == "content":
			content := newObject()
			for mediaType, media := range pairs(v) {
				content.set(mediaType.Value, r.skeleton(media))
			}
			out.set(k.Value, content)
		case k.Value == "encoding":
			encoding := newObject()
			for property, e := range pairs(v) {
				encoding.set(property.Value, r.skeleton(e))
			}
			out.set(k.Value, encoding)
		default:
			out.set(k.Value, value(v))
		}
	}
	return out
}

// checkPath sees to it that the template and the path parameters agree.
func (r *reader) checkPath(o *operation, path *yaml.Node) bool {
	if !strings.HasPrefix(o.path, "/") {
		r.report(SeverityError, "path-invalid", path, "path does not begin with /", "")
		return false
	}
	if fault := templateFault(o.path); fault != "" {
		r.report(SeverityError, "path-invalid", path, "path "+fault, "")
		return false
	}
	ok := true
	names := templateNames(o.path)
	for _, name := range names {
		declared := func(p parameter) bool { return p.In == "path" && p.Name == name }
		if !slices.ContainsFunc(o.parameters, declared) {
			r.report(SeverityError, "path-parameter-missing", o.node,
				fmt.Sprintf("path has {%s}, which no parameter describes", name), "add a parameter with in: path")
			ok = false
		}
	}
	o.parameters = slices.DeleteFunc(o.parameters, func(p parameter) bool {
		stray := p.In == "path" && !slices.Contains(names, p.Name)
		if stray {
			r.report(SeverityWarning, "path-parameter-unused", p.node,
				fmt.Sprintf("path parameter %q does not stand in the path", p.Name), "remove it, or mend the path")
		}
		return stray
	})
	return ok
}

var templateExpression = regexp.MustCompile(`\{([^{}]*)\}`)

// templateFault says why a path template could not become one path below the
// base URL, whatever the arguments.
func templateFault(path string) string {
	literal := templateExpression.ReplaceAllString(path, "x")
	switch {
	case strings.ContainsAny(literal, "{}"):
		return "has a brace without its partner"
	case strings.ContainsAny(literal, "?#"):
		return "has a query or a fragment, which paths of OpenAPI do not have; describe query parameters"
	case strings.ContainsAny(literal, "\\\x00"):
		return "has a backslash or NUL"
	}
	for segment := range strings.SplitSeq(literal, "/") {
		if decoded, err := url.PathUnescape(segment); err != nil || decoded == "." || decoded == ".." {
			return fmt.Sprintf("has the segment %q", segment)
		}
	}
	return ""
}

func templateNames(path string) []string {
	var names []string
	for _, m := range templateExpression.FindAllStringSubmatch(path, -1) {
		names = append(names, m[1])
	}
	return names
}

func (r *reader) loadBody(o *operation, n *yaml.Node) bool {
	if n == nil {
		return true
	}
	n, ok := r.follow(n, SeverityError, "request body")
	if !ok {
		return false
	}
	var rb openapi3.RequestBody
	if err := json.Unmarshal(rawJSON(r.skeleton(n)), &rb); err != nil {
		r.report(SeverityError, "request-body-invalid", n, kinMessage(err), "")
		return false
	}
	content := get(n, "content")
	mediaType, media := preferredMedia(content)
	if media == nil {
		if len(rb.Content) == 0 {
			return true // nothing is described, so nothing can be sent
		}
		names := make([]string, 0, len(rb.Content))
		for k := range pairs(content) {
			names = append(names, k.Value)
		}
		if !rb.Required {
			r.report(SeverityWarning, "request-body-unsupported", content,
				"the optional request body is left out: its media types are "+strings.Join(names, ", "), "offer application/json too")
			return true
		}
		r.report(SeverityError, "request-body-unsupported", content,
			"the request body's media types are "+strings.Join(names, ", "), "offer application/json too")
		return false
	}
	o.body = &requestBody{
		node: n, required: rb.Required, description: rb.Description,
		mediaType: mediaType, schema: get(media, "schema"),
	}
	return true
}

// preferredMedia picks what to send: application/json, else the first JSON
// family type, else form fields.
func preferredMedia(content *yaml.Node) (string, *yaml.Node) {
	for _, fits := range []func(string) bool{
		func(essence string) bool { return essence == "application/json" },
		isJSONMedia,
		func(essence string) bool { return essence == "application/x-www-form-urlencoded" },
		func(essence string) bool { return essence == "*/*" || essence == "application/*" },
	} {
		for k, media := range pairs(content) {
			if isMapping(media) && fits(essence(k.Value)) {
				if strings.HasSuffix(essence(k.Value), "/*") {
					return "application/json", media
				}
				return k.Value, media
			}
		}
	}
	return "", nil
}

// essence is a media type without its parameters, in lower case.
func essence(mediaType string) string {
	e, _, _ := strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(e))
}

// isJSONMedia tells application/json, text/json and the +json suffix (RFC 6839).
// JSON Patch is one too; sequences of JSON texts are not.
func isJSONMedia(essence string) bool {
	return essence == "application/json" || essence == "text/json" || strings.HasSuffix(essence, "+json")
}

func (r *reader) loadResponses(o *operation, n *yaml.Node) {
	for status, resp := range pairs(n) {
		if strings.HasPrefix(status.Value, "x-") {
			continue
		}
		resp, ok := r.follow(resp, SeverityWarning, "response "+status.Value)
		if !ok {
			continue
		}
		var typed openapi3.Response
		if err := json.Unmarshal(rawJSON(r.skeleton(resp)), &typed); err != nil {
			r.report(SeverityWarning, "response-invalid", resp, kinMessage(err), "")
			continue
		}
		content := map[string]*yaml.Node{}
		for mediaType, media := range pairs(get(resp, "content")) {
			content[mediaType.Value] = get(media, "schema")
		}
		o.responses = append(o.responses, response{resp, strings.ToUpper(status.Value), content})
	}
}

var goTypeName = regexp.MustCompile(`json: cannot unmarshal (\w+) into (?:Go struct )?(?:field|value) (?:\w+\.)?(\S+)? ?(?:of )?(?:type|Go value)? ?\S*`)

// kinMessage is kin-openapi's word in ours: one line and no Go types.
func kinMessage(err error) string {
	message, _, _ := strings.Cut(err.Error(), "\n")
	if m := goTypeName.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%q cannot be of type %s", m[2], m[1])
	}
	return message
}
