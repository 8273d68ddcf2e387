package openapi

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// object is a JSON object that keeps its keys in the order they were set. Most
// have a handful, which are found by looking at each; index is for the others.
type object struct {
	members []entry
	index   map[string]int // nil up to wideObject members
}

type entry struct {
	key   string
	value any
}

const wideObject = 16

func newObject() *object { return &object{} }

// find is the position of a key, -1 when there is none.
func (o *object) find(key string) int {
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(o.members, func(m entry) bool { return m.key == key })
}

func (o *object) set(key string, v any) *object {
	if i := o.find(key); i >= 0 {
		o.members[i].value = v
		return o
	}
	o.members = append(o.members, entry{key, v})
	switch {
	case o.index != nil:
		o.index[key] = len(o.members) - 1
	case len(o.members) > wideObject:
		o.reindex()
	}
	return o
}

func (o *object) reindex() {
	o.index = nil
	if len(o.members) > wideObject {
		o.index = make(map[string]int, 2*len(o.members))
		for i, m := range o.members {
			o.index[m.key] = i
		}
	}
}

func (o *object) get(key string) any {
	if i := o.find(key); i >= 0 {
		return o.members[i].value
	}
	return nil
}

func (o *object) has(key string) bool { return o.find(key) >= 0 }

func (o *object) delete(key string) {
	if o.has(key) {
		o.deleteFunc(func(k string) bool { return k == key })
	}
}

func (o *object) deleteFunc(drop func(key string) bool) {
	o.members = slices.DeleteFunc(o.members, func(m entry) bool { return drop(m.key) })
	o.reindex()
}

// clone has members of its own; their values are the same.
func (o *object) clone() *object {
	c := &object{members: slices.Clone(o.members)}
	c.reindex()
	return c
}

func (o *object) len() int { return len(o.members) }

// MarshalJSON writes the members in order, without HTML escapes.
func (o *object) MarshalJSON() ([]byte, error) { return rawJSON(o), nil }

// appendJSON appends a value made of *object, []any, json.RawMessage and plain
// Go scalars. It never fails on those.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case *object:
		b = append(b, '{')
		for i, m := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(append(appendString(b, m.key), ':'), m.value)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, item)
		}
		return append(b, ']')
	case json.RawMessage:
		return append(b, v...)
	}
	return append(b, mustJSON(v)...)
}

// appendString spares all but odd text the way through encoding/json.
func appendString(b []byte, s string) []byte {
	start, plain := len(b), 0 // plain is where what is not copied yet begins
	b = append(b, '"')
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' && c != utf8.RuneError && c != '\u2028' && c != '\u2029' {
			continue
		}
		b = append(b, s[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', byte(c))
		case '\n':
			b = append(b, `\n`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			return append(b[:start], mustJSON(s)...)
		}
	}
	return append(append(b, s[plain:]...), '"')
}

// rawJSON is a value as JSON text.
func rawJSON(v any) json.RawMessage {
	text := appendJSON(make([]byte, 0, 512), v)
	if cap(text) > 2*len(text) || cap(text) > 4096 {
		return bytes.Clone(text) // it is kept as long as its action
	}
	return text
}

// mustJSON marshals Go scalars, and slices of them, which cannot fail.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return []byte("null")
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
