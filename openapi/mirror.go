package openapi

import (
	"errors"
	"slices"

	"github.com/speakeasy-api/jsonpath/pkg/jsonpath"
	"go.yaml.in/yaml/v3"
	legacy "gopkg.in/yaml.v3"
)

// mirror is the document in the YAML library that the JSONPath library knows.
// It follows each change, for copying a large document once for each of
// hundreds of overlay actions takes seconds.
type mirror struct {
	root   *legacy.Node
	of     map[*legacy.Node]*yaml.Node
	to     map[*yaml.Node]*legacy.Node
	parent map[*yaml.Node]*yaml.Node
}

func newMirror(root *yaml.Node) *mirror {
	m := &mirror{of: map[*legacy.Node]*yaml.Node{}, to: map[*yaml.Node]*legacy.Node{}, parent: map[*yaml.Node]*yaml.Node{}}
	m.root = m.add(root, nil)
	return m
}

func (m *mirror) add(n, parent *yaml.Node) *legacy.Node {
	c := &legacy.Node{Kind: legacy.Kind(n.Kind), Tag: n.ShortTag(), Value: n.Value}
	m.of[c], m.to[n], m.parent[n] = n, c, parent
	c.Content = make([]*legacy.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = m.add(child, n)
	}
	return c
}

// changed takes over the members of a node that got or lost some.
func (m *mirror) changed(n *yaml.Node) {
	c := m.to[n]
	if c == nil { // it came with its parent, which is yet to be taken over
		return
	}
	c.Content = make([]*legacy.Node, len(n.Content))
	for i, child := range n.Content {
		if known := m.to[child]; known != nil {
			c.Content[i], m.parent[child] = known, n
		} else {
			c.Content[i] = m.add(child, n)
		}
	}
}

// replace puts one node in another's place in its parent.
func (m *mirror) replace(n, by *yaml.Node) {
	parent := m.parent[n]
	if parent == nil {
		return
	}
	if i := slices.Index(parent.Content, n); i >= 0 {
		parent.Content[i] = by
		m.changed(parent)
	}
}

// query gives the nodes that a path selects, each once.
func (m *mirror) query(path *jsonpath.JSONPath) (nodes []*yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the expression cannot be evaluated")
		}
	}()
	seen := map[*yaml.Node]bool{}
	for _, c := range path.Query(m.root) {
		n := m.of[c]
		if n == nil || m.isKey(n) {
			return nil, errors.New("it selects keys, not values")
		}
		if !seen[n] {
			seen[n] = true
			nodes = append(nodes, n)
		}
	}
	return nodes, nil
}

func (m *mirror) isKey(n *yaml.Node) bool {
	parent := m.parent[n]
	return isMapping(parent) && slices.Index(parent.Content, n)%2 == 0
}

// remove takes a node, with its key, out of its parent.
func (m *mirror) remove(n *yaml.Node) error {
	parent := m.parent[n]
	if parent == nil {
		return errors.New("it is the whole document")
	}
	i := slices.Index(parent.Content, n)
	if i < 0 {
		return nil
	}
	from := i
	if isMapping(parent) {
		from--
	}
	parent.Content = slices.Concat(parent.Content[:from], parent.Content[i+1:])
	m.changed(parent)
	return nil
}
