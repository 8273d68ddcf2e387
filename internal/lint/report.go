// Package lint says what documents came to: how many operations became
// actions, what is wrong, and what a model will see of them; for people, as
// JSON, and as SARIF.
package lint

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/stagedoor/stagedoor/openapi"
)

// Counts are the operations of a document, or of several. Each is refused, not
// annotated, or came to one or more actions.
type Counts struct {
	Operations int `json:"operations"`
	Actions    int `json:"actions"`
	// Refused operations came to no action, because of an error.
	Refused int `json:"refused"`
	// Downgraded operations came to an action, but an error or a warning names them.
	Downgraded int `json:"downgraded"`
	// Unannotated operations were not to become actions.
	Unannotated int `json:"unannotated"`
}

// Report is what a document came to. Its JSON is what stagedoor lint --json prints.
type Report struct {
	Source string `json:"source"`
	Counts
	// Findings are those of the reader, and advice on what a model will see.
	Findings []openapi.Finding `json:"findings"`
	Tools    Tools             `json:"tools"`
}

// Linter makes the reports of one run. It remembers what it has read, since
// descriptions are compared across documents.
type Linter struct {
	descriptions *descriptions
}

// New gives a Linter that has read nothing yet.
func New() *Linter { return &Linter{newDescriptions()} }

// Report counts and judges a document.
func (l *Linter) Report(doc *openapi.Document) Report {
	tools, advice := l.judge(doc)
	findings := append(append([]openapi.Finding{}, doc.Findings...), advice...)
	return Report{Source: doc.Source, Counts: count(doc), Findings: openapi.SortFindings(findings), Tools: tools}
}

func count(doc *openapi.Document) Counts {
	alive := map[string]bool{} // operations with an action: are they as they were meant?
	for _, a := range doc.Actions {
		alive[a.Operation] = true
	}
	c := Counts{Operations: doc.Operations, Actions: len(doc.Actions), Unannotated: doc.Unannotated}
	c.Refused = c.Operations - c.Unannotated - len(alive)
	for _, f := range doc.Findings {
		if alive[f.Operation] && f.Severity != openapi.SeverityInfo {
			alive[f.Operation] = false
			c.Downgraded++
		}
	}
	return c
}

// Total is what several documents came to.
type Total struct {
	Counts
	documents, bytes int
}

// Add adds a document.
func (t *Total) Add(r *Report) {
	t.documents++
	t.Operations += r.Operations
	t.Actions += r.Actions
	t.Refused += r.Refused
	t.Downgraded += r.Downgraded
	t.Unannotated += r.Unannotated
	t.bytes += r.Tools.Bytes
}

// WriteText writes the total of two or more documents as one line.
func (t *Total) WriteText(w io.Writer) error {
	if t.documents < 2 {
		return nil
	}
	_, err := fmt.Fprintf(w, "%d documents: %s; %s, about %s\n", t.documents, t.Counts, plural(t.bytes, "byte"), plural(tokens(t.bytes), "token"))
	return err
}

// Fails tells whether any finding is as severe as the least that counts.
func (r *Report) Fails(least openapi.Severity) bool {
	for _, f := range r.Findings {
		if rank(f.Severity) >= rank(least) {
			return true
		}
	}
	return false
}

func rank(s openapi.Severity) int {
	switch s {
	case openapi.SeverityError:
		return 2
	case openapi.SeverityWarning:
		return 1
	}
	return 0
}

// WriteJSON writes the report as one line.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
