package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/specs"
)

// The types of locations.
const (
	typeURL      = "url"
	typeFile     = "file"
	typeEmbedded = "embedded"
)

const (
	readTimeout  = 15 * time.Second
	maxGlobFiles = 5000
)

// place is something to read.
type place struct {
	typ, target string
	// trusted places were chosen by the operator, or by a file of theirs.
	trusted bool
}

func (p place) String() string { return p.typ + ":" + p.target }

// sources reads places, each kind as far as it is allowed.
type sources struct {
	baseDir     string
	fileRoots   []string
	allowedURLs []string
	trusted     *http.Client
	guarded     *http.Client
}

func newSources(o Options) *sources {
	trusted := &http.Client{Timeout: readTimeout}
	if o.HTTPClient != nil {
		copied := *o.HTTPClient
		trusted = &copied
	}
	if trusted.Timeout == 0 {
		trusted.Timeout = readTimeout
	}
	s := &sources{o.BaseDir, o.FileRoots, o.AllowedURLs, trusted, guarded(readTimeout)}
	s.trusted.CheckRedirect, s.guarded.CheckRedirect = sameHost, sameHost
	return s
}

// expand gives the files that a place stands for: a glob may be many.
func (s *sources) expand(p place) ([]place, error) {
	if p.typ == typeEmbedded && p.target == "example" {
		return []place{{typeEmbedded, "example/catalog-info.yaml", true}}, nil
	}
	if p.typ != typeFile || !p.trusted || !strings.ContainsAny(p.target, "*?[{") {
		return []place{p}, nil
	}
	names, err := doublestar.FilepathGlob(s.onDisk(p.target), doublestar.WithFilesOnly(), doublestar.WithFailOnIOErrors())
	switch {
	case err != nil:
		return nil, fmt.Errorf("pattern %s: %w", p.target, err)
	case len(names) == 0:
		return nil, fmt.Errorf("no file matches %s", p.target)
	case len(names) > maxGlobFiles:
		return nil, fmt.Errorf("%s matches %d files, more than %d", p.target, len(names), maxGlobFiles)
	}
	slices.Sort(names)
	places := make([]place, len(names))
	for i, name := range names {
		if !filepath.IsAbs(p.target) { // as the operator wrote it
			if relative, err := filepath.Rel(s.baseDir, name); err == nil && s.baseDir != "" {
				name = relative
			}
		}
		places[i] = place{typeFile, filepath.ToSlash(name), true}
	}
	return places, nil
}

func (s *sources) onDisk(target string) string {
	if filepath.IsAbs(target) {
		return filepath.Clean(target)
	}
	return filepath.Join(s.baseDir, filepath.FromSlash(target))
}

// read gives the place's content, at most maxFileBytes of it.
func (s *sources) read(ctx context.Context, p place) ([]byte, error) {
	switch p.typ {
	case typeURL:
		return s.readURL(ctx, p)
	case typeFile:
		return s.readFile(p)
	case typeEmbedded:
		return fs.ReadFile(specs.Example(), strings.TrimPrefix(p.target, "example/"))
	}
	return nil, fmt.Errorf("locations of type %q are not read: expected url or file", shorten(p.typ))
}

func (s *sources) readFile(p place) ([]byte, error) {
	if p.trusted {
		return readRegular(os.DirFS(filepath.Dir(s.onDisk(p.target))), filepath.Base(s.onDisk(p.target)))
	}
	// os.Root keeps symbolic links and ".." inside the operator's folder.
	for _, root := range s.fileRoots {
		absolute, err := filepath.Abs(s.onDisk(root))
		if err != nil {
			continue
		}
		target, err := filepath.Abs(s.onDisk(p.target))
		if err != nil {
			continue
		}
		name, err := filepath.Rel(absolute, target)
		if err != nil || !filepath.IsLocal(name) {
			continue
		}
		dir, err := os.OpenRoot(absolute)
		if err != nil {
			return nil, errors.New("file cannot be read")
		}
		defer func() { _ = dir.Close() }()
		return readRegular(dir.FS(), filepath.ToSlash(name))
	}
	return nil, errors.New("files cannot be registered here (the operator allows none at this path)")
}

func readRegular(dir fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("no such file")
	case err != nil:
		return nil, errors.New("file cannot be read")
	case info.IsDir():
		return nil, errors.New("it is a folder, not a file (add /**/*.yaml to mean the files in it)")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > maxFileBytes:
		return nil, errTooLarge()
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, errors.New("file cannot be read")
	}
	defer func() { _ = f.Close() }()
	return readLimited(f)
}

func errTooLarge() error { return fmt.Errorf("file is larger than %d MiB", maxFileBytes>>20) }

func readLimited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, errors.New("reading it broke off")
	case len(data) > maxFileBytes:
		return nil, errTooLarge()
	}
	return data, nil
}
