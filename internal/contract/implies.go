package contract

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// gap is a reason why not all that one schema admits is admitted by another.
type gap struct {
	where string // ".name", "[]", "[0]" and ".*" one after the other
	kind  gapKind
	word  string // the keyword
	sub   string // what the one says, and
	super string // what the other says, as people read it
	soft  bool   // it counts only when changes are told
}

type gapKind int

const (
	gapType        gapKind = iota
	gapValues              // of an enum or const
	gapBound               // of a number, a length, a count, a text
	gapEncoding            // contentEncoding and its like
	gapRequired            // the other requires the member
	gapMember              // the other does not know the member, and is closed
	gapDescribed           // the one says nothing of a member that the other describes
	gapClosed              // the other does not admit members without description
	gapAlternative         // no alternative of the other takes it
	gapUndecided           // it cannot be told
)

// Bounds of what is looked at. What is beyond counts as undecided.
const (
	maxSteps = 30_000  // for one pair of schemas
	maxTotal = 400_000 // for all schemas of a diff
	maxGaps  = 20      // of one part: who mends those sees the others
)

// comparison decides whether one schema admits all that another does. It is
// for two documents.
type comparison struct {
	ids      int
	patterns map[string]*regexp.Regexp
	values   map[*schema]*jsonschema.Schema
	types    map[kinds]*schema
	steps    int // left
	softly   bool

	level   int // members and items gone into
	stack   []frame
	open    map[string]int // places in the stack
	done    map[string]outcome
	leaning []string // what was done, in order, while something was taken for granted
	lowest  int      // place in the stack of what was taken for granted
}

// frame is a question that is not answered yet.
type frame struct {
	level   int
	leaning int // as many were there before
}

// outcome is an answer. It holds as long as what it leans on does: the lowest
// place in the stack of that.
type outcome struct {
	gaps   []gap
	lowest int
}

// nothing is the place of what no answer leans on.
const nothing = math.MaxInt

// implies gives the reasons why a value that fits all of sub may not fit super.
// What is asked again below itself is taken for granted there, where the value
// is smaller: values have an end.
func (c *comparison) implies(sub []part, super *schema) []gap {
	if super.trivial() || slices.ContainsFunc(sub, func(p part) bool { return same(p.schema, super) }) {
		return nil
	}
	super = super.plain()
	question := key(sub) + "|" + key([]part{{schema: super}})
	if known, ok := c.done[question]; ok {
		c.lowest = min(c.lowest, known.lowest)
		return known.gaps
	}
	if at, asked := c.open[question]; asked {
		if c.level > c.stack[at].level {
			c.lowest = min(c.lowest, at)
			return nil
		}
		return undecided("$ref")
	}
	if c.steps--; c.steps < 0 {
		return undecided("size")
	}
	place, outer := len(c.stack), c.lowest
	c.lowest = nothing
	c.open[question] = place
	c.stack = append(c.stack, frame{c.level, len(c.leaning)})
	gaps := c.split(sub, super)
	c.answer(question, place, gaps)
	c.lowest = min(c.lowest, outer)
	return gaps
}

// answer keeps an answer. Gaps are there whatever was taken for granted, but
// what was found to have none while this was, may have some.
func (c *comparison) answer(question string, place int, gaps []gap) {
	mine := c.leaning[c.stack[place].leaning:]
	c.stack = c.stack[:place]
	delete(c.open, question)
	switch {
	case hard(gaps) > 0:
		for _, other := range mine {
			delete(c.done, other)
		}
		c.leaning, c.lowest = c.leaning[:len(c.leaning)-len(mine)], nothing
	case c.lowest >= place:
		c.leaning, c.lowest = c.leaning[:len(c.leaning)-len(mine)], nothing
	default:
		c.leaning = append(c.leaning, question)
	}
	if hard(gaps) == 0 {
		for _, other := range mine {
			c.done[other] = outcome{c.done[other].gaps, min(c.done[other].lowest, c.lowest)}
			if c.lowest == nothing {
				c.done[other] = outcome{c.done[other].gaps, nothing}
			}
		}
	}
	c.done[question] = outcome{gaps, c.lowest}
}

