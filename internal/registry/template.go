package registry

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// Text is a text with {names} in it, ready to be filled in; {{ and }} are
// braces.
type Text struct{ parts []part }

// part is some text, or the name of what stands there.
type part struct {
	text     string
	variable bool
}

// ParseText reads a text. The error says what is wrong with its braces.
func ParseText(s string) (Text, error) { return parseText(s, variableName) }

// parseText reads a text in which names look as the pattern says.
func parseText(s string, names *regexp.Regexp) (Text, error) {
	var t Text
	literal := strings.Builder{}
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			literal.WriteString(s)
			break
		}
		literal.WriteString(s[:i])
		brace := s[i]
		s = s[i+1:]
		if s != "" && s[0] == brace {
			literal.WriteByte(brace)
			s = s[1:]
			continue
		}
		name, rest, closed := strings.Cut(s, "}")
		if brace == '}' || !closed || !names.MatchString(name) {
			return t, fmt.Errorf("%q begins no {name}", string(brace)+s[:min(len(s), 20)])
		}
		t.parts = append(t.parts, part{text: literal.String()}, part{text: name, variable: true})
		literal.Reset()
		s = rest
	}
	t.parts = append(t.parts, part{text: literal.String()})
	return t, nil
}

// Names lists the names in the text, each once, in their order.
func (t Text) Names() []string {
	var names []string
	for _, p := range t.parts {
		if p.variable && !slices.Contains(names, p.text) {
			names = append(names, p.text)
		}
	}
	return names
}

// Fill puts values in the places of their names; what has none becomes nothing.
func (t Text) Fill(values map[string]string) string {
	return t.fill(func(name string) string { return values[name] })
}

// FillURI fills in the text of a URI: values are percent-encoded (RFC 6570,
// simple string expansion), except one that is the whole URI.
func (t Text) FillURI(values map[string]string) string {
	if name, ok := t.alone(); ok {
		return values[name]
	}
	return t.fill(func(name string) string { return escapeValue(values[name]) })
}

// alone is the name that is all of the text.
func (t Text) alone() (string, bool) {
	if len(t.parts) == 3 && t.parts[0].text == "" && t.parts[2].text == "" {
		return t.parts[1].text, true
	}
	return "", false
}

func (t Text) fill(value func(string) string) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.variable {
			b.WriteString(value(p.text))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// meets tells whether the two can become the same URI. A name of t may become
// nothing, one of a template (RFC 6570) may not; neither has a delimiter.
func (t Text) meets(template Text) bool {
	a, b := t.symbols(false), template.symbols(true)
	ends := make([][]bool, len(a)+1) // ends[i][j]: a[i:] and b[j:] can be the same
	for i := len(a); i >= 0; i-- {
		ends[i] = make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				ends[i][j] = true
			case i < len(a) && a[i] == anyText && ends[i+1][j], j < len(b) && b[j] == anyText && ends[i][j+1]:
				ends[i][j] = true
			case i == len(a) || j == len(b):
			case a[i] == anyText && b[j] != anyText:
				ends[i][j] = !isDelimiter(b[j]) && ends[i][j+1]
			case b[j] == anyText && a[i] != anyText:
				ends[i][j] = !isDelimiter(a[i]) && ends[i+1][j]
			default:
				ends[i][j] = (a[i] == b[j] || b[j] == anyByte && !isDelimiter(a[i])) && ends[i+1][j+1]
			}
		}
	}
	return ends[0][0]
}

// unescaped is the text with its own parts percent-decoded.
func (t Text) unescaped() Text {
	parts := slices.Clone(t.parts)
	for i, p := range parts {
		if plain, err := url.PathUnescape(p.text); err == nil && !p.variable {
			parts[i].text = plain
		}
	}
	return Text{parts: parts}
}

// What a symbol may be beside a byte.
const (
	anyByte = -1 - iota
	anyText
)

func (t Text) symbols(something bool) (all []int) {
	for _, p := range t.parts {
		for _, c := range []byte(p.text) {
			if !p.variable {
				all = append(all, int(c))
			}
		}
		if p.variable && something {
			all = append(all, anyByte)
		}
		if p.variable {
			all = append(all, anyText)
		}
	}
	return all
}

func isDelimiter(symbol int) bool { return symbol == '/' || symbol == '?' || symbol == '#' }

// escapeValue encodes everything but RFC 3986's unreserved characters.
func escapeValue(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// URITemplate is an RFC 6570 template of level 1: {name} is a part of one path
// segment.
type URITemplate struct {
	text  Text
	raw   string
	match *regexp.Regexp
}

// aValue is a part of a path segment, in which literals of the template end no
// percent-encoded character in the middle.
const aValue = `((?:[^/?#%]|%[0-7][[:xdigit:]]|%[C-Dc-d][[:xdigit:]]` + furtherByte + `|%[Ee][[:xdigit:]]` + furtherByte + `{2}|%[Ff][0-7]` + furtherByte + `{3})+)`

const furtherByte = `(?:%[89ABab][[:xdigit:]])`

// ParseURITemplate reads a template with a scheme and at least one variable.
func ParseURITemplate(s string) (*URITemplate, error) {
	text, err := ParseText(s)
	if err != nil {
		return nil, err
	}
	names := text.Names()
	if len(names) == 0 {
		return nil, fmt.Errorf("%q has no {variable}; one that always means the same is a uri", s)
	}
	pattern, count := strings.Builder{}, 0
	for i, p := range text.parts {
		switch {
		case !p.variable:
			pattern.WriteString(regexp.QuoteMeta(p.text))
			continue
		case i > 1 && text.parts[i-1].text == "":
			return nil, fmt.Errorf("nothing stands between {%s} and {%s}", text.parts[i-2].text, p.text)
		}
		count++
		pattern.WriteString(aValue)
	}
	if count != len(names) {
		return nil, fmt.Errorf("%q has a variable twice", s)
	}
	if err := CheckURI(text.fill(func(string) string { return "x" })); err != nil {
		return nil, err
	}
	match, err := regexp.Compile(`^` + pattern.String() + `$`)
	if err != nil {
		return nil, err
	}
	return &URITemplate{text: text, raw: s, match: match}, nil
}

// CheckURI says what is wrong with a resource's URI, which needs a scheme of
// its own (2025-11-25, server/resources, "Common URI Schemes").
func CheckURI(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || !u.IsAbs() || strings.ContainsAny(s, " <>\"\\^`|{}\x7f") || strings.Contains(s, "#"):
		return fmt.Errorf("%q is not an absolute URI", s)
	case strings.EqualFold(u.Scheme, documentScheme):
		return fmt.Errorf("scheme %s is the gateway's own", documentScheme)
	}
	return nil
}

// String is the template as it was written.
func (t *URITemplate) String() string { return t.raw }

// Names lists the variables in their order.
func (t *URITemplate) Names() []string { return t.text.Names() }

// Match gives the variables of a URI, decoded.
func (t *URITemplate) Match(uri string) (map[string]string, bool) {
	found := t.match.FindStringSubmatch(uri)
	if found == nil {
		return nil, false
	}
	values := map[string]string{}
	for i, name := range t.Names() {
		value, err := url.PathUnescape(found[i+1])
		if err != nil || !utf8.ValidString(value) { // no argument could carry it
			return nil, false
		}
		values[name] = value
	}
	return values, true
}
