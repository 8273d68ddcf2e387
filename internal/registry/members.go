package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// members is a JSON object in its author's order.
type members []member

type member struct {
	name  string
	value json.RawMessage
}

func readMembers(raw json.RawMessage) (all members, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.Join(errors.New("no object"), err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: name.(string)} // names are
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (ms *members) get(name string) json.RawMessage {
	for _, m := range *ms {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// set gives a member a value: in its place, or at the end. nil takes it out.
func (ms *members) set(name string, value json.RawMessage) {
	i := slices.IndexFunc(*ms, func(m member) bool { return m.name == name })
	switch {
	case value == nil:
		*ms = slices.DeleteFunc(*ms, func(m member) bool { return m.name == name })
	case i >= 0:
		(*ms)[i].value = value
	default:
		*ms = append(*ms, member{name, value})
	}
}

func (ms *members) json() json.RawMessage {
	out := []byte{'{'}
	for i, m := range *ms {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, asJSON(m.name)...), ':'), m.value...)
	}
	return append(out, '}')
}

// asJSON writes what can be written for sure: texts, and lists and numbers of
// what was JSON before.
func asJSON(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}
