package source

import (
	"bytes"
	"context"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

const (
	// LookEvery is how often files are to be looked at. A change is read when they
	// have stayed the same from one look to the next, so that a file that is
	// being written is not read half.
	LookEvery = time.Second
	// restlessFor is how long files may keep changing before they are read anyway.
	restlessFor = 10 * time.Second
	// coarsest is how little file systems know of when a file changed: it may
	// change again, and look the same.
	coarsest = 2 * time.Second
)

// local is a file, or those of a glob or a folder. It looks at them instead of
// being told by the system: that works through renames, symlink swaps
// (Kubernetes ConfigMaps), removal and network file systems alike.
type local struct {
	spec   string
	refs   Refs
	given  *Publication      // that was given last
	known  map[string]glance // of all files, before they were read last; nil: they were not
	last   map[string]glance // of the last look
	change time.Time         // when a change was first seen; zero: none is
	wrong  error             // why they could not be read
}

// FromFiles is a file, the files of a glob, or those of a folder (*.json, *.yaml
// and *.yml, not deeper) that have openapi or swagger at the top. The first Poll
// reads them; later ones only look at them until they change, and what $refs
// led to. They are to come every [LookEvery].
func FromFiles(spec string, refs Refs) Source { return &local{spec: spec, refs: refs} }

func (l *local) String() string { return l.spec }

// Poll looks at the files, and reads them where they changed and came to rest,
// or could not be read.
func (l *local) Poll(ctx context.Context) (*Publication, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	paths, err := list(l.spec)
	seen := l.look(paths, now)
	if !l.due(seen, now) {
		return nil, l.wrong
	}
	l.known, l.change = seen, time.Time{}
	if err != nil {
		l.wrong = err
		return nil, err
	}
	var p *Publication
	p, l.wrong = l.read(ctx, paths)
	return p, l.wrong
}

// look takes a glance at what the spec names and what $refs led to.
func (l *local) look(paths []string, now time.Time) map[string]glance {
	seen := make(map[string]glance, len(paths))
	for _, path := range paths {
		seen[path] = glanceAt(path)
	}
	if l.given == nil {
		return seen
	}
	for _, f := range l.given.files {
		for name, o := range f.opened {
			if _, known := l.known[name]; !known {
				l.known[name] = o.seen // it was first opened by the reader
			}
			if _, known := seen[name]; !known {
				seen[name] = glanceAt(name)
			}
		}
	}
	return seen
}

// due tells whether the files are to be read.
func (l *local) due(seen map[string]glance, now time.Time) bool {
	before := l.last
	l.last = seen
	switch {
	case l.known == nil:
		return true
	case maps.EqualFunc(seen, l.known, glance.same):
		l.change = time.Time{}
		return l.wrong != nil || slices.ContainsFunc(slices.Collect(maps.Values(l.known)), func(g glance) bool { return g.doubtful(now) })
	case l.change.IsZero():
		l.change = now
	}
	return maps.EqualFunc(seen, before, glance.same) || now.Sub(l.change) >= restlessFor
}

// read reads all files, and tells nothing where they say what they said.
func (l *local) read(ctx context.Context, paths []string) (*Publication, error) {
	documents, err := readFiles(l.spec, paths)
	if err != nil {
		return nil, err
	}
	files := make([]*Files, 0, len(documents))
	for _, d := range documents {
		files = append(files, NewFiles(ctx, l.refs, l.spec, d, nil))
	}
	same := l.given != nil && slices.EqualFunc(documents, l.given.Documents, func(a, b openapi.Source) bool {
		return a.Name == b.Name && bytes.Equal(a.Data, b.Data)
	})
	if same {
		changed, lost := compareAll(files, l.given.files)
		if !changed {
			return nil, lost
		}
	}
	l.given = NewPublication(documents, files...)
	maps.DeleteFunc(l.known, func(name string, _ glance) bool { return !slices.Contains(paths, name) })
	return l.given, nil
}

func compareAll(files, old []*Files) (changed bool, lost error) {
	for i, f := range files {
		other, gone := f.compare(old[i])
		changed = changed || other
		if lost == nil {
			lost = gone
		}
	}
	return changed, lost
}

// glance is what a file looked like, through symbolic links.
type glance struct {
	info os.FileInfo // nil: not there
	at   time.Time
}

func glanceAt(path string) glance {
	g := glance{at: time.Now()}
	if info, err := os.Stat(path); err == nil {
		g.info = info
	}
	return g
}

func (g glance) same(other glance) bool {
	a, b := g.info, other.info
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.Mode() == b.Mode() && a.ModTime().Equal(b.ModTime())
}

// doubtful tells whether a file may have changed after the glance without
// looking different, and would look different by now.
func (g glance) doubtful(now time.Time) bool {
	return g.info != nil && g.at.Sub(g.info.ModTime()).Abs() < coarsest && now.Sub(g.info.ModTime()) >= coarsest
}
