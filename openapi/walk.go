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
	doc.SecuritySchemes, r.byName = r.schemes()
	r.commonSecurity = r.alternatives(get(r.entry.root, "security"))
	routes := r.routes(paths)
	r.reserve(routes)
	for _, route := range routes {
		r.pathItem(doc, route)
	}
	r.reportTooMany(paths)
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

// pathOperation is an operation of a path item: under its method, or among the
// additionalOperations (OpenAPI 3.2), whose methods are as they are sent.
type pathOperation struct {
	method  string
	key, op *yaml.Node
}

// operations are those of a path item, in the author's order.
func operations(item *yaml.Node) []pathOperation {
	var out []pathOperation
	for k, v := range pairs(item) {
		if isMethod(strings.ToLower(k.Value)) {
			out = append(out, pathOperation{strings.ToUpper(k.Value), k, v})
		}
		if k.Value == "additionalOperations" {
			for method, op := range pairs(v) {
				if !strings.HasPrefix(method.Value, "x-") {
					out = append(out, pathOperation{method.Value, method, op})
				}
			}
		}
	}
	return out
}

// sendable tells whether an operation can be sent by its method, and reports
// why not when it was to become an action.
func (r *reader) sendable(e pathOperation, item *yaml.Node, wanted func() bool) bool {
	lower := strings.ToLower(e.key.Value)
	own := get(item, e.key.Value) == e.op // a field of the path item
	switch {
	case own && e.key.Value != lower:
		if wanted() {
			r.report(SeverityError, "method-case", e.key, fmt.Sprintf("method %q is not in lower case", e.key.Value), "write "+lower)
		}
	case !own && (!fieldName.MatchString(e.method) || e.method == "CONNECT"):
		if wanted() {
			r.report(SeverityError, "method-unsupported", e.key, fmt.Sprintf("method %q is none that a request can have", e.method), "methods are names like COPY (RFC 9110)")
		}
	case !own && isMethod(lower) && get(item, lower) != nil:
		if wanted() {
			r.report(SeverityError, "method-unsupported", e.key, fmt.Sprintf("method %s stands both in the path item and in additionalOperations", e.method), "remove one")
		}
	default:
		return true
	}
	return false
}

// pathItem reads the operations of a path. Those that cannot be read are named
// too, so that none is lost silently.
func (r *reader) pathItem(doc *Document, at route) {
	if more := get(at.item, "additionalOperations"); more != nil && !isMapping(more) {
		r.report(SeverityWarning, "object-expected", more, "additionalOperations is not an object", "")
	}
	for _, e := range operations(at.item) {
		if !r.sendable(e, at.item, func() bool { return r.refused(doc, e, at.path) }) {
			continue
		}
		doc.Operations++
		r.op = e.method + " " + at.path.Value
		if lower := strings.ToLower(e.method); isMethod(lower) && get(at.item, lower) != e.op {
			r.report(SeverityWarning, "method-misplaced", e.key,
				fmt.Sprintf("method %q stands in additionalOperations, as it is sent; the path item has the field %q for it", e.method, lower), "write it there")
		}
		if r.full(e.op) {
			continue
		}
		actions, annotated := r.operation(e, at.path, at.item)
		if !annotated {
			doc.Unannotated++
		}
		doc.Actions = append(doc.Actions, actions...)
	}
	r.lostOperations(doc, at)
}

// full counts the actions that an operation asks for, and tells whether the
// document asked for as many as it may before. Such an operation is not read.
func (r *reader) full(op *yaml.Node) bool {
	before := r.asked
	if r.wanted(op) {
		r.asked += max(1, len(items(get(op, "x-action"))))
	}
	return before >= r.opts.maxActions()
}

// reportTooMany tells how many actions are left out because there are too many.
func (r *reader) reportTooMany(paths *yaml.Node) {
	if over := r.asked - r.opts.maxActions(); over > 0 {
		r.op = ""
		r.report(SeverityError, "actions-many", paths, fmt.Sprintf("document has more than %d actions; %d are left out", r.opts.maxActions(), over),
			"annotate those that agents need with x-action, or cut the document into several plugins")
	}
}

// refused counts an operation that cannot be read; true when it was to become
// an action and the caller has to say why it does not.
func (r *reader) refused(doc *Document, e pathOperation, path *yaml.Node) bool {
	doc.Operations++
	if !r.wanted(e.op) {
		doc.Unannotated++
		return false
	}
	r.op = e.method + " " + path.Value
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
	lost := &yaml.Node{Kind: yaml.MappingNode}
	for _, m := range r.lost[at.item] {
		lost.Content = append(lost.Content, m.key, m.value)
	}
	more := &yaml.Node{Kind: yaml.MappingNode}
	for _, m := range r.lost[get(at.item, "additionalOperations")] {
		more.Content = append(more.Content, m.key, m.value)
	}
	lost.Content = append(lost.Content, key("additionalOperations"), more)
	for _, e := range operations(lost) {
		if r.refused(doc, e, at.path) {
			r.report(SeverityError, "duplicate-key", e.key, "operation stands twice; the last one counts", "remove one")
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
	for _, e := range operations(whole) {
		if r.refused(doc, e, path) {
			r.report(SeverityError, "duplicate-key", e.key, "path stands twice; the last one counts", "write all its operations in one place")
		}
	}
	if whole != nil {
		r.lostOperations(doc, route{path, whole})
	}
}

// operation gives the actions of one operation. annotated is false when its
// x-action is false, or there is none and only annotated ones were asked for.
func (r *reader) operation(e pathOperation, path, item *yaml.Node) (actions []Action, annotated bool) {
	if !r.wanted(e.op) {
		return nil, false
	}
	specs, ok := r.xActions(e.op)
	if ok && len(specs) == 0 {
		specs = []*xAction{{node: e.op}}
	}
	if !ok || !isMapping(e.op) {
		if !isMapping(e.op) {
			r.report(SeverityError, "operation-invalid", e.key, "operation is not an object", "")
		}
		return nil, true
	}
	o, ok := r.load(e, path, item)
	if !ok {
		return nil, true
	}
	first := r.asked - len(specs) // of this operation
	for _, x := range specs[:min(len(specs), r.opts.maxActions()-first)] {
		if a, ok := r.action(o, x); ok {
			actions = append(actions, a)
		}
	}
	return actions, true
}
