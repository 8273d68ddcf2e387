package actionsapi

import (
	"bytes"
	"encoding/json"
)

// node is a JSON value that keeps the author's order and all digits. It is never
// changed: what is made of it shares its parts.
type node struct {
	kind    json.Delim      // '{', '[' or 0
	scalar  json.RawMessage // kind 0: the value itself
	members []member        // kind '{'
	items   []*node         // kind '['
}

type member struct {
	name  string
	value *node
}

// parse reads valid JSON text.
func parse(raw json.RawMessage) *node {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return next(dec)
}

func next(dec *json.Decoder) *node {
	token, err := dec.Token()
	delimiter, isDelimiter := token.(json.Delim)
	if err != nil || !isDelimiter {
		return &node{scalar: marshal(token)}
	}
	n := &node{kind: delimiter}
	for dec.More() {
		if n.kind == '[' {
			n.items = append(n.items, next(dec))
			continue
		}
		name, _ := dec.Token() // the text is known to be valid, here and below
		text, _ := name.(string)
		n.members = append(n.members, member{text, next(dec)})
	}
	_, _ = dec.Token()
	return n
}

// get gives the object's member of the name, nil where there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// with gives an object with members in the place of those of the same name, or
// behind the others.
func (n *node) with(more ...member) *node {
	out := &node{kind: '{'}
	for _, m := range n.members {
		if (&node{members: more}).get(m.name) == nil {
			out.members = append(out.members, m)
		}
	}
	out.members = append(out.members, more...)
	return out
}

// without gives an object without one member.
func (n *node) without(name string) *node {
	out := &node{kind: '{'}
	for _, m := range n.members {
		if m.name != name {
			out.members = append(out.members, m)
		}
	}
	return out
}

// text is a string's text; "" of anything else.
func (n *node) text() (s string) {
	if n != nil && n.kind == 0 {
		_ = json.Unmarshal(n.scalar, &s) // another scalar leaves it empty
	}
	return s
}

// append writes the value.
func (n *node) append(dst []byte) []byte {
	switch n.kind {
	case '{':
		dst = append(dst, '{')
		for i, m := range n.members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.value.append(append(append(dst, marshal(m.name)...), ':'))
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.append(dst)
		}
		return append(dst, ']')
	}
	return append(dst, n.scalar...)
}

// marshal encodes what cannot fail: scalars and plain structs. HTML's
// characters stay as they are.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func isObject(raw []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) }
