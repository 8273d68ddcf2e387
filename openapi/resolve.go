package openapi

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// lostMembers are the members of objects in place of which another one of the
// same key counts.
type lostMembers map[*yaml.Node][]lostMember

type lostMember struct{ key, value *yaml.Node }

// resolver replaces aliases by what they stand for and applies merge keys,
// within the bounds of depth and expanded size.
type resolver struct {
	file     string
	unshare  bool
	lost     lostMembers
	findings []Finding
	fatal    *Finding
	size     map[*yaml.Node]int // expanded size of shared nodes; -1 while being walked
	total    int
	copied   int
}

func newResolver(file string, unshare bool) *resolver {
	return &resolver{file: file, unshare: unshare, lost: lostMembers{}}
}

const tooDeep = "document nests deeper than 200 levels"

func (t *resolver) fail(n *yaml.Node, message, hint string) {
	if t.fatal == nil {
		t.fatal = &Finding{
			Severity: SeverityError, Code: "document-unreadable", Location: t.at(n), Message: message, Hint: hint,
		}
	}
}

func (t *resolver) at(n *yaml.Node) Location { return Location{t.file, n.Line, n.Column} }

func (t *resolver) resolve(n *yaml.Node, depth int) *yaml.Node {
	if t.fatal != nil {
		return n
	}
	if depth > maxDepth {
		t.fail(n, tooDeep, "")
		return n
	}
	if t.total++; t.tooMany(n) {
		return n
	}
	if n.Kind == yaml.AliasNode {
		return t.alias(n, depth)
	}
	if n.Anchor != "" {
		if t.size == nil {
			t.size = map[*yaml.Node]int{}
		}
		t.size[n] = -1
		before := t.total
		defer func() { t.size[n] = t.total - before + 1 }()
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue
		}
		n.Content[i] = t.resolve(c, depth+1)
	}
	if n.Kind == yaml.MappingNode {
		t.mapping(n)
	}
	return n
}

func (t *resolver) tooMany(n *yaml.Node) bool {
	if t.total > maxNodes {
		t.fail(n, fmt.Sprintf("document has more than %d nodes once its aliases are expanded", maxNodes), "write out less, or use $ref instead of YAML aliases")
	}
	return t.total > maxNodes
}

// alias gives the node that an alias stands for. Shared or copied, it is
// counted in full, which is what bounds an alias bomb.
func (t *resolver) alias(n *yaml.Node, depth int) *yaml.Node {
	size, known := t.size[n.Alias]
	switch {
	case known && size < 0:
		t.fail(n, fmt.Sprintf("alias *%s stands inside its own anchor", n.Value), "use $ref for recursion")
	case known:
		t.total += size
	default: // an anchor that was not walked: a mapping key's
		return t.resolve(n.Alias, depth)
	}
	if t.unshare && t.fatal == nil && !t.tooMany(n) {
		if t.copied += size; t.copied > maxCopied {
			t.fail(n, fmt.Sprintf("document has overlays and more than %d nodes behind its aliases", maxCopied), "use $ref instead of YAML aliases")
			return n.Alias
		}
		return deepCopy(n.Alias)
	}
	return n.Alias
}

func deepCopy(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = deepCopy(child)
	}
	return &c
}

// mapping applies "<<" and reports keys that stand twice (the last one counts,
// as in JSON).
func (t *resolver) mapping(n *yaml.Node) {
	seen := make(map[string]int, len(n.Content)/2)
	out := n.Content[:0:len(n.Content)]
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		if at, twice := seen[key.Value]; twice {
			t.findings = append(t.findings, Finding{
				Severity: SeverityWarning, Code: "duplicate-key", Location: t.at(key),
				Message: fmt.Sprintf("key %q stands twice; the last one counts", key.Value), Hint: "remove one",
			})
			t.lost[n] = append(t.lost[n], lostMember{out[at], out[at+1]})
			out[at], out[at+1] = key, value
			continue
		}
		seen[key.Value] = len(out)
		out = append(out, key, value)
	}
	for _, m := range merges {
		parts := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			parts = m.Content
		}
		for _, part := range parts {
			for k, v := range pairs(part) {
				if _, own := seen[k.Value]; !own {
					seen[k.Value] = len(out)
					out = append(out, k, v)
				}
			}
		}
	}
	n.Content = out
}
