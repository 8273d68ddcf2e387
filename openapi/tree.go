package openapi

import (
	"encoding/json"
	"iter"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The tree of a document is made of yaml.Nodes, whether it was JSON or YAML:
// they keep order, exact numbers and places. nil is the absent node and all
// functions here accept it.

// pairs ranges over a mapping's keys and values in the author's order.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// items are a sequence's members.
func items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// get is the value of a mapping's key, nil when there is none.
func get(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// text is a string node's value, "" for any other node.
func text(n *yaml.Node) string {
	if isString(n) {
		return n.Value
	}
	return ""
}

func isString(n *yaml.Node) bool {
	if n == nil || n.Kind != yaml.ScalarNode {
		return false
	}
	switch n.ShortTag() {
	case "!!str", "!!timestamp", "!!binary":
		return true
	}
	return false
}

func isNumber(n *yaml.Node) bool {
	if n == nil || n.Kind != yaml.ScalarNode {
		return false
	}
	tag := n.ShortTag()
	if tag != "!!int" && tag != "!!float" {
		return false
	}
	number := scalarJSON(n) // .inf and .nan come out as strings
	return number[0] != '"' && json.Valid([]byte(number))
}

func isBool(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool"
}

func isTrue(n *yaml.Node) bool { return isBool(n) && strings.EqualFold(n.Value, "true") }

func isNull(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func isMapping(n *yaml.Node) bool { return n != nil && n.Kind == yaml.MappingNode }

func isSequence(n *yaml.Node) bool { return n != nil && n.Kind == yaml.SequenceNode }

// value turns a node into a JSON value: ordered objects, exact numbers.
func value(n *yaml.Node) any {
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.MappingNode:
		o := newObject()
		for k, v := range pairs(n) {
			o.set(k.Value, value(v))
		}
		return o
	case n.Kind == yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			out = append(out, value(c))
		}
		return out
	default:
		return json.RawMessage(scalarJSON(n))
	}
}

// scalarJSON is a scalar as JSON text; numbers keep all their digits.
func scalarJSON(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!null":
		return "null"
	case "!!bool":
		return strconv.FormatBool(strings.EqualFold(n.Value, "true"))
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return n.Value
		}
		var v any // YAML's own forms: 0x1F, 1_000, +1, .5, .inf
		if err := n.Decode(&v); err == nil {
			if b, err := json.Marshal(v); err == nil {
				return string(b)
			}
		}
	}
	return quote(n.Value)
}

func quote(s string) string { return string(appendString(nil, s)) }
