package openapi

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// route is a path with its item, references followed.
type route struct{ path, item *yaml.Node }

// read walks the paths in the author's order.
func (r *reader) read(doc *Document) {
	info := get(r.entry.root, "info")
	doc.Title, doc.Version = cleanText(text(get(info, "title"))), text(get(info, "version"))
	doc.Description = cleanText(text(get(info, "description")))
	paths := get(r.entry.root, "paths")
	if paths != nil && !isMapping(paths) {
		r.report(SeverityError, "paths-invalid", paths, `"paths" is not an object`, "")
		return
	}
	routes := r.routes(paths)
	r.reserve(routes)
	for _, route := range routes {
		r.pathItem(doc, route)
	}
	for _, m := range r.lost[paths] {
		r.lostPath(doc, m.key, m.value)
	}
	for _, m := range r.lost[r.entry.root] {
		for path, item := range pairs(m.value) {
			if m.key.Value == "paths" {
				r.lostPath(doc, path, item)
			}
		}
	}
}

// routes are the paths in the author's order.
func (r *reader) routes(paths *yaml.Node) []route {
	var routes []route
	for path, item := range pairs(paths) {
		if strings.HasPrefix(path.Value, "x-") {
			continue
		}
		if whole := r.wholeItem(item, 0); whole != nil {
			routes = append(routes, route{path, whole})
		}
	}
	return routes
}

// wholeItem is a path item with what its $ref brings; what stands beside the
// $ref counts first. nil when it is no object.
func (r *reader) wholeItem(n *yaml.Node, depth int) *yaml.Node {
	ref := get(n, "$ref")
	if ref == nil {
		if n != nil && !isMapping(n) {
			r.report(SeverityWarning, "object-expected", n, "path item is not an object", "")
			return nil
		}
		return n
	}
	target, fault, hint := r.target(ref)
	if depth > 32 {
		target, fault, hint = nil, "$ref leads back to itself", ""
	}
	if target == nil {
		r.report(SeverityError, "ref-unresolved", ref, "path item: "+fault, hint)
	} else {
		target = r.wholeItem(target, depth+1)
	}
	out := r.like(n)
	for k, v := range pairs(n) {
		if k.Value != "$ref" {
			out.Content = append(out.Content, k, v)
		}
	}
	for k, v := range pairs(target) {
		if get(n, k.Value) == nil {
			out.Content = append(out.Content, k, v)
		}
	}
	if lost := slices.Concat(r.lost[n], r.lost[target]); len(lost) > 0 {
		r.lost[out] = lost
	}
	return out
}

// isMethod tells which fields of a path item are operations.
func isMethod(field string) bool {
	switch field {
	case "get", "put", "post", "delete", "options", "head", "patch", "trace", "query":
		return true
	}
	return false
}

// pathItem reads the operations of a path. Those that cannot be read are named
// too, so that none is lost silently.
func (r *reader) pathItem(doc *Document, at route) {
	for k, v := range pairs(at.item) {
		switch lower := strings.ToLower(k.Value); {
		case isMethod(k.Value):
			doc.Operations++
			r.op = strings.ToUpper(k.Value) + " " + at.path.Value
			actions, annotated := r.operation(k, at.path, at.item, v)
			if !annotated {
				doc.Unannotated++
			}
			doc.Actions = append(doc.Actions, actions...)
		case isMethod(lower):
			if r.refused(doc, k, at.path, v) {
				r.report(SeverityError, "method-case", k, fmt.Sprintf("method %q is not in lower case", k.Value), "write "+lower)
			}
		case k.Value == "additionalOperations":
			for method, op := range pairs(v) {
				if r.refused(doc, method, at.path, op) {
					r.report(SeverityError, "method-unsupported", method, "additionalOperations are not read", "")
				}
			}
		}
	}
	r.lostOperations(doc, at)
}

// refused counts an operation that cannot be read; true when it was to become
// an action and the caller has to say why it does not.
func (r *reader) refused(doc *Document, method, path, op *yaml.Node) bool {
	doc.Operations++
	if !r.wanted(op) {
		doc.Unannotated++
		return false
	}
	r.op = strings.ToUpper(method.Value) + " " + path.Value
	return true
}

// wanted tells whether an operation is to become actions.
func (r *reader) wanted(op *yaml.Node) bool {
	x := get(op, "x-action")
	if x == nil {
		return r.opts.Mode == All
	}
	return !isBool(x) || isTrue(x)
}

func (r *reader) lostOperations(doc *Document, at route) {
	for _, m := range r.lost[at.item] {
		if isMethod(m.key.Value) && r.refused(doc, m.key, at.path, m.value) {
			r.report(SeverityError, "duplicate-key", m.key, "operation stands twice; the last one counts", "remove one")
		}
	}
	r.op = ""
}

// lostPath reports the operations of a path that stands twice.
func (r *reader) lostPath(doc *Document, path, item *yaml.Node) {
	if strings.HasPrefix(path.Value, "x-") {
		return
	}
	r.op = ""
	whole := r.wholeItem(item, 0)
	for k, v := range pairs(whole) {
		if isMethod(strings.ToLower(k.Value)) && r.refused(doc, k, path, v) {
			r.report(SeverityError, "duplicate-key", k, "path stands twice; the last one counts", "write all its operations in one place")
		}
	}
	if whole != nil {
		r.lostOperations(doc, route{path, whole})
	}
}

// operation gives the actions of one operation. annotated is false when its
// x-action is false, or there is none and only annotated ones were asked for.
func (r *reader) operation(method, path, item, op *yaml.Node) (actions []Action, annotated bool) {
	if !r.wanted(op) {
		return nil, false
	}
	specs, ok := r.xActions(op)
	if ok && len(specs) == 0 {
		specs = []*xAction{{node: op}}
	}
	if !ok || !isMapping(op) {
		if !isMapping(op) {
			r.report(SeverityError, "operation-invalid", method, "operation is not an object", "")
		}
		return nil, true
	}
	o, ok := r.load(method, path, item, op)
	if !ok {
		return nil, true
	}
	for _, x := range specs {
		if a, ok := r.action(o, x); ok {
			actions = append(actions, a)
		}
	}
	return actions, true
}
