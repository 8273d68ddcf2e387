package openapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a finding means for the operation it names.
type Severity string

// An error refuses its operation, a warning says that something is not as the
// document's author meant it, an info is advice.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
	SeverityInfo    Severity = "info"
)

// Location is a place in a source file; lines and columns count from 1, columns
// in characters (Unicode code points). Both are 0 when the fault has no place (a
// file that is missing).
type Location struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String is file:line:column, or the file alone when the place is unknown.
func (l Location) String() string {
	if l.Line == 0 {
		return l.File
	}
	return fmt.Sprintf("%s:%d:%d", l.File, l.Line, l.Column)
}

// Finding is something wrong or noteworthy in a document or a config. Message
// says what is so, Hint how to mend it.
type Finding struct {
	Severity  Severity `json:"severity"`
	Code      string   `json:"code"`
	Operation string   `json:"operation"` // "GET /path", "" when it touches no single operation
	Location  Location `json:"location"`
	Message   string   `json:"message"`
	Hint      string   `json:"hint"`
}

// String reads like a compiler's line: place: severity: code: message (hint).
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s: ", f.Location, f.Severity, f.Code)
	if f.Operation != "" {
		b.WriteString(f.Operation + ": ")
	}
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// SortFindings orders findings by place, then by code and message, and drops
// exact repeats, so that the same input always prints the same.
func SortFindings(fs []Finding) []Finding {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Location.File, b.Location.File),
			cmp.Compare(a.Location.Line, b.Location.Line),
			cmp.Compare(a.Location.Column, b.Location.Column),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Operation, b.Operation),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.Compact(fs)
}
