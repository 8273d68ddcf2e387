package openapi

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Bounds of what regular expressions come to once their repetitions are written
// out: of one, and of all of one document.
const (
	maxPattern  = 20_000
	maxPatterns = 1_000_000
)

// otherMeanings are what RE2 takes for something else than ECMA-262, whose
// expressions JSON Schema has: \z is a z there, and a bracket begins no class.
var otherMeanings = regexp.MustCompile(`\\[AzQECaG]|\[\^?\]|\[[^\]]*\[:|\(\?[imsUP<]`)

// patternFault says why the gateway does not check a regular expression; nil
// when it does, by RE2.
func (r *reader) patternFault(pattern string) error {
	fault, known := r.patterns[pattern]
	if !known {
		fault = r.judgePattern(pattern)
		r.patterns[pattern] = fault
	}
	return fault
}

func (r *reader) judgePattern(pattern string) error {
	if otherMeanings.MatchString(strings.ReplaceAll(pattern, `\\`, "")) {
		return errors.New("RE2 gives it another meaning")
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return errors.New("RE2 cannot express it")
	}
	size := expanded(parsed)
	if r.steps += size; size > maxPattern || r.steps > maxPatterns {
		return errors.New("it is too large")
	}
	return nil
}

// expanded is about how many instructions an expression is compiled to.
func expanded(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)/16
	for _, sub := range re.Sub {
		size += expanded(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return min(size, 1<<20)
}
