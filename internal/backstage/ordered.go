package backstage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// object is a JSON object that keeps the order of its members: the order of
// properties is their author's. Values are *object, []any, string, json.Number,
// bool and nil.
type object struct{ members []member }

type member struct {
	name  string
	value any
}

// ordered makes an object of names and values in turn.
func ordered(pairs ...any) *object {
	o := &object{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		o.members = append(o.members, member{name, pairs[i+1]})
	}
	return o
}

// add appends a member that is not there yet.
func (o *object) add(name string, value any) { o.members = append(o.members, member{name, value}) }

// get is nil for a member that is not there, and of no object.
func (o *object) get(name string) any {
	if o != nil {
		for i := range o.members {
			if o.members[i].name == name {
				return o.members[i].value
			}
		}
	}
	return nil
}

// text is a member that is a string, else "".
func (o *object) text(name string) string {
	s, _ := o.get(name).(string)
	return s
}

// maxDepth is how deep an action's lists and objects may nest. Shipped ones go
// to 17; documents may nest 200 deep.
const maxDepth = 100

// decode reads one JSON text; of members with one name the last counts.
func decode(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := value(dec, 0)
	if err == nil {
		if _, trailing := dec.Token(); trailing != io.EOF {
			err = errors.New("more text after the JSON value")
		}
	}
	return v, err
}

func value(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("it nests more than %d deep", maxDepth)
	}
	switch token {
	case json.Delim('{'):
		return objectOf(dec, depth)
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			item, err := value(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		_, err = dec.Token()
		return list, err
	}
	return token, nil
}

func objectOf(dec *json.Decoder, depth int) (*object, error) {
	o, position := &object{}, map[string]int{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		v, err := value(dec, depth+1)
		if err != nil {
			return nil, err
		}
		if i, known := position[name]; known {
			o.members[i].value = v
			continue
		}
		position[name] = len(o.members)
		o.add(name, v)
	}
	_, err := dec.Token()
	return o, err
}

// encode writes a value of decode's kinds, or of Go's own scalars.
func encode(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case *object:
		b.WriteByte('{')
		for i, m := range v.members {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, m.name); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := encode(b, m.value); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the line's end
	}
	return nil
}
