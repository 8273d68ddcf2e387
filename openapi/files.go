package openapi

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of the files that a document is made of. A server that answers to
// every name could go on for ever.
const (
	maxFiles    = 10_000
	maxFileName = 4096 // bytes
)

// Opener gives the files that a document's $refs lead to. It decides what may
// be opened; the reader itself opens nothing.
type Opener interface {
	// Resolve gives the name of the file that a reference means, without
	// looking at it. ref is a relative reference or a URL (RFC 3986) without
	// fragment, from the name of the file in which it stands. The document has
	// the name of its Source, and two names are two files. An error says why
	// the file may not be opened.
	Resolve(from, ref string) (name string, err error)
	// Open gives the bytes of the file that Resolve named.
	Open(name string) ([]byte, error)
}

// OpenError is an [Opener]'s error that says how to mend it.
type OpenError struct{ Message, Hint string }

func (e *OpenError) Error() string { return e.Message }

// file is one of the texts that a document is made of: the document itself, an
// overlay, or one that a $ref leads to.
type file struct {
	name    string
	root    *yaml.Node
	overlay bool
	targets map[string]*yaml.Node                // what each $ref in it that was resolved leads to
	opened  map[string]opened                    // what each place that its $refs name came to
	anchors map[string]*yaml.Node                // nil: not gathered yet
	wide    map[*yaml.Node]map[string]*yaml.Node // the members of wide mappings that $refs went through
}

// opened is a file, or why there is none.
type opened struct {
	file        *file
	fault, hint string
}

// own marks all nodes of a file as its own.
func (r *reader) own(f *file, n *yaml.Node) {
	if r.home == nil {
		r.home = map[*yaml.Node]*file{}
	}
	r.home[n] = f
	for _, c := range n.Content {
		if _, known := r.home[c]; !known {
			r.own(f, c)
		}
	}
}

// base is the file that a $ref counts from. Overlays speak for the document.
func (r *reader) base(n *yaml.Node) *file {
	if f := r.home[n]; f != nil && !f.overlay {
		return f
	}
	return r.entry
}

// open gives the file that a $ref in another one names.
func (r *reader) open(from *file, place string) opened {
	if o, known := from.opened[place]; known {
		return o
	}
	o := r.resolveFile(from, place)
	if from.opened == nil {
		from.opened = map[string]opened{}
	}
	from.opened[place] = o
	return o
}

func (r *reader) resolveFile(from *file, place string) opened {
	if r.opts.Opener == nil {
		return opened{fault: "leaves the document and was not opened", hint: "bundle the document into one file"}
	}
	name, err := r.opts.Opener.Resolve(from.name, place)
	if err != nil {
		return refused(err)
	}
	if len(name) > maxFileName {
		return opened{fault: fmt.Sprintf("was not opened: its name has more than %d bytes", maxFileName)}
	}
	o, known := r.files[name]
	if !known {
		o = r.readFile(name)
		r.files[name] = o
	}
	return o
}

func refused(err error) opened {
	o := opened{fault: "was not opened: " + err.Error()}
	var opening *OpenError
	if errors.As(err, &opening) {
		o.hint = opening.Hint
	}
	return o
}

// readFile opens and parses a file, within the bounds of the whole document.
func (r *reader) readFile(name string) opened {
	if len(r.files) >= maxFiles {
		return opened{fault: fmt.Sprintf("was not opened: the document has more than %d files", maxFiles), hint: "bundle it into fewer"}
	}
	tooLarge := opened{
		fault: fmt.Sprintf("was not read: the document's files have more than %d bytes in all", r.opts.maxBytes()),
		hint:  "leave out what the actions do not need",
	}
	if r.bytes > r.opts.maxBytes() {
		return tooLarge
	}
	data, err := r.opts.Opener.Open(name)
	if err != nil {
		return refused(err)
	}
	if r.bytes += len(data); r.bytes > r.opts.maxBytes() {
		return tooLarge
	}
	t := parse(Source{name, data}, r.opts.maxBytes(), false, r.nodes)
	r.nodes = t.nodes
	if t.root == nil {
		why := t.findings[len(t.findings)-1]
		return opened{fault: fmt.Sprintf("leads to a file that cannot be read: %s: %s", why.Location, why.Message), hint: why.Hint}
	}
	f := &file{name: name, root: t.root}
	r.own(f, t.root)
	for n, members := range t.lost {
		r.lost[n] = members
		for _, m := range members {
			r.own(f, m.key)
			r.own(f, m.value)
		}
	}
	r.findings = append(r.findings, t.findings...)
	return opened{file: f}
}

// refName is what to call the thing that a $ref leads to: the last name of its
// fragment, or the file's without its extension.
func refName(ref string) string {
	place, fragment, _ := strings.Cut(ref, "#")
	if name := fragment[strings.LastIndex(fragment, "/")+1:]; name != "" {
		return unescapePointer(name)
	}
	if u, err := url.Parse(place); err == nil {
		place = u.Path
	}
	return strings.TrimSuffix(path.Base(place), path.Ext(place))
}

func unescapePointer(token string) string {
	if plain, err := url.PathUnescape(token); err == nil {
		token = plain
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}
