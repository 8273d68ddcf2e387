package openapi

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// outputSchema describes the result, where the document says what it is: a
// success response has JSON, and a jq selection is a plain path. Where a
// response has other media types beside JSON, Accept asks for JSON. One that is
// only text is a string; one that is anything else leaves the result open.
func (b *builder) outputSchema() json.RawMessage {
	s := b.schemas(output)
	if b.x.schema != nil {
		dialect := s.dialect
		s.dialect = dialect31
		root := asObject(s.translate(b.x.schema))
		s.dialect = dialect
		return s.finish(root)
	}
	path, plain := selectPath(b.x.selects)
	if !plain || b.x.mcp {
		return nil
	}
	var nodes []*yaml.Node
	empty, text := false, false
	for _, resp := range b.successResponses() {
		schemas, ok := b.resultSchemas(resp, path)
		if !ok {
			return nil
		}
		for _, schema := range schemas {
			if !slices.ContainsFunc(nodes, func(n *yaml.Node) bool { return n == schema || b.deref(n) == b.deref(schema) }) {
				nodes = append(nodes, schema)
			}
		}
		empty = empty || len(resp.content) == 0
		text = text || len(resp.content) > 0 && len(schemas) == 0
	}
	switch {
	case len(nodes) == 0:
		return nil
	case len(nodes) == 1 && !empty && !text:
		return s.finish(asObject(s.translate(nodes[0])))
	}
	var parts []any
	for _, n := range nodes {
		parts = append(parts, s.translate(n))
	}
	if text {
		parts = append(parts, newObject().set("type", "string"))
	}
	if empty { // an answer without a body is the result {}
		parts = append(parts, newObject().set("type", "object").set("maxProperties", json.RawMessage("0")))
	}
	return s.finish(newObject().set("anyOf", parts))
}

// resultSchemas gives the schemas of a response's JSON media types; none where
// all that it has is text. It is not ok where the response may be something
// else, or JSON that nobody described.
func (b *builder) resultSchemas(resp response, path []string) (schemas []*yaml.Node, ok bool) {
	ok = true
	for _, mediaType := range slices.Sorted(maps.Keys(resp.content)) {
		e := essence(mediaType)
		if !isJSONMedia(e) || e == "application/stream+json" { // many of what the schema says
			ok = ok && isTextAnswer(e) && len(path) == 0
			continue
		}
		schema := b.descend(resp.content[mediaType], path)
		if schema == nil {
			return nil, false
		}
		schemas = append(schemas, schema)
	}
	return schemas, ok || len(schemas) > 0
}

// isTextAnswer tells media types whose result is text.
func isTextAnswer(essence string) bool {
	switch essence {
	case "text/event-stream", "text/x-ndjson", "text/*": // sequences become arrays
		return false
	}
	return strings.HasPrefix(essence, "text/") || essence == "application/xml" || strings.HasSuffix(essence, "+xml")
}

// successResponses are those whose status is a result: x-action's, else 2xx,
// else "default".
func (b *builder) successResponses() []response {
	plan := ResponsePlan{Success: b.x.success}
	var out, fallback []response
	for _, resp := range b.o.responses {
		switch {
		case resp.status == "DEFAULT":
			fallback = append(fallback, resp)
		case resp.status == "2XX" && len(plan.Success) == 0, plan.IsSuccess(atoi(resp.status)):
			out = append(out, resp)
		}
	}
	if len(out) == 0 {
		return fallback
	}
	return out
}

func atoi(s string) int {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

var plainPath = regexp.MustCompile(`^(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// selectPath gives the member names of a jq program like .location.id.
func selectPath(q *Query) (path []string, plain bool) {
	if q == nil || q.source == "." {
		return nil, true
	}
	if !plainPath.MatchString(q.source) {
		return nil, false
	}
	return strings.Split(q.source[1:], "."), true
}

// descend follows member names into a schema; nil when it cannot say for
// certain that the member is always there.
func (r *reader) descend(schema *yaml.Node, path []string) *yaml.Node {
	for _, name := range path {
		member, required := r.property(schema, name)
		if member == nil || !required {
			return nil
		}
		schema = member
	}
	return schema
}

// accept lists the media types of the success responses. JSON comes first and
// counts most, so that a plugin which negotiates gives what a model reads best
// (RFC 9110 §12.5.1).
func (b *builder) accept() string {
	var json, others []string
	for _, resp := range b.successResponses() {
		for mediaType := range resp.content {
			e := essence(mediaType)
			switch {
			case !isMediaType(e):
			case isJSONMedia(e):
				json = append(json, e)
			case !strings.ContainsAny(e, ", "):
				others = append(others, e)
			}
		}
	}
	slices.Sort(json)
	slices.Sort(others)
	json, others = slices.Compact(json), slices.Compact(others)
	switch {
	case len(json)+len(others) == 0:
		return "application/json, */*;q=0.1"
	case len(json) == 0:
		return strings.Join(others, ", ")
	}
	if b.x.mcp || b.x.progress != nil { // the stream is what the action is for
		return strings.Join(append(json, others...), ", ")
	}
	for _, e := range others {
		json = append(json, e+";q=0.5")
	}
	return strings.Join(json, ", ")
}
