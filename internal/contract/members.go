package contract

import (
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
)

// objects compares what is asked of objects.
func (c *comparison) objects(f flat, s *schema) (gaps []gap) {
	required := f.required()
	for _, name := range slices.Sorted(maps.Keys(s.named["properties"])) {
		parts, silent := c.member(f, name)
		if silent {
			gaps = append(gaps, gap{where: step(name), kind: gapDescribed, soft: c.softly})
			continue
		}
		gaps = merge(gaps, c.inside(step(name), parts, s.named["properties"][name]))
	}
	for _, name := range strs(s.words["required"]) {
		if !required[name] {
			gaps = merge(gaps, []gap{{where: step(name), kind: gapRequired, sub: c.knows(f, name)}})
		}
	}
	gaps = merge(gaps, c.patternProperties(f, s))
	gaps = merge(gaps, c.additional(f, s))
	gaps = merge(gaps, c.dependent(f, s, required))
	gaps = merge(gaps, f.count(s, "minProperties", 1, big.NewRat(int64(len(required)), 1)))
	gaps = merge(gaps, f.count(s, "maxProperties", -1, c.mostMembers(f)))
	if names := s.one["propertyNames"]; names != nil {
		gaps = merge(gaps, c.memberNames(f, names))
	}
	return gaps
}

// knows tells whether a member can be there at all.
func (c *comparison) knows(f flat, name string) string {
	parts, silent := c.member(f, name)
	if silent || slices.ContainsFunc(parts, func(p part) bool { return p.never }) {
		return "unknown"
	}
	return "optional"
}

