package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// looks is a watched folder with a clock of its own.
type looks struct {
	*watched
	t     *testing.T
	dir   string
	files []string
	now   time.Time
}

func newLooks(t *testing.T, names ...string) *looks {
	l := &looks{t: t, dir: t.TempDir(), now: time.Now()}
	for _, name := range names {
		l.files = append(l.files, l.path(name))
	}
	l.write("config", "a")
	l.watched = newWatched(l.path("config"))
	l.add(l.files)
	return l
}

func (l *looks) path(name string) string { return filepath.Join(l.dir, name) }

func (l *looks) do(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *looks) write(name, text string) { l.do(os.WriteFile(l.path(name), []byte(text), 0o600)) }

// look is one look, a second after the one before.
func (l *looks) look() bool {
	l.now = l.now.Add(watchEvery)
	return l.changed(l.files, l.now)
}

// told looks until things have come to rest, and counts how often a change is told.
func (l *looks) told() (n int) {
	for range 5 {
		if l.look() {
			n++
		}
	}
	return n
}

// TestWatched: each way in which a file can change is told once, when it is
// complete.
func TestWatched(t *testing.T) {
	l := newLooks(t, "doc", "link")
	for _, step := range []struct {
		name   string
		change func()
		want   int
	}{
		{"nothing", func() {}, 0},
		{"a file that was missing is made", func() { l.write("doc", "one") }, 1},
		{"its content is another", func() { l.write("doc", "longer") }, 1},
		{"its content has the same size", func() { l.write("doc", "LONGER") }, 1},
		{"another file with size and time of the old one replaces it", func() {
			info, err := os.Stat(l.path("doc"))
			l.do(err)
			l.write("doc.new", "lONGEr")
			l.do(os.Chtimes(l.path("doc.new"), time.Time{}, info.ModTime()))
			l.do(os.Rename(l.path("doc.new"), l.path("doc")))
		}, 1},
		{"it is removed", func() { l.do(os.Remove(l.path("doc"))) }, 1},
		{"it is made again", func() { l.write("doc", "one") }, 1},
		{"it is removed and made again at once", func() { l.do(os.Remove(l.path("doc"))); l.write("doc", "one") }, 1},
		{"a ConfigMap is mounted", func() {
			l.do(os.Mkdir(l.path("..one"), 0o700))
			l.write("..one/link", "v1")
			l.do(os.Symlink("..one", l.path("..data")))
			l.do(os.Symlink("..data/link", l.path("link")))
		}, 1},
		{"the ConfigMap is swapped", func() {
			l.do(os.Mkdir(l.path("..two"), 0o700))
			l.write("..two/link", "v2")
			l.do(os.Symlink("..two", l.path("..data_tmp")))
			l.do(os.Rename(l.path("..data_tmp"), l.path("..data")))
			l.do(os.RemoveAll(l.path("..one")))
		}, 1},
		{"the config file changes", func() { l.write("config", "b") }, 1},
		{"the config file is read, and no more", func() { _, err := os.ReadFile(l.path("config")); l.do(err) }, 0},
	} {
		step.change()
		if got := l.told(); got != step.want {
			t.Errorf("%s: told %d times", step.name, got)
		}
	}
}

// TestWatchedStorm: files that keep changing are read when they rest, and after
// a while in any case.
func TestWatchedStorm(t *testing.T) {
	l := newLooks(t, "doc")
	text, told := "", 0
	for range 60 { // a minute of writing
		text += "x"
		l.write("doc", text)
		if l.look() {
			told++
		}
	}
	if told < 4 || told > 6 {
		t.Errorf("told %d times while the file kept changing for a minute", told)
	}
	if n := l.told(); n != 1 {
		t.Errorf("told %d times when it rests", n)
	}
}

// TestWatchedDuringAReading: what changes while files are read is told; what
// was not read is watched no more.
func TestWatchedDuringAReading(t *testing.T) {
	l := newLooks(t, "doc", "other")
	l.write("doc", "changed after it was read")
	l.settle(l.files)
	if n := l.told(); n != 1 {
		t.Errorf("told %d times", n)
	}
	l.files = l.files[:1]
	l.settle(l.files)
	l.write("other", "changed")
	if n := l.told(); n != 0 {
		t.Errorf("told %d times of files that are watched no more", n)
	}
}

// TestWatchedGlob: a document that leaves or joins the list is a change.
func TestWatchedGlob(t *testing.T) {
	l := newLooks(t, "one", "two")
	l.write("one", "1")
	l.write("two", "2")
	l.told()
	l.files = l.files[:1]
	if n := l.told(); n != 1 {
		t.Errorf("told %d times of a document that is gone", n)
	}
	l.files = append(l.files, l.path("three"))
	if n := l.told(); n != 1 {
		t.Errorf("told %d times of a new document", n)
	}
}
