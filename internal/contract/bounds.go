package contract

import (
	"cmp"
	"math/big"
)

// bound is one end of a range; at nil: there is none.
type bound struct {
	at   *big.Rat
	open bool // at itself is outside
}

func (b bound) String() string {
	if b.at == nil {
		return "none"
	}
	text := b.at.RatString()
	if !b.at.IsInt() {
		text, _ = decimal(b.at)
	}
	if b.open {
		return text + " (exclusive)"
	}
	return text
}

func decimal(r *big.Rat) (string, bool) {
	digits, exact := r.FloatPrec()
	return r.FloatString(min(digits, 20)), exact
}

// end reads one end of the range of numbers of a schema. sign is 1 for the lower
// end and -1 for the upper one. whole numbers have no open ends.
func (s *schema) end(closed, open string, sign int, whole bool) bound {
	b := bound{at: rational(s.words[closed])}
	if r := rational(s.words[open]); r != nil && (b.at == nil || sign*r.Cmp(b.at) >= 0) {
		b = bound{r, true}
	}
	if b.at != nil && whole {
		b = inward(b, sign)
	}
	return b
}

// inward moves an end to the nearest whole number inside.
func inward(b bound, sign int) bound {
	n := new(big.Int).Div(b.at.Num(), b.at.Denom()) // rounds down
	down := new(big.Rat).SetInt(n)
	switch {
	case down.Cmp(b.at) != 0 && sign > 0:
		down.Add(down, big.NewRat(1, 1))
	case down.Cmp(b.at) == 0 && b.open:
		down.Add(down, big.NewRat(int64(sign), 1))
	}
	return bound{at: down}
}

// tighter tells whether a lets less through than b.
func (b bound) tighter(than bound, sign int) bool {
	switch {
	case b.at == nil:
		return false
	case than.at == nil:
		return true
	}
	order := sign * b.at.Cmp(than.at)
	return order > 0 || order == 0 && b.open && !than.open
}

// numbers compares what is asked of numbers.
func (f flat) numbers(s *schema, have kinds) (gaps []gap) {
	whole := have&fraction == 0
	for _, e := range []struct {
		word, closed, open string
		sign               int
	}{{"minimum", "minimum", "exclusiveMinimum", 1}, {"maximum", "maximum", "exclusiveMaximum", -1}} {
		asked, given := s.end(e.closed, e.open, e.sign, whole), bound{}
		for _, p := range f.parts {
			if b := p.end(e.closed, e.open, e.sign, whole); b.tighter(given, e.sign) {
				given = b
			}
		}
		if asked.tighter(given, e.sign) {
			gaps = append(gaps, gap{kind: gapBound, word: e.word, sub: given.String(), super: asked.String()})
		}
		for _, word := range []string{e.closed, e.open} {
			if v, there := s.words[word]; there && rational(v) == nil && !f.says(word, v) {
				gaps = append(gaps, undecided(word)...)
			}
		}
	}
	return append(gaps, f.steps(s, whole)...)
}

// says tells whether some part has the keyword with the same words.
func (f flat) says(word string, v any) bool {
	for _, p := range f.parts {
		if have, ok := p.words[word]; ok && shown(have) == shown(v) {
			return true
		}
	}
	return false
}

// steps compares multipleOf.
func (f flat) steps(s *schema, whole bool) []gap {
	v, there := s.words["multipleOf"]
	asked := rational(v)
	if !there || f.says("multipleOf", v) {
		return nil
	}
	if asked == nil || asked.Sign() <= 0 {
		return undecided("multipleOf")
	}
	divides := func(step *big.Rat) bool { return new(big.Rat).Quo(step, asked).IsInt() }
	if whole && divides(big.NewRat(1, 1)) {
		return nil
	}
	given := "none"
	for _, p := range f.parts {
		if step := rational(p.words["multipleOf"]); step != nil && step.Sign() > 0 {
			if divides(step) {
				return nil
			}
			given = bound{at: step}.String()
		}
	}
	return []gap{{kind: gapBound, word: "multipleOf", sub: given, super: bound{at: asked}.String()}}
}

// count compares a least (sign 1) or a most (sign -1) of lengths and the like.
// known is a bound that follows from elsewhere.
func (f flat) count(s *schema, word string, sign int, known *big.Rat) []gap {
	v, there := s.words[word]
	if !there {
		return nil
	}
	asked, given := bound{at: rational(v)}, bound{at: known}
	for _, p := range f.parts {
		if b := (bound{at: rational(p.words[word])}); b.tighter(given, sign) {
			given = b
		}
	}
	if asked.at == nil {
		return undecided(word)
	}
	if sign > 0 && given.at == nil {
		given.at = new(big.Rat)
	}
	if !asked.tighter(given, sign) {
		return nil
	}
	return []gap{{kind: gapBound, word: word, sub: given.String(), super: asked.String()}}
}

// texts compares what is asked of strings. Formats are not checked by the
// gateway, but plugins do: what has another one is something else.
func (f flat) texts(s *schema) []gap {
	gaps := append(f.count(s, "minLength", 1, nil), f.count(s, "maxLength", -1, nil)...)
	for _, word := range []string{"pattern", "format", "contentEncoding", "contentMediaType"} {
		v, there := s.words[word]
		if !there || f.says(word, v) {
			continue
		}
		given := ""
		for _, p := range f.parts {
			if other, ok := p.words[word].(string); ok {
				given = other
			}
		}
		kind := gapBound
		if word[0] == 'c' {
			kind = gapEncoding
		}
		gaps = append(gaps, gap{kind: kind, word: word, sub: cmp.Or(clip(given), "none"), super: clip(shownText(v))})
	}
	return gaps
}

func shownText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return shown(v)
}
