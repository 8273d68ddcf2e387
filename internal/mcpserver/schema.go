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

// openSchema admits whatever the plugin answers, beside what its document says
// that it answers. Clients that validate (MCP's TypeScript SDK does, and throws
// the result away) then lose nothing where a plugin breaks its own document, and
// a reader still sees what to expect.
func openSchema(schema []byte, object bool) []byte {
	before := `{"anyOf":[{`
	if object {
		before = `{"type":"object","anyOf":[{`
	}
	return nestSchema(withoutPatterns(schema), before, `/anyOf/0`, `},{"description":"or whatever else the plugin answers"}]`)
}

// wrapSchema makes the schema of {"result": value} from that of value, for
// revisions whose structuredContent is an object.
func wrapSchema(schema []byte) []byte {
	return nestSchema(schema, `{"type":"object","properties":{"result":{`, `/properties/result`, `}},"required":["result"]`)
}

// nestSchema puts a schema into another one, at pointer. Definitions move to
// the new root, so that references to them stay valid; the other references
// from the root are bent to where the old root now is.
func nestSchema(schema []byte, before, pointer, after string) []byte {
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
		rest, hoisted = bendRefs(rest, pointer), bendRefs(hoisted, pointer)
	}
	out := append([]byte(before), rest...)
	out = append(out, after...)
	out = append(out, hoisted...)
	return append(out, '}')
}

// bendRefs puts the pointer into references from the root, but for those to
// definitions. The text is compact; a "$ref" in a string value would have its
// quotes escaped.
func bendRefs(raw []byte, pointer string) []byte {
	const ref, definitions = `"$ref":"#`, `/$defs/`
	var out []byte
	for {
		before, after, found := bytes.Cut(raw, []byte(ref))
		out = append(out, before...)
		if !found {
			return out
		}
		out = append(out, ref...)
		if bytes.HasPrefix(after, []byte(`"`)) || bytes.HasPrefix(after, []byte(`/`)) && !bytes.HasPrefix(after, []byte(definitions)) {
			out = append(out, pointer...)
		}
		raw = after
	}
}

// withoutPatterns leaves regular expressions out of a schema. Documents have
// them in many dialects; one that JavaScript does not know makes the same SDK
// refuse the whole tools/list, and of a result they tell a model nothing. What
// would say something else without them goes, too.
func withoutPatterns(schema []byte) []byte {
	if !isObject(schema) {
		return schema
	}
	byPattern := hasMember(schema, "patternProperties")
	out := []byte{'{'}
	for m := membersOf(schema); ; {
		name, value, ok := m.next()
		if !ok {
			return append(out, '}')
		}
		switch name {
		case "pattern", "patternProperties":
			continue
		case "additionalProperties", "unevaluatedProperties":
			if byPattern {
				continue
			}
			value = withoutPatterns(value)
		case "not", "if", "then", "else":
			if bytes.Contains(value, []byte(`"pattern`)) {
				continue
			}
		case "properties", "$defs", "dependentSchemas":
			value = eachMember(value, withoutPatterns)
		case "anyOf", "allOf", "oneOf", "prefixItems":
			value = eachElement(value, withoutPatterns)
		case "items", "propertyNames", "contains", "unevaluatedItems", "contentSchema":
			value = withoutPatterns(value)
		}
		out = appendMember(comma(out), name, value)
	}
}

func eachMember(object []byte, f func([]byte) []byte) []byte {
	if !isObject(object) {
		return object
	}
	out := []byte{'{'}
	for m := membersOf(object); ; {
		name, value, ok := m.next()
		if !ok {
			return append(out, '}')
		}
		out = appendMember(comma(out), name, f(value))
	}
}

func eachElement(array []byte, f func([]byte) []byte) []byte {
	if kind(array) != '[' {
		return array
	}
	out := []byte{'['}
	for _, value := range elements(array) {
		out = append(comma(out), f(value)...)
	}
	return append(out, ']')
}

// comma separates from what stands before, if anything does.
func comma(dst []byte) []byte {
	if len(dst) > 1 {
		return append(dst, ',')
	}
	return dst
}

func hasMember(object []byte, name string) bool { return member(object, name) != nil }

func appendMember(dst []byte, name string, value []byte) []byte {
	dst = append(appendString(dst, name), ':')
	return append(dst, value...)
}
