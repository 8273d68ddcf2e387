package config

import (
	"fmt"
	"slices"

	yaml "go.yaml.in/yaml/v3"
)

const (
	maxDepth = 100
	maxNodes = 100_000
)

// withinBounds refuses trees that cost more to walk than a config is worth. A
// node counts as often as aliases repeat it.
func withinBounds(file string, root *yaml.Node) *Issue {
	nodes := 0
	open := map[*yaml.Node]bool{} // aliases being followed
	var walk func(n *yaml.Node, depth int) *Issue
	walk = func(n *yaml.Node, depth int) *Issue {
		nodes++
		wrong := &Issue{File: file, Line: n.Line, Column: n.Column}
		switch {
		case nodes > maxNodes:
			wrong.Message, wrong.Hint = fmt.Sprintf("more than %d values", maxNodes), "aliases count as often as they are used"
			return wrong
		case depth > maxDepth:
			wrong.Message = fmt.Sprintf("nested more than %d deep", maxDepth)
			return wrong
		case !knownTag(n):
			wrong.Message, wrong.Hint = fmt.Sprintf("tag %s is not supported", n.Tag), "a text that starts with ! needs quotes"
			return wrong
		case n.Kind == yaml.AliasNode && open[n.Alias]:
			wrong.Message = fmt.Sprintf("alias *%s is inside what it repeats", n.Value)
			return wrong
		case n.Kind == yaml.AliasNode:
			open[n.Alias] = true
			defer delete(open, n.Alias)
			return walk(n.Alias, depth)
		}
		for _, c := range n.Content {
			if issue := walk(c, depth+1); issue != nil {
				return issue
			}
		}
		return nil
	}
	return walk(root, 0)
}

func knownTag(n *yaml.Node) bool {
	return n.Style&yaml.TaggedStyle == 0 ||
		slices.Contains([]string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq"}, n.ShortTag())
}

// target is the node itself, or what an alias repeats.
func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe says what a value is without saying what is in it.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	}
	return "a string"
}
