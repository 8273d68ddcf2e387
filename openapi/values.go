package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// valueKeyword keeps a value; a scalar of a string that YAML read as a number
// or a boolean is the string that the author wrote.
func valueKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if isText(out) && v.Kind == yaml.ScalarNode {
		out.set(name, writtenText(v))
		return
	}
	if s.tame(name, v) {
		out.set(name, value(v))
	}
}

// tame reports a value with a number that no JSON validator can take.
func (s *schemas) tame(name string, v *yaml.Node) bool {
	bad := untamed(v)
	if bad != nil {
		s.invalid(name, bad, "a value whose numbers JSON can write, of at most 1000 digits and an exponent from -400 to 400")
	}
	return bad == nil
}

// isText tells whether a schema admits strings, and beside them at most null.
func isText(out *object) bool {
	types, ok := out.get("type").([]any)
	if !ok {
		return out.get("type") == "string"
	}
	return slices.Contains(types, any("string")) && !slices.ContainsFunc(types, func(t any) bool { return t != "string" && t != "null" })
}

func writtenText(v *yaml.Node) json.RawMessage {
	if v.ShortTag() == "!!null" {
		return json.RawMessage("null")
	}
	return json.RawMessage(quote(v.Value))
}

func listKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if isSequence(v) && s.tame(name, v) { // a map of Example Objects, as media types have, means nothing here
		out.set(name, value(v))
	}
}

// enumKeyword keeps the values; scalars of a string enum that YAML read as
// numbers or booleans are the strings that the author wrote.
func enumKeyword(s *schemas, out *object, name string, v *yaml.Node) {
	if !isSequence(v) || len(v.Content) == 0 {
		s.invalid(name, v, "a list of values")
		return
	}
	values, isText := make([]any, 0, len(v.Content)), isText(out)
	for _, c := range v.Content {
		if isText && c.Kind == yaml.ScalarNode {
			values = append(values, writtenText(c))
			continue
		}
		if !s.tame(name, c) {
			return
		}
		values = append(values, value(c))
	}
	out.set(name, values)
}

// maxMeanings bounds the enum values whose meaning is told.
const maxMeanings = 100

// meanings adds to the description what the values of an enum mean, where the
// document says so in one of the extensions that generators know.
func (s *schemas) meanings(n *yaml.Node, out *object) {
	text := meaningsOf(n)
	if text == "" {
		return
	}
	description, _ := out.get("description").(string)
	out.set("description", s.short(strings.TrimSpace(description+"\n\n"+text), maxArgumentText, n))
}

// meaningsOf lists what a schema's extensions say of its enum, "" for nothing.
func meaningsOf(n *yaml.Node) string {
	enum := items(get(n, "enum"))
	if len(enum) == 0 || len(enum) > maxMeanings {
		return ""
	}
	var said *yaml.Node
	for _, name := range []string{"x-enum-descriptions", "x-enumDescriptions", "x-enum-varnames", "x-enumNames"} {
		if said = get(n, name); said != nil {
			break
		}
	}
	var lines []string
	for i, v := range enum {
		meaning := text(get(said, v.Value))
		if list := items(said); i < len(list) {
			meaning = text(list[i])
		}
		if meaning = cleanText(meaning); meaning != "" && meaning != v.Value {
			lines = append(lines, fmt.Sprintf("- %s: %s", v.Value, strings.ReplaceAll(meaning, "\n", " ")))
		}
	}
	return strings.Join(lines, "\n")
}

// exampleOf is the example of a parameter or media type, or the first of its
// examples; nil when there is none, or none that a model can learn from.
func (r *reader) exampleOf(n *yaml.Node) *yaml.Node {
	example := get(n, "example")
	for _, e := range pairs(get(n, "examples")) {
		if example == nil {
			if ref := get(e, "$ref"); ref != nil {
				e, _, _ = r.target(ref)
			}
			example = get(e, "value")
		}
	}
	if example == nil || untamed(example) != nil || len(rawJSON(value(example))) > maxExample {
		return nil
	}
	return example
}

// maxExample bounds an example's JSON: larger ones cost more than they teach.
const maxExample = 1000

// isTameNumber tells the numbers that a validator can compute with exactly, in
// little time and room.
func isTameNumber(n *yaml.Node) bool {
	if !isNumber(n) {
		return false
	}
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(scalarJSON(n)), "e")
	if scientific {
		if e, err := strconv.Atoi(exponent); err != nil || e > 400 || e < -400 {
			return false
		}
	}
	return len(mantissa) <= 1000
}

// untamed finds a number in a value that JSON cannot write or a validator not
// compute with; nil when there is none.
func untamed(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		if tag := n.ShortTag(); (tag == "!!int" || tag == "!!float") && !isTameNumber(n) {
			return n
		}
		return nil
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue
		}
		if bad := untamed(c); bad != nil {
			return bad
		}
	}
	return nil
}