// inside asks of what is below a value.
func (c *comparison) inside(where string, parts []part, super *schema) []gap {
	c.level++
	defer func() { c.level-- }()
	return within(where, c.implies(parts, super))
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_$-]+$`)

// step is a member in a path.
func step(name string) string {
	if plainName.MatchString(name) {
		return "." + name
	}
	return "." + strconv.Quote(name)
}

// mostMembers is how many members f has at most; nil: as many as one likes.
func (c *comparison) mostMembers(f flat) *big.Rat {
	for _, p := range f.parts {
		if rest := p.one["additionalProperties"]; rest != nil && rest.never && len(p.named["patternProperties"]) == 0 {
			return big.NewRat(int64(len(p.named["properties"])), 1)
		}
	}
	return nil
}

// patternProperties looks at the members that f names, those of its patterns
// and all others.
func (c *comparison) patternProperties(f flat, s *schema) (gaps []gap) {
	for _, pattern := range slices.Sorted(maps.Keys(s.named["patternProperties"])) {
		asked := s.named["patternProperties"][pattern]
		for _, name := range f.described() {
			matches, known := c.matches(pattern, name)
			if matches || !known {
				parts, _ := c.member(f, name)
				gaps = merge(gaps, c.inside(step(name), parts, asked))
			}
		}
		gaps = merge(gaps, c.unnamed(f, pattern, asked))
	}
	return gaps
}

// unnamed asks of the members that f does not name and that may match a pattern.
func (c *comparison) unnamed(f flat, pattern string, asked *schema) (gaps []gap) {
	for _, p := range f.parts {
		if p.named["patternProperties"][pattern] != nil {
			return c.inside(".*", f.patterned(p, pattern), asked)
		}
	}
	return merge(c.ofPatterns(f, nil, asked), c.ofOthers(f, asked))
}

// ofPatterns asks of the members that match patterns of f, save for some.
func (c *comparison) ofPatterns(f flat, save map[string]*schema, asked *schema) (gaps []gap) {
	for _, p := range f.parts {
		for _, pattern := range slices.Sorted(maps.Keys(p.named["patternProperties"])) {
			if save[pattern] == nil {
				gaps = merge(gaps, c.inside(".*", f.patterned(p, pattern), asked))
			}
		}
	}
	return gaps
}

// ofOthers asks of the members that f neither names nor has patterns for.
func (c *comparison) ofOthers(f flat, asked *schema) []gap {
	gaps := c.inside(".*", f.others(), asked)
	if asked.never && len(gaps) > 0 {
		return []gap{{kind: gapClosed, word: "additionalProperties"}}
	}
	return gaps
}

// additional looks at the members that s does not name.
func (c *comparison) additional(f flat, s *schema) (gaps []gap) {
	asked := s.one["additionalProperties"]
	if _, known := c.closing(s); !known {
		gaps = undecided("unevaluatedProperties")
	}
	if asked == nil {
		return gaps
	}
	for _, name := range f.described() {
		if s.named["properties"][name] != nil || c.patternNames(s, name) {
			continue
		}
		parts, _ := c.member(f, name)
		if slices.ContainsFunc(parts, func(p part) bool { return p.never }) {
			continue
		}
		if asked.never {
			gaps = append(gaps, gap{where: step(name), kind: gapMember})
			continue
		}
		gaps = merge(gaps, c.inside(step(name), parts, asked))
	}
	gaps = merge(gaps, c.ofPatterns(f, s.named["patternProperties"], asked))
	return merge(gaps, c.ofOthers(f, asked))
}

// patternNames tells whether a pattern of s surely speaks of a member.
func (c *comparison) patternNames(s *schema, name string) bool {
	for pattern := range s.named["patternProperties"] {
		if matches, _ := c.matches(pattern, name); matches {
			return true
		}
	}
	return false
}

// dependent compares dependentRequired and dependentSchemas.
func (c *comparison) dependent(f flat, s *schema, required map[string]bool) (gaps []gap) {
	lists, _ := s.words["dependentRequired"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if c.absent(f, name) {
			continue
		}
		comes := f.comesWith(name, required)
		for _, more := range strs(lists[name]) {
			if !comes[more] {
				gaps = append(gaps, gap{where: step(more), kind: gapRequired, word: "dependentRequired", sub: name})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.named["dependentSchemas"])) {
		if c.absent(f, name) {
			continue
		}
		parts := slices.Clone(f.parts)
		for _, p := range f.parts {
			if more := p.named["dependentSchemas"][name]; more != nil {
				parts = append(parts, part{schema: more})
			}
		}
		if hard(c.strictly(parts, s.named["dependentSchemas"][name])) > 0 {
			gaps = merge(gaps, undecided("dependentSchemas"))
		}
	}
	return gaps
}

// absent tells whether a member is never there.
func (c *comparison) absent(f flat, name string) bool {
	parts, _ := c.member(f, name)
	return slices.ContainsFunc(parts, func(p part) bool { return p.never })
}

// comesWith are the members that are there where name is.
func (f flat) comesWith(name string, required map[string]bool) map[string]bool {
	there := maps.Clone(required)
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		there[queue[0]] = true
		for _, p := range f.parts {
			lists, _ := p.words["dependentRequired"].(map[string]any)
			for _, more := range strs(lists[queue[0]]) {
				if !there[more] {
					there[more] = true
					queue = append(queue, more)
				}
			}
		}
	}
	return there
}

// memberNames compares propertyNames.
func (c *comparison) memberNames(f flat, asked *schema) []gap {
	var have []part
	for _, p := range f.parts {
		if p.one["propertyNames"] != nil {
			have = append(have, part{schema: p.one["propertyNames"]})
		}
	}
	if len(have) > 0 && hard(c.strictly(have, asked)) == 0 {
		return nil
	}
	closed := slices.ContainsFunc(f.others(), func(p part) bool { return p.never })
	patterned := slices.ContainsFunc(f.parts, func(p part) bool { return len(p.named["patternProperties"]) > 0 })
	if closed && !patterned && !slices.ContainsFunc(f.described(), func(name string) bool {
		admits, known := c.admits(asked, name)
		return !admits || !known
	}) {
		return nil
	}
	return undecided("propertyNames")
}

// arrays compares what is asked of arrays.
func (c *comparison) arrays(f flat, s *schema) (gaps []gap) {
	most := bound{}
	first := len(s.list["prefixItems"])
	for _, p := range f.parts {
		first = max(first, len(p.list["prefixItems"]))
		if b := (bound{at: rational(p.words["maxItems"])}); b.tighter(most, -1) {
			most = b
		}
	}
	for i := range first + 1 {
		if most.at != nil && most.at.Cmp(big.NewRat(int64(i), 1)) <= 0 {
			break
		}
		asked, where := s.one["items"], "[]"
		if i < first {
			where = fmt.Sprintf("[%d]", i)
		}
		if i < len(s.list["prefixItems"]) {
			asked = s.list["prefixItems"][i]
		}
		if asked != nil {
			gaps = merge(gaps, c.inside(where, f.item(i), asked))
		}
	}
	gaps = merge(gaps, f.count(s, "minItems", 1, nil))
	gaps = merge(gaps, f.count(s, "maxItems", -1, nil))
	if s.words["uniqueItems"] == true && !f.says("uniqueItems", true) && (most.at == nil || most.at.Cmp(big.NewRat(1, 1)) > 0) {
		gaps = append(gaps, gap{kind: gapBound, word: "uniqueItems", sub: "none", super: "true"})
	}
	if s.one["contains"] != nil && !c.contains(f, s) {
		gaps = merge(gaps, undecided("contains"))
	}
	if s.one["unevaluatedItems"] != nil {
		gaps = merge(gaps, undecided("unevaluatedItems"))
	}
	return gaps
}

// item gives what the item at a place fits.
func (f flat) item(i int) (parts []part) {
	for _, p := range f.parts {
		if first := p.list["prefixItems"]; i < len(first) {
			parts = append(parts, part{schema: first[i]})
		} else if rest := p.one["items"]; rest != nil {
			parts = append(parts, part{schema: rest})
		}
	}
	return parts
}

// contains tells whether f says as much of what is in an array.
func (c *comparison) contains(f flat, s *schema) bool {
	bounds := func(s *schema, word string) bound { return bound{at: rational(s.words[word])} }
	least := bounds(s, "minContains")
	if least.at == nil {
		least.at = big.NewRat(1, 1)
	}
	for _, p := range f.parts {
		inner := p.one["contains"]
		if inner == nil {
			continue
		}
		given := bounds(p.schema, "minContains")
		if given.at == nil {
			given.at = big.NewRat(1, 1)
		}
		if least.tighter(given, 1) || s.words["maxContains"] != nil && bounds(s, "maxContains").tighter(bounds(p.schema, "maxContains"), -1) {
			continue
		}
		if same(inner, s.one["contains"]) || s.words["maxContains"] == nil && hard(c.strictly([]part{{schema: inner}}, s.one["contains"])) == 0 {
			return true
		}
	}
	return false
}
