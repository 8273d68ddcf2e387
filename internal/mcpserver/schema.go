package mcpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// compact checks that a schema is a JSON object and takes the blanks out.
func compact(schema json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, schema); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if !isObject(b.Bytes()) {
		return nil, errors.New("not an object")
	}
	return b.Bytes(), nil
}

// isObjectSchema tells whether the root says type: object, which inputs must
// and which outputs must up to 2025-11-25.
func isObjectSchema(schema []byte) bool {
	for m := membersOf(schema); ; {
		name, value, ok := m.next()
		if !ok {
			return false
		}
		if name == "type" {
			return string(value) == `"object"`
		}
	}
}

// wrapSchema makes the schema of {"result": value} from that of value, for
// revisions whose structuredContent is an object. Definitions move to the new
// root, so that references to them stay valid; the other references from the
// root are bent to where the old root now is.
func wrapSchema(schema []byte) []byte {
	var hoisted, rest []byte
	own := hasMember(schema, "$id") // then it stays its own root
	for m := membersOf(schema); ; {
		name, value, ok := m.next()
		if !ok {
			break
		}
		if !own && (name == "$defs" || name == "$schema") {
			hoisted = appendMember(append(hoisted, ','), name, value)
			continue
		}
		if rest != nil {
			rest = append(rest, ',')
		}
		rest = appendMember(rest, name, value)
	}
	if !own {
		rest, hoisted = bendRefs(rest), bendRefs(hoisted)
	}
	out := append([]byte(`{"type":"object","properties":{"result":{`), rest...)
	out = append(out, `}},"required":["result"]`...)
	out = append(out, hoisted...)
	return append(out, '}')
}

// bendRefs replaces "$ref":"#…" by "$ref":"#/properties/result…", but for
// references to definitions. The text is compact; a "$ref" in a string value
// would have its quotes escaped.
func bendRefs(raw []byte) []byte {
	const ref, definitions, root = `"$ref":"#`, `/$defs/`, `/properties/result`
	var out []byte
	for {
		before, after, found := bytes.Cut(raw, []byte(ref))
		out = append(out, before...)
		if !found {
			return out
		}
		out = append(out, ref...)
		if bytes.HasPrefix(after, []byte(`"`)) || bytes.HasPrefix(after, []byte(`/`)) && !bytes.HasPrefix(after, []byte(definitions)) {
			out = append(out, root...)
		}
		raw = after
	}
}

func hasMember(object []byte, want string) bool {
	for m := membersOf(object); ; {
		name, _, ok := m.next()
		if !ok || name == want {
			return ok
		}
	}
}

func appendMember(dst []byte, name string, value []byte) []byte {
	dst = append(appendString(dst, name), ':')
	return append(dst, value...)
}
