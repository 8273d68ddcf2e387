package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func newSession(id string, seen int64) store.Session {
	return store.Session{
		ID: id, Server: "catalog", Principal: "user:default/ada", ProtocolVersion: "2025-11-25",
		ClientInfo: json.RawMessage(`{"name":"Ünï"}`), Capabilities: json.RawMessage(`{"roots":{}}`),
		Created: time.UnixMilli(1000), Seen: time.UnixMilli(seen),
	}
}

func TestSessionRoundTrip(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		want := newSession("s1", 2000)
		if err := a.CreateSession(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, err := b.Session(t.Context(), "s1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if err := a.CreateSession(t.Context(), want); err == nil {
			t.Error("the same id was accepted twice")
		}
	})
}

func TestSessionEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		if err := a.CreateSession(t.Context(), newSession("s1", 2000)); err != nil {
			t.Fatal(err)
		}
		if err := b.DeleteSession(t.Context(), "s1"); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			func() error { _, err := a.Session(t.Context(), "s1"); return err }(),
			a.DeleteSession(t.Context(), "s1"),
			a.DeleteSession(t.Context(), "'; DROP TABLE sessions; --"),
		} {
			if !errors.Is(err, store.ErrNotFound) || !errors.Is(err, session.ErrNotFound) {
				t.Errorf("error %v, want not found", err)
			}
		}
	})
}

func TestTouchNeverGoesBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		if err := db.CreateSession(t.Context(), newSession("s1", 2000)); err != nil {
			t.Fatal(err)
		}
		for _, at := range []int64{5000, 3000} {
			seen := map[string]time.Time{"s1": time.UnixMilli(at), "gone": time.UnixMilli(at)}
			if err := db.TouchSessions(t.Context(), seen); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.Session(t.Context(), "s1")
		if err != nil || got.Seen.UnixMilli() != 5000 {
			t.Errorf("seen %v, %v; want 5000", got.Seen.UnixMilli(), err)
		}
	})
}

// Replicas touch the same sessions at the same time, more than one batch of them.
func TestTouchConcurrently(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		seen := map[string]time.Time{}
		for i := range 1100 {
			id := fmt.Sprintf("s%d", i)
			seen[id] = time.UnixMilli(9000)
			if i%100 == 0 {
				if err := dbs[0].CreateSession(t.Context(), newSession(id, 2000)); err != nil {
					t.Fatal(err)
				}
			}
		}
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				if err := dbs[i%2].TouchSessions(t.Context(), seen); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got, err := dbs[1].Session(t.Context(), "s1000"); err != nil || got.Seen.UnixMilli() != 9000 {
			t.Errorf("seen %v, %v", got.Seen, err)
		}
	})
}

func TestDeleteSessionsBefore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		for i, at := range []int64{1000, 2000, 3000} {
			if err := db.CreateSession(t.Context(), newSession(fmt.Sprint(i), at)); err != nil {
				t.Fatal(err)
			}
		}
		n, err := db.DeleteSessionsBefore(t.Context(), time.UnixMilli(3000))
		if err != nil || n != 2 {
			t.Errorf("deleted %d, %v; want 2", n, err)
		}
		if _, err := db.Session(t.Context(), "2"); err != nil {
			t.Errorf("the young session is gone: %v", err)
		}
	})
}

func BenchmarkSessionLookup(b *testing.B) {
	db, err := store.Open(b.Context(), storetest.SQLite(b))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateSession(b.Context(), newSession("s1", 2000)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.Session(b.Context(), "s1"); err != nil {
			b.Fatal(err)
		}
	}
}
