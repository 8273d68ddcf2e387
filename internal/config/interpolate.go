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
		value, from, p := refer(reference, lookup)
		if p != nil {
			problems = append(problems, *p)
		}
		if from != "" {
			used = append(used, mask{value, from})
		}
		b.WriteString(value)
		s = tail
	}
}

// refer resolves what stands between ${ and }. from is "" unless a variable
// gave the value.
func refer(reference string, lookup func(string) string) (value, from string, p *problem) {
	name, fallback, hasFallback := strings.Cut(reference, ":-")
	if !variableName.MatchString(name) {
		return "", "", &problem{"${…} is not a reference to a variable", "${NAME} or ${NAME:-default}; a plain ${ is written $${"}
	}
	if value = lookup(name); value != "" {
		return value, "${" + name + "}", nil
	}
	if !hasFallback {
		missing := unset(name)
		return "", "", &missing
	}
	return fallback, "", nil
}

func unset(name string) problem {
	return problem{"environment variable " + name + " is not set", ""}
}
