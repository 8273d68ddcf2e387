package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// Refs says where the $refs of a document may lead.
type Refs string

// None keeps to the document. Local adds files in and below the folder of a
// document that is a file. Origin adds to that, for a document that is a URL,
// what has the same scheme, host and port.
const (
	None   Refs = "none"
	Local  Refs = "local"
	Origin Refs = "origin"
)

// Files opens what the $refs of one document lead to, as an [openapi.Opener],
// once, and remembers what it opened. It is not safe for concurrent use.
type Files struct {
	place                    // of the document
	opened map[string]opened // by name
	ahead  map[string]opened // not asked for yet
}

// opened is what came of opening a file.
type opened struct {
	data []byte
	err  error
	seen glance // of a file of the folder, before it was opened
}

func (o opened) same(other opened) bool {
	return (o.err == nil) == (other.err == nil) && bytes.Equal(o.data, other.data)
}

// place is where a document is and how to reach others from there.
type place interface {
	openapi.Opener
	local() bool
}

// NewFiles opens for a document that [Read] gave for spec, as far as refs
// allows. header goes with fetches, and ctx bounds them.
func NewFiles(ctx context.Context, refs Refs, spec string, document openapi.Source, header http.Header) *Files {
	return newFiles(ctx, refs, spec, document, header, oneShot())
}

func newFiles(ctx context.Context, refs Refs, spec string, document openapi.Source, header http.Header, f *fetcher) *Files {
	entry, err := url.Parse(spec)
	switch {
	case IsURL(spec) && err == nil && refs == Origin:
		return &Files{place: origin{entry: entry, fetch: f.within(ctx, header)}}
	case IsURL(spec):
		return &Files{place: closed{hint: "set refs: origin to open what has the document's own scheme, host and port, or bundle the document into one file"}}
	case refs == None:
		return &Files{place: closed{hint: "set refs: local to open files in the document's folder, or bundle the document into one file"}}
	}
	return &Files{place: folder{dir: filepath.Dir(document.Name), entry: document.Name}}
}

// within fetches files of one document, all of them in a time that begins with
// the first.
func (f *fetcher) within(ctx context.Context, header http.Header) func(string) ([]byte, error) {
	var until time.Time
	return func(rawURL string) ([]byte, error) {
		if until.IsZero() {
			until = time.Now().Add(4 * f.timeout)
		}
		ctx, cancel := context.WithDeadline(ctx, until)
		defer cancel()
		doc, err := f.get(ctx, rawURL, header)
		if err != nil {
			return nil, err
		}
		return doc.Data, nil
	}
}

// Open gives a file's bytes: those that it had when it was first opened.
func (f *Files) Open(name string) ([]byte, error) {
	o, known := f.opened[name]
	if !known {
		if o, known = f.ahead[name]; !known {
			o = f.open(name)
		}
		delete(f.ahead, name)
		if f.opened == nil {
			f.opened = map[string]opened{}
		}
		f.opened[name] = o
	}
	return o.data, o.err
}

func (f *Files) open(name string) (o opened) {
	if f.local() {
		o.seen = glanceAt(name)
	}
	o.data, o.err = f.place.Open(name)
	return o
}

// has tells whether a file was opened, or was to be.
func (f *Files) has(name string) bool {
	_, known := f.opened[name]
	return known
}

// compare opens again what old has opened, and tells whether any of it is
// another, and what cannot be opened any more. What it reads in doing so is not
// read a second time; more than one document may have is not kept.
func (f *Files) compare(old *Files) (changed bool, lost error) {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(old.opened)) {
		before, now := old.opened[name], f.open(name)
		if size += len(now.data); size <= MaxDocument {
			if f.ahead == nil {
				f.ahead = map[string]opened{}
			}
			f.ahead[name] = now
		}
		switch {
		case now.same(before):
		case now.err != nil:
			lost = cmp.Or(lost, now.err)
		default:
			changed = true
		}
	}
	return changed, lost
}

