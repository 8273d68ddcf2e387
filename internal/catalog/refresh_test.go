package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

func components(t *testing.T, c *Catalog) string {
	t.Helper()
	answer := ok(t, c, "GET", "/entities/by-query?filter=kind=component&orderField=metadata.name&fields=kind,metadata.name&limit=100", "")
	return strings.ReplaceAll(strings.Join(names(answer), " "), "component:", "")
}

func TestRefreshFollowsTheFiles(t *testing.T) {
	dir := write(t, map[string]string{"x/a.yaml": component("a"), "x/deep/b.yaml": component("b") + component("c"), "x/no.txt": "not this"})
	c := newTest(t, Options{BaseDir: dir, Locations: []string{"x/**/*.yaml"}})
	if got := components(t, c); got != "a b c" {
		t.Errorf("first: %s", got)
	}
	before := ok(t, c, "GET", "/entities/by-name/component/default/a", "")["metadata"].(map[string]any)
	if got := before["annotations"].(map[string]any)[annotationLocation]; got != "file:x/a.yaml" {
		t.Errorf("location: %v", got)
	}
	version := mustVersion(t, c)
	refresh(t, c)
	if mustVersion(t, c) != version {
		t.Error("the version moved though no file changed")
	}
	writeFile(t, filepath.Join(dir, "x/a.yaml"), strings.Replace(component("a"), "service", "website", 1))
	writeFile(t, filepath.Join(dir, "x/deep/b.yaml"), component("b"))
	writeFile(t, filepath.Join(dir, "x/d.yaml"), component("d"))
	refresh(t, c)
	if got := components(t, c); got != "a b d" {
		t.Errorf("after: %s", got)
	}
	after := ok(t, c, "GET", "/entities/by-name/component/default/a", "")["metadata"].(map[string]any)
	if after["uid"] != before["uid"] || after["etag"] == before["etag"] {
		t.Errorf("uid and etag: before %v, after %v", before, after)
	}
}

func mustVersion(t *testing.T, c *Catalog) int64 {
	t.Helper()
	v, err := c.store.CatalogVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBadFilesKeepWhatTheyHad(t *testing.T) {
	dir := write(t, map[string]string{
		"good.yaml": component("good"), "bad.yaml": component("one") + component("two"),
		"root.yaml": locationTo("root", "./sub/list.yaml"), "sub/list.yaml": locationTo("list", "leaf.yaml"), "sub/leaf.yaml": component("leaf"),
	})
	logger, logged := newLogger()
	c := newTest(t, Options{BaseDir: dir, Locations: []string{"*.yaml"}, Logger: logger})
	const all = "good leaf one two"
	if got := components(t, c); got != all {
		t.Fatalf("first: %s", got)
	}
	bad, list, leaf := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "sub/list.yaml"), filepath.Join(dir, "sub/leaf.yaml")
	for name, content := range hostile() {
		writeFile(t, bad, content.content)
		refresh(t, c)
		if got := components(t, c); got != all {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, content := range map[string]string{"empty": "", "one is bad": component("one") + component("b!"), "not an entity": "a: b"} {
		writeFile(t, bad, content)
		writeFile(t, filepath.Join(dir, "good.yaml"), component("good", "  note: "+strings.ReplaceAll(name, " ", "-")+"\n"))
		refresh(t, c)
		if got := components(t, c); got != all {
			t.Errorf("%s: %s", name, got)
		}
		if spec := ok(t, c, "GET", "/entities/by-name/component/default/good", "")["spec"].(map[string]any); spec["note"] == nil {
			t.Errorf("%s: a bad file holds up the good one", name)
		}
	}
	if !strings.Contains(logged.String(), "file:bad.yaml") || !strings.Contains(logged.String(), "metadata.name is not valid") {
		t.Errorf("log: %s", logged)
	}

	// What a bad Location file led to stays, too.
	writeFile(t, list, "a: [")
	refresh(t, c)
	if got := components(t, c); got != all {
		t.Errorf("bad list: %s", got)
	}
	writeFile(t, list, locationTo("list", "leaf.yaml"))
	if err := os.Remove(leaf); err != nil {
		t.Fatal(err)
	}
	refresh(t, c)
	if got := components(t, c); got != all {
		t.Errorf("leaf gone: %s", got)
	}
	writeFile(t, list, locationTo("list"))
	refresh(t, c)
	if got := components(t, c); got != "good one two" {
		t.Errorf("leaf no longer named: %s", got)
	}
	if err := os.Remove(bad); err != nil { // the pattern no longer finds it
		t.Fatal(err)
	}
	refresh(t, c)
	if got := components(t, c); got != "good" {
		t.Errorf("bad file removed: %s", got)
	}
	if err := os.RemoveAll(dir); err != nil { // a folder that is gone is a fault, not a wish
		t.Fatal(err)
	}
	refresh(t, c)
	if got := components(t, c); got != "good" {
		t.Errorf("folder gone: %s", got)
	}
}

func TestOddFiles(t *testing.T) {
	dir := write(t, map[string]string{
		"folder/x.yaml": component("x"), "empty.yaml": "", "twice.yaml": component("a") + component("a"),
		"loop.yaml": locationTo("loop", "./loop.yaml", "./again.yaml"), "again.yaml": locationTo("again", "loop.yaml") + component("in-loop"),
		"cycle.yaml": strings.Replace(component("c"), "owner: team", "owner: team\n  x: {$yaml: ./cycle.yaml}", 1),
	})
	for i := range 15 {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("chain%d.yaml", i)), locationTo(fmt.Sprintf("chain%d", i), fmt.Sprintf("chain%d.yaml", i+1)))
	}
	logger, logged := newLogger()
	c := newTest(t, Options{BaseDir: dir, Logger: logger, Locations: []string{"folder", "none.yaml", "none/*.yaml", "empty.yaml", "twice.yaml", "loop.yaml", "chain0.yaml", "cycle.yaml", "[", "file:folder/x.yaml", "folder/x.yaml"}})
	if got := components(t, c); got != "a c in-loop x" {
		t.Errorf("components: %s", got)
	}
	for _, want := range []string{"it is a folder, not a file", "no such file", "no file matches none/*.yaml", "no entity in it", "described twice, first in file:twice.yaml", "more than 10 times", "pattern ["} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("log has no %q:\n%s", want, logged)
		}
	}
}

