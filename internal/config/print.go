package config

import (
	"fmt"
	"io"
	"strings"
)

const (
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	reset = "\x1b[0m"
)

// Print writes the issues for people: each with its line of the file, where
// that may be shown, and a caret below its place.
func (is Issues) Print(w io.Writer, color bool) error {
	paint := func(s, as string) string {
		if !color {
			return s
		}
		return as + s + reset
	}
	for _, i := range is {
		place, rest, _ := strings.Cut(i.String(), ": ")
		if _, err := fmt.Fprintf(w, "%s: %s\n", paint(oneLine(place), bold), rest); err != nil {
			return err
		}
		if i.source == "" || i.Column > len(i.source)+1 {
			continue
		}
		number := fmt.Sprint(i.Line)
		gutter := strings.Repeat(" ", len(number))
		pad := blank(i.source[:i.Column-1])
		if _, err := fmt.Fprintf(w, "  %s | %s\n  %s | %s%s\n", number, printable(i.source), gutter, pad, paint("^", red)); err != nil {
			return err
		}
	}
	return nil
}

// blank is white space as wide as the text.
func blank(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, s)
}

// printable keeps tabs, which the caret's padding has, too.
func printable(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = oneLine(parts[i])
	}
	return strings.Join(parts, "\t")
}
