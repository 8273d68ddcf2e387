package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func newGeneration(plugin, text string, verdict publication.Verdict) publication.Generation {
	c := publication.Content{Documents: []publication.Document{{Name: plugin + ".yaml", Data: []byte(text)}}}
	return publication.Generation{
		Plugin: plugin, Hash: c.Hash(), Content: c, Source: "https://" + plugin + ".internal/openapi.json", Verdict: verdict,
		Actions: []string{"list", "get"}, Findings: json.RawMessage(`[{"severity":"warning"}]`),
	}
}

func keep(t *testing.T, db *store.DB, generations ...publication.Generation) {
	t.Helper()
	for _, g := range generations {
		if err := db.KeepGeneration(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
}

// hashes are those of the plugin's generations, the newest first.
func hashes(t *testing.T, db *store.DB, plugin string) []string {
	t.Helper()
	all, err := db.Generations(t.Context(), plugin)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for i, g := range all {
		hashes = append(hashes, g.Hash)
		if g.Documents != nil || g.Plugin != plugin || i > 0 && !g.Time.Before(all[i-1].Time) {
			t.Errorf("generation %d: %+v", i, g)
		}
	}
	return hashes
}

var exceptTime = cmpopts.IgnoreFields(publication.Generation{}, "Time")

// What no text of a document, name or source may break: bytes that are no
// UTF-8, zero bytes, nothing at all.
func TestGenerationIsKeptExactly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		c := publication.Content{
			Documents: []publication.Document{{Name: "a\xff\x00.yaml", Data: []byte("\x00\xff\xfe: \u2028")}, {Name: "b", Data: nil}, {}},
			Files:     []publication.Document{{Name: "parts/x.yaml", Data: bytes.Repeat([]byte("0123456789"), 3_000)}},
			BaseURL:   "https://billing.internal/api",
		}
		want := publication.Generation{Plugin: "billing", Hash: c.Hash(), Content: c, Source: "push", Verdict: publication.Accepted}
		start := time.Now()
		keep(t, a, want)
		got, err := b.LastGood(t.Context(), "billing")
		if err != nil {
			t.Fatal(err)
		}
		if age := got.Time.Sub(start); age < -time.Minute || age > time.Minute {
			t.Errorf("judged at %v", got.Time)
		}
		if diff := cmp.Diff(want, got, exceptTime, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLastGood(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		if _, err := db.LastGood(t.Context(), "billing"); !errors.Is(err, publication.ErrNotFound) {
			t.Errorf("error %v", err)
		}
		first, second := newGeneration("billing", "1", publication.Accepted), newGeneration("billing", "2", publication.Accepted)
		broken := newGeneration("billing", "3", publication.Quarantined)
		keep(t, db, first, second, broken, newGeneration("auth", "other", publication.Accepted))
		good := func(want publication.Generation) {
			t.Helper()
			got, err := db.LastGood(t.Context(), "billing")
			if diff := cmp.Diff(want, got, exceptTime); diff != "" || err != nil {
				t.Error(err, diff)
			}
		}
		good(second)
		first.Findings, first.Source = json.RawMessage(`[]`), "elsewhere"
		keep(t, db, first) // it went back
		good(first)
		broken.Verdict = publication.Accepted
		keep(t, db, broken) // and then the lock was accepted
		good(broken)
		worse := first
		worse.Verdict = publication.Quarantined
		keep(t, db, worse) // by a replica with an older lock: nothing changes, LastGood least of all
		good(broken)
		worse = broken
		worse.Verdict = publication.Quarantined
		keep(t, db, worse)
		if err := db.Register(t.Context(), publication.Registration{Plugin: "billing", Publisher: "p"}, time.Minute, worse); err != nil {
			t.Fatal(err)
		}
		good(broken)
		if diff := cmp.Diff([]string{broken.Hash, first.Hash, second.Hash}, hashes(t, db, "billing")); diff != "" {
			t.Error(diff)
		}
	})
}

// What has no documents says how the one that is kept is to be judged, and is
// never kept instead.
func TestGenerationWithoutDocuments(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		good, bad := newGeneration("billing", "1", publication.Accepted), newGeneration("billing", "2", publication.Quarantined)
		bare := bad
		bare.Content, bare.Verdict, bare.Actions, bare.Findings = publication.Content{}, publication.Accepted, nil, nil
		if err := db.KeepGeneration(t.Context(), bare); err == nil {
			t.Error("kept without documents")
		}
		if err := db.Register(t.Context(), publication.Registration{Plugin: "billing", Publisher: "p"}, time.Minute, bare); err == nil {
			t.Error("registered without documents")
		}
		if all, err := db.Registrations(t.Context()); len(all) > 0 || len(hashes(t, db, "billing")) > 0 || err != nil {
			t.Error(all, err)
		}
		keep(t, db, bad, good, bare)
		want := bad
		want.Verdict = publication.Accepted
		got, err := db.LastGood(t.Context(), "billing")
		if diff := cmp.Diff(want, got, exceptTime); diff != "" || err != nil {
			t.Error(err, diff)
		}
		bare.Verdict = publication.Quarantined
		keep(t, db, good, bare)
		if got := hashes(t, db, "billing"); got[0] != good.Hash {
			t.Error("quarantine of what was accepted counts")
		}
	})
}

