package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
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
	node  *yaml.Node
	value any
	err   error // why it is no JSON value although it is YAML
}

// located is an error that knows its line of the file.
type located struct {
	line int
	err  error
}

func (l *located) Error() string { return fmt.Sprintf("line %d: %v", l.line, l.err) }
func (l *located) Unwrap() error { return l.err }

func errorAt(n *yaml.Node, format string, args ...any) error {
	return &located{n.Line, fmt.Errorf(format, args...)}
}

// decode reads a file of YAML documents as JSON values, each for itself; an
// error means that the file as a whole is unusable. Empty documents are left
// out.
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
			return nil, syntaxError(err)
		}
		value, err := budget.convert(&node, 0)
		if err != nil && budget.spent() {
			return nil, err
		}
		if value != nil || err != nil {
			documents = append(documents, document{node.Content[0], value, err})
		}
	}
}

// syntaxError takes the line out of the parser's text, where it tells one.
func syntaxError(err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		number, rest, _ := strings.Cut(rest, ": ")
		if line, err := strconv.Atoi(number); err == nil {
			return &located{line, errors.New("not YAML: " + rest)}
		}
	}
	return errors.New("not YAML: " + message)
}

// lineOf is the line of the field at a path such as "metadata.tags.0", or of
// the field nearest above it that is there; line is that of n itself.
func lineOf(n *yaml.Node, path string, line int) int {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	var next *yaml.Node
	var rest string
	switch n.Kind {
	case yaml.MappingNode:
		longest := -1 // keys may have dots
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			after, ok := strings.CutPrefix(path+".", key.Value+".")
			if ok && len(key.Value) > longest {
				longest, line, next, rest = len(key.Value), key.Line, n.Content[i+1], strings.TrimSuffix(after, ".")
			}
		}
	case yaml.SequenceNode:
		var index string
		index, rest, _ = strings.Cut(path, ".")
		if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(n.Content) {
			next, line = n.Content[i], n.Content[i].Line
		}
	}
	if next == nil || rest == "" {
		return line
	}
	return lineOf(next, rest, line)
}

// budget bounds what a file grows to when its aliases are followed.
type budget struct {
	nodes, text int
}

func (b *budget) spent() bool { return b.nodes > maxNodes || b.text > maxText }

func (b *budget) convert(n *yaml.Node, depth int) (any, error) {
	b.nodes++
	b.text += len(n.Value)
	switch {
	case b.spent():
		return nil, errorAt(n, "too many values (do aliases multiply?)")
	case depth > maxDepth:
		return nil, errorAt(n, "nested deeper than %d levels", maxDepth)
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
			return nil, errorAt(key, "a key must be text")
		case key.Tag == "!!merge":
			return nil, errorAt(key, "merge keys (<<) are not supported")
		}
		if _, twice := object[key.Value]; twice {
			return nil, errorAt(key, "key %q stands here twice", shorten(key.Value))
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
		if err = n.Decode(&v); err != nil {
			return nil, errorAt(n, "%q is not true or false", shorten(n.Value))
		}
		return v, nil
	case "!!int", "!!float":
		var v any
		if err = n.Decode(&v); err != nil {
			return nil, errorAt(n, "%q is not a number", shorten(n.Value))
		}
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return nil, errorAt(n, "%s is not a number that JSON knows", shorten(n.Value))
		}
		return v, nil
	case "!!binary":
		return nil, errorAt(n, "binary values are not supported")
	}
	return n.Value, nil
}
