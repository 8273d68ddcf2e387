package openapi

import (
	"regexp"
	"strings"
	"unicode"
)

var htmlComment = regexp.MustCompile(`(?s)<!--.*?(-->|$)`)

// cleanText makes a document's prose fit for a model's eyes: what a person
// would not see (control, bidirectional and zero-width characters, HTML
// comments) goes, CommonMark stays.
func cleanText(s string) string {
	if strings.Contains(s, "<!--") {
		s = htmlComment.ReplaceAllString(s, "")
	}
	if isPlain(s) {
		return strings.TrimSpace(s)
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r),
			r == '\u2028', r == '\u2029', r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
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