func undecided(word string) []gap { return []gap{{kind: gapUndecided, word: word}} }

func hard(gaps []gap) (n int) {
	for _, g := range gaps {
		if !g.soft {
			n++
		}
	}
	return n
}

// within gives gaps their place.
func within(where string, gaps []gap) []gap {
	out := slices.Clone(gaps)
	for i := range out {
		out[i].where = where + out[i].where
	}
	return out
}

func merge(all, more []gap) []gap {
	for _, g := range more {
		if len(all) >= maxGaps {
			break
		}
		if !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

// split looks at the alternatives of sub one by one, where it has to.
func (c *comparison) split(sub []part, super *schema) []gap {
	f := c.flatten(sub)
	if f.never || f.kinds() == 0 {
		return nil
	}
	gaps := c.check(f, super)
	if hard(gaps) == 0 {
		return gaps
	}
	for i, p := range f.parts {
		word, branches := p.alternatives()
		if branches == nil {
			continue
		}
		rest := slices.Clone(f.parts)
		rest[i].anyOf = p.anyOf || word == "anyOf"
		rest[i].oneOf = p.oneOf || word == "oneOf"
		var all []gap
		for _, branch := range branches {
			all = merge(all, c.implies(append(slices.Clip(rest), part{schema: branch}), super))
		}
		return all
	}
	return gaps
}

// check goes through all that super asks.
func (c *comparison) check(f flat, super *schema) (gaps []gap) {
	if values, ok := f.finite(); ok && len(values) <= 1000 {
		return c.checkValues(f, values, super)
	}
	asked := c.flatten([]part{{schema: super}})
	if asked.never {
		return []gap{{kind: gapType, sub: f.kinds().String(), super: "nothing"}}
	}
	if asked.unknown {
		return undecided("$ref")
	}
	for _, p := range asked.parts {
		if !slices.ContainsFunc(f.parts, func(have part) bool { return same(have.schema, p.schema) }) {
			gaps = merge(gaps, c.keywords(f, p.schema))
		}
	}
	return gaps
}

// keywords goes through what one schema asks by itself.
func (c *comparison) keywords(f flat, s *schema) (gaps []gap) {
	have := f.kinds()
	admitted := (&schema{words: map[string]any{"type": s.words["type"]}}).kinds()
	if have&^admitted != 0 {
		gaps = append(gaps, gap{kind: gapType, word: "type", sub: have.String(), super: admitted.String()})
	}
	if have == anything && len(gaps) > 0 { // nothing is known of it: that says all
		return gaps
	}
	have &= admitted
	if have == 0 {
		return gaps
	}
	if values, finite := s.enumerated(); finite {
		gaps = append(gaps, gap{kind: gapValues, word: "enum", super: valuesText(values)})
	}
	if have&number != 0 {
		gaps = append(gaps, f.numbers(s, have)...)
	}
	if have&text != 0 {
		gaps = append(gaps, f.texts(s)...)
	}
	if have&array != 0 {
		gaps = merge(gaps, c.arrays(f, s))
	}
	if have&object != 0 {
		gaps = merge(gaps, c.objects(f, s))
	}
	return merge(gaps, c.applied(f, s))
}

// applied goes through the keywords that put whole schemas on the value itself.
func (c *comparison) applied(f flat, s *schema) (gaps []gap) {
	for _, word := range []string{"anyOf", "oneOf"} {
		if branches := s.list[word]; len(branches) > 0 {
			gaps = merge(gaps, c.alternatives(f, branches, word))
		}
	}
	if no := s.one["not"]; no != nil && !c.excludes(f, no) {
		gaps = merge(gaps, undecided("not"))
	}
	if s.one["if"] != nil && !c.conditional(f, s) {
		gaps = merge(gaps, undecided("if"))
	}
	return gaps
}

// excludes tells whether no value of f fits the schema.
func (c *comparison) excludes(f flat, no *schema) bool {
	if c.empty(append(slices.Clip(f.parts), part{schema: no}), 0) {
		return true
	}
	return slices.ContainsFunc(f.parts, func(p part) bool {
		return p.one["not"] != nil && hard(c.strictly([]part{{schema: no}}, p.one["not"])) == 0
	})
}

// strictly asks without taking members lightly that are not described.
func (c *comparison) strictly(sub []part, super *schema) []gap {
	gaps := slices.Clone(c.implies(sub, super))
	for i := range gaps {
		gaps[i].soft = false
	}
	return gaps
}

// conditional tells whether an if holds: the condition is the same as one that
// f has, or both of its outcomes hold anyhow.
func (c *comparison) conditional(f flat, s *schema) bool {
	for _, p := range f.parts {
		if p.one["if"] != nil && same(p.one["if"], s.one["if"]) && c.outcome(f, p.schema, s, "then") && c.outcome(f, p.schema, s, "else") {
			return true
		}
	}
	return c.outcome(f, nil, s, "then") && c.outcome(f, nil, s, "else")
}

func (c *comparison) outcome(f flat, have, s *schema, word string) bool {
	asked := s.one[word]
	if asked == nil {
		return true
	}
	parts := f.parts
	if have != nil && have.one[word] != nil {
		parts = append(slices.Clip(parts), part{schema: have.one[word]})
	}
	return hard(c.strictly(parts, asked)) == 0
}

// alternatives looks for a branch that takes all of f, or takes all of one type
// of it after the other.
func (c *comparison) alternatives(f flat, branches []*schema, word string) (all []gap) {
	gaps := c.branch(f.parts, branches, word)
	have := f.kinds()
	if hard(gaps) == 0 || have&(have-1) == 0 || slices.ContainsFunc(f.parts, func(p part) bool { _, more := p.alternatives(); return more != nil }) {
		return gaps
	}
	for one := null; one <= fraction; one <<= 1 {
		if have&one != 0 {
			all = merge(all, c.branch(append(slices.Clip(f.parts), part{schema: c.typed(one)}), branches, word))
		}
	}
	return all
}

// typed is a schema of one type.
func (c *comparison) typed(k kinds) *schema {
	if c.types[k] == nil {
		c.ids++
		c.types[k] = &schema{id: c.ids, doc: &document{}, words: map[string]any{"type": k.String()}}
		if k == fraction {
			c.types[k] = &schema{id: c.ids, doc: &document{}, words: map[string]any{"type": "number"}}
		}
	}
	return c.types[k]
}

// branch gives the gaps to the branch that comes nearest.
func (c *comparison) branch(parts []part, branches []*schema, word string) (best []gap) {
	chosen := -1
	for i, b := range branches {
		gaps := c.implies(parts, b)
		if chosen < 0 || cmp.Or(cmp.Compare(hard(gaps), hard(best)), cmp.Compare(len(gaps), len(best))) < 0 {
			best, chosen = gaps, i
		}
		if hard(gaps) == 0 && (len(gaps) == 0 || i == len(branches)-1) {
			break
		}
	}
	if hard(best) > 0 && len(branches) > 1 && slices.ContainsFunc(best, func(g gap) bool { return g.where == "" && g.kind <= gapValues }) {
		return []gap{{kind: gapAlternative, word: word, sub: c.title(parts)}}
	}
	if hard(best) > 0 || word == "anyOf" {
		return best
	}
	for i, b := range branches {
		if i != chosen && !c.empty(append(slices.Clip(parts), part{schema: b}), 0) {
			return merge(best, undecided(word))
		}
	}
	return best
}

// title names what fits parts, for people.
func (c *comparison) title(parts []part) string {
	for _, p := range slices.Backward(parts) {
		if title, ok := p.words["title"].(string); ok && title != "" {
			return title
		}
		if ref, ok := p.words["$ref"].(string); ok {
			return ref[strings.LastIndex(ref, "/")+1:]
		}
	}
	return c.flatten(parts).kinds().String()
}
