// Package source is how documents arrive: from files, globs of files and URLs.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/openapi"
)

// MaxDocument bounds a document's bytes.
const MaxDocument = 32 << 20

const fetchTimeout = 30 * time.Second

// IsURL tells whether a spec is fetched rather than opened.
func IsURL(spec string) bool {
	return strings.HasPrefix(spec, "http://") || strings.HasPrefix(spec, "https://")
}

// Read gives the documents that a spec names: one for a URL or a file, one or
// more for a glob. header goes with a fetch and may be nil. Errors say which
// document, but no credentials of its URL.
func Read(ctx context.Context, spec string, header http.Header) ([]openapi.Source, error) {
	if IsURL(spec) {
		doc, err := fetch(ctx, spec, header)
		if err != nil {
			return nil, err
		}
		return []openapi.Source{doc}, nil
	}
	paths := []string{spec}
	if isGlob(spec) {
		matches, err := doublestar.FilepathGlob(spec, doublestar.WithFilesOnly())
		if err != nil {
			return nil, fmt.Errorf("glob %s: %w", spec, err)
		}
		if len(matches) == 0 {
			return nil, fmt.Errorf("glob %s matches no file", spec)
		}
		slices.Sort(matches)
		paths = matches
	}
	docs := make([]openapi.Source, 0, len(paths))
	for _, path := range paths {
		doc, err := File(path)
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

func isGlob(spec string) bool { return strings.ContainsAny(spec, "*?[{") }

// Paths are the files that a spec names now: none for a URL, and a glob that
// matches nothing stands for itself.
func Paths(spec string) []string {
	switch {
	case spec == "" || IsURL(spec):
		return nil
	case isGlob(spec):
		if matches, err := doublestar.FilepathGlob(spec, doublestar.WithFilesOnly()); err == nil && len(matches) > 0 {
			return matches
		}
	}
	return []string{spec}
}

// File reads one document from a file.
func File(path string) (openapi.Source, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return openapi.Source{}, fmt.Errorf("document %s does not exist", path)
	case err != nil:
		return openapi.Source{}, fmt.Errorf("document %s: %w", path, errors.Unwrap(err))
	case info.IsDir():
		return openapi.Source{}, fmt.Errorf("document %s is a folder; name a file in it, or a glob like %s", path, filepath.Join(path, "*.yaml"))
	case !info.Mode().IsRegular():
		return openapi.Source{}, fmt.Errorf("document %s is not a regular file", path)
	case info.Size() > MaxDocument:
		return openapi.Source{}, fmt.Errorf("document %s has %d bytes, more than the limit of %d", path, info.Size(), MaxDocument)
	}
	f, err := os.Open(path)
	if err != nil {
		return openapi.Source{}, fmt.Errorf("document %s: %w", path, errors.Unwrap(err))
	}
	defer f.Close()
	data, err := readAll(f, path)
	return openapi.Source{Name: path, Data: data}, err
}

// Display is a URL as it may be shown: without credentials and query.
func Display(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "URL"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

func fetch(ctx context.Context, rawURL string, header http.Header) (openapi.Source, error) {
	name := Display(rawURL)
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return openapi.Source{}, fmt.Errorf("document %s: not a URL", name)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", "application/json, application/yaml;q=0.9, */*;q=0.5")
	client := &http.Client{CheckRedirect: sameHost}
	resp, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL, whose query may be a secret
		}
		return openapi.Source{}, fmt.Errorf("document %s: %w", name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return openapi.Source{}, fmt.Errorf("document %s: answered with HTTP %d", name, resp.StatusCode)
	}
	data, err := readAll(resp.Body, name)
	// after a redirect, $refs count from where the document is (RFC 3986 §5.1.3)
	return openapi.Source{Name: Display(resp.Request.URL.String()), Data: data}, err
}

// sameHost keeps the credentials of a fetch with the host they are for.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return errors.New("redirects to another host, which is not followed")
	}
	if len(via) >= 5 {
		return errors.New("redirects too often")
	}
	return nil
}

func readAll(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", name, err)
	}
	if len(data) > MaxDocument {
		return nil, fmt.Errorf("document %s is larger than %d bytes", name, MaxDocument)
	}
	return data, nil
}
