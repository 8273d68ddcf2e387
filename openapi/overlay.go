package openapi

import (
	"fmt"
	"strings"

	"github.com/speakeasy-api/jsonpath/pkg/jsonpath"
	"go.yaml.in/yaml/v3"
	legacy "gopkg.in/yaml.v3"
)

// overlay applies the OpenAPI Overlay 1.0 documents in order. A fault in one
// refuses the document: half an overlay could show what it was to hide.
func (r *reader) overlay(sources []Source) bool {
	ok := true
	for _, src := range sources {
		root, findings := parse(src, r.opts.MaxBytes)
		r.findings = append(r.findings, findings...)
		if root == nil {
			return false
		}
		if r.origin == nil {
			r.origin = map[*yaml.Node]string{}
		}
		markOrigin(root, src.Name, r.origin)
		ok = r.applyOverlay(root) && ok
	}
	return ok
}

func markOrigin(n *yaml.Node, file string, origin map[*yaml.Node]string) {
	origin[n] = file
	for _, c := range n.Content {
		if _, known := origin[c]; !known {
			markOrigin(c, file, origin)
		}
	}
}

func (r *reader) applyOverlay(overlay *yaml.Node) bool {
	if version := get(overlay, "overlay"); version == nil || version.Value != "1.0.0" && version.Value != "1.1.0" {
		r.report(SeverityError, "overlay-invalid", overlay, `overlay document has no "overlay: 1.0.0"`, "")
		return false
	}
	ok := true
	for _, action := range items(get(overlay, "actions")) {
		if err := r.applyOverlayAction(action); err != nil {
			r.report(SeverityError, "overlay-invalid", action, err.Error(), "")
			ok = false
		}
	}
	return ok
}

// applyOverlayAction does one action (Overlay 1.0.0 §4.4.3): remove deletes
// the targets, update is merged into each of them.
func (r *reader) applyOverlayAction(action *yaml.Node) error {
	expression := text(get(action, "target"))
	path, err := jsonpath.NewPath(expression)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		return fmt.Errorf("target %q is no JSONPath (RFC 9535): %s", expression, reason)
	}
	m := mirror{of: map[*legacy.Node]*yaml.Node{}}
	targets := path.Query(m.copy(r.root))
	if len(targets) == 0 {
		r.report(SeverityWarning, "overlay-no-target", get(action, "target"),
			fmt.Sprintf("target %q matches nothing", expression), "")
	}
	remove, update := isTrue(get(action, "remove")), get(action, "update")
	for _, t := range targets {
		switch node := m.of[t]; {
		case remove:
			removeNode(r.root, node)
		case update != nil && node.Kind == yaml.SequenceNode:
			node.Content = append(node.Content, r.clone(update))
		case update != nil && (node.Kind != yaml.MappingNode || update.Kind != yaml.MappingNode):
			return fmt.Errorf("target %q is neither an object nor a list", expression)
		case update != nil:
			merge(node, r.clone(update))
		}
	}
	return nil
}

// clone gives each target an update of its own, which later actions may change.
func (r *reader) clone(n *yaml.Node) *yaml.Node {
	c := *n
	r.origin[&c] = r.origin[n]
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = r.clone(child)
	}
	return &c
}

// merge puts update's members into the object n: objects are merged, lists
// extended, anything else is replaced (Overlay 1.0.0 §4.4.3.1).
func merge(n, update *yaml.Node) {
	for k, v := range pairs(update) {
		old := get(n, k.Value)
		switch {
		case isMapping(old) && isMapping(v):
			merge(old, v)
		case isSequence(old) && isSequence(v):
			old.Content = append(old.Content, v.Content...)
		case old != nil:
			for i := 0; i < len(n.Content); i += 2 {
				if n.Content[i].Value == k.Value {
					n.Content[i+1] = v
				}
			}
		default:
			n.Content = append(n.Content, k, v)
		}
	}
}

// removeNode takes a node, with its key, out of its parent.
func removeNode(parent, node *yaml.Node) bool {
	for i, c := range parent.Content {
		if c == node {
			from := i
			if parent.Kind == yaml.MappingNode {
				from = i - 1
			}
			parent.Content = append(parent.Content[:from:from], parent.Content[i+1:]...)
			return true
		}
		if removeNode(c, node) {
			return true
		}
	}
	return false
}

// mirror copies the tree into the YAML library that the JSONPath library
// knows, and remembers which node stands for which.
type mirror struct{ of map[*legacy.Node]*yaml.Node }

func (m mirror) copy(n *yaml.Node) *legacy.Node {
	c := &legacy.Node{Kind: legacy.Kind(n.Kind), Tag: n.ShortTag(), Value: n.Value, Content: make([]*legacy.Node, len(n.Content))}
	for i, child := range n.Content {
		c.Content[i] = m.copy(child)
	}
	m.of[c] = n
	return c
}
