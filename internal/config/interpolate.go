package config

import (
	"regexp"
	"strings"
)

// problem is what is wrong with one value.
type problem struct{ message, hint string }

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// interpolate resolves ${NAME}, ${NAME:-default} and $$ in a text. A variable
// that is empty counts as not set. What the variables gave is in used.
func interpolate(s string, lookup func(string) string) (resolved string, used []mask, problems []problem) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String(), used, problems
		}
		if tail, ok := strings.CutPrefix(rest, "$"); ok {
			b.WriteByte('$')
			s = tail
			continue
		}
		inner, ok := strings.CutPrefix(rest, "{")
		if !ok { // a lone $ is a $
			b.WriteByte('$')
			s = rest
			continue
		}
		reference, tail, closed := strings.Cut(inner, "}")
		if !closed {
			return "", used, append(problems, problem{"${ without }", "a plain ${ is written $${"})
		}
		name, fallback, hasFallback := strings.Cut(reference, ":-")
		value := ""
		if variableName.MatchString(name) {
			value = lookup(name)
		} else {
			problems = append(problems, problem{"${…} is not a reference to a variable", "${NAME} or ${NAME:-default}; a plain ${ is written $${"})
			hasFallback = true
		}
		switch {
		case value != "":
			used = append(used, mask{value, "${" + name + "}"})
		case hasFallback:
			value = fallback
		default:
			problems = append(problems, unset(name))
		}
		b.WriteString(value)
		s = tail
	}
}

func unset(name string) problem {
	return problem{"environment variable " + name + " is not set", ""}
}
