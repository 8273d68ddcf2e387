// Package excerpt shows a place of a text file to a person at a terminal: its
// line, and a caret below it.
package excerpt

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Of a long line (JSON is often all on one) this much is shown around the
// caret, in columns of the terminal.
const (
	columnsBefore = 40
	columnsInAll  = 100
)

// Write writes a line, parted where the caret belongs, under its number. caret
// is "^", in a color perhaps.
func Write(w io.Writer, number int, before, after []byte, caret string) error {
	left, columns := tail(before)
	right := head(after, columnsInAll-columns)
	gutter := strings.Repeat(" ", len(strconv.Itoa(number)))
	_, err := fmt.Fprintf(w, "  %d | %s%s\n  %s | %s%s\n", number, left, right, gutter, blank(left), caret)
	return err
}

// tail is the end of the text before the caret, and its width.
func tail(text []byte) (end string, columns int) {
	start := len(text)
	for start > 0 && columns < columnsBefore {
		r, size := utf8.DecodeLastRune(text[:start])
		start, columns = start-size, columns+columnsOf(r)
	}
	if start > 0 {
		return "…" + printable(text[start:]), columns
	}
	return printable(text), columns
}

// head is the beginning of the text from the caret on.
func head(text []byte, room int) string {
	end, columns := 0, 0
	for end < len(text) && columns < room {
		r, size := utf8.DecodeRune(text[end:])
		end, columns = end+size, columns+columnsOf(r)
	}
	if end < len(text) {
		return printable(text[:end]) + "…"
	}
	return printable(text)
}

// printable keeps tabs, which the caret's padding has, too.
func printable(text []byte) string {
	parts := strings.Split(string(bytes.ToValidUTF8(bytes.TrimRight(text, "\r"), []byte("\uFFFD"))), "\t")
	for i := range parts {
		parts[i] = OneLine(parts[i])
	}
	return strings.Join(parts, "\t")
}

// blank is white space as wide as the text.
func blank(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\t' {
			b.WriteByte('\t')
			continue
		}
		b.WriteString("  "[:columnsOf(r)])
	}
	return b.String()
}

// columnsOf is how many columns of a terminal a character takes: two for East
// Asian ones and most pictures (UAX #11), none for what is set over another one.
func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// OneLine escapes what would break the line or change the terminal.
func OneLine(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
