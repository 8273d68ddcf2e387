// Package source is how documents arrive: from files, globs of files, folders
// and URLs, once or whenever they change.
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

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/openapi"
)

// MaxDocument bounds a document's bytes, decoded.
const MaxDocument = 32 << 20

// IsURL tells whether a spec is fetched rather than opened.
func IsURL(spec string) bool {
	return strings.HasPrefix(spec, "http://") || strings.HasPrefix(spec, "https://")
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

// Read gives the documents that a spec names, once: one for a URL or a file,
// one or more for a glob or a folder. header goes with a fetch and may be nil.
// Errors say which document, but no credentials of its URL.
func Read(ctx context.Context, spec string, header http.Header) ([]openapi.Source, error) {
	if IsURL(spec) {
		doc, err := fetch(ctx, spec, header)
		if err != nil {
			return nil, err
		}
		return []openapi.Source{doc}, nil
	}
	paths, err := list(spec)
	if err != nil {
		return nil, err
	}
	return readFiles(spec, paths)
}

// Paths are the files that a spec names now: none for a URL, and a glob or a
// folder that has none stands for itself.
func Paths(spec string) []string {
	if spec == "" || IsURL(spec) {
		return nil
	}
	if paths, err := list(spec); err == nil {
		return paths
	}
	return []string{spec}
}

// list gives the files that a spec names now, sorted, whether they can be read
// or not.
func list(spec string) ([]string, error) {
	var paths []string
	switch {
	case isGlob(spec):
		var err error
		if paths, err = doublestar.FilepathGlob(spec, doublestar.WithFilesOnly()); err != nil {
			return nil, fmt.Errorf("glob %s: %w", spec, err)
		}
		if len(paths) == 0 {
			return nil, because(gone, fmt.Errorf("glob %s matches no file", spec))
		}
	case isFolder(spec):
		entries, err := os.ReadDir(spec)
		if err != nil {
			return nil, fmt.Errorf("folder %s: %w", spec, errors.Unwrap(err))
		}
		for _, e := range entries {
			if mayBeDocument(e.Name()) && !isFolder(filepath.Join(spec, e.Name())) {
				paths = append(paths, filepath.Join(spec, e.Name()))
			}
		}
		if len(paths) == 0 {
			return nil, because(gone, fmt.Errorf("folder %s has no file *.json, *.yaml or *.yml", spec))
		}
	default:
		return []string{spec}, nil
	}
	slices.Sort(paths)
	return paths, nil
}

func isGlob(spec string) bool { return strings.ContainsAny(spec, "*?[{") }

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// mayBeDocument tells by its name whether a file of a folder may be one. What
// begins with a dot belongs to editors and mounts.
func mayBeDocument(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(name))
}

// readFiles reads the files that a spec names. Of those of a folder, some may
// be no documents: parts that others refer to, examples, settings.
func readFiles(spec string, paths []string) ([]openapi.Source, error) {
	folder := !isGlob(spec) && !slices.Contains(paths, spec)
	docs := make([]openapi.Source, 0, len(paths))
	for _, path := range paths {
		doc, err := File(path)
		if err != nil {
			return nil, err
		}
		if !folder || isDocument(doc.Data) {
			docs = append(docs, doc)
		}
	}
	if len(docs) == 0 {
		return nil, because(gone, fmt.Errorf("folder %s has no OpenAPI document: none of its %d files has openapi or swagger at the top", spec, len(paths)))
	}
	return docs, nil
}

// File reads one document from a file.
func File(path string) (openapi.Source, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return openapi.Source{}, because(gone, fmt.Errorf("document %s does not exist", path))
	case err != nil:
		return openapi.Source{}, fmt.Errorf("document %s: %w", path, errors.Unwrap(err))
	case info.IsDir():
		return openapi.Source{}, because(noFile, fmt.Errorf("document %s is a folder; name a file in it", path))
	case !info.Mode().IsRegular():
		return openapi.Source{}, because(noFile, fmt.Errorf("document %s is not a regular file", path))
	case info.Size() > MaxDocument:
		return openapi.Source{}, because(tooLarge, fmt.Errorf("document %s has %d bytes, more than the limit of %d", path, info.Size(), MaxDocument))
	}
	f, err := os.Open(path)
	if err != nil {
		return openapi.Source{}, fmt.Errorf("document %s: %w", path, errors.Unwrap(err))
	}
	defer f.Close()
	data, err := readAll(f, info.Size(), MaxDocument)
	if err != nil {
		return openapi.Source{}, fmt.Errorf("document %s: %w", path, err)
	}
	return openapi.Source{Name: path, Data: data}, nil
}

// chunkBytes bounds what is allocated before it is there.
const chunkBytes = 1 << 20

// readAll reads up to limit bytes; more are an error. expected is how many
// there probably are: nothing hangs on it but the size of the first chunk.
func readAll(r io.Reader, expected int64, limit int) ([]byte, error) {
	chunk := make([]byte, 0, min(max(expected+1, 512), chunkBytes))
	var full [][]byte
	for total := 0; ; {
		n, err := r.Read(chunk[len(chunk):cap(chunk)])
		chunk = chunk[:len(chunk)+n]
		total += n
		switch {
		case total > limit:
			return nil, because(tooLarge, fmt.Errorf("is larger than %d bytes", limit))
		case errors.Is(err, io.EOF) && full == nil:
			return slices.Clip(chunk), nil
		case errors.Is(err, io.EOF):
			return slices.Concat(append(full, chunk)...), nil
		case err != nil:
			return nil, err
		case len(chunk) == cap(chunk):
			full = append(full, chunk)
			chunk = make([]byte, 0, min(2*cap(chunk), chunkBytes))
		}
	}
}
