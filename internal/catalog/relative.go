package catalog

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

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
