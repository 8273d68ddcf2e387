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
	parameter   *parameter

	defaultValue *yaml.Node
	hidden       bool
	fixed        *yaml.Node
	query        *Query
	omit         [][]string // members that are slots of their own
	demanding    bool       // without them, it still requires some
	virtual      bool       // an argument that only jq programs read
}

// shown tells whether a caller sees the slot as an argument.
func (s *slot) shown() bool { return !s.hidden && s.fixed == nil && s.query == nil }

// slots lists what an operation's request can carry, in the document's order,
// each with its default argument name. Names are given out in the order path,
// query, querystring, header, cookie, body; who comes second gets its location as a suffix,
// so that adding a parameter never renames one of a location before it.
func (r *reader) slots(o *operation) []*slot {
	var slots []*slot
	for i := range o.parameters {
		p := &o.parameters[i]
		slots = append(slots, &slot{
			target: target{in: In(p.In), name: p.Name}, schemas: present(p.schema), required: p.Required,
			description: cleanText(p.Description), deprecated: p.Deprecated, example: get(p.node, "example"), parameter: p,
		})
	}
	slots = append(slots, r.bodySlots(o.body)...)
	taken := map[string]bool{}
	for _, in := range []In{InPath, InQuery, InQuerystring, InHeader, InCookie, InBody} {
		for _, s := range slots {
			if s.target.in == in {
				s.argument = argumentFor(s.target, taken)
				taken[s.argument] = true
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
	name := t.name
	if t.in == InBody {
		name = "body"
		if len(t.path) > 0 {
			name = t.path[len(t.path)-1]
		}
	}
	suffix := "_" + string(t.in)
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
// body as one slot.
func (r *reader) bodySlots(b *requestBody) []*slot {
	if b == nil {
		return nil
	}
	f := flattener{reader: r}
	if b.schema != nil && f.flat(b.schema) {
		slots := make([]*slot, 0, len(f.members))
		for _, m := range f.members {
			slots = append(slots, &slot{
				target: target{in: InBody, path: []string{m.name}}, schemas: m.schemas, required: f.required[m.name],
			})
		}
		return slots
	}
	return []*slot{{
		target: target{in: InBody}, schemas: present(b.schema), required: b.required, description: cleanText(b.description),
	}}
}
