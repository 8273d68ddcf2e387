package main

import (
	"os"
	"slices"
	"time"
)

const (
	// watchEvery is how often files are looked at. A change is told when they have
	// stayed the same from one look to the next, so that a file that is being
	// written is not read half.
	watchEvery = time.Second
	// restlessFor is how long files may keep changing before they are read anyway.
	restlessFor = 10 * time.Second
)

// watched tells of changes of files. It looks at them instead of being told by
// the system: that works through renames, symlink swaps (Kubernetes ConfigMaps),
// removal and network file systems alike.
type watched struct {
	path   string                 // of the config
	known  map[string]os.FileInfo // as of when they were last read; nil: not there
	last   map[string]os.FileInfo // as of the last look
	change time.Time              // when a change was first seen; zero: none is
}

// newWatched begins with the config file, before it is read.
func newWatched(path string) *watched {
	w := &watched{path: path}
	w.mark(nil)
	return w
}

// add begins to watch further files, before they are read.
func (w *watched) add(files []string) {
	for _, file := range files {
		if _, there := w.known[file]; !there {
			w.known[file] = stat(file)
		}
	}
}

// settle ends a reading: what was read is all that is watched from now on.
func (w *watched) settle(read []string) {
	known := map[string]os.FileInfo{w.path: w.known[w.path]}
	for _, file := range read {
		known[file] = w.known[file]
	}
	w.known = known
}

// mark takes the files as they are now for those that are about to be read.
func (w *watched) mark(files []string) {
	w.known = w.look(files)
	w.last, w.change = w.known, time.Time{}
}

// changed looks at the files, and tells whether they are to be read: they
// differ from what was last read, the list included, and have come to rest.
func (w *watched) changed(files []string, now time.Time) bool {
	before := w.last
	w.last = w.look(files)
	switch {
	case alike(w.last, w.known):
		w.change = time.Time{}
		return false
	case w.change.IsZero():
		w.change = now
	}
	if !alike(w.last, before) && now.Sub(w.change) < restlessFor {
		return false
	}
	w.known, w.change = w.last, time.Time{}
	return true
}

func (w *watched) look(files []string) map[string]os.FileInfo {
	seen := make(map[string]os.FileInfo, len(files)+1)
	for _, file := range append(slices.Clone(files), w.path) {
		seen[file] = stat(file)
	}
	return seen
}

// stat follows symbolic links, so that the file behind one is what counts.
func stat(file string) os.FileInfo {
	info, err := os.Stat(file)
	if err != nil {
		return nil
	}
	return info
}

// alike tells whether the same files are the same in both.
func alike(a, b map[string]os.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for file, x := range a {
		y, known := b[file]
		switch {
		case !known || (x == nil) != (y == nil):
			return false
		case x == nil:
		case !os.SameFile(x, y) || x.Size() != y.Size() || !x.ModTime().Equal(y.ModTime()):
			return false
		}
	}
	return true
}