func TestFirstLocationWins(t *testing.T) {
	dir := write(t, map[string]string{"1.yaml": component("a", "  from: one\n"), "2.yaml": component("a", "  from: two\n") + component("b")})
	db := newStore(t)
	first := newTest(t, Options{Store: db, BaseDir: dir, Locations: []string{"1.yaml"}})
	logger, logged := newLogger()
	both := newTest(t, Options{Store: db, BaseDir: dir, Locations: []string{"1.yaml", "2.yaml"}, Logger: logger})
	if got := ok(t, both, "GET", "/entities/by-name/component/default/a", "")["spec"].(map[string]any)["from"]; got != "one" {
		t.Errorf("from %v", got)
	}
	if components(t, first) != "a b" || !strings.Contains(logged.String(), "described elsewhere") {
		t.Errorf("%s, log: %s", components(t, first), logged)
	}
	// A location that leaves the config takes its entities along; the loser takes over.
	only := newTest(t, Options{Store: db, BaseDir: dir, Locations: []string{"2.yaml"}})
	refresh(t, only)
	if got := ok(t, first, "GET", "/entities/by-name/component/default/a", "")["spec"].(map[string]any)["from"]; got != "two" {
		t.Errorf("from %v", got)
	}
}

func TestReplicasSeeEachOther(t *testing.T) {
	db := newStore(t)
	h := newHosted(t, component("a"))
	one := newTest(t, Options{Store: db, AllowedURLs: []string{h.URL}})
	two := newTest(t, Options{Store: db, AllowedURLs: []string{h.URL}})
	made := ok(t, one, "POST", "/locations", post(h.URL))
	if got := components(t, two); got != "a" {
		t.Errorf("the other sees %q", got)
	}
	h.set(component("b"))
	if status, answer := call(t, two, "POST", "/refresh", `{"entityRef":"component:default/a"}`); status != 200 || answer != nil {
		t.Errorf("refresh: %d %v", status, answer)
	}
	if got := components(t, one); got != "b" {
		t.Errorf("after a refresh there: %q", got)
	}
	call(t, two, "DELETE", "/locations/"+text(made["location"].(map[string]any), "id"), "")
	if got := components(t, one); got != "" {
		t.Errorf("after the removal there: %q", got)
	}
	refused(t, one, "POST", "/refresh", `{"entityRef":"component:default/a"}`, 404)
	refused(t, one, "POST", "/refresh", `{"entityRef":"a"}`, 400)
	refused(t, one, "POST", "/refresh", `{}`, 400)
}

