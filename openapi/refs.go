package openapi

import (
	"fmt"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

// local resolves a $ref inside the document. Files and URLs are never opened.
func (r *reader) local(ref string) (target *yaml.Node, fault, hint string) {
	if target, known := r.targets[ref]; known {
		return target, "", ""
	}
	if target, fault, hint = r.find(ref); target != nil {
		if r.targets == nil {
			r.targets = map[string]*yaml.Node{}
		}
		r.targets[ref] = target
	}
	return target, fault, hint
}

func (r *reader) find(ref string) (target *yaml.Node, fault, hint string) {
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
		target = r.anchor(ptr)
	}
	if target == nil {
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

// anchor finds a schema by its $anchor or $dynamicAnchor; the first one counts.
func (r *reader) anchor(name string) *yaml.Node {
	if strings.HasPrefix(name, "/") {
		return nil
	}
	if r.anchors == nil {
		r.anchors = map[string]*yaml.Node{}
		r.gatherAnchors(r.root)
	}
	return r.anchors[name]
}

func (r *reader) gatherAnchors(n *yaml.Node) {
	for k, v := range pairs(n) {
		if k.Value != "$anchor" && k.Value != "$dynamicAnchor" || !isString(v) {
			continue
		}
		if _, known := r.anchors[v.Value]; !known {
			r.anchors[v.Value] = n
		}
	}
	for _, c := range n.Content {
		r.gatherAnchors(c)
	}
}

// refOf is a schema's reference. A $dynamicRef counts as one: it leads to the
// schema that it means where nobody extends it.
func refOf(n *yaml.Node) *yaml.Node {
	if ref := get(n, "$ref"); ref != nil {
		return ref
	}
	return get(n, "$dynamicRef")
}

// deref follows a schema's references silently; the node itself when they fail.
func (r *reader) deref(n *yaml.Node) *yaml.Node {
	for range 32 {
		ref := refOf(n)
		if ref == nil {
			return n
		}
		target, _, _ := r.local(ref.Value)
		if target == nil {
			return n
		}
		n = target
	}
	return n
}
