package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
)

// minimal is a document; what is in it does not matter here.
const minimal = "openapi: 3.1.0\ninfo: {title: Pets, version: '1'}\n"

// outcome is what a poll comes to: names of documents and the text of the
// first, "" for nothing new, or the error.
func outcome(t *testing.T, s Source) string {
	t.Helper()
	p, err := s.Poll(t.Context())
	switch {
	case err != nil:
		return "error: " + err.Error()
	case p == nil:
		return ""
	}
	var out []string
	for _, d := range p.Documents {
		out = append(out, filepath.Base(d.Name)+"="+strings.TrimPrefix(string(d.Data), minimal))
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, s Source, want ...string) {
	t.Helper()
	for i, want := range want {
		got := outcome(t, s)
		if same := got == want; !same && (want == "" || !strings.HasPrefix(want, "error: ") || !strings.HasPrefix(got, "error: ") || !strings.Contains(got, want[7:])) {
			t.Fatalf("poll %d: got %q, want %q", i, got, want)
		}
	}
}

// settled writes a file that was there before anybody looked.
func settled(t *testing.T, path, text string) string {
	t.Helper()
	write(t, path, text)
	age(t, path, time.Minute)
	return path
}

func age(t *testing.T, path string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsPolled(t *testing.T) {
	path := settled(t, filepath.Join(t.TempDir(), "api.yaml"), minimal+"1")
	s := FromFiles(path, Local)
	expect(t, s, "api.yaml=1", "", "")
	write(t, path, minimal+"half")
	expect(t, s, "") // it may be being written
	write(t, path, minimal+"half and the rest")
	expect(t, s, "", "api.yaml=half and the rest", "")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "", "error: document "+path+" does not exist", "error: does not exist")
	settled(t, path, minimal+"half and the rest")
	expect(t, s, "error: does not exist", "", "") // it is back, and as it was
	if err := os.Chmod(path, 0o000); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		expect(t, s, "", "error: permission denied", "error: permission denied")
	}
}

// A file that never comes to rest is read all the same.
func TestRestlessFile(t *testing.T) {
	path := settled(t, filepath.Join(t.TempDir(), "api.yaml"), minimal)
	s := FromFiles(path, Local).(*local)
	expect(t, s, "api.yaml=", "")
	write(t, path, minimal+"1")
	expect(t, s, "")
	s.change = s.change.Add(-restlessFor)
	write(t, path, minimal+"22")
	expect(t, s, "api.yaml=22")
}

// A file that changes right after it was read may look as it did.
func TestFileThatChangesUnseen(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "api.yaml"), minimal+"1")
	s := FromFiles(path, Local).(*local)
	expect(t, s, "api.yaml=1")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, minimal+"2")
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "")
	for path, g := range s.known { // some seconds later
		s.known[path] = glance{info: g.info, at: g.at.Add(-coarsest)}
	}
	old := s.known[path].info.ModTime()
	if s.known[path].doubtful(old.Add(coarsest-1)) || !s.known[path].doubtful(old.Add(coarsest)) {
		t.Fatal("it is to be read again as soon as a change would show")
	}
	if due := s.due(s.known, old.Add(coarsest)); !due {
		t.Fatal("not due")
	}
	p, err := s.read(t.Context(), []string{path})
	if err != nil || p == nil || !strings.HasSuffix(string(p.Documents[0].Data), "2") {
		t.Errorf("got %v %v", p, err)
	}
}

func TestFolderIsPolled(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	s := FromFiles(dir, Local)
	expect(t, s, "error: folder "+dir+" has no file *.json")
	settled(t, at("notes.yaml"), "title: notes\n")
	expect(t, s, "error: no file", "error: none of its 1 files has openapi or swagger at the top", "error: none of its 1")
	settled(t, at("b.yml"), minimal+"b")
	settled(t, at("a.json"), `{"swagger":"2.0"}`)
	settled(t, at("deeper/c.yaml"), minimal)
	settled(t, at(".d.yaml"), minimal)
	settled(t, at("e.txt"), minimal)
	if err := os.Mkdir(at("f.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "error: none of its", `a.json={"swagger":"2.0"} b.yml=b`, "")
	if want := []string{at("a.json"), at("b.yml"), at("notes.yaml")}; !slices.Equal(Paths(dir), want) {
		t.Errorf("paths %v", Paths(dir))
	}
	settled(t, at("notes.yaml"), minimal+"n") // it becomes one
	expect(t, s, "", `a.json={"swagger":"2.0"} b.yml=b notes.yaml=n`)
	if err := os.Remove(at("b.yml")); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "", `a.json={"swagger":"2.0"} notes.yaml=n`, "")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "", "error: does not exist")
}

