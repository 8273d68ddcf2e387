package login

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// parseChallenge gives the parameters of the first Bearer challenge among the
// values of WWW-Authenticate (RFC 9110, section 11.6.1), names in lower case;
// nil: there is none. A parameter that is named twice counts the first time.
func parseChallenge(values []string) map[string]string {
	for _, value := range values {
		var found map[string]string
		rest := value
		for rest != "" {
			rest = strings.TrimLeft(rest, " \t,")
			var name string
			name, rest = token(rest)
			if name == "" {
				rest = rest[min(1, len(rest)):]
				continue
			}
			after := strings.TrimLeft(rest, " \t")
			if !strings.HasPrefix(after, "=") { // a scheme
				if found != nil {
					return found
				}
				if strings.EqualFold(name, "Bearer") {
					found = map[string]string{}
				}
				continue
			}
			var v string
			v, rest = parameter(strings.TrimLeft(after[1:], " \t"))
			name = strings.ToLower(name)
			if _, twice := found[name]; found != nil && !twice {
				found[name] = v
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// token cuts a token (RFC 9110, section 5.6.2) from the beginning.
func token(s string) (name, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool {
		return r >= unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// parameter cuts a token or a quoted string from the beginning.
func parameter(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		return token(s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// clean keeps what a server says from playing with the terminal, and short.
func clean(s string) string {
	const most = 500
	s = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// say tells people something; nobody is left to tell when that fails.
func say(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
