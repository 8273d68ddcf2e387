package actionsapi

import (
	"bytes"
	"encoding/json"
)

// jsonMember is a member of an object, in the author's order.
type jsonMember struct {
	name  string
	value json.RawMessage
}

// membersOf lists the members of an object of valid JSON text; of anything
// else, none.
func membersOf(object json.RawMessage) (all []jsonMember) {
	if !isObject(object) {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(object))
	_, _ = dec.Token() // the text is known to be valid, here and below
	for dec.More() {
		var m jsonMember
		token, err := dec.Token()
		if err != nil || dec.Decode(&m.value) != nil {
			return all
		}
		m.name, _ = token.(string)
		all = append(all, m)
	}
	return all
}

// member gives the object's member of the name, nil where there is none.
func member(object json.RawMessage, name string) json.RawMessage {
	for _, m := range membersOf(object) {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// without gives an object without one member.
func without(object json.RawMessage, name string) json.RawMessage {
	if member(object, name) == nil {
		return object
	}
	out := []byte{'{'}
	for _, m := range membersOf(object) {
		if m.name != name {
			out = appendMember(out, m.name, m.value)
		}
	}
	return append(out, '}')
}

// appendMember appends to an object that is still open.
func appendMember(dst []byte, name string, value json.RawMessage) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, quote(name)...), ':'), value...)
}

// quote gives a JSON string without the escapes that are meant for HTML.
func quote(s string) []byte { return marshal(s) }

// marshal encodes what cannot fail: strings and plain structs. HTML's
// characters stay as they are.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func join(open byte, items []json.RawMessage, end byte) json.RawMessage {
	out := []byte{open}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, end)
}

// text is a JSON string's text; "" of anything else.
func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

func isObject(raw []byte) bool { return first(raw) == '{' }
func isArray(raw []byte) bool  { return first(raw) == '[' }

func first(raw []byte) byte {
	if raw = bytes.TrimLeft(raw, " \t\r\n"); len(raw) > 0 {
		return raw[0]
	}
	return 0
}
