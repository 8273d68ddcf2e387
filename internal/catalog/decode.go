package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// What a file of entities may be at most.
const (
	maxFileBytes = 5 << 20
	maxDepth     = 100
	maxNodes     = 500_000  // values in a file, aliases counted as what they stand for
	maxText      = 10 << 20 // bytes of all scalars together, likewise
)

// document is one YAML document of a file.
type document struct {
	line  int
	value any
}

// decode reads a file of YAML documents as JSON values. Empty documents are
// left out.
func decode(data []byte) ([]document, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch {
	case len(data) > maxFileBytes:
		return nil, fmt.Errorf("file is larger than %d MiB", maxFileBytes>>20)
	case bytes.IndexByte(data, 0) >= 0:
		return nil, errors.New("file is binary, not YAML")
	case !utf8.Valid(data):
		return nil, errors.New("file is not UTF-8 text")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	budget := &budget{}
	var documents []document
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("not YAML: %w", err)
		}
		value, err := budget.convert(&node, 0)
		if err != nil {
			return nil, err
		}
		if value != nil {
			documents = append(documents, document{node.Line, value})
		}
	}
}

// budget bounds what a file grows to when its aliases are followed.
type budget struct {
	nodes, text int
}

func (b *budget) convert(n *yaml.Node, depth int) (any, error) {
	b.nodes++
	b.text += len(n.Value)
	switch {
	case depth > maxDepth:
		return nil, fmt.Errorf("line %d: nested deeper than %d levels", n.Line, maxDepth)
	case b.nodes > maxNodes || b.text > maxText:
		return nil, fmt.Errorf("line %d: too many values (do aliases multiply?)", n.Line)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return b.convert(n.Content[0], depth)
	case yaml.AliasNode:
		return b.convert(n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := b.convert(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return b.convertMapping(n, depth)
	case yaml.ScalarNode:
		return convertScalar(n)
	}
	return nil, nil // an empty document
}

func (b *budget) convertMapping(n *yaml.Node, depth int) (any, error) {
	object := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: a key must be text", key.Line)
		case key.Tag == "!!merge":
			return nil, fmt.Errorf("line %d: merge keys (<<) are not supported", key.Line)
		}
		if _, twice := object[key.Value]; twice {
			return nil, fmt.Errorf("line %d: key %q stands here twice", key.Line, key.Value)
		}
		b.text += len(key.Value)
		v, err := b.convert(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		object[key.Value] = v
	}
	return object, nil
}

// convertScalar reads a scalar as JSON has it: dates, for one, stay text.
func convertScalar(n *yaml.Node) (any, error) {
	var err error
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var v bool
		err = n.Decode(&v)
		return v, err
	case "!!int", "!!float":
		var v any
		if err = n.Decode(&v); err != nil {
			return nil, fmt.Errorf("line %d: %q is not a number: %w", n.Line, n.Value, err)
		}
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return nil, fmt.Errorf("line %d: %s is not a number that JSON knows", n.Line, n.Value)
		}
		return v, nil
	case "!!binary":
		return nil, fmt.Errorf("line %d: binary values are not supported", n.Line)
	}
	return n.Value, nil
}
