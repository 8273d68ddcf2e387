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
	// Secrets are the names of those that the operator has for the plugin, which
	// x-action can put into requests.
	Secrets []string
	// Reserved are places that the gateway's credentials fill.
	Reserved Reserved
	// BaseURL is where the plugin's API is, as far as the operator says. A server
	// of a path or an operation counts where it is below. "": the document's
	// first server, on the host that the document came from.
	BaseURL string
	// Opener gives the files that $refs lead to; nil: they are not followed.
	// Overlays apply to the document itself only, not to these files.
	Opener Opener
	// MaxBytes bounds the document, with its files; 0 means 32 MiB.
	MaxBytes int
	// MaxActions bounds the actions that a document asks for, those included that
	// an error finding leaves out: of more, the first ones stay. 0 means 5,000.
	MaxActions int
}

// defaultMaxActions is several times as many as the largest APIs have.
const defaultMaxActions = 5000

func (o Options) maxActions() int {
	if o.MaxActions <= 0 {
		return defaultMaxActions
	}
	return o.MaxActions
}

func (o Options) maxBytes() int {
	if o.MaxBytes <= 0 {
		return defaultMaxBytes
	}
	return o.MaxBytes
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
	// SecuritySchemes are those that the document defines, in its order.
	SecuritySchemes []SecurityScheme
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
	t := parse(src, opts.maxBytes(), len(opts.Overlays) > 0, 0).object(src.Name)
	doc.Findings = t.findings
	if t.root == nil {
		return doc
	}
	entry := &file{name: src.Name, root: t.root}
	r := &reader{
		entry: entry, files: map[string]opened{src.Name: {file: entry}}, bytes: len(src.Data), nodes: t.nodes,
		opts: opts, names: map[string]string{}, numbers: map[string]int{}, patterns: map[string]error{}, lost: t.lost, answers: map[*yaml.Node]map[string]*yaml.Node{},
	}
	overlaid := r.overlay(opts.Overlays)
	r.mirror = nil
	if overlaid && r.version() {
		r.locate()
		r.read(doc)
	}
	doc.Findings = append(doc.Findings, r.findings...)
	doc.refuseUnusable() // last: nothing needs the tree any more, which is as much again as this takes
	doc.Findings = SortFindings(doc.Findings)
	return doc
}

// reader holds what is known of the document while it is read.
type reader struct {
	entry    *file
	files    map[string]opened    // by name
	home     map[*yaml.Node]*file // of nodes that are not the entry's
	bytes    int                  // of the entry and its files
	nodes    int                  // likewise
	opts     Options
	baseURL  baseURL
	dialect  dialect
	swagger  bool              // the document is Swagger 2.0
	names    map[string]string // action names taken, and by which operation
	reserved map[string]string // action names that x-actions give, and of which operation
	lost     lostMembers
	findings []Finding
	op       string           // the operation at hand, for findings
	work     int              // schema parts translated
	steps    int              // of the regular expressions in them
	patterns map[string]error // why each of them is not checked
	numbers  map[string]int   // last number given to names that were taken
	asked    int              // actions that the document asks for, so far

	byName         map[string]SecurityScheme // the schemes of the document
	commonSecurity [][]SecurityScheme        // of operations that say nothing

	// answers has the schemas of each response that was read, by media type.
	answers map[*yaml.Node]map[string]*yaml.Node

	mirror *mirror // for overlays; nil: none was applied
	grown  int     // nodes that overlays brought
	loops  loops
	hidden [2]map[*yaml.Node]map[string]bool // see otherWay, by direction
}

func (r *reader) report(severity Severity, code string, n *yaml.Node, message, hint string) {
	r.findings = append(r.findings, Finding{
		Severity: severity, Code: code, Operation: r.op, Location: r.at(n), Message: message, Hint: hint,
	})
}

func (r *reader) at(n *yaml.Node) Location {
	if n == nil {
		return Location{File: r.entry.name}
	}
	if f := r.home[n]; f != nil {
		return Location{f.name, n.Line, n.Column}
	}
	return Location{r.entry.name, n.Line, n.Column}
}

// version decides the dialect of schemas.
func (r *reader) version() bool {
	node := get(r.entry.root, "openapi")
	version := ""
	if node != nil {
		version = node.Value
	}
	switch {
	case strings.HasPrefix(version, "3.0"):
		r.dialect = dialect30
	case strings.HasPrefix(version, "3.1"), strings.HasPrefix(version, "3.2"):
		r.dialect = dialect31
	case version == "3", strings.HasPrefix(version, "3."):
		r.dialect = dialect31
		r.report(SeverityWarning, "version-unknown", node,
			fmt.Sprintf("OpenAPI version %q is not known; the document is read as 3.2", version), "3.0.x, 3.1.x and 3.2.x are")
	case node == nil && get(r.entry.root, "swagger") != nil:
		return r.swaggerVersion(get(r.entry.root, "swagger"))
	case node == nil:
		r.report(SeverityError, "version-missing", r.entry.root,
			`document has no "openapi" field`, "an OpenAPI document begins with openapi: 3.1.0")
		return false
	default:
		r.report(SeverityError, "version-unsupported", node,
			fmt.Sprintf("OpenAPI version %q is not known", version), "2.0 and 3.x are")
		return false
	}
	return true
}

// swaggerVersion reads Swagger 2.0 with the schemas of OpenAPI 3.0, which are
// hardly different.
func (r *reader) swaggerVersion(node *yaml.Node) bool {
	if node.Value != "2" && !strings.HasPrefix(node.Value, "2.") {
		r.report(SeverityError, "version-unsupported", node, fmt.Sprintf("Swagger version %q is not known", node.Value), "2.0 and OpenAPI 3.x are")
		return false
	}
	r.dialect, r.swagger = dialect30, true
	return true
}

// nullable tells whether a schema says that it admits null, in the words of 3.0
// or the ones that took their place in 2.0.
func (r *reader) nullable(n *yaml.Node) bool {
	return isTrue(get(n, "nullable")) || r.swagger && isTrue(get(n, "x-nullable"))
}