func TestGlobIsPolled(t *testing.T) {
	dir := t.TempDir()
	spec := filepath.Join(dir, "**", "*.yaml")
	s := FromFiles(spec, Local)
	expect(t, s, "error: glob "+spec+" matches no file")
	settled(t, filepath.Join(dir, "x", "a.yaml"), minimal+"a")
	expect(t, s, "error: matches no file", "a.yaml=a", "")
	settled(t, filepath.Join(dir, "b.yaml"), minimal+"b")
	expect(t, s, "", "b.yaml=b a.yaml=a", "")
	expect(t, FromFiles(filepath.Join(dir, "[a"), Local), "error: glob ")
}

// A ConfigMap's files are links into a folder that is itself a link; an update
// is a swap of that one.
func TestConfigMapIsPolled(t *testing.T) {
	dir := t.TempDir()
	version := func(n int) {
		settled(t, filepath.Join(dir, fmt.Sprintf("..v%d", n), "api.yaml"), fmt.Sprint(minimal, n))
		fresh := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(fmt.Sprintf("..v%d", n), fresh); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version(1)
	if err := os.Symlink("..data/api.yaml", filepath.Join(dir, "api.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{dir, filepath.Join(dir, "api.yaml"), filepath.Join(dir, "*.yaml")} {
		version(1)
		s := FromFiles(spec, Local)
		expect(t, s, "api.yaml=1", "")
		version(2)
		expect(t, s, "", "api.yaml=2", "")
		if err := os.RemoveAll(filepath.Join(dir, "..v2")); err != nil {
			t.Fatal(err)
		}
	}
}

// What $refs led to counts as much as the document.
func TestReferencedFilesArePolled(t *testing.T) {
	dir := t.TempDir()
	entry := settled(t, filepath.Join(dir, "api.yaml"), minimal)
	part := settled(t, filepath.Join(dir, "parts", "pet.yaml"), "a")
	s := FromFiles(entry, Local)
	follow := func(refs ...string) *Publication {
		t.Helper()
		p, err := s.Poll(t.Context())
		if err != nil || p == nil {
			t.Fatalf("got %v %v", p, err)
		}
		for _, ref := range refs {
			_, _, _ = open(p.files[0], entry, ref)
		}
		return p
	}
	first := follow("parts/pet.yaml", "parts/later.yaml")
	expect(t, s, "", "")
	settled(t, part, "b2")
	expect(t, s, "")
	second := follow("parts/pet.yaml", "parts/later.yaml")
	if got := second.Content().Files; len(got) != 1 || string(got[0].Data) != "b2" {
		t.Errorf("files %v", got)
	}
	later := settled(t, filepath.Join(dir, "parts", "later.yaml"), "l")
	expect(t, s, "")
	third := follow("parts/pet.yaml") // which no longer refers to later.yaml
	if len(third.Content().Files) != 1 {
		t.Error("what is not referred to any more is no part of it")
	}
	if err := os.Remove(later); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "", "")
	if err := os.Remove(part); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "", "error: "+part+" does not exist", "error: does not exist")
	settled(t, entry, minimal+"new") // it may no longer need it: the reading shows
	expect(t, s, "error: does not exist")
	fourth := follow("parts/pet.yaml")
	if err := fourth.Lost(third.Content()); err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v", err)
	}
	if err := fourth.Lost(publication.Content{}); err != nil {
		t.Errorf("what was never there is not lost: %v", err)
	}
	if err := first.Lost(third.Content()); err != nil {
		t.Error(err)
	}
	settled(t, part, "b2")
	expect(t, s, "")
	if fifth := follow("parts/pet.yaml"); fifth.Lost(third.Content()) != nil {
		t.Error("it is back")
	}
	expect(t, s, "", "")
	if _, data, _ := open(fourth.files[0], entry, "parts/pet.yaml"); data != "" {
		t.Error("a publication is of one moment")
	}
}

func TestFilesEndWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FromFiles("x", Local).Poll(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkPollUnchangedFiles(b *testing.B) {
	dir := b.TempDir()
	for i := range 5 {
		path := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
		if err := os.WriteFile(path, []byte(minimal), 0o600); err != nil {
			b.Fatal(err)
		}
		old := time.Now().Add(-time.Minute)
		if err := os.Chtimes(path, old, old); err != nil {
			b.Fatal(err)
		}
	}
	for name, spec := range map[string]string{"file": filepath.Join(dir, "1.yaml"), "folder": dir, "glob": filepath.Join(dir, "*.yaml")} {
		b.Run(name, func(b *testing.B) {
			s := FromFiles(spec, Local)
			if p, err := s.Poll(b.Context()); p == nil || err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if p, err := s.Poll(b.Context()); p != nil || err != nil {
					b.Fatal(p, err)
				}
			}
		})
	}
}
