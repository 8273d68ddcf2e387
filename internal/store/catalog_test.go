package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// TestCatalog is what every database has to do for the catalog.
func TestCatalog(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *store.DB){
		"SaveAndLoad": testCatalogSave, "Modes": testCatalogModes, "Conflicts": testCatalogConflicts,
		"Delete": testCatalogDelete, "NeverHalf": testCatalogNeverHalf, "Concurrent": testCatalogConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, open func() *store.DB) { test(t, open()) })
		})
	}
}

func location(id string) record.Location {
	return record.Location{ID: id, Type: "url", Target: "https://example.com/" + id, Registered: true}
}

func entity(name, etag string) record.Entity {
	return record.Entity{
		Ref: "component:default/" + name, Kind: "Component", Namespace: "default", Name: name,
		UID: "uid-" + name, Etag: etag, Source: "url:https://example.com/x", Parent: "location:default/l", Document: `{"a":"` + etag + `"}`,
	}
}

func save(t *testing.T, db *store.DB, l record.Location, mode record.Mode, entities ...record.Entity) record.Saved {
	t.Helper()
	saved, err := db.SaveLocation(t.Context(), l, entities, mode)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func load(t *testing.T, db *store.DB) *record.Catalog {
	t.Helper()
	c, err := db.LoadCatalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	version, err := db.CatalogVersion(t.Context())
	if err != nil || version != c.Version {
		t.Errorf("version %d, %v; loaded %d", version, err, c.Version)
	}
	return c
}

func refs(c *record.Catalog) (refs []string) {
	for _, e := range c.Entities {
		refs = append(refs, e.Name+"@"+e.LocationID+"="+e.Etag+"/"+e.UID)
	}
	return refs
}

func testCatalogSave(t *testing.T, db *store.DB) {
	before := load(t, db).Version
	if saved := save(t, db, location("l"), record.Create, entity("a", "1"), entity("b", "1")); !saved.Changed {
		t.Error("a new location changes nothing")
	}
	c := load(t, db)
	want := entity("a", "1")
	want.LocationID = "l"
	if c.Version <= before || len(c.Locations) != 1 || len(c.Entities) != 2 {
		t.Fatalf("loaded %+v", c)
	}
	if diff := cmp.Diff(want, c.Entities[0]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(location("l"), c.Locations[0]); diff != "" {
		t.Error(diff)
	}

	if saved := save(t, db, location("l"), record.Update, entity("a", "1"), entity("b", "1")); saved.Changed {
		t.Error("saving the same changes something")
	}
	if again := load(t, db).Version; again != c.Version {
		t.Errorf("version moved from %d to %d though nothing changed", c.Version, again)
	}

	changed := entity("a", "2")
	changed.UID = "another"
	save(t, db, location("l"), record.Update, changed, entity("c", "1"))
	if diff := cmp.Diff([]string{"a@l=2/uid-a", "c@l=1/uid-c"}, refs(load(t, db))); diff != "" {
		t.Error("a should be changed and keep its uid, b be gone, c be new:\n" + diff)
	}
	moved := entity("c", "1")
	moved.Parent = "location:default/other"
	if saved := save(t, db, location("l"), record.Update, changed, moved); !saved.Changed {
		t.Error("a new parent is not saved")
	}
}

func testCatalogModes(t *testing.T, db *store.DB) {
	if saved := save(t, db, location("l"), record.Update, entity("a", "1")); !saved.Gone || saved.Changed {
		t.Errorf("update of nothing: %+v", saved)
	}
	if saved := save(t, db, location("l"), record.Ensure, entity("a", "1")); !saved.Changed {
		t.Errorf("ensure: %+v", saved)
	}
	other := location("l")
	other.ID = "other"
	if saved := save(t, db, other, record.Ensure, entity("a", "1")); saved.Changed || saved.Location.ID != "l" {
		t.Errorf("ensure of one that is there: %+v", saved)
	}
	if saved := save(t, db, other, record.Create, entity("z", "1")); !saved.Exists || saved.Location.ID != "l" || saved.Changed {
		t.Errorf("create of one that is there: %+v", saved)
	}
	if diff := cmp.Diff([]string{"a@l=1/uid-a"}, refs(load(t, db))); diff != "" {
		t.Error(diff)
	}
}

func testCatalogConflicts(t *testing.T, db *store.DB) {
	save(t, db, location("l"), record.Create, entity("a", "1"))
	theirs := entity("a", "2")
	theirs.UID = "theirs"
	saved := save(t, db, location("m"), record.Create, theirs, entity("b", "1"))
	if diff := cmp.Diff([]string{"component:default/a"}, saved.Conflicts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a@l=1/uid-a", "b@m=1/uid-b"}, refs(load(t, db))); diff != "" {
		t.Error("the first should win:\n" + diff)
	}
	if _, err := db.DeleteLocation(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	if saved := save(t, db, location("m"), record.Update, theirs, entity("b", "1")); len(saved.Conflicts) != 0 {
		t.Errorf("still conflicts: %v", saved.Conflicts)
	}
}

func testCatalogDelete(t *testing.T, db *store.DB) {
	save(t, db, location("l"), record.Create, entity("a", "1"), entity("b", "1"))
	before := load(t, db).Version
	found, err := db.DeleteEntity(t.Context(), "uid-a")
	if !found || err != nil {
		t.Errorf("delete entity: %v, %v", found, err)
	}
	if found, err := db.DeleteEntity(t.Context(), "uid-a"); found || err != nil {
		t.Errorf("delete entity again: %v, %v", found, err)
	}
	if c := load(t, db); len(c.Entities) != 1 || c.Version != before+1 {
		t.Errorf("after delete: %+v", c)
	}
	if found, err := db.DeleteLocation(t.Context(), "l"); !found || err != nil {
		t.Errorf("delete location: %v, %v", found, err)
	}
	if c := load(t, db); len(c.Entities) != 0 || len(c.Locations) != 0 {
		t.Errorf("entities outlive their location: %+v", c)
	}
	if found, err := db.DeleteLocation(t.Context(), "l"); found || err != nil {
		t.Errorf("delete location again: %v, %v", found, err)
	}
}

func testCatalogNeverHalf(t *testing.T, db *store.DB) {
	save(t, db, location("l"), record.Create, entity("a", "1"))
	before := load(t, db)
	twin := entity("c", "1")
	twin.UID = "uid-a" // breaks the uid's uniqueness
	if _, err := db.SaveLocation(t.Context(), location("l"), []record.Entity{entity("a", "2"), entity("b", "1"), twin}, record.Update); err == nil {
		t.Fatal("two entities with one uid are saved")
	}
	if diff := cmp.Diff(before, load(t, db)); diff != "" {
		t.Error("half of it was applied:\n" + diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.SaveLocation(ctx, location("l"), nil, record.Update); err == nil {
		t.Error("a cancelled save succeeds")
	}
	if diff := cmp.Diff(before, load(t, db)); diff != "" {
		t.Error(diff)
	}
}

func testCatalogConcurrent(t *testing.T, db *store.DB) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			id := fmt.Sprintf("l%d", i)
			for round := range 5 {
				_, err := db.SaveLocation(t.Context(), location(id), []record.Entity{entity(id, fmt.Sprint(round)), entity("shared", id)}, record.Ensure)
				if err != nil {
					t.Error(err)
				}
				if _, err := db.LoadCatalog(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	c := load(t, db)
	if len(c.Locations) != 8 || len(c.Entities) != 9 {
		t.Errorf("%d locations, %d entities", len(c.Locations), len(c.Entities))
	}
}
