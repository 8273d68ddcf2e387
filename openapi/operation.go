package openapi

import (
	"encoding/json"
	"fmt"
	"regexp"
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
	server      string // path between the base URL and path
	path        string // without query and fragment
	query       string // what some authors write into the path
	id          string
	summary     string
	description string
	tags        []string
	deprecated  bool
	security    [][]SecurityScheme
	parameters  []parameter
	body        *requestBody
	responses   []response
}

type response struct {
	node   *yaml.Node
	status string // "200", "2XX", "default"
	// content has the schema node of each media type; nil node: no schema.
	content map[string]*yaml.Node
}

// load reads an operation's parts. Faults that leave no right request are
// errors and refuse it; a bad response only costs its schema.
func (r *reader) load(e pathOperation, path, item *yaml.Node) (*operation, bool) {
	op := e.op
	if r.swagger {
		item, op = r.fromSwagger(item, op)
	}
	o := &operation{
		node: op, item: item, method: e.method,
		id: text(get(op, "operationId")), summary: text(get(op, "summary")),
		description: text(get(op, "description")), deprecated: isTrue(get(op, "deprecated")),
	}
	o.server = r.serverPath(item, op)
	r.splitPath(o, path)
	for _, tag := range items(get(op, "tags")) {
		if tag.Kind == yaml.ScalarNode && tag.Value != "" {
			o.tags = append(o.tags, tag.Value)
		}
	}
	o.security = r.security(op)
	okParameters := r.loadParameters(o, get(item, "parameters"), get(op, "parameters"))
	okPath := r.checkPath(o, path)
	okBody := r.loadBody(o, get(op, "requestBody"))
	r.loadResponses(o, get(op, "responses"))
	return o, okParameters && okPath && okBody
}

// skeleton is an object of the document as JSON for kin-openapi, without
// schemas and examples: those it would check, refuse or round.
func (r *reader) skeleton(n *yaml.Node) *object {
	out := newObject()
	for k, v := range pairs(n) {
		switch {
		case k.Value == "example", k.Value == "examples", k.Value == "headers", k.Value == "links",
			k.Value == "prefixEncoding", k.Value == "itemEncoding",
			strings.HasPrefix(k.Value, "x-"):
		case k.Value == "schema":
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

func (r *reader) loadResponses(o *operation, n *yaml.Node) {
	for status, resp := range pairs(n) {
		if strings.HasPrefix(status.Value, "x-") {
			continue
		}
		resp, ok := r.follow(resp, SeverityWarning, "response "+status.Value)
		if !ok {
			continue
		}
		content, known := r.answers[resp] // most responses are shared by many operations
		if !known {
			whole := r.described(resp)
			var typed openapi3.Response
			if err := json.Unmarshal(rawJSON(r.skeleton(whole)), &typed); err != nil {
				r.report(SeverityWarning, "response-invalid", resp, kinMessage(err), "")
				continue
			}
			content = map[string]*yaml.Node{}
			for mediaType, media := range pairs(get(whole, "content")) {
				content[mediaType.Value] = get(media, "schema")
			}
			r.answers[resp] = content
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
