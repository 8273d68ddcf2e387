package config

import (
	"fmt"
	"strings"
	"unicode"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// checker walks the tree against the table and gives the plain values that the
// decoder needs. What is wrong is left out of them, so that it keeps its
// default, and its path is remembered, so that nothing that follows from it is
// reported, too.
type checker struct {
	*places
	lookup func(string) string
	issues Issues
	broken map[string]bool     // paths of what is wrong
	around map[string]bool     // paths of the sections around them
	clear  map[*yaml.Node]bool // nodes whose text may be shown
}

func (c *checker) fault(n *yaml.Node, path, hint, format string, args ...any) {
	c.report(n, path, hint, format, args...)
	c.breaks(path)
}

func (c *checker) breaks(path string) {
	c.broken[path] = true
	for path = parent(path); path != ""; path = parent(path) {
		c.around[path] = true
	}
}

func (c *checker) report(n *yaml.Node, path, hint, format string, args ...any) {
	c.issues = append(c.issues, Issue{File: c.file, Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// value gives false when there is nothing to decode.
func (c *checker) value(n *yaml.Node, s *shape, path string) (any, bool) {
	n = target(n)
	switch {
	case s.kind == secret:
		return c.secret(n, path)
	case s.kind == list:
		return c.list(n, s, path)
	case s.kind == named:
		return c.named(n, s, path)
	case s.kind == section && (s.plain == "" || n.Kind != yaml.ScalarNode || isNull(n)):
		return c.section(n, s, path)
	case n.Kind != yaml.ScalarNode:
		c.fault(n, path, "", "expected %s, got %s", s.noun(), describe(n))
	case s.banned(n.Value):
		c.fault(n, path, noPassthrough, "unknown kind of credentials %q", short(n.Value))
	case !isNull(n) && s.kind == section:
		f, _ := s.child(s.plain)
		return c.leaf(n, f.shape, path)
	case !isNull(n):
		return c.leaf(n, s, path)
	}
	return nil, false
}

// section always gives a mapping, so that the name of a wrong entry stays known.
func (c *checker) section(n *yaml.Node, s *shape, path string) (any, bool) {
	values := map[string]any{}
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			c.fault(n, path, "its fields: "+strings.Join(s.keys(), ", "), "expected %s, got %s", s.noun(), describe(n))
		}
		return values, true
	}
	for _, p := range c.pairs(n, path) {
		f, known := s.child(p.name)
		if !known {
			c.unknown(p, s, path)
			continue
		}
		at := join(path, p.name)
		c.mark(at, p)
		if v, ok := c.value(p.value, f.shape, at); ok {
			values[p.name] = v
		}
	}
	return values, true
}

func (c *checker) unknown(p pair, s *shape, path string) {
	hint := suggest.Hint(p.name, s.keys())
	if s.banned(p.name) {
		hint = noPassthrough
	}
	c.report(p.key, path, hint, "unknown field %q", short(p.name))
	c.breaks(join(path, p.name))
	if meant := suggest.Closest(p.name, s.keys()); meant != "" {
		c.breaks(join(path, meant))
	}
}

// noPassthrough is for those who look for a way to send the caller's token on.
const noPassthrough = "a caller's token is never passed on: it is for this gateway, and a plugin that was sent it could use it in the caller's name everywhere. " +
	"Say who calls with assertion, backstage or tokenExchange, or give the gateway a token of its own"

// banned tells names by which other gateways pass tokens on, where a plugin or
// its credentials are said.
func (s *shape) banned(name string) bool {
	_, isPlugin := s.child("specAuth")
	_, isAuth := s.child("tokenExchange")
	return (isPlugin || isAuth) && passesOn(name)
}

func passesOn(name string) bool {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "passthrough", "forward", "forwardtoken", "forwardauth", "forwardauthorization", "passtoken", "tokenpassthrough":
		return true
	}
	return false
}

func (c *checker) named(n *yaml.Node, s *shape, path string) (any, bool) {
	if isNull(n) {
		return nil, false
	}
	if n.Kind != yaml.MappingNode {
		c.fault(n, path, "an entry is a name, a colon and its fields", "expected %s, got %s", s.noun(), describe(n))
		return nil, false
	}
	values := map[string]any{}
	for _, p := range c.pairs(n, path) {
		if strings.ContainsFunc(p.name, unicode.IsControl) { // koanf's delimiter is one
			c.report(p.key, path, "", "name %q has a control character", short(p.name))
			continue
		}
		at := join(path, p.name)
		c.mark(at, p)
		if v, ok := c.value(p.value, s.elem, at); ok {
			values[p.name] = v
		}
	}
	return values, true
}

func (c *checker) list(n *yaml.Node, s *shape, path string) (any, bool) {
	if isNull(n) {
		return nil, false
	}
	if n.Kind == yaml.ScalarNode && s.elem.plain != "" && s.one { // "auth: none"
		v, ok := c.value(n, s.elem, path)
		return []any{v}, ok
	}
	if n.Kind != yaml.SequenceNode {
		c.fault(n, path, "a list is written [a, b], or one item a line after -", "expected %s, got %s", s.noun(), describe(n))
		return nil, false
	}
	values := []any{}
	for i, item := range n.Content {
		item, at := target(item), fmt.Sprintf("%s[%d]", path, i)
		c.at[at] = position{item.Line, item.Column}
		if isNull(item) {
			c.fault(item, at, "remove the item or say what it is", "expected %s, got nothing", s.elem.noun())
		} else if v, ok := c.value(item, s.elem, at); ok {
			values = append(values, v)
			continue
		}
		values = append(values, s.elem.placeholder())
	}
	return values, true
}

// placeholder stands where a wrong item was, so that those behind it keep their
// number.
func (s *shape) placeholder() any {
	if s.kind == section {
		return map[string]any{}
	}
	return ""
}

// leaf is a value without parts. A resolved reference has no YAML type: it may
// be whatever the field wants.
func (c *checker) leaf(n *yaml.Node, s *shape, path string) (any, bool) {
	c.clear[n] = true
	v := scalar{text: n.Value, shown: n.Value, tag: n.ShortTag()}
	if strings.Contains(n.Value, "$") && v.tag == "!!str" {
		resolved, ok := c.resolve(n, path)
		if !ok {
			return nil, false
		}
		if v.text = resolved; strings.Contains(n.Value, "${") {
			v.tag = ""
		}
	}
	parsed, p := s.parse(v)
	if p != nil {
		c.fault(n, path, p.hint, "%s", p.message)
		return nil, false
	}
	return parsed, true
}

// resolve gives the text with the values of its variables, which from here on
// no message may show.
func (c *checker) resolve(n *yaml.Node, path string) (string, bool) {
	resolved, used, problems := interpolate(n.Value, c.lookup)
	for _, m := range used {
		c.hide(m.value, m.shown)
	}
	for _, p := range problems {
		c.fault(n, path, p.hint, "%s", p.message)
	}
	return resolved, len(problems) == 0
}

// mark says where a field is: at its value, when that stands on one place, or
// else at its key.
func (c *checker) mark(path string, p pair) {
	c.at[path] = position{p.key.Line, p.key.Column}
	if v := target(p.value); v.Kind == yaml.ScalarNode && !isNull(v) {
		c.at[path] = position{v.Line, v.Column}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
