package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/stagedoor/stagedoor/gateway"
)

// places knows where each path of a config was said, and what must not be
// repeated when something is wrong there.
type places struct {
	file      string
	at        map[string]position
	overrides map[string]string // path → environment variable
	masks     []mask
	source    *source
}

type position struct{ line, column int }

// mask replaces a secret, or the value of a variable by its reference.
type mask struct{ value, shown string }

func newPlaces(file string) *places {
	return &places{file: file, at: map[string]position{}, overrides: map[string]string{}}
}

func (p *places) hide(value, shown string) {
	m := mask{value, shown}
	if value == "" || slices.Contains(p.masks, m) {
		return
	}
	p.masks = append(p.masks, m)
	slices.SortStableFunc(p.masks, func(a, b mask) int { return cmp.Compare(len(b.value), len(a.value)) })
}

// locate gives a fault the place of the value it is about, or else of the
// nearest section around it.
func (p *places) locate(f gateway.Fault) Issue {
	i := Issue{File: p.file, Path: f.Path, Message: clip(p.masked(f.Message), 400), Hint: clip(p.masked(f.Hint), 400)}
	for path := f.Path; path != ""; path = parent(path) {
		if variable, ok := p.overrides[path]; ok {
			i.File, i.Path = environment, variable
			return i
		}
		if at, ok := p.at[path]; ok {
			i.Line, i.Column = at.line, at.column
			return i
		}
	}
	if root, ok := p.at[""]; ok {
		i.Line, i.Column = root.line, root.column
	}
	return i
}

// sourced adds the lines of the file to issues.
func (p *places) sourced(is Issues) Issues {
	for n := range is {
		if is[n].File == p.file {
			is[n].source = p.masked(p.source.line(is[n].Line))
		}
	}
	return is.sorted()
}

func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// masked hides values. Short ones hide only between quotes: replacing every "a"
// would make a message unreadable, and what is that short is no secret.
func (p *places) masked(s string) string {
	for _, m := range p.masks {
		quoted := strconv.Quote(m.value)
		s = strings.ReplaceAll(s, quoted, strconv.Quote(m.shown))
		escaped := quoted[1 : len(quoted)-1]
		if len(m.value) >= 4 {
			s = strings.ReplaceAll(strings.ReplaceAll(s, m.value, m.shown), escaped, m.shown)
			continue
		}
		parts := strings.Split(s, `"`)
		for i := 1; i < len(parts)-1; i += 2 {
			parts[i] = strings.ReplaceAll(parts[i], escaped, m.shown)
		}
		s = strings.Join(parts, `"`)
	}
	return s
}
