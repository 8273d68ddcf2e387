package source

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/stagedoor/stagedoor/internal/backstage"
	"github.com/stagedoor/stagedoor/openapi"
)

// BackstageOptions say which plugin of which Backstage backend has the actions.
type BackstageOptions struct {
	// BaseURL is the backend's, without credentials and query; the plugin is at
	// /api/{plugin} below it.
	BaseURL string
	// Plugin is its id there.
	Plugin string
	// Header gives the headers that prove who asks, for each Poll anew; nil: none.
	Header func(context.Context) (http.Header, error)
	// Transport carries the requests; nil makes a pool of the source's own.
	Transport http.RoundTripper
	// Secrets are the names of those that the config has for actions that take
	// some; see [backstage.Options].
	Secrets []string
}

// FromBackstage is a source of the actions of a Backstage plugin, as a document
// that [backstage.Document] makes of the plugin's own list. Lists have no
// version, so that a Poll whose list has no ETag compares all of it.
func FromBackstage(o BackstageOptions) Source {
	base := strings.TrimSuffix(o.BaseURL, "/") + "/api/" + url.PathEscape(o.Plugin)
	if o.Transport == nil {
		o.Transport = NewPool(nil)
	}
	return &backstageSource{
		BackstageOptions: o, base: base, list: base + "/.backstage/actions/v1/actions",
		fetcher: fetcher{transport: o.Transport, timeout: fetchTimeout, maxBytes: MaxDocument, kept: map[string]*fetched{}},
	}
}

type backstageSource struct {
	BackstageOptions
	base, list string
	fetcher    fetcher
	last       *fetched // the list that was given last
}

// Close implements [io.Closer].
func (s *backstageSource) Close() error {
	return s.fetcher.Close()
}

func (s *backstageSource) String() string { return Display(s.list) }

func (s *backstageSource) Poll(ctx context.Context) (*Publication, error) {
	var header http.Header
	if s.Header != nil {
		var err error
		if header, err = s.Header(ctx); err != nil {
			return nil, because(noProof, err)
		}
	}
	got, err := s.fetcher.get(ctx, s.list, header)
	if err != nil {
		return nil, err
	}
	if s.last != nil && bytes.Equal(got.Data, s.last.Data) {
		return nil, nil
	}
	document, findings, err := backstage.Document(got.Data, backstage.Options{Plugin: s.Plugin, Source: s.String(), Secrets: s.Secrets})
	if err != nil {
		return nil, because(noList, fmt.Errorf("document %s: %w", s, err))
	}
	s.last = got
	p := Given(openapi.Source{Name: s.String(), Data: document})
	p.BaseURL, p.Findings = s.base, findings
	return p, nil
}