func TestConcurrentUse(t *testing.T) {
	db := newStore(t)
	h := newHosted(t, component("a"))
	catalogs := []*Catalog{
		newTest(t, Options{Store: db, Locations: []string{"embedded:example"}, AllowedURLs: []string{h.URL}}),
		newTest(t, Options{Store: db, Locations: []string{"embedded:example"}, AllowedURLs: []string{h.URL}}),
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c := catalogs[i%2]
			for j := range 5 {
				target := fmt.Sprintf("%s/%d/%d", h.URL, i%3, j)
				call(t, c, "POST", "/locations?onConflict=refresh", post(target))
				call(t, c, "GET", "/entities/by-query?filter=kind=component", "")
				if i == 0 {
					refresh(t, c)
				}
			}
		})
	}
	all.Wait()
	if got := names(ok(t, catalogs[0], "GET", "/entities/by-query?filter=metadata.name=a", "")); len(got) != 1 {
		t.Errorf("a: %v", got)
	}
}

func TestNew(t *testing.T) {
	db := newStore(t)
	for name, o := range map[string]Options{
		"no store":      {},
		"empty":         {Store: db, Locations: []string{""}},
		"embedded":      {Store: db, Locations: []string{"embedded:other"}},
		"url":           {Store: db, Locations: []string{"https://user:pw@example.com"}},
		"allowed":       {Store: db, AllowedURLs: []string{"example.com"}},
		"url no host":   {Store: db, Locations: []string{"https://"}},
		"allowed empty": {Store: db, AllowedURLs: []string{""}},
	} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// counting is a store that counts and can fail.
type counting struct {
	mu    sync.Mutex
	loads int
	err   error
}

func (s *counting) CatalogVersion(context.Context) (int64, error) { return 1, s.err }
func (s *counting) LoadCatalog(context.Context) (*record.Catalog, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	return &record.Catalog{Version: 1}, s.err
}
func (s *counting) SaveLocation(context.Context, record.Location, []record.Entity, record.Mode) (record.Saved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads += 100
	return record.Saved{}, s.err
}
func (s *counting) DeleteLocation(context.Context, string) (bool, error) { return false, s.err }
func (s *counting) DeleteEntity(context.Context, string) (bool, error)   { return false, s.err }

func TestTheIndexIsBuiltOncePerVersion(t *testing.T) {
	s := &counting{}
	c := newTest(t, Options{Store: s})
	for range 5 {
		ok(t, c, "GET", "/entities/by-query", "")
	}
	if s.loads != 1 {
		t.Errorf("loaded %d times", s.loads)
	}
}

func TestDatabaseFaultsStayInside(t *testing.T) {
	logger, logged := newLogger()
	s := &counting{}
	c := newTest(t, Options{Store: s, Logger: logger})
	s.err = errors.New("password=hunter2 at 10.0.0.1")
	for _, path := range []string{"/entities", "/entities/by-query", "/entity-facets?facet=kind", "/locations", "/locations/x", "/entities/by-uid/x", "/entities/by-name/a/b/c"} {
		if message := refused(t, c, "GET", path, "", 500); message != "internal error" {
			t.Errorf("%s: %s", path, message)
		}
	}
	if !strings.Contains(logged.String(), "hunter2") {
		t.Error("the log does not know the cause")
	}
	if err := c.Refresh(t.Context()); err == nil {
		t.Error("a refresh without database succeeds")
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counting{}
		c, err := New(Options{Store: s, Locations: []string{"embedded:example"}, Interval: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		time.Sleep(150 * time.Second)
		synctest.Wait()
		if saves := s.loads / 100; saves != 2 {
			t.Errorf("%d refreshes in 150 s at one a minute", saves)
		}
		cancel()
		<-done
	})
}

func TestRefreshEndsWithItsContext(t *testing.T) {
	c := newExample(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Refresh(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("refresh: %v", err)
	}
	if diff := cmp.Diff(11, len(strings.Fields(components(t, c)))-2); diff != "" {
		t.Error("entities were lost:\n" + diff)
	}
}
