package openapi

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// builder joins an operation with one x-action of it.
type builder struct {
	*reader
	o     *operation
	x     *xAction
	slots []*slot
}

func (b *builder) fault(n *yaml.Node, message, hint string) bool {
	b.report(SeverityError, "x-action-invalid", n, message, hint)
	return false
}

// assign decides, slot by slot, who fills it: "fixed", "request", "secrets", or
// an argument as "input" and "only" want it.
func (b *builder) assign() bool {
	ok := true
	for _, a := range b.x.fixed {
		s := b.slot(a.target, a.node)
		if s == nil {
			ok = false
			continue
		}
		s.fixed = a.node
	}
	for _, a := range b.x.request {
		s := b.slot(a.target, a.node)
		if s == nil {
			ok = false
			continue
		}
		if s.fixed != nil {
			ok = b.fault(a.node, fmt.Sprintf("%s is both fixed and set by request", a.target), "")
			continue
		}
		s.query = a.query
	}
	for _, a := range b.x.secrets {
		ok = b.secret(a) && ok
	}
	for _, a := range b.x.known {
		ok = b.known(a) && ok
	}
	for i := range b.x.input {
		ok = b.input(&b.x.input[i]) && ok
	}
	return ok && b.only() && b.complete() && b.distinct() && b.order()
}

// secret gives a slot to a secret of the operator's.
func (b *builder) secret(a xAssignment) bool {
	s := b.slot(a.target, a.node)
	switch {
	case s == nil:
		return false
	case s.set():
		return b.fault(a.node, fmt.Sprintf("secrets: %s is set already", a.target), "")
	case a.target.in == InPath || a.target.isContentType():
		return b.fault(a.node, fmt.Sprintf("secrets: %s is no place for a secret", a.target), "")
	}
	s.secret = a.secret
	return true
}

// known gives a slot to what the gateway knows of a call.
func (b *builder) known(a xAssignment) bool {
	s := b.slot(a.target, a.node)
	switch {
	case s == nil:
		return false
	case s.set():
		return b.fault(a.node, fmt.Sprintf("output.%s: %s is set already", a.known, a.target), "")
	case s.required:
		return b.fault(a.node, fmt.Sprintf("output.%s: the operation requires %s, and there is not always a value for it", a.known, a.target), "make it optional")
	}
	s.known = a.known
	return true
}

// slot finds the slot of a target, or makes one for a member inside a body.
func (b *builder) slot(t target, at *yaml.Node) *slot {
	for _, s := range b.slots {
		if !s.virtual && t.within(s.target) && s.target.within(t) {
			return s
		}
	}
	if t.in != InBody {
		b.unknownTarget(t, at)
		return nil
	}
	if b.o.body == nil {
		b.fault(at, fmt.Sprintf("%s: the operation has no request body", t), "")
		return nil
	}
	if len(t.path) == 0 { // the whole of a body that was taken apart
		b.slots = slices.DeleteFunc(b.slots, func(s *slot) bool { return s.target.in == InBody })
		whole := &slot{target: t, argument: "body", contents: b.o.body.contents, required: b.o.body.required}
		b.slots = append(b.slots, whole)
		return whole
	}
	return b.memberSlot(t, at)
}

// memberSlot takes a member out of the slot that holds it.
func (b *builder) memberSlot(t target, at *yaml.Node) *slot {
	schema, required := b.o.body.contents[0].schema, true
	for _, name := range t.path {
		var req bool
		if schema, req = b.property(schema, name); !req {
			required = false
		}
	}
	i := slices.IndexFunc(b.slots, func(s *slot) bool { return t.within(s.target) })
	if i < 0 && schema == nil {
		b.unknownTarget(t, at)
		return nil
	}
	s := &slot{target: t, argument: t.path[len(t.path)-1], schemas: present(schema), required: required}
	if len(t.path) == 1 {
		s.file = b.encodings(b.o.body.contents[0])[t.path[0]].File
	}
	if i >= 0 {
		parent := b.slots[i]
		parent.omit = append(parent.omit, t.path[len(parent.target.path):])
	}
	b.slots = append(b.slots, s)
	return s
}

func (b *builder) unknownTarget(t target, at *yaml.Node) {
	known := make([]string, 0, len(b.slots))
	for _, s := range b.slots {
		known = append(known, s.target.String())
	}
	b.fault(at, fmt.Sprintf("the operation has no %s", t), suggest.Hint(t.String(), known))
}