func TestNewest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		good, bad := newGeneration("billing", "1", publication.Accepted), newGeneration("billing", "2", publication.Quarantined)
		for _, g := range []publication.Generation{good, bad, good} {
			if _, err := db.Newest(t.Context(), "auth"); !errors.Is(err, publication.ErrNotFound) {
				t.Errorf("error %v", err)
			}
			keep(t, db, g)
			got, err := db.Newest(t.Context(), "billing")
			if diff := cmp.Diff(g, got, exceptTime); diff != "" || err != nil {
				t.Error(err, diff)
			}
		}
	})
}

// Names that come and go leave nothing for ever.
func TestGenerationsOfNobodyArePurged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		for i := range 5 {
			g := newGeneration(fmt.Sprint("a-", i), "x", publication.Accepted)
			register(t, db, "p", time.Minute, g)
			if err := db.Withdraw(t.Context(), g.Plugin, "p", ""); err != nil {
				t.Fatal(err)
			}
		}
		keep(t, db, newGeneration("it's-named", "x", publication.Accepted))
		register(t, db, "p", time.Minute, newGeneration("registered", "x", publication.Accepted))
		purge := func(after time.Duration, want int, keep ...string) {
			t.Helper()
			n, err := db.Purge(t.Context(), store.PurgeAfter{Expired: time.Hour, Mail: time.Hour, Replicas: time.Hour, Generations: after, Keep: keep})
			if n != want || err != nil {
				t.Errorf("%v: purged %d, want %d, %v", after, n, want, err)
			}
		}
		purge(0, 0)
		purge(time.Hour, 0)
		purge(-time.Hour, 4, "it's-named", "a-3", "never-seen")
		purge(-time.Hour, 0, "it's-named", "a-3")
		for _, plugin := range []string{"it's-named", "a-3", "registered"} {
			if len(hashes(t, db, plugin)) != 1 {
				t.Errorf("%s is gone", plugin)
			}
		}
		purge(-time.Hour, 2)
	})
}

func TestGenerationByPrefix(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		old, g := newGeneration("billing", "1", publication.Accepted), newGeneration("billing", "2", publication.Quarantined)
		keep(t, db, old, g)
		for prefix, want := range map[string]publication.Generation{g.Hash: g, g.Hash[:12]: g, old.Hash[:12]: old, "": g} {
			got, err := db.Generation(t.Context(), "billing", prefix)
			if diff := cmp.Diff(want, got, exceptTime); diff != "" || err != nil {
				t.Errorf("%q: %v %s", prefix, err, diff)
			}
		}
		for _, prefix := range []string{"%", "_", "g", "' OR '1'='1", g.Hash + "0"} {
			if _, err := db.Generation(t.Context(), "billing", prefix); !errors.Is(err, publication.ErrNotFound) {
				t.Errorf("%q: error %v", prefix, err)
			}
		}
		if _, err := db.Generation(t.Context(), "auth", g.Hash); !errors.Is(err, publication.ErrNotFound) {
			t.Errorf("another plugin's: error %v", err)
		}
	})
}

// Old generations go, but never what is registered or serves.
func TestGenerationsArePruned(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		other := newGeneration("auth", "x", publication.Accepted)
		registered := newGeneration("billing", "registered", publication.Quarantined)
		keep(t, db, other)
		if err := db.Register(t.Context(), publication.Registration{Plugin: "billing", Publisher: "p"}, time.Minute, registered); err != nil {
			t.Fatal(err)
		}
		var accepted, quarantined []string
		for i := range 15 {
			good, bad := newGeneration("billing", fmt.Sprint("good", i), publication.Accepted), newGeneration("billing", fmt.Sprint("bad", i), publication.Quarantined)
			accepted, quarantined = append(accepted, good.Hash), append(quarantined, bad.Hash)
			keep(t, db, good, bad)
		}
		for range 3 { // many in quarantine push nothing good out
			keep(t, db, newGeneration("billing", "bad14", publication.Quarantined))
		}
		want := []string{quarantined[14]}
		for i := 14; i >= 5; i-- {
			want = append(want, accepted[i])
		}
		if diff := cmp.Diff(append(want, registered.Hash), hashes(t, db, "billing")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{other.Hash}, hashes(t, db, "auth")); diff != "" {
			t.Error(diff)
		}
	})
}

// Replicas that judge the same at once agree.
func TestKeepGenerationTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		var wg sync.WaitGroup
		for i := range 24 {
			wg.Go(func() {
				g := newGeneration("billing", fmt.Sprint(i/2%6), publication.Accepted)
				if err := dbs[i%2].KeepGeneration(t.Context(), g); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all, err := dbs[0].Generations(t.Context(), "billing")
		if len(all) != 6 || err != nil {
			t.Errorf("%d generations, %v", len(all), err)
		}
	})
}

// A caller that goes away leaves nothing half kept.
func TestRegisterIsAllOrNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		g := newGeneration("billing", "1", publication.Accepted)
		r := publication.Registration{Plugin: "billing", Publisher: "p"}
		if err := db.Register(ctx, r, time.Minute, g); err == nil {
			t.Error("registered for nobody")
		}
		if err := db.Register(t.Context(), r, time.Minute, g); err != nil {
			t.Fatal(err)
		}
		r.Publisher = "other"
		if err := db.Register(t.Context(), r, time.Minute, newGeneration("billing", "2", publication.Accepted)); !errors.Is(err, publication.ErrHeld) {
			t.Errorf("error %v", err)
		}
		if diff := cmp.Diff([]string{g.Hash}, hashes(t, db, "billing")); diff != "" {
			t.Error(diff)
		}
	})
}
