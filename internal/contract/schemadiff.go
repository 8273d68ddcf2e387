package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/internal/suggest"
)

// side is what a schema describes.
type side string

const (
	input  side = "input"  // callers give it: what was admitted has to be
	output side = "output" // callers read it: what was not admitted must not be
)

// budget bounds what all schemas of one diff cost.
type budget struct{ steps int }

func newBudget() *budget { return &budget{maxTotal} }

func unmarshal(text json.RawMessage) (any, error) {
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// schemas compares two versions of a schema. What the old one admits and the new
// one does not was narrowed, the other way round it was widened: narrower inputs
// break those who call, and so do wider outputs.
func (b *budget) schemas(of side, before, after json.RawMessage) []Change {
	if bytes.Equal(before, after) {
		return nil
	}
	c := &comparison{patterns: map[string]*regexp.Regexp{}, values: map[*schema]*jsonschema.Schema{}, types: map[kinds]*schema{}}
	old, err := c.parse("the old schema", before)
	if err != nil {
		return []Change{undecidedChange(of, "the old schema cannot be read: "+err.Error())}
	}
	now, err := c.parse("the new schema", after)
	if err != nil {
		return []Change{undecidedChange(of, "the new schema cannot be read: "+err.Error())}
	}
	match(old, now)
	words := c.annotations(of, old.root, now.root)
	if old.exotic+now.exotic != "" {
		if shown(old.raw) == shown(now.raw) {
			return nil
		}
		return append(words, undecidedChange(of, fmt.Sprintf("%q decides what references mean", old.exotic+now.exotic)))
	}
	narrowed := b.run(c, true, old.root, now.root)
	widened := b.run(c, false, now.root, old.root)
	return append(words, renames(of, changes(of, narrowed, widened), old.root, now.root)...)
}

// run asks whether one schema implies the other.
func (b *budget) run(c *comparison, narrowing bool, sub, super *schema) []gap {
	steps := min(maxSteps, b.steps)
	c.steps, c.softly, c.lowest = steps, narrowing, nothing
	c.open, c.done, c.stack, c.leaning = map[string]int{}, map[string]outcome{}, nil, nil
	gaps := c.implies([]part{{schema: sub}}, super)
	b.steps -= steps - max(c.steps, 0)
	if c.steps < 0 {
		return undecided("size")
	}
	return gaps
}

func undecidedChange(of side, why string) Change {
	return Change{Code: SchemaUndecided, Where: string(of), Breaking: true, Message: fmt.Sprintf("%s may be breaking: %s", subject(of, string(of)), why)}
}

// changes makes changes of gaps. Of two that say the same in both directions one
// stays.
func changes(of side, narrowed, widened []gap) (out []Change) {
	places := map[string]bool{}
	add := func(g gap, narrows bool) {
		c := change(of, g, narrows)
		place := c.Where + " " + string(c.Code)
		if g.kind == gapBound || g.kind == gapEncoding || g.kind == gapUndecided || g.kind == gapType && g.apart() {
			place = c.Where + " " + g.word
		}
		if g.kind == gapAlternative || g.kind == gapValues {
			place += " " + g.sub
		}
		if !places[place] {
			places[place] = true
			out = append(out, c)
		}
	}
	first, second := narrowed, widened
	if of == output {
		first, second = widened, narrowed
	}
	for _, g := range first {
		add(g, of == input)
	}
	for _, g := range second {
		add(g, of == output)
	}
	return withoutEchoes(out)
}

// apart tells that no type stayed.
func (g gap) apart() bool {
	return g.word == "type" && g.sub != "anything" && !slices.ContainsFunc(strings.Split(g.sub, " or "), func(name string) bool {
		return slices.Contains(strings.Split(g.super, " or "), name)
	})
}

// withoutEchoes leaves out what another change at its place says already: what
// is new is new, whether it is required or not.
func withoutEchoes(all []Change) []Change {
	at := map[string]map[Code]bool{}
	for _, c := range all {
		if at[c.Where] == nil {
			at[c.Where] = map[Code]bool{}
		}
		at[c.Where][c.Code] = true
	}
	return slices.DeleteFunc(all, func(c Change) bool {
		return c.Code == PropertyAdded && !c.Breaking && at[c.Where][PropertyRequired] ||
			c.Code == PropertyOptional && at[c.Where][PropertyRemoved] ||
			c.Code == PropertyRequired && !c.Breaking && at[c.Where][PropertyAdded]
	})
}

// renames hints at members that seem to have another name now: of a type that
// goes together with theirs, and each for one of them.
func renames(of side, all []Change, old, now *schema) []Change {
	fresh := map[string][]string{} // by the object that they are in
	gone := map[string]int{}
	for _, c := range all {
		parent, name := cutLast(c.Where)
		if c.Code == PropertyAdded || c.Code == PropertyRequired && strings.Contains(c.Message, " new") {
			fresh[parent] = append(fresh[parent], name)
		}
		if c.Code == PropertyRemoved {
			gone[parent]++
		}
	}
	for i, c := range all {
		parent, name := cutLast(c.Where)
		if c.Code != PropertyRemoved {
			continue
		}
		was := old.kindsAt(of, c.Where)
		fits := slices.DeleteFunc(slices.Clone(fresh[parent]), func(other string) bool { return was&now.kindsAt(of, parent+other) == 0 })
		closest := suggest.Closest(name, fits)
		if closest == "" && len(fits) == 1 && gone[parent] == 1 {
			closest = fits[0]
		}
		if closest != "" {
			all[i].Hint = fmt.Sprintf("perhaps it is called %q now", closest)
			fresh[parent] = slices.DeleteFunc(fresh[parent], func(other string) bool { return other == closest })
		}
	}
	return all
}

// kindsAt are the types of the value at a place; anything where that is not
// plain to see.
func (s *schema) kindsAt(of side, where string) kinds {
	for rest := strings.TrimPrefix(where, string(of)); rest != ""; {
		s = s.plain()
		if after, ok := strings.CutPrefix(rest, "[]"); ok {
			s, rest = s.one["items"], after
		} else {
			end := 1 + strings.IndexAny(rest[1:]+".", ".[")
			s, rest = s.named["properties"][rest[1:end]], rest[end:]
		}
		if s == nil {
			return anything
		}
	}
	return s.plain().kinds()
}

func cutLast(where string) (parent, name string) {
	i := strings.LastIndex(where, ".")
	return where[:i+1], where[i+1:]
}

// change says in words what a gap is. narrows tells which of the two admits less.
func change(of side, g gap, narrows bool) Change {
	c := Change{Where: string(of) + g.where, Breaking: narrows == (of == input)}
	it := subject(of, c.Where)
	was, is := g.sub, g.super
	if !narrows {
		was, is = is, was
	}
	pick := func(narrow, wide Code) {
		c.Code = wide
		if narrows {
			c.Code = narrow
		}
	}
	switch g.kind {
	case gapType:
		pick(TypeNarrowed, TypeWidened)
		c.Message = fmt.Sprintf("%s was %s, is %s", it, was, is)
	case gapValues:
		pick(ValuesRemoved, ValuesAdded)
		switch {
		case g.sub == "":
			c.Message = fmt.Sprintf("%s takes only %s, and took any", it, g.super)
			if !narrows {
				c.Message = fmt.Sprintf("%s takes any value, and took only %s", it, g.super)
			}
		case narrows:
			c.Message = fmt.Sprintf("%s no longer is %s", it, g.sub)
		default:
			c.Message = fmt.Sprintf("%s can be %s now", it, g.sub)
		}
	case gapBound:
		pick(BoundTightened, BoundLoosened)
		c.Message = fmt.Sprintf("%s: %s was %s, is %s", it, g.word, was, is)
		if g.sub != "none" && (g.word == "pattern" || g.word == "multipleOf") {
			c.Message += mayBe(&c)
		}
	case gapEncoding:
		c.Code, c.Breaking = EncodingChanged, true
		c.Message = fmt.Sprintf("%s: %s was %s, is %s", it, g.word, was, is)
	case gapRequired:
		requirement(&c, g, it, narrows)
	case gapMember:
		pick(PropertyRemoved, PropertyAdded)
		c.Breaking = c.Breaking || narrows
		c.Message = map[bool]string{true: it + " is gone", false: it + " is new"}[narrows]
	case gapDescribed:
		c.Code, c.Breaking, c.Message = PropertyRemoved, true, it+" is gone"
		if narrows {
			c.Code, c.Breaking, c.Message = PropertyAdded, false, it+" is new"
		}
	case gapClosed:
		pick(ObjectClosed, ObjectOpened)
		c.Message = map[bool]string{true: it + " takes no properties any more that are not described", false: it + " takes properties now that are not described"}[narrows]
	case gapAlternative:
		pick(AlternativeRemoved, AlternativeAdded)
		c.Message = map[bool]string{true: fmt.Sprintf("%s no longer is %s", it, g.sub), false: fmt.Sprintf("%s can be %s now", it, g.sub)}[narrows]
	case gapUndecided:
		c.Code = SchemaUndecided
		c.Message = fmt.Sprintf("%s: %s changed", it, undecidable(g.word)) + mayBe(&c)
	}
	return c
}

// mayBe ends the message of a change of which one cannot tell.
func mayBe(c *Change) string {
	if c.Breaking {
		return ", which may be breaking"
	}
	return ""
}

func undecidable(word string) string {
	switch word {
	case "size":
		return "a schema too large to be compared"
	case "$ref":
		return "something that refers to itself or to nothing"
	}
	return fmt.Sprintf("what %q says", word)
}

func requirement(c *Change, g gap, it string, narrows bool) {
	switch {
	case narrows && g.word != "":
		c.Code, c.Message = PropertyRequired, fmt.Sprintf("%s is required now beside %q", it, g.sub)
	case narrows && g.sub == "unknown":
		c.Code, c.Message = PropertyRequired, it+" is new, and required"
	case narrows:
		c.Code, c.Message = PropertyRequired, it+" is required now"
	case g.word != "":
		c.Code, c.Message = PropertyOptional, fmt.Sprintf("%s is no longer required beside %q", it, g.sub)
	default:
		c.Code, c.Message = PropertyOptional, it+" is no longer required"
	}
}

// subject names a place as people speak of it.
func subject(of side, where string) string {
	path := strings.TrimPrefix(strings.TrimPrefix(where, string(of)), ".")
	switch {
	case path == "" && of == input:
		return "the arguments"
	case path == "":
		return "the result"
	case of == input:
		return fmt.Sprintf("argument %s", path)
	}
	return fmt.Sprintf("result's %s", path)
}