// Paths are the files that were opened, or would have been if they were there.
// There are none for a document that is a URL.
func (f *Files) Paths() []string {
	if !f.local() {
		return nil
	}
	return slices.Sorted(maps.Keys(f.opened))
}

// closed is a place from which nothing is opened.
type closed struct{ hint string }

func (closed) local() bool { return false }

func (c closed) Resolve(string, string) (string, error) {
	return "", &openapi.OpenError{Message: "it leaves the document", Hint: c.hint}
}

func (c closed) Open(string) ([]byte, error) { return nil, errors.New("it leaves the document") }

// folder is the place of a document that is a file: names are paths.
type folder struct{ dir, entry string }

func (folder) local() bool { return true }

func (f folder) Resolve(from, ref string) (string, error) {
	u, err := url.Parse(ref)
	switch {
	case err != nil:
		return "", &openapi.OpenError{Message: "it is no URL reference (RFC 3986)", Hint: "percent-encode its special characters"}
	case u.Scheme != "" || u.Host != "":
		return "", &openapi.OpenError{Message: "it is a URL, and the document is a file", Hint: "put a copy of it into the document's folder"}
	case strings.HasPrefix(u.Path, "/") || filepath.IsAbs(filepath.FromSlash(u.Path)):
		return "", &openapi.OpenError{Message: "it is an absolute path", Hint: "write it relative to the file in which it stands"}
	}
	within, err := filepath.Rel(f.dir, filepath.Join(filepath.Dir(from), filepath.FromSlash(u.Path)))
	if err != nil || !filepath.IsLocal(within) {
		return "", &openapi.OpenError{Message: "it is outside the document's folder", Hint: "put the document into a folder that has all its files in it"}
	}
	name := filepath.Join(f.dir, within)
	if name == filepath.Clean(f.entry) {
		return f.entry, nil
	}
	return name, nil
}

// Open reads a file that the folder has in it; symbolic links may not lead out.
func (f folder) Open(name string) ([]byte, error) {
	within, err := filepath.Rel(f.dir, name)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", name, err)
	}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", f.dir, errors.Unwrap(err))
	}
	defer func() { _ = root.Close() }()
	info, err := root.Stat(within)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, because(lostFile, fmt.Errorf("file %s does not exist", name))
	case err != nil:
		return nil, fmt.Errorf("file %s: %w", name, errors.Unwrap(err))
	case !info.Mode().IsRegular():
		return nil, because(lostFile, fmt.Errorf("%s is not a regular file", name))
	}
	file, err := root.Open(within)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", name, errors.Unwrap(err))
	}
	defer file.Close()
	data, err := readAll(file, info.Size(), MaxDocument)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", name, err)
	}
	return data, nil
}

// origin is the place of a document that is a URL: names are URLs without
// credentials.
type origin struct {
	entry *url.URL
	fetch func(rawURL string) ([]byte, error)
}

func (origin) local() bool { return false }

func (o origin) Resolve(from, ref string) (string, error) {
	base, err := url.Parse(from)
	if err != nil {
		return "", fmt.Errorf("%s is no URL", from)
	}
	u, err := base.Parse(ref)
	switch {
	case err != nil:
		return "", &openapi.OpenError{Message: "it is no URL reference (RFC 3986)", Hint: "percent-encode its special characters"}
	case u.Scheme != o.entry.Scheme || address(u) != address(o.entry):
		return "", &openapi.OpenError{Message: "it is not on the document's own scheme, host and port", Hint: "put a copy of it beside the document"}
	}
	u.User, u.Fragment, u.Host = nil, "", o.entry.Host
	return u.String(), nil
}

// address is a URL's host and port, in the form that all spellings of it share.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

func (o origin) Open(name string) ([]byte, error) {
	u, err := url.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("%s is no URL", name)
	}
	u.User = o.entry.User
	return o.fetch(u.String())
}
