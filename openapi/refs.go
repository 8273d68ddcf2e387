package openapi

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// target gives what a $ref leads to, from the file in which it stands.
func (r *reader) target(ref *yaml.Node) (target *yaml.Node, fault, hint string) {
	from := r.base(ref)
	if target, known := from.targets[ref.Value]; known {
		return target, "", ""
	}
	if target, fault, hint = r.find(from, ref); target != nil {
		if from.targets == nil {
			from.targets = map[string]*yaml.Node{}
		}
		from.targets[ref.Value] = target
	}
	return target, fault, hint
}

func (r *reader) find(from *file, ref *yaml.Node) (target *yaml.Node, fault, hint string) {
	if !isString(ref) {
		return nil, "$ref is not a string", ""
	}
	place, fragment, _ := strings.Cut(ref.Value, "#")
	in := opened{file: from}
	if place != "" && place != text(from.get(from.root, "$self")) {
		in = r.open(from, place)
	}
	if in.file == nil {
		return nil, fmt.Sprintf("$ref %q %s", ref.Value, in.fault), in.hint
	}
	ptr, err := url.PathUnescape(fragment)
	if err != nil {
		ptr = fragment
	}
	if target = in.file.pointer(ptr); target == nil {
		target = in.file.anchor(ptr)
	}
	if target == nil {
		return nil, fmt.Sprintf("$ref %q leads nowhere", ref.Value), ""
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
		target, fault, hint := r.target(ref)
		if target == nil {
			r.report(severity, "ref-unresolved", ref, what+": "+fault, hint)
			return nil, false
		}
		n = target
	}
	r.report(severity, "ref-unresolved", n, what+": $ref leads back to itself", "")
	return nil, false
}

// pointer resolves a JSON pointer (RFC 6901, percent-decoding already done)
// from the root; nil when it leads nowhere.
func (f *file) pointer(ptr string) *yaml.Node {
	if ptr == "" {
		return f.root
	}
	if !strings.HasPrefix(ptr, "/") {
		return nil
	}
	n := f.root
	for token := range strings.SplitSeq(ptr[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch {
		case isMapping(n):
			n = f.get(n, token)
		case isSequence(n):
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(n.Content) {
				return nil
			}
			n = n.Content[i]
		default:
			return nil
		}
	}
	return n
}

// wideMapping is from how many keys on a mapping that $refs go through is not
// searched for each of them. There may be as many of both.
const wideMapping = 32

// get is [get] for the file's own mappings.
func (f *file) get(n *yaml.Node, key string) *yaml.Node {
	if n == nil || len(n.Content) < 2*wideMapping {
		return get(n, key)
	}
	members := f.wide[n]
	if members == nil {
		members = make(map[string]*yaml.Node, len(n.Content)/2)
		for k, v := range pairs(n) {
			if _, known := members[k.Value]; !known {
				members[k.Value] = v
			}
		}
		if f.wide == nil {
			f.wide = map[*yaml.Node]map[string]*yaml.Node{}
		}
		f.wide[n] = members
	}
	return members[key]
}

// anchor finds a schema by its $anchor or $dynamicAnchor; the first one counts.
func (f *file) anchor(name string) *yaml.Node {
	if strings.HasPrefix(name, "/") {
		return nil
	}
	if f.anchors == nil {
		f.anchors = map[string]*yaml.Node{}
		f.gatherAnchors(f.root)
	}
	return f.anchors[name]
}

func (f *file) gatherAnchors(n *yaml.Node) {
	for k, v := range pairs(n) {
		if k.Value != "$anchor" && k.Value != "$dynamicAnchor" || !isString(v) {
			continue
		}
		if _, known := f.anchors[v.Value]; !known {
			f.anchors[v.Value] = n
		}
	}
	for _, c := range n.Content {
		f.gatherAnchors(c)
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
		target, _, _ := r.target(ref)
		if target == nil {
			return n
		}
		n = target
	}
	return n
}

// loops are the references by which schemas apply themselves to the very value
// that they are applied to, as a base does that lists its heirs in oneOf while
// each of them has it in allOf. Validators do not come back from that.
type loops struct {
	state map[*yaml.Node]visit
	back  map[*yaml.Node]bool // the $refs that close a circle
}

// maxInPlace is how many schemas that apply to the same value are followed one
// into the other. No tool has room for a circle that is longer.
const maxInPlace = 2 * schemaBudget

type visit int

const (
	begun visit = iota + 1
	done
)

// closes tells whether a reference closes such a circle. Each circle has one
// that does: the last that is come by, in the document's order.
func (r *reader) closes(ref, target *yaml.Node) bool {
	if r.loops.state == nil {
		r.loops = loops{state: map[*yaml.Node]visit{}, back: map[*yaml.Node]bool{}}
	}
	if r.loops.state[target] == 0 {
		r.follows(target, 0)
	}
	return r.loops.back[ref]
}

// follows visits the schemas that a schema applies to its own value (JSON Schema
// 2020-12 §10.2), each once for the whole document.
func (r *reader) follows(n *yaml.Node, depth int) {
	if r.loops.state[n] != 0 || depth > maxInPlace {
		return
	}
	r.loops.state[n] = begun
	ref := refOf(n)
	if ref != nil {
		if target, _, _ := r.target(ref); target != nil {
			if r.loops.state[target] == begun {
				r.loops.back[ref] = true
			}
			r.follows(target, depth+1)
		}
	}
	for k, v := range pairs(n) {
		if ref != nil && r.dialect == dialect30 {
			break // nothing beside it counts
		}
		switch k.Value {
		case "allOf", "anyOf", "oneOf":
			for _, c := range items(v) {
				r.follows(c, depth+1)
			}
		case "not", "if", "then", "else":
			r.follows(v, depth+1)
		case "dependentSchemas":
			for _, c := range pairs(v) {
				r.follows(c, depth+1)
			}
		}
	}
	r.loops.state[n] = done
}
