package openapi

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Source is a document's bytes and the name that findings give it: a path or
// a URL without credentials.
type Source struct {
	Name string
	Data []byte
}

// Mode says which operations become actions.
type Mode string

// Annotated takes the operations that carry x-action, All takes every one.
const (
	Annotated Mode = "annotated"
	All       Mode = "all"
)

// Options of [Read]. The zero value reads annotated operations.
type Options struct {
	Mode Mode
	// Overlays are OpenAPI Overlay 1.0 documents, applied in order.
	Overlays []Source
	// TrustAttributes takes a document's word that an action is less dangerous
	// than its HTTP method says. It is for documents that the operator wrote.
	TrustAttributes bool
	// MaxBytes bounds the document; 0 means 32 MiB.
	MaxBytes int
}

// Document is what a document came to.
type Document struct {
	Source      string
	Title       string
	Version     string
	Description string
	// Operations counts all operations; Unannotated those that Mode left out.
	Operations  int
	Unannotated int
	// Actions are in the document's order, their names unique.
	Actions  []Action
	Findings []Finding
}

// Errors tells whether any finding is an error.
func (d *Document) Errors() bool {
	return slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Severity == SeverityError })
}

// Read converts a document. It always gives a Document: what could not be
// read, and why, is in its findings. Each operation stands alone: it becomes
// its actions, is unannotated, or is named by an error finding.
func Read(src Source, opts Options) *Document {
	doc := &Document{Source: src.Name}
	root, lost, findings := parse(src, opts.MaxBytes, len(opts.Overlays) > 0)
	doc.Findings = findings
	if root == nil {
		return doc
	}
	r := &reader{file: src.Name, root: root, opts: opts, names: map[string]string{}, lost: lost, contents: map[*yaml.Node]map[string]*yaml.Node{}}
	overlaid := r.overlay(opts.Overlays)
	r.mirror = nil
	if overlaid && r.version() {
		r.read(doc)
	}
	doc.Findings = append(doc.Findings, r.findings...)
	doc.refuseUnusable() // last: nothing needs the tree any more, which is as much again as this takes
	doc.Findings = SortFindings(doc.Findings)
	return doc
}

// reader holds what is known of the document while it is read.
type reader struct {
	file     string
	root     *yaml.Node
	opts     Options
	dialect  dialect
	origin   map[*yaml.Node]string // nodes that an overlay brought, and its file
	names    map[string]string     // action names taken, and by which operation
	reserved map[string]string     // action names that x-actions give, and of which operation
	lost     lostMembers
	findings []Finding
	op       string // the operation at hand, for findings
	work     int    // schema parts translated

	// contents has the schemas of each response that was read, by media type.
	contents map[*yaml.Node]map[string]*yaml.Node

	mirror  *mirror                           // for overlays; nil: none was applied
	grown   int                               // nodes that overlays brought
	targets map[string]*yaml.Node             // what each $ref that was resolved leads to
	anchors map[string]*yaml.Node             // nil: not gathered yet
	hidden  [2]map[*yaml.Node]map[string]bool // see otherWay, by direction
}

func (r *reader) report(severity Severity, code string, n *yaml.Node, message, hint string) {
	r.findings = append(r.findings, Finding{
		Severity: severity, Code: code, Operation: r.op, Location: r.at(n), Message: message, Hint: hint,
	})
}

func (r *reader) at(n *yaml.Node) Location {
	if n == nil {
		return Location{File: r.file}
	}
	if file, ok := r.origin[n]; ok {
		return Location{file, n.Line, n.Column}
	}
	return Location{r.file, n.Line, n.Column}
}

// version decides the dialect of schemas.
func (r *reader) version() bool {
	node := get(r.root, "openapi")
	version := ""
	if node != nil {
		version = node.Value
	}
	switch {
	case strings.HasPrefix(version, "3.0"):
		r.dialect = dialect30
	case strings.HasPrefix(version, "3.1"), strings.HasPrefix(version, "3.2"):
		r.dialect = dialect31
	case get(r.root, "swagger") != nil:
		r.report(SeverityError, "version-unsupported", get(r.root, "swagger"),
			"document is Swagger 2.0", "convert it to OpenAPI 3.0 or 3.1")
		return false
	case node == nil:
		r.report(SeverityError, "version-missing", r.root,
			`document has no "openapi" field`, "an OpenAPI document begins with openapi: 3.1.0")
		return false
	default:
		r.report(SeverityError, "version-unsupported", node,
			fmt.Sprintf("OpenAPI version %q is not known", version), "3.0.x and 3.1.x are")
		return false
	}
	return true
}
