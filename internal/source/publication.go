package source

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/openapi"
)

// Source is where the documents of one plugin come from. It remembers what it
// gave last, and is not safe for concurrent use: a publication is to be read
// before the next Poll, for only then it is known what its $refs lead to.
type Source interface {
	// Poll asks for what is published. It gives nil where that is what the last
	// Poll that gave something gave, what its $refs led to included. An error is
	// fit to be shown to the operator: it names the document, and no credentials.
	// ctx also bounds the reading of what it gives.
	Poll(ctx context.Context) (*Publication, error)
	// String says where the documents come from, without credentials and query,
	// always the same; it can be called at any time.
	String() string
}

// Publication is what a source gave: documents, and the way to what their $refs
// lead to, which is followed when they are read.
type Publication struct {
	Documents []openapi.Source
	// BaseURL is where the plugin's API is, as far as the source knows; empty: the
	// config, or the document's place, says.
	BaseURL string
	// Findings are the source's own, beside those that reading the documents gives.
	Findings []openapi.Finding

	files []*Files // of each document; none where $refs lead nowhere
}

// Given is a publication of documents that are complete in themselves.
func Given(documents ...openapi.Source) *Publication { return &Publication{Documents: documents} }

// NewPublication is one of documents whose $refs lead to files: one for each
// document.
func NewPublication(documents []openapi.Source, files ...*Files) *Publication {
	return &Publication{Documents: documents, files: files}
}

// Opener opens what the $refs of a document lead to; nil: they stay inside.
func (p *Publication) Opener(document int) openapi.Opener {
	if document >= len(p.files) {
		return nil
	}
	return p.files[document]
}

// Content is all of it, once the documents were read: what the $refs led to is
// known then.
func (p *Publication) Content() publication.Content {
	c := publication.Content{BaseURL: p.BaseURL}
	for _, d := range p.Documents {
		c.Documents = append(c.Documents, publication.Document(d))
	}
	files := map[string][]byte{}
	for _, f := range p.files {
		for name, o := range f.opened {
			if o.err == nil {
				files[name] = o.data
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		c.Files = append(c.Files, publication.Document{Name: name, Data: files[name]})
	}
	return c
}

// Complete tells, once the documents were read, whether all that their $refs led
// to could be opened.
func (p *Publication) Complete() bool {
	for _, f := range p.files {
		for _, o := range f.opened {
			if o.err != nil {
				return false
			}
		}
	}
	return true
}

// Lost tells, once the documents were read, why a file cannot be opened that
// was there in what was accepted before; nil: there is none. To go on without it
// would take actions away of which the document still speaks.
func (p *Publication) Lost(accepted publication.Content) error {
	for _, before := range accepted.Files {
		for _, f := range p.files {
			if o, known := f.opened[before.Name]; known && o.err != nil {
				return o.err
			}
		}
	}
	return nil
}

// Stored is a publication of content that was kept: it asks nobody.
func Stored(c publication.Content) *Publication {
	p := &Publication{BaseURL: c.BaseURL}
	kept := map[string][]byte{}
	for _, f := range c.Files {
		kept[f.Name] = f.Data
	}
	for _, d := range c.Documents {
		p.Documents = append(p.Documents, openapi.Source(d))
		f := &Files{place: closed{hint: "it was not there when the document was accepted"}}
		if u, err := url.Parse(d.Name); err == nil && IsURL(d.Name) && len(kept) > 0 {
			f.place = memory{origin{entry: u}, kept}
		} else if len(kept) > 0 {
			f.place = memory{folder{dir: filepath.Dir(d.Name), entry: d.Name}, kept}
		}
		p.files = append(p.files, f)
	}
	return p
}

// memory is a place of which all that was opened was kept.
type memory struct {
	place
	kept map[string][]byte
}

func (memory) local() bool { return false }

func (m memory) Open(name string) ([]byte, error) {
	if data, ok := m.kept[name]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("%s was not there when the document was accepted", name)
}
