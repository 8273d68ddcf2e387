package openapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"go.yaml.in/yaml/v3"
)

type parameter struct {
	*openapi3.Parameter
	node   *yaml.Node
	schema *yaml.Node // of the parameter, or of its one content entry
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
