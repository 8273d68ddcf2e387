package openapi

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/speakeasy-api/jsonpath/pkg/jsonpath"
	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// overlay applies the OpenAPI Overlay documents in order. A fault in one
// refuses the document: half an overlay could show what it was to hide.
func (r *reader) overlay(sources []Source) bool {
	ok := true
	for _, src := range sources {
		t := parse(src, r.opts.maxBytes(), true, 0).object(src.Name)
		r.findings = append(r.findings, t.findings...)
		if t.root == nil {
			return false
		}
		r.own(&file{name: src.Name, overlay: true}, t.root)
		ok = r.applyOverlay(t.root) && ok
	}
	return ok
}

func (r *reader) applyOverlay(overlay *yaml.Node) bool {
	version := overlayVersion.FindStringSubmatch(versionOf(get(overlay, "overlay")))
	if version == nil {
		r.report(SeverityError, "overlay-invalid", overlay, `overlay document has no "overlay: 1.0.0"`, "versions 1.0, 1.1 and 1.2 are known")
		return false
	}
	known := []string{"overlay", "info", "extends", "actions"}
	if version[1] == "2" { // its components, of reusable actions, are not read
		known = append(known, "$self")
	}
	ok := r.overlayFields(overlay, "overlay", known...)
	actions := get(overlay, "actions")
	if !isSequence(actions) {
		r.report(SeverityError, "overlay-invalid", overlay, `overlay has no list of "actions"`, "")
		return false
	}
	for _, action := range actions.Content {
		known := []string{"target", "description", "update", "remove"}
		if version[1] != "0" {
			known = append(known, "copy")
		}
		if !r.overlayFields(action, "overlay action", known...) {
			ok = false
			continue
		}
		if err := r.applyOverlayAction(action, version[1] != "0"); err != nil {
			r.report(SeverityError, "overlay-invalid", action, err.Error(), "")
			ok = false
		}
	}
	return ok
}

// overlayFields refuses what nobody would act on: a misspelt "remove" shows
// what was to be hidden.
func (r *reader) overlayFields(n *yaml.Node, what string, known ...string) bool {
	if !isMapping(n) {
		r.report(SeverityError, "overlay-invalid", n, what+" is not an object", "")
		return false
	}
	ok := true
	for k := range pairs(n) {
		if !strings.HasPrefix(k.Value, "x-") && !slices.Contains(known, k.Value) {
			r.report(SeverityError, "overlay-invalid", k, fmt.Sprintf("%s: unknown field %q", what, k.Value), suggest.Hint(k.Value, known))
			ok = false
		}
	}
	return ok
}

// overlayVersion is a version; what follows the minor one tells no difference
// (Overlay 1.0.0 §4.1).
var overlayVersion = regexp.MustCompile(`^1\.([012])(\.|$)`)

func versionOf(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

// applyOverlayAction does one action (Overlay 1.0.0 §4.4.3): remove deletes
// the targets, update is merged into each of them. strict is how Overlay 1.1
// does it.
func (r *reader) applyOverlayAction(action *yaml.Node, strict bool) error {
	remove, update, from := get(action, "remove"), get(action, "update"), get(action, "copy")
	switch {
	case remove != nil && !isBool(remove):
		return errors.New("remove is neither true nor false")
	case !isTrue(remove) && update == nil && from == nil:
		return errors.New("action has neither update nor remove: true")
	case update != nil && from != nil:
		return errors.New("action has both update and copy")
	}
	expression := text(get(action, "target"))
	targets, err := r.targetsOf(expression)
	switch {
	case err != nil:
		return err
	case len(targets) == 0:
		r.report(SeverityWarning, "overlay-no-target", get(action, "target"),
			fmt.Sprintf("target %q matches nothing", expression), "")
	case strict && !isTrue(remove) && slices.ContainsFunc(targets, func(n *yaml.Node) bool { return n.Kind != targets[0].Kind }):
		return fmt.Errorf("target %q: it selects values of several kinds", expression)
	}
	if from != nil && !isTrue(remove) {
		if update, err = r.copied(from); err != nil {
			return err
		}
	}
	for _, node := range targets {
		if isTrue(remove) {
			err = r.mirror.remove(node)
		} else {
			err = r.updateTarget(node, update, strict)
		}
		if err != nil {
			return fmt.Errorf("target %q: %w", expression, err)
		}
	}
	return nil
}

// copied is the one node that an action copies, as it was before the action.
func (r *reader) copied(from *yaml.Node) (*yaml.Node, error) {
	sources, err := r.targetsOf(text(from))
	if err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	if len(sources) != 1 {
		return nil, fmt.Errorf("copy: %q matches %d values, not one", text(from), len(sources))
	}
	return r.clone(sources[0]), nil
}

func (r *reader) targetsOf(expression string) (targets []*yaml.Node, err error) {
	path, err := jsonpath.NewPath(expression)
	if err != nil {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("target %q is no JSONPath (RFC 9535): %s", expression, reason)
	}
	if r.mirror == nil {
		r.mirror = newMirror(r.entry.root)
	}
	if targets, err = r.mirror.query(path); err != nil {
		return nil, fmt.Errorf("target %q: %w", expression, err)
	}
	return targets, nil
}

func (r *reader) updateTarget(node, update *yaml.Node, strict bool) error {
	if r.grown > maxNodes {
		return fmt.Errorf("overlays bring more than %d nodes", maxNodes)
	}
	switch {
	case node.Kind == yaml.SequenceNode:
		items := []*yaml.Node{r.clone(update)}
		if strict && isSequence(update) {
			items = items[0].Content
		}
		node.Content = append(node.Content, items...)
		r.mirror.changed(node)
	case isMapping(node) && isMapping(update):
		return r.merge(node, r.clone(update), strict)
	case strict && node.Kind == yaml.ScalarNode && update.Kind == yaml.ScalarNode:
		r.mirror.replace(node, r.clone(update))
	case strict:
		return errors.New("it is of another kind than what is to go there")
	default:
		return errors.New("it is neither an object nor a list")
	}
	return nil
}

// clone gives each target an update of its own, which later actions may change.
func (r *reader) clone(n *yaml.Node) *yaml.Node {
	c := *n
	r.grown++
	r.home[&c] = r.home[n]
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = r.clone(child)
	}
	return &c
}

// merge puts update's members into the object n: objects are merged, lists
// extended, anything else is replaced (Overlay 1.0.0 §4.4.3.1), unless it is of
// another kind (Overlay 1.1.0 §4.4.3.1).
func (r *reader) merge(n, update *yaml.Node, strict bool) error {
	for k, v := range pairs(update) {
		old := get(n, k.Value)
		switch {
		case isMapping(old) && isMapping(v):
			if err := r.merge(old, v, strict); err != nil {
				return err
			}
		case isSequence(old) && isSequence(v):
			old.Content = append(old.Content, v.Content...)
			r.mirror.changed(old)
		case old != nil && strict && old.Kind != v.Kind:
			return fmt.Errorf("its %q is of another kind than what is to go there", k.Value)
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
	r.mirror.changed(n)
	return nil
}
