package lint

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/internal/excerpt"
	"github.com/stagedoor/stagedoor/openapi"
)

// Style says how a report looks as text.
type Style struct {
	// Excerpts shows the line of each finding, with a caret: for a terminal.
	Excerpts bool
	Color    bool
}

const (
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	cyan   = "\x1b[1;36m"
	reset  = "\x1b[0m"
)

func (s Style) paint(text, as string) string {
	if !s.Color {
		return text
	}
	return as + text + reset
}

func colorOf(s openapi.Severity) string {
	switch s {
	case openapi.SeverityError:
		return red
	case openapi.SeverityWarning:
		return yellow
	}
	return cyan
}

// WriteText writes the findings, one a line, then what the document came to
// and what a model will see. The sources are for excerpts, and may be nil
// without.
func (r *Report) WriteText(w io.Writer, style Style, sources []openapi.Source) error {
	files := map[string]*lines{}
	if style.Excerpts {
		for _, src := range sources {
			files[src.Name] = newLines(src.Data)
		}
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintln(w, style.finding(f)); err != nil {
			return err
		}
		file := files[f.Location.File]
		if file == nil {
			continue
		}
		if before, after, ok := file.part(f.Location.Line, f.Location.Column); ok {
			if err := excerpt.Write(w, f.Location.Line, before, after, style.paint("^", colorOf(f.Severity))); err != nil {
				return err
			}
		}
	}
	return r.writeSummary(w, style)
}

func (s Style) finding(f openapi.Finding) string {
	line := excerpt.OneLine(f.String())
	if !s.Color {
		return line
	}
	place := excerpt.OneLine(f.Location.String())
	rest := strings.TrimPrefix(line, place+": "+string(f.Severity)+": ")
	return s.paint(place, bold) + ": " + s.paint(string(f.Severity), colorOf(f.Severity)) + ": " + rest
}

func (r *Report) writeSummary(w io.Writer, style Style) error {
	if err := r.writeCounts(w, style); err != nil || r.Actions == 0 {
		return err
	}
	for _, t := range r.Tools.Worst {
		line := fmt.Sprintf("  %3d  %s (%s): %s", t.Score, t.Name, t.Operation, strings.Join(t.Why, ", "))
		if _, err := fmt.Fprintln(w, excerpt.OneLine(line)); err != nil {
			return err
		}
	}
	return nil
}

// writeCounts writes the line of the operations and the line of the tools.
func (r *Report) writeCounts(w io.Writer, style Style) error {
	_, err := fmt.Fprintf(w, "%s: %s\n", style.paint(excerpt.OneLine(r.Source), bold), r.Counts)
	if err != nil || r.Actions == 0 {
		return err
	}
	_, err = fmt.Fprintf(w, "what a model sees: %s, %s, about %s, score %d of 100\n",
		plural(r.Actions, "tool"), plural(r.Tools.Bytes, "byte"), plural(r.Tools.Tokens, "token"), r.Tools.Score)
	return err
}

// WriteKinds writes, instead of the findings, how many there are of each code,
// and for errors each operation with its reason.
func (r *Report) WriteKinds(w io.Writer, style Style) error {
	if err := r.writeCounts(w, style); err != nil {
		return err
	}
	byCode := slices.Clone(r.Findings)
	slices.SortStableFunc(byCode, func(a, b openapi.Finding) int {
		return cmp.Or(cmp.Compare(rank(b.Severity), rank(a.Severity)), cmp.Compare(a.Code, b.Code))
	})
	for len(byCode) > 0 {
		first, n := byCode[0], 0
		for n < len(byCode) && byCode[n].Severity == first.Severity && byCode[n].Code == first.Code {
			n++
		}
		if _, err := fmt.Fprintf(w, "  %s: %s: %d\n", style.paint(string(first.Severity), colorOf(first.Severity)), first.Code, n); err != nil {
			return err
		}
		for _, f := range byCode[:n] {
			if f.Severity == openapi.SeverityError {
				if _, err := fmt.Fprintln(w, "    "+excerpt.OneLine(strings.TrimPrefix(f.Operation+": ", ": ")+f.Message)); err != nil {
					return err
				}
			}
		}
		byCode = byCode[n:]
	}
	return nil
}

// String reads "465 operations: 463 actions, 2 refused, 17 downgraded", and
// names those that are not annotated where there are any.
func (c Counts) String() string {
	text := fmt.Sprintf("%s: %s, %d refused, %d downgraded", plural(c.Operations, "operation"), plural(c.Actions, "action"), c.Refused, c.Downgraded)
	if c.Unannotated > 0 {
		text += fmt.Sprintf(", %d not annotated", c.Unannotated)
	}
	return text
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// lines finds places in a text. Asked for places in their order it goes through
// the text once, however long its lines are.
type lines struct {
	data         []byte
	line, column int // of offset
	start        int // of the line
	offset       int
}

func newLines(data []byte) *lines {
	return &lines{data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), line: 1, column: 1}
}

// part gives a line up to a column, in characters, and from it on. ok is false
// when there is no such place.
func (l *lines) part(line, column int) (before, after []byte, ok bool) {
	if line < l.line || line == l.line && column < l.column {
		l.line, l.column, l.start, l.offset = 1, 1, 0, 0
	}
	for l.line < line {
		end := bytes.IndexByte(l.data[l.offset:], '\n')
		if end < 0 {
			return nil, nil, false
		}
		l.offset += end + 1
		l.line, l.column, l.start = l.line+1, 1, l.offset
	}
	for l.column < column {
		r, size := utf8.DecodeRune(l.data[l.offset:])
		if size == 0 || r == '\n' {
			return nil, nil, false
		}
		l.offset, l.column = l.offset+size, l.column+1
	}
	rest := l.data[l.offset:]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	return l.data[l.start:l.offset], rest, line > 0 && column > 0
}
