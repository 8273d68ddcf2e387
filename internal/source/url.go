package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// URLOptions say where a document is fetched from, and how.
type URLOptions struct {
	// URL of the document. Without it, the document is looked for at the
	// conventional paths below BaseURL, and then at those of its host.
	URL, BaseURL string
	// Header gives what goes with each request, for each poll anew: credentials
	// may change. nil: nothing does.
	Header func(context.Context) (http.Header, error)
	// Refs says where $refs may lead.
	Refs Refs
	// Timeout bounds what a document takes, redirects and the search for it
	// included, and each file that a $ref leads to; all of these together may
	// take four times as long. 0: 30 s.
	Timeout time.Duration
	// MaxBytes bounds a document, decoded; 0: [MaxDocument].
	MaxBytes int
	// Transport carries the requests; nil makes a pool of the source's own.
	Transport http.RoundTripper
}

// remote is a document at a URL.
type remote struct {
	name       string
	header     func(context.Context) (http.Header, error)
	refs       Refs
	fetcher    fetcher
	candidates []string     // URLs where the document may be
	found      string       // the one where it is
	document   *fetched     // that was given last
	given      *Publication // that was given last
}

// FromURL is a document that is fetched: only again when it changed, as far as
// its server can tell. The source has connections of its own, which end with
// its Close (it is an io.Closer); it can be used again after that.
func FromURL(o URLOptions) Source {
	r := &remote{
		name: Display(o.URL), header: o.Header, refs: o.Refs, candidates: []string{o.URL},
		fetcher: fetcher{transport: o.Transport, timeout: o.Timeout, maxBytes: o.MaxBytes, kept: map[string]*fetched{}},
	}
	if o.URL == "" {
		r.name, r.candidates = Display(o.BaseURL), conventional(o.BaseURL)
	}
	if r.fetcher.transport == nil {
		r.fetcher.transport = NewPool(nil)
	}
	if r.fetcher.timeout <= 0 {
		r.fetcher.timeout = fetchTimeout
	}
	if r.fetcher.maxBytes <= 0 {
		r.fetcher.maxBytes = MaxDocument
	}
	return r
}

// NewPool is connections of one source: one that is slow holds up no other.
// certificates may be nil.
func NewPool(certificates *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig:        certificates,
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // it is asked for, and bounded, by the fetcher
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// conventional are the URLs at which plugins serve their document when nobody
// says where: below the base URL, and at the root of its host.
func conventional(baseURL string) []string {
	base, err := url.Parse(baseURL)
	if err != nil || base.Host == "" {
		return []string{baseURL}
	}
	var urls []string
	for _, folder := range []string{strings.TrimSuffix(base.Path, "/"), ""} {
		for _, name := range []string{"/openapi.json", "/openapi.yaml", "/.well-known/openapi.json"} {
			at := url.URL{Scheme: base.Scheme, User: base.User, Host: base.Host, Path: folder + name}
			if !slices.Contains(urls, at.String()) {
				urls = append(urls, at.String())
			}
		}
	}
	return urls
}

func (r *remote) String() string { return r.name }

// Close ends idle connections.
func (r *remote) Close() error {
	return r.fetcher.Close()
}

// Poll asks for the document, and for the files of those it was last made of.
func (r *remote) Poll(ctx context.Context) (*Publication, error) {
	var header http.Header
	if r.header != nil {
		var err error
		if header, err = r.header(ctx); err != nil {
			return nil, because(noProof, fmt.Errorf("document %s: credentials: %w", r.name, err))
		}
	}
	r.forget()
	document, err := r.look(ctx, header)
	if err != nil {
		return nil, err
	}
	files := newFiles(ctx, r.refs, r.found, document.Source, header, &r.fetcher)
	if document == r.document {
		if changed, lost := files.compare(r.given.files[0]); !changed {
			return nil, lost
		}
	}
	r.document, r.given = document, NewPublication([]openapi.Source{document.Source}, files)
	return r.given, nil
}

// look finds the document: where it was, or else at the first place that has
// one.
func (r *remote) look(ctx context.Context, header http.Header) (*fetched, error) {
	ctx, cancel := Within(ctx, r.fetcher.timeout)
	defer cancel()
	if len(r.candidates) == 1 {
		r.found = r.candidates[0]
		return r.fetcher.get(ctx, r.found, header)
	}
	for _, place := range append([]string{r.found}, r.candidates...) {
		if place == "" {
			continue
		}
		if document, err := r.try(ctx, place, header); document != nil || err != nil {
			if err == nil {
				r.found = place
			}
			return document, err
		}
	}
	r.found = ""
	var paths []string
	for _, candidate := range r.candidates {
		if u, err := url.Parse(candidate); err == nil {
			paths = append(paths, u.Path)
		}
	}
	return nil, because(noDocument, fmt.Errorf("plugin %s has no OpenAPI document at %s; say with spec where it is", r.name, strings.Join(paths, ", ")))
}

// try gives the document of a place; nil: there is none. Any other trouble
// says nothing of whether there is one.
func (r *remote) try(ctx context.Context, rawURL string, header http.Header) (*fetched, error) {
	document, err := r.fetcher.get(ctx, rawURL, header)
	if status, ok := errors.AsType[*StatusError](err); ok {
		switch status.Status {
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
			return nil, nil
		}
	}
	if _, ok := errors.AsType[*pageError](err); ok || err == nil && !isDocument(document.Data) {
		return nil, nil
	}
	return document, err
}

// forget lets go of what no document refers to any more.
func (r *remote) forget() {
	for rawURL := range r.fetcher.kept {
		if rawURL != r.found && (r.given == nil || !r.given.files[0].has(rawURL)) {
			delete(r.fetcher.kept, rawURL)
		}
	}
}
