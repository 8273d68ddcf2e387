package openapi

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// outputSchema describes the result, where the document says what it is: all
// success responses are JSON or empty, and a jq selection is a plain path.
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
	if !plain {
		return nil
	}
	var nodes []*yaml.Node
	empty := false
	for _, resp := range b.successResponses() {
		if len(resp.content) == 0 {
			empty = true
		}
		for _, mediaType := range slices.Sorted(maps.Keys(resp.content)) {
			schema := b.descend(resp.content[mediaType], path)
			if !isJSONMedia(essence(mediaType)) || schema == nil {
				return nil
			}
			if !slices.Contains(nodes, schema) && !slices.ContainsFunc(nodes, func(n *yaml.Node) bool { return b.deref(n) == b.deref(schema) }) {
				nodes = append(nodes, schema)
			}
		}
	}
	switch {
	case len(nodes) == 0:
		return nil
	case len(nodes) == 1 && !empty:
		return s.finish(asObject(s.translate(nodes[0])))
	}
	var parts []any
	for _, n := range nodes {
		parts = append(parts, s.translate(n))
	}
	if empty { // an answer without a body is the result {}
		parts = append(parts, newObject().set("type", "object").set("maxProperties", json.RawMessage("0")))
	}
	return s.finish(newObject().set("anyOf", parts))
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

// accept lists the media types of the success responses, JSON first, so that a
// plugin which negotiates gives what a model reads best.
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
	all := slices.Compact(append(slices.Compact(json), slices.Compact(others)...))
	if len(all) == 0 {
		return "application/json, */*;q=0.1"
	}
	return strings.Join(all, ", ")
}
