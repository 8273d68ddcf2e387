package openapi

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// slot is one value that a request can carry: a parameter, a member of the
// body, or the body. Arguments, constants and jq programs fill slots.
type slot struct {
	target      target
	argument    string       // its name as an argument
	schemas     []*yaml.Node // all apply; none: anything goes
	newDialect  bool         // schemas are 2020-12 whatever the document is
	required    bool         // the request is wrong without it
	insisted    bool         // x-action says so, not the operation
	title       string
	description string
	deprecated  bool
	example     *yaml.Node
	mcpHeader   *yaml.Node // x-action's name of the header that clients repeat it in
	parameter   *parameter
	contents    []*content // it is the whole body, or chooses among them
	file        bool       // the value is a file, or a list of them

	defaultValue *yaml.Node
	hidden       bool
	fixed        *yaml.Node
	query        *Query
	secret       string
	known        Known
	omit         [][]string // members that are slots of their own
	demanding    bool       // without them, it still requires some
	virtual      bool       // an argument that only jq programs read
}

// set tells whether x-action says what fills the slot, whatever the arguments.
func (s *slot) set() bool { return s.fixed != nil || s.query != nil || s.secret != "" || s.known != "" }

// shown tells whether a caller sees the slot as an argument.
func (s *slot) shown() bool { return !s.hidden && !s.set() }

// slots lists what an operation's request can carry, in the document's order,
// each with its default argument name. Names are given out in the order path,
// query, querystring, header, cookie, body, media type; who comes second gets its location as a suffix,
// so that adding a parameter never renames one of a location before it.
func (r *reader) slots(o *operation) []*slot {
	var slots []*slot
	for i := range o.parameters {
		p := &o.parameters[i]
		slots = append(slots, &slot{
			target: target{in: In(p.In), name: p.Name}, schemas: present(p.schema), required: p.Required,
			description: cleanText(p.Description), deprecated: p.Deprecated, example: r.exampleOf(p.node), parameter: p,
		})
	}
	slots = append(slots, r.bodySlots(o.body)...)
	taken := map[string]bool{}
	for _, in := range []In{InPath, InQuery, InQuerystring, InHeader, InCookie, InBody, ""} {
		for _, exact := range []bool{true, false} { // a name that stands as it is comes before one that is made to fit
			for _, s := range slots {
				if name := s.target.given(); s.target.location() == in && exact == !argumentUnsafe.MatchString(name) {
					s.argument = argumentFor(s.target, taken)
					taken[s.argument] = true
					if !exact && s.title == "" {
						s.title = cleanText(name)
					}
				}
			}
		}
	}
	return slots
}

func present(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	return []*yaml.Node{n}
}

var argumentUnsafe = regexp.MustCompile(`[^a-zA-Z0-9_.-]+`)

// argumentFor is the name of a target as an argument: what model providers
// refuse becomes "_".
func argumentFor(t target, taken map[string]bool) string {
	name := t.given()
	suffix := "_" + string(t.in)
	if t.isContentType() {
		name, suffix = "contentType", "_body"
	}
	if safe := argumentUnsafe.ReplaceAllString(name, "_"); safe != name {
		name = strings.Trim(safe, "_")
	}
	if name == "" { // nothing of it can be said: the location and a number
		name, suffix = string(t.in), ""
	}
	name = name[:min(len(name), 64)]
	suffixed := name
	for i := 1; taken[suffixed]; i++ {
		end := suffix
		if i > 1 {
			end = fmt.Sprintf("%s_%d", suffix, i)
		}
		suffixed = name[:min(len(name), 64-len(end))] + end
	}
	return suffixed
}

// bodySlots gives the members of a body that is a plain object, or else the
// body as one slot. Where several media types make sense, one more chooses.
func (r *reader) bodySlots(b *requestBody) []*slot {
	if b == nil {
		return nil
	}
	slots := r.memberSlots(b)
	if slots == nil {
		slots = []*slot{{
			target: target{in: InBody}, contents: b.contents, required: b.required, description: cleanText(b.description),
			example: r.bodyExample(b),
		}}
	}
	first := b.contents[0].mediaType
	switch isRange := strings.Contains(first, "*"); {
	case isRange:
		slots = append(slots, &slot{target: target{in: InHeader, name: contentType}, contents: b.contents})
	case len(b.contents) > 1:
		slots = append(slots, &slot{target: target{in: InHeader, name: contentType}, contents: b.contents, defaultValue: key(first)})
	}
	return slots
}

// memberSlots takes a body apart; nil where its members are not all of its
// meaning.
func (r *reader) memberSlots(b *requestBody) []*slot {
	f := flattener{reader: r}
	if !b.flattens(r) || !f.flat(b.contents[0].schema) {
		return nil
	}
	encoding, example := r.encodings(b.contents[0]), r.bodyExample(b)
	slots := make([]*slot, 0, len(f.members))
	for _, m := range f.members {
		slots = append(slots, &slot{
			target: target{in: InBody, path: []string{m.name}}, schemas: m.schemas, required: f.required[m.name], file: encoding[m.name].File,
			example: get(example, m.name),
		})
	}
	return slots
}

// bodyExample is an example of what a caller gives for a body: not of text,
// whose media type may be another, nor of files.
func (r *reader) bodyExample(b *requestBody) *yaml.Node {
	switch c := b.contents[0]; c.format {
	case FormatJSON, FormatForm, FormatMultipart:
		return r.exampleOf(c.node)
	}
	return nil
}
