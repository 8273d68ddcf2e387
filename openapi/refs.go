package openapi

import (
	"fmt"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

// local resolves a $ref inside the document. Files and URLs are never opened.
func (r *reader) local(ref string) (target *yaml.Node, fault, hint string) {
	fragment, isLocal := strings.CutPrefix(ref, "#")
	if !isLocal {
		return nil, fmt.Sprintf("$ref %q leaves the document and was not opened", ref),
			"bundle the document into one file"
	}
	ptr, err := url.PathUnescape(fragment)
	if err != nil {
		ptr = fragment
	}
	if target = pointer(r.root, ptr); target == nil {
		return nil, fmt.Sprintf("$ref %q leads nowhere", ref), ""
	}
	return target, "", ""
}

// follow gives what a node or its chain of $refs stands for, and reports why
// it stands for nothing. what names the kind of thing, for the message.
func (r *reader) follow(n *yaml.Node, severity Severity, what string) (*yaml.Node, bool) {
	for range 32 {
		ref := get(n, "$ref")
		if ref == nil {
			if isMapping(n) {
				return n, true
			}
			if n != nil {
				r.report(severity, "object-expected", n, what+" is not an object", "")
			}
			return nil, false
		}
		target, fault, hint := r.local(ref.Value)
		if target == nil {
			r.report(severity, "ref-unresolved", ref, what+": "+fault, hint)
			return nil, false
		}
		n = target
	}
	r.report(severity, "ref-unresolved", n, what+": $ref leads back to itself", "")
	return nil, false
}
