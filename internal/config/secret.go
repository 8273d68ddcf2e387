package config

import yaml "go.yaml.in/yaml/v3"

const secretHint = "a secret is a string, {env: NAME} or {file: PATH}"

// secret reads a secret without ever showing what was written. It gives a
// string, or a mapping with the file that holds it.
func (c *checker) secret(n *yaml.Node, path string) (any, bool) {
	switch {
	case n.Kind == yaml.MappingNode:
		return c.secretSource(n, path)
	case n.Kind == yaml.SequenceNode:
		c.fault(n, path, secretHint, "expected a secret, got a list")
		return nil, false
	}
	return c.secretText(n, path)
}

// secretText is a string that is neither empty nor, unresolved, of another type.
func (c *checker) secretText(n *yaml.Node, path string) (any, bool) {
	if tag := n.ShortTag(); tag == "!!null" || n.Value == "" {
		c.fault(n, path, secretHint, "secret is empty")
		return nil, false
	} else if tag != "!!str" {
		c.fault(n, path, "in quotes it is a string", "expected a secret, got %s", describe(n))
		return nil, false
	}
	v, ok := c.resolve(n, path)
	if ok && v == "" {
		c.fault(n, path, "", "secret is empty")
		return nil, false
	}
	c.hide(v, "[redacted]")
	return v, ok
}

func (c *checker) secretSource(n *yaml.Node, path string) (any, bool) {
	if len(n.Content) != 2 || target(n.Content[0]).Value != "env" && target(n.Content[0]).Value != "file" {
		c.fault(n, path, secretHint, "expected either env or file")
		return nil, false
	}
	from, v := target(n.Content[0]).Value, target(n.Content[1])
	if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" || v.Value == "" {
		c.fault(v, path, secretHint, "expected a string for %s", from)
		return nil, false
	}
	source, ok := c.resolve(v, path)
	switch {
	case !ok:
		return nil, false
	case from == "file":
		return map[string]any{"file": source}, true
	case !variableName.MatchString(source):
		c.fault(v, path, secretHint, "expected the name of an environment variable")
		return nil, false
	}
	value := c.lookup(source)
	if value == "" {
		c.fault(v, path, "", "%s", unset(source).message)
		return nil, false
	}
	c.hide(value, "[redacted]")
	return value, true
}
