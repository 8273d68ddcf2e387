package openapi

import (
	"bytes"
	"encoding/json"
	"slices"
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
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	writeJSON(&b, o)
	return b.Bytes(), nil
}

// writeJSON appends a value made of *object, []any, json.RawMessage and plain
// Go scalars. It never fails on those.
func writeJSON(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case string:
		writeString(b, v)
	case *object:
		b.WriteByte('{')
		for i, m := range v.members {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, m.key)
			b.WriteByte(':')
			writeJSON(b, m.value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	case json.RawMessage:
		b.Write(v)
	default:
		b.Write(mustJSON(v))
	}
}

// writeString spares plain text the way through encoding/json.
func writeString(b *bytes.Buffer, s string) {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			b.Write(mustJSON(s))
			return
		}
	}
	b.WriteByte('"')
	b.WriteString(s)
	b.WriteByte('"')
}

// rawJSON is a value as JSON text.
func rawJSON(v any) json.RawMessage {
	var b bytes.Buffer
	writeJSON(&b, v)
	return bytes.Clone(b.Bytes()) // the buffer has grown to up to twice as much
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
