package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

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

// Those that were used last are kept, and nothing of others is found.
func TestOtherSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		made := newSession("new", 1)
		another, elsewhere := newSession("another", 1), newSession("elsewhere", 1)
		another.Principal, elsewhere.Server = "user:default/eve", "admin"
		for _, s := range []store.Session{made, another, elsewhere, newSession("s3", 3000), newSession("s1", 1000), newSession("s4", 4000), newSession("s2", 2000)} {
			if err := a.CreateSession(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.TouchSessions(t.Context(), map[string]time.Time{"s1": time.UnixMilli(5000)}); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			keep, limit int
			want        []string
		}{
			{0, 9, []string{"s1", "s4", "s3", "s2"}}, {1, 2, []string{"s4", "s3"}}, {3, 9, []string{"s2"}}, {4, 9, nil}, {9, 9, nil},
		} {
			got, err := b.OtherSessions(t.Context(), made, test.keep, test.limit)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("keep %d, limit %d: %v %v, want %v", test.keep, test.limit, got, err, test.want)
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

func TestUpdateSession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		createSessions(t, a, "s1", "s2")
		changed := store.Session{
			ID: "s1", Server: "stolen", Principal: "thief", ProtocolVersion: "2024-11-05",
			ClientInfo: json.RawMessage(`{"name":"x"}`), Capabilities: json.RawMessage(`{}`), LogLevel: "warning",
		}
		if err := a.UpdateSession(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		want := newSession("s1", 2000)
		want.ProtocolVersion, want.ClientInfo, want.Capabilities, want.LogLevel = changed.ProtocolVersion, changed.ClientInfo, changed.Capabilities, "warning"
		if got, err := b.Session(t.Context(), "s1"); err != nil || cmp.Diff(want, got) != "" {
			t.Error(err, cmp.Diff(want, got))
		}
		if err := b.SetLogLevel(t.Context(), "s1", "debug"); err != nil {
			t.Fatal(err)
		}
		want.LogLevel = "debug"
		if got, err := a.Session(t.Context(), "s1"); err != nil || cmp.Diff(want, got) != "" {
			t.Error(err, cmp.Diff(want, got))
		}
		if got, err := a.Session(t.Context(), "s2"); err != nil || cmp.Diff(newSession("s2", 2000), got) != "" {
			t.Error(err, cmp.Diff(newSession("s2", 2000), got))
		}
		for _, err := range []error{a.UpdateSession(t.Context(), store.Session{ID: "gone"}), a.SetLogLevel(t.Context(), "gone", "debug")} {
			if !errors.Is(err, session.ErrNotFound) {
				t.Errorf("error %v, want not found", err)
			}
		}
	})
}

func TestDeleteServerSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		createSessions(t, db, "s1", "s2")
		other := newSession("s3", 2000)
		other.Server = "other"
		if err := db.CreateSession(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if n, err := db.DeleteServerSessions(t.Context(), "catalog"); n != 2 || err != nil {
			t.Errorf("deleted %d, %v; want 2", n, err)
		}
		if _, err := db.Session(t.Context(), "s3"); err != nil {
			t.Errorf("another server's session is gone: %v", err)
		}
	})
}

// A session id is whatever stands in a header.
func TestSessionIDsOfAnyBytes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		for _, id := range []string{"", "\xff", "a\x00b", "é", "'", strings.Repeat("x", 100_000)} {
			if _, err := db.Session(t.Context(), id); !errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrAway) {
				t.Errorf("session %.20q: %v, want not found", id, err)
			}
			if err := db.DeleteSession(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("session %.20q: %v, want not found", id, err)
			}
		}
	})
}

func TestSubscriptions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		createSessions(t, a, "s1", "s2")
		for _, uri := range []string{"stagedoor://b", "stagedoor://a", "stagedoor://b", "stagedoor://c"} {
			if err := a.Subscribe(t.Context(), "s1", uri); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Subscribe(t.Context(), "s2", "stagedoor://a"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := b.Unsubscribe(t.Context(), "s1", "stagedoor://c"); err != nil {
				t.Error(err)
			}
		}
		got, err := b.Subscriptions(t.Context(), "s1")
		if diff := cmp.Diff([]string{"stagedoor://a", "stagedoor://b"}, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
		if err := a.Subscribe(t.Context(), "gone", "stagedoor://a"); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("error %v, want not found", err)
		}
		if err := a.DeleteSession(t.Context(), "s1"); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Subscriptions(t.Context(), "s1"); err != nil || len(got) != 0 {
			t.Errorf("subscriptions outlive the session: %v, %v", got, err)
		}
	})
}

func TestTooManySubscriptions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		createSessions(t, dbs[0], "s")
		for i := range 990 {
			if err := dbs[0].Subscribe(t.Context(), "s", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		var refused atomic.Int64
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				switch err := dbs[i%2].Subscribe(t.Context(), "s", fmt.Sprint("more", i)); {
				case errors.Is(err, session.ErrTooMany):
					refused.Add(1)
				case err != nil:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got, err := dbs[0].Subscriptions(t.Context(), "s"); len(got) != 1000 || refused.Load() != 10 || err != nil {
			t.Errorf("%d subscriptions, %d refused, %v", len(got), refused.Load(), err)
		}
		if err := dbs[0].Subscribe(t.Context(), "s", "1"); err != nil {
			t.Errorf("one that is there: %v", err)
		}
	})
}

func BenchmarkSessionLookup(b *testing.B) {
	storetest.EachBenchmark(b, func(b *testing.B, open func() *store.DB) {
		db := open()
		createSessions(b, db, "s1")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := db.Session(b.Context(), "s1"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Sessions that nobody uses cost neither memory nor time.
func TestManySessions(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 rows")
	}
	url := storetest.SQLite(t)
	db := openURL(t, url)
	insertSessions(t, url, 100_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	const lookups = 1000
	for i := range lookups {
		if _, err := db.Session(t.Context(), fmt.Sprint("many", i*97)); err != nil {
			t.Fatal(err)
		}
	}
	each := time.Since(start) / lookups
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("lookup among 100,000 sessions: %v", each)
	if each > 2*time.Millisecond { // it takes 10 to 20 µs where nothing runs beside
		t.Errorf("a lookup takes %v", each)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
	if n, err := db.DeleteSessionsBefore(t.Context(), time.Now()); n != 100_000 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
}

func insertSessions(t *testing.T, url string, count int) {
	t.Helper()
	raw, err := sqlx.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_, err = raw.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
		INSERT INTO sessions (id, server, principal, protocol_version, client_info, capabilities, created_at, seen_at)
		SELECT 'many' || i, 'catalog', '', '2025-11-25', '{"name":"client"}', '{}', 1000, 2000 FROM n`, count)
	if err != nil {
		t.Fatal(err)
	}
}
