package config

import (
	"fmt"

	yaml "go.yaml.in/yaml/v3"
)

// pair is one entry of a mapping.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs gives the entries of a mapping, those it merges (<<) last. Of two with
// one name the first counts.
func (c *checker) pairs(n *yaml.Node, path string) []pair {
	var own, merged []pair
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := target(n.Content[i]), n.Content[i+1]
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			merged = append(merged, c.merged(target(value), path)...)
			continue
		case key.Kind != yaml.ScalarNode:
			c.fault(key, path, "", "expected a name before the colon, got %s", describe(key))
			continue
		}
		c.clear[key] = true
		if other, twice := first[key.Value]; twice {
			c.report(key, path, fmt.Sprintf("the first is at line %d, column %d", other.Line, other.Column), "field %q is given twice", short(key.Value))
			continue
		}
		first[key.Value] = key
		own = append(own, pair{key.Value, key, value})
	}
	for _, p := range merged {
		if first[p.name] == nil {
			first[p.name] = p.key
			own = append(own, p)
		}
	}
	return own
}

func (c *checker) merged(n *yaml.Node, path string) []pair {
	switch n.Kind {
	case yaml.MappingNode:
		return c.pairs(n, path)
	case yaml.SequenceNode:
		var all []pair
		for _, item := range n.Content {
			if item = target(item); item.Kind == yaml.MappingNode {
				all = append(all, c.pairs(item, path)...)
				continue
			}
			c.fault(item, path, "", "expected a mapping to merge, got %s", describe(item))
		}
		return all
	}
	c.fault(n, path, "", "expected a mapping to merge, got %s", describe(n))
	return nil
}
