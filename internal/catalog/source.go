package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
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

func (s *sources) readURL(ctx context.Context, p place) ([]byte, error) {
	u, err := parseURL(p.target)
	if err != nil {
		return nil, err
	}
	client := s.guarded
	if p.trusted || allowed(u, s.allowedURLs) {
		client = s.trusted
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL(u).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL", shorten(p.target))
	}
	request.Header.Set("Accept", "application/yaml, text/yaml, text/plain, */*;q=0.5")
	request.Header.Set("User-Agent", "stagedoor-catalog")
	response, err := client.Do(request)
	if err != nil {
		return nil, describe(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its server answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	return readLimited(response.Body)
}

// describe says why a request failed without telling addresses.
func describe(err error) error {
	var timeout net.Error
	var dns *net.DNSError
	var through *url.Error
	switch {
	case errors.Is(err, errForbiddenAddress):
		return errForbiddenAddress
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("its server did not answer in time")
	case errors.As(err, &dns):
		return errors.New("its host is not known")
	case errors.As(err, &through) && strings.HasPrefix(through.Err.Error(), "it redirects"):
		return through.Err
	}
	return errors.New("its server could not be reached")
}

// relative resolves a target that a file at p names. typ is what the file says
// the target is, "" when it does not.
func (s *sources) relative(p place, typ, target string) (place, error) {
	isURL := strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://")
	if isURL {
		return s.followURL(p, target)
	}
	if typ == "" || typ == p.typ || !path.IsAbs(target) {
		typ = p.typ
	}
	switch typ {
	case typeURL:
		base, err := parseURL(p.target)
		if err != nil {
			return place{}, err
		}
		u, err := base.Parse(target)
		if err != nil {
			return place{}, fmt.Errorf("target %q is not a URL or path", shorten(target))
		}
		return s.followURL(p, u.String())
	case typeFile:
		if p.typ != typeFile {
			return place{}, fmt.Errorf("target %q: only a file may lead to another file", shorten(target))
		}
		if path.IsAbs(target) {
			return place{typeFile, path.Clean(target), p.trusted}, nil
		}
		return place{typeFile, path.Join(path.Dir(filepath.ToSlash(p.target)), target), p.trusted}, nil
	case typeEmbedded:
		return place{typeEmbedded, path.Join(path.Dir(p.target), target), true}, nil
	}
	return place{}, fmt.Errorf("target %q: locations of type %q are not read", shorten(target), shorten(typ))
}

// followURL trusts a URL that a trusted file names, but a trusted URL only
// with its own host: whoever writes there need not be the operator.
func (s *sources) followURL(p place, target string) (place, error) {
	u, err := parseURL(target)
	if err != nil {
		return place{}, err
	}
	trusted := p.trusted
	if from, err := url.Parse(p.target); p.typ == typeURL && (err != nil || from.Scheme != u.Scheme || from.Host != u.Host) {
		trusted = false
	}
	return place{typeURL, u.String(), trusted}, nil
}
