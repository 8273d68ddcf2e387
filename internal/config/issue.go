package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/excerpt"
)

// environment is the File of issues about variables that override the file.
const environment = "environment"

// Issue is one fault of a config and its place. Line and column count from 1,
// in bytes; they are 0 when the fault is about the file as a whole or, with
// File "environment", about the variable that Path names.
type Issue struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`

	source string // the line of the file, as far as it may be shown
}

// String is one line: file:line:column: path: message (hint).
func (i Issue) String() string {
	var b strings.Builder
	b.WriteString(i.place())
	if i.Path != "" {
		b.WriteString(": " + i.Path)
	}
	b.WriteString(": " + i.Message)
	if i.Hint != "" {
		b.WriteString(" (" + i.Hint + ")")
	}
	return excerpt.OneLine(b.String())
}

func (i Issue) place() string {
	if i.Line == 0 {
		return i.File
	}
	return fmt.Sprintf("%s:%d:%d", i.File, i.Line, i.Column)
}

// Issues is all that is wrong with a config, as one error.
type Issues []Issue

// Error gives one line an issue.
func (is Issues) Error() string {
	lines := make([]string, 0, len(is))
	for _, i := range is {
		lines = append(lines, i.String())
	}
	return strings.Join(lines, "\n")
}

// sorted orders issues by place, the environment's last, and drops repeats: two
// paths that lead to the same text through an alias have one fault, not two.
func (is Issues) sorted() Issues {
	slices.SortStableFunc(is, func(a, b Issue) int {
		return cmp.Or(
			cmp.Compare(a.rank(), b.rank()),
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(is, func(a, b Issue) bool {
		samePlace := a.File == b.File && a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
		return samePlace && (a.Line > 0 || a.Path == b.Path)
	})
}

func (i Issue) rank() int {
	if i.File == environment {
		return 1
	}
	return 0
}
