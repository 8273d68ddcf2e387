package openapi

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

var htmlComment = regexp.MustCompile(`(?s)<!--.*?(-->|$)`)

// cleanText makes a document's prose fit for a model's eyes: what a person
// would not see (control, bidirectional and zero-width characters, HTML
// comments) goes, CommonMark stays.
func cleanText(s string) string {
	if !isPlain(s) {
		s = strings.Map(visible, s)
	}
	for strings.Contains(s, "<!--") { // what is left of two may be one more
		s = htmlComment.ReplaceAllString(s, "")
	}
	return strings.TrimSpace(s)
}

// visible is a character that a reader sees, or that parts words; -1 for others.
func visible(r rune) rune {
	switch {
	case r == '\n', r == '\t':
		return r
	case r == '\r', r >= 0xFE00 && r <= 0xFE0E, r >= 0xE0100 && r <= 0xE01EF: // variation selectors; that of emoji stays
		return -1
	case r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0: // Hangul fillers
		return -1
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r),
		r == '\u2028', r == '\u2029', r == unicode.ReplacementChar:
		return -1
	}
	return r
}

// isPlain spares most text a closer look.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\n' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

// Bounds of what a model is shown, in bytes. Real documents seldom come near;
// what is beyond costs every conversation, or means to push the rest out of sight.
const (
	maxActionText   = 8000
	maxArgumentText = 4000
)

// short cuts a text that is too long, at the end of a paragraph, a line, a
// sentence or a word, and says so.
func (r *reader) short(s string, most int, at *yaml.Node) string {
	if len(s) <= most {
		return s
	}
	cut := strings.ToValidUTF8(s[:most], "")
	for _, end := range []string{"\n\n", "\n", ". ", " "} {
		if i := strings.LastIndex(cut, end); i > most*3/4 {
			cut = cut[:i+len(strings.TrimRight(end, " \n"))]
			break
		}
	}
	op := r.op
	if most == maxArgumentText { // schemas are shared
		r.op = ""
	}
	r.report(SeverityInfo, "description-cut", at,
		fmt.Sprintf("description has %d bytes; a model is shown %d", len(s), len(cut)), "say the most important first, or give a shorter one in x-action")
	r.op = op
	return strings.TrimSpace(cut) + " …"
}
