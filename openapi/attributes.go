package openapi

import (
	"fmt"
	"net/http"

	"go.yaml.in/yaml/v3"
)

// attributes starts from what the method says (RFC 9110 §9.2): safe methods
// only read, PUT and DELETE are idempotent. Where it says nothing the cautious
// answer is the default: what is not safe may destroy, and the world is open.
// The document may make an action more dangerous, never less than its method
// says; what an overlay says is the operator's own word.
func (r *reader) attributes(method string, x *xAction) Attributes {
	a := methodAttributes(method)
	if n := x.attributes["destructive"]; n != nil {
		if !isTrue(n) && (method == http.MethodPut || method == http.MethodDelete) && !r.operators(n) {
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
	f := r.home[n]
	return f != nil && f.overlay || r.opts.TrustAttributes
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
