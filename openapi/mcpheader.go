package openapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/internal/secretname"
)

// mcpHeaderKey names the header that clients of 2026-07-28 repeat an argument
// in (server/tools, "x-mcp-header").
const mcpHeaderKey = "x-mcp-header"

// mcpHeader is the value of an x-mcp-header until it is known where in the tool's
// schema it comes to stand.
type mcpHeader struct {
	node   *yaml.Node
	secret bool
}

// MarshalJSON writes the header's name.
func (h mcpHeader) MarshalJSON() ([]byte, error) { return mustJSON(h.node.Value), nil }

// mcpHeader takes over a schema's x-mcp-header.
func (s *schemas) mcpHeader(n *yaml.Node, out *object) {
	header := get(n, mcpHeaderKey)
	if header == nil && isTrue(get(n, "writeOnly")) { // one that is secret here may bring its header from elsewhere
		for _, c := range s.conjuncts(n) {
			header = cmp.Or(header, get(c, mcpHeaderKey))
		}
	}
	if header != nil && s.direction == input {
		out.set(mcpHeaderKey, mcpHeader{header, s.isSecret(n)})
		s.headers = true
	}
}

// isSecret tells the schemas of what no intermediary is to see.
func (r *reader) isSecret(n *yaml.Node) bool {
	return slices.ContainsFunc(r.conjuncts(n), func(c *yaml.Node) bool {
		return text(get(c, "format")) == "password" || isTrue(get(c, "writeOnly"))
	})
}

// slotHeader puts the header that x-action or a parameter names on an argument.
func (b *builder) slotHeader(s *schemas, slot *slot, schema *object) {
	header := slot.mcpHeader
	if header == nil && slot.parameter != nil {
		header = get(slot.parameter.node, mcpHeaderKey)
	}
	if header != nil {
		schema.set(mcpHeaderKey, mcpHeader{header, slices.ContainsFunc(slot.schemas, b.isSecret)})
		s.headers = true
	}
}

// checkHeaders leaves out the headers that clients would refuse the whole tool
// for, and says why.
func (s *schemas) checkHeaders(root *object) {
	if !s.headers {
		return
	}
	taken := map[string]bool{}
	if properties, ok := root.get("properties").(*object); ok {
		s.checkProperties(properties, "", taken)
	}
	s.dropHeaders(root, true)
}

// checkProperties walks what is statically reachable: properties of properties
// (2026-07-28, basic/transports/streamable-http, "Custom Headers from Tool Parameters").
func (s *schemas) checkProperties(properties *object, at string, taken map[string]bool) {
	for _, m := range properties.members {
		property, ok := m.value.(*object)
		if !ok {
			continue
		}
		if header, ok := property.get(mcpHeaderKey).(mcpHeader); ok {
			name := strings.ToLower(header.node.Value)
			if fault, hint := headerFault(header, m.key, property, taken[name]); fault != "" {
				s.refuseHeader(property, header, "argument "+at+m.key+" "+fault, hint)
			} else {
				taken[name] = true
			}
		}
		if inner, ok := property.get("properties").(*object); ok {
			s.checkProperties(inner, at+m.key+".", taken)
		}
	}
}

// headerFault is what is wrong with an argument's header, "" for nothing.
func headerFault(header mcpHeader, argument string, property *object, taken bool) (fault, hint string) {
	kind, _ := property.get("type").(string)
	switch {
	case !isString(header.node) || !fieldName.MatchString(header.node.Value):
		return "is not to be repeated in a header of that name", "a name has letters, digits and hyphens, for example Region"
	case header.secret || property.get("format") == "password":
		return "is a secret, which no header is to show", "remove x-mcp-header"
	case secretname.Is(argument):
		return "is named like a secret, which no header is to show", "remove x-mcp-header; what is no secret needs another name"
	case kind != "string" && kind != "integer" && kind != "boolean":
		return "has no type that a header can carry", "write type: string, integer or boolean beside it"
	case taken:
		return "would be repeated in a header that another one has", "give each a name of its own, whatever the case"
	}
	return "", ""
}

// dropHeaders takes out what stands anywhere else: in definitions, in items, in
// one of several alternatives.
func (s *schemas) dropHeaders(v any, reachable bool) {
	switch v := v.(type) {
	case []any:
		for _, part := range v {
			s.dropHeaders(part, false)
		}
	case *object:
		if header, ok := v.get(mcpHeaderKey).(mcpHeader); ok && !reachable {
			s.refuseHeader(v, header, "what has it is not always an argument, or a member of one", "name the header at the argument itself")
		}
		for _, m := range slices.Clone(v.members) {
			properties, isObject := m.value.(*object)
			if m.key != "properties" || !reachable || !isObject {
				s.dropHeaders(m.value, false)
				continue
			}
			for _, property := range properties.members {
				s.dropHeaders(property.value, true)
			}
		}
	}
}

func (s *schemas) refuseHeader(schema *object, header mcpHeader, fault, hint string) {
	schema.delete(mcpHeaderKey)
	s.report(SeverityWarning, "mcp-header-invalid", header.node, fmt.Sprintf("x-mcp-header %.80q is left out: %s", header.node.Value, fault), hint)
}
