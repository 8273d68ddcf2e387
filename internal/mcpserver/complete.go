package mcpserver

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/stagedoor/stagedoor/internal/registry"
)

// maxCompletions is how many values one answer may have (2025-11-25,
// server/utilities/completion, "Completion Results").
const maxCompletions = 100

// complete answers completion/complete: what an argument of a prompt, or a
// variable of a resource template, may be, as far as it is one of a list.
func (h *Handler) complete(_ context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError) {
	ref, argument := m.param("ref"), m.param("argument")
	if !isObject(ref) || !isObject(argument) {
		return nil, invalidParams("params.ref and params.argument must be objects")
	}
	name, value := member(argument, "name"), member(argument, "value")
	if !isString(name) || !isString(value) {
		return nil, invalidParams("params.argument needs name and value, both strings")
	}
	all, fault := x.candidates(ref, unquote(name))
	if fault != nil {
		return nil, fault
	}
	matching := []string{}
	prefix := strings.ToLower(unquote(value))
	for _, candidate := range all {
		if strings.HasPrefix(strings.ToLower(candidate), prefix) {
			matching = append(matching, candidate)
		}
	}
	shown := matching[:min(len(matching), maxCompletions)]
	dst := appendStrings(append(x.server.begin(e), `"completion":{"values":`...), shown)
	dst = strconv.AppendInt(append(dst, `,"total":`...), int64(len(matching)), 10)
	dst = appendBool(append(dst, `,"hasMore":`...), len(shown) < len(matching))
	return append(dst, `}}`...), nil
}

// candidates are the values that an argument of the reference can have.
func (x *exchange) candidates(ref []byte, argument string) ([]string, *rpcError) {
	kind, name, uri := member(ref, "type"), member(ref, "name"), member(ref, "uri")
	switch {
	case string(kind) == `"ref/prompt"` && isString(name):
		p, ok := x.server.prompts[unquote(name)]
		if !ok {
			return nil, invalidParams("unknown prompt: " + quoteShort(unquote(name)))
		}
		a, ok := p.argument(argument)
		if !ok {
			return nil, invalidParams("unknown argument " + quoteShort(argument) + " of prompt " + p.Name)
		}
		return a.Enum, nil
	case string(kind) == `"ref/resource"` && isString(uri):
		return x.variableValues(unquote(uri), argument)
	}
	return nil, invalidParams("params.ref must be a ref/prompt with a name or a ref/resource with a uri")
}

// variableValues are those of a template's variable.
func (x *exchange) variableValues(template, variable string) ([]string, *rpcError) {
	s := x.server
	if template == registry.DocumentTemplate && variable == "id" {
		var ids []string
		for _, t := range s.order {
			if s.sees(x.principal, t.action) {
				ids = append(ids, t.action.ID)
			}
		}
		slices.Sort(ids)
		return ids, nil
	}
	for _, r := range s.resources {
		if r.Template == nil || r.Template.String() != template || !s.sees(x.principal, r.Action) {
			continue
		}
		if !slices.Contains(r.Template.Names(), variable) {
			return nil, invalidParams("unknown variable " + quoteShort(variable))
		}
		return r.Values(variable), nil
	}
	if s.hasResource(x.principal, template) {
		return nil, nil // a URI has nothing to complete
	}
	return nil, invalidParams("unknown resource template: " + quoteShort(template))
}