// input applies one entry of "input": to the slot that it names, or as an
// argument of its own that jq programs read.
func (b *builder) input(in *xInput) bool {
	s := b.inputSlot(in)
	if s == nil {
		return false
	}
	s.argument = in.name
	if in.title != "" {
		s.title = cleanText(in.title)
	}
	if in.description != "" {
		s.description = cleanText(in.description)
	}
	if in.schema != nil {
		s.schemas, s.contents, s.file, s.newDialect = present(in.schema), nil, false, true
	}
	if in.example != nil {
		s.example = in.example
	}
	if in.mcpHeader != nil {
		s.mcpHeader = in.mcpHeader
	}
	s.hidden = in.hidden
	s.defaultValue = in.defaultValue
	if in.required != nil {
		if !*in.required && s.required && in.defaultValue == nil && !s.virtual {
			return b.fault(in.node, fmt.Sprintf("argument %q cannot be optional: the operation requires %s", in.name, s.target), "give it a default")
		}
		s.required, s.insisted = *in.required, *in.required
	}
	return true
}

func (b *builder) inputSlot(in *xInput) *slot {
	if in.target != nil {
		s := b.slot(*in.target, in.node)
		if s != nil && s.set() {
			b.fault(in.node, fmt.Sprintf("argument %q: %s is already set by fixed, request, secrets or output", in.name, in.target), "")
			return nil
		}
		return s
	}
	i := slices.IndexFunc(b.slots, func(s *slot) bool { return s.argument == in.name })
	switch {
	case i >= 0 && b.slots[i].set():
		// request reads an argument of the same name: it keeps the slot's schema
		from := b.slots[i]
		from.argument = ""
		s := &slot{virtual: true, schemas: from.schemas, contents: from.contents, file: from.file, description: from.description, required: from.required && from.query == nil}
		b.slots = append(b.slots, s)
		return s
	case i >= 0:
		return b.slots[i]
	case in.schema != nil:
		s := &slot{virtual: true}
		b.slots = append(b.slots, s)
		return s
	}
	known := make([]string, 0, len(b.slots))
	for _, s := range b.slots {
		known = append(known, s.argument)
	}
	b.fault(in.node, fmt.Sprintf("the operation has no argument %q", in.name),
		joinHints(suggest.Hint(in.name, known), `name the request's part with "for", or give a "schema" for an argument that jq reads`))
	return nil
}

func joinHints(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; or " + b
}

// only hides every argument that it does not list.
func (b *builder) only() bool {
	if b.x.only == nil {
		return true
	}
	ok := true
	var known []string
	for _, s := range b.slots {
		if s.shown() {
			known = append(known, s.argument)
		}
	}
	for _, n := range b.x.only {
		if !slices.Contains(known, n.Value) {
			ok = b.fault(n, fmt.Sprintf("only: the operation has no argument %q", n.Value), suggest.Hint(n.Value, known))
		}
	}
	for _, s := range b.slots {
		if s.shown() && !slices.ContainsFunc(b.x.only, func(n *yaml.Node) bool { return n.Value == s.argument }) {
			s.hidden = true
		}
	}
	return ok
}

// complete refuses a hidden slot that the request needs and nothing fills.
func (b *builder) complete() bool {
	ok, sent := true, b.bodySent()
	for _, s := range b.slots {
		bodyOptional := s.target.in == InBody && !sent
		if s.hidden && s.required && s.defaultValue == nil && !s.set() && !bodyOptional {
			ok = b.fault(b.x.node, fmt.Sprintf("argument %q is hidden, but the operation requires it", s.argument), "give it a default, or fix it")
		}
	}
	return ok
}

// bodySent tells whether each request has a body, whatever the arguments.
func (b *builder) bodySent() bool {
	if b.o.body == nil || b.o.body.required {
		return b.o.body != nil
	}
	return slices.ContainsFunc(b.slots, func(s *slot) bool {
		return s.target.in == InBody && !s.virtual && (s.fixed != nil || s.defaultValue != nil || s.insisted)
	})
}

// order puts the arguments in the order of "only", else of "input"; what
// neither names comes after, in the document's order.
func (b *builder) order() bool {
	rank := map[string]int{}
	for _, in := range b.x.input {
		rank[in.name] = len(rank) + 1
	}
	for i, n := range b.x.only {
		rank[n.Value] = i - len(b.x.only)
	}
	slices.SortStableFunc(b.slots, func(s, t *slot) int {
		i, listed := rank[s.argument]
		j, alsoListed := rank[t.argument]
		switch {
		case listed && alsoListed:
			return i - j
		case listed:
			return -1
		case alsoListed:
			return 1
		}
		return 0
	})
	return true
}

// distinct refuses two arguments of one name.
func (b *builder) distinct() bool {
	seen := map[string]bool{}
	for _, s := range b.slots {
		if !s.shown() {
			continue
		}
		if seen[s.argument] {
			return b.fault(b.x.node, fmt.Sprintf("two arguments are called %q", s.argument), "rename one under input")
		}
		seen[s.argument] = true
	}
	return true
}
