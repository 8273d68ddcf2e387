package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/stagedoor/stagedoor/internal/excerpt"
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
		if _, err := fmt.Fprintf(w, "%s: %s\n", paint(excerpt.OneLine(place), bold), rest); err != nil {
			return err
		}
		if i.source == "" || i.Column > len(i.source)+1 {
			continue
		}
		line, at := []byte(i.source), i.Column-1
		if err := excerpt.Write(w, i.Line, line[:at], line[at:], paint("^", red)); err != nil {
			return err
		}
	}
	return nil
}
