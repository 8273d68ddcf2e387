package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func createSessions(t testing.TB, db *store.DB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := db.CreateSession(t.Context(), newSession(id, 2000)); err != nil {
			t.Fatal(err)
		}
	}
}

func openStreams(t testing.TB, db *store.DB, streams ...session.Stream) {
	t.Helper()
	if err := db.OpenStreams(t.Context(), streams); err != nil {
		t.Fatal(err)
	}
}

func appendEvents(t testing.TB, db *store.DB, events ...session.Event) {
	t.Helper()
	if err := db.AppendEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

func gone(t *testing.T, db *store.DB, owner, stream string) {
	t.Helper()
	if s, events, err := db.ReadStream(t.Context(), owner, stream, 0, 10); !errors.Is(err, session.ErrNotFound) || !errors.Is(err, store.ErrNotFound) {
		t.Errorf("stream %q of %q: %+v, %v, %v; want not found", stream, owner, s, events, err)
	}
}

func TestStreams(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		createSessions(t, a, "s1", "s2")
		want := session.Stream{ID: "x", Session: "s1", Replica: "r1", Request: json.RawMessage(`"\u0000é"`)}
		openStreams(t, a, want, session.Stream{ID: "y", Session: "gone"}, session.Stream{ID: "z", Session: "s2"})
		openStreams(t, a, session.Stream{ID: "x", Session: "s1", Replica: "thief"}) // repeated: nothing happens
		events := []session.Event{
			{Stream: "x", Sequence: 1, Data: []byte(`{"a":"\u0000"}`)},
			{Stream: "x", Sequence: 2, Data: []byte("\x00\xff")},
			{Stream: "x", Sequence: 3, Data: []byte{}, Last: true},
		}
		other := session.Event{Stream: "z", Sequence: 1, Data: []byte("z")}
		appendEvents(t, a, events[0], other, session.Event{Stream: "y", Sequence: 1}, session.Event{Stream: "never", Sequence: 1})
		if _, got, err := b.ReadStream(t.Context(), "s1", "x", 0, 10); err != nil || len(got) != 1 || got[0].Last {
			t.Errorf("read %+v, %v", got, err)
		}
		appendEvents(t, a, events...) // the first one again

		got, read, err := b.ReadStream(t.Context(), "s1", "x", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		want.Closed = true
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(events, read, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		if _, read, _ = b.ReadStream(t.Context(), "s1", "x", 1, 1); len(read) != 1 || read[0].Sequence != 2 || read[0].Last {
			t.Errorf("one after the first: %+v", read)
		}
		if s, read, err := b.ReadStream(t.Context(), "s1", "x", 3, 10); err != nil || !s.Closed || len(read) != 0 {
			t.Errorf("after the last: %+v, %+v, %v", s, read, err)
		}
		if s, read, err := b.ReadStream(t.Context(), "s2", "z", 0, 10); err != nil || s.Closed || s.Request != nil || cmp.Diff([]session.Event{other}, read) != "" {
			t.Errorf("the other stream: %+v, %+v, %v", s, read, err)
		}
		gone(t, b, "s2", "x") // not that session's
		gone(t, b, "gone", "y")
		gone(t, b, "s1", "never")
		gone(t, b, "s1", "\xff\x00")
		if err := a.DeleteSession(t.Context(), "s1"); err != nil {
			t.Fatal(err)
		}
		gone(t, b, "s1", "x")
		appendEvents(t, a, session.Event{Stream: "x", Sequence: 4}) // too late, and no error
		createSessions(t, a, "s1")
		openStreams(t, a, want)
		if _, read, err := b.ReadStream(t.Context(), "s1", "x", 0, 10); err != nil || len(read) != 0 {
			t.Errorf("events outlived their stream: %+v, %v", read, err)
		}
	})
}

// A replica writes what many calls said since the last time in one go.
func TestAppendManyEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		createSessions(t, db, "s")
		var streams []session.Stream
		var events []session.Event
		for i := range 500 {
			streams = append(streams, session.Stream{ID: fmt.Sprint("x", i), Session: "s"})
			for n := range 10 {
				events = append(events, session.Event{
					Stream: fmt.Sprint("x", i), Sequence: int64(n + 1), Data: fmt.Appendf(nil, "%d.%d", i, n), Last: n == 9 && i%2 == 0,
				})
			}
		}
		openStreams(t, db, streams...)
		start := time.Now()
		appendEvents(t, db, events...)
		t.Logf("5,000 events in 500 streams: %v", time.Since(start))
		for i := range 500 {
			s, read, err := db.ReadStream(t.Context(), "s", fmt.Sprint("x", i), 0, 100)
			if err != nil || s.Closed != (i%2 == 0) {
				t.Fatalf("stream %d: %+v, %v", i, s, err)
			}
			if diff := cmp.Diff(events[10*i:10*i+10], read); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

// Whoever reads while another replica writes never sees a gap, nor a closed
// stream without its last event.
func TestReadStreamWhileItGrows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		writer, reader := open(), open()
		createSessions(t, writer, "s")
		openStreams(t, writer, session.Stream{ID: "x", Session: "s"})
		const total = 200
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := int64(1); n <= total; n += 2 {
				if err := writer.AppendEvents(t.Context(), []session.Event{{Stream: "x", Sequence: n}, {Stream: "x", Sequence: n + 1, Last: n+1 == total}}); err != nil {
					t.Error(err)
				}
			}
		})
		defer wg.Wait()
		for after, closed := int64(0), false; !closed && !t.Failed(); {
			s, read, err := reader.ReadStream(t.Context(), "s", "x", after, total)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range read {
				if after++; e.Sequence != after || e.Last != (e.Sequence == total) {
					t.Fatalf("event %+v, want number %d", e, after)
				}
			}
			if closed = s.Closed; closed != (after == total) {
				t.Fatalf("closed %v after %d events", closed, after)
			}
		}
	})
}

func TestPurgeStreams(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		createSessions(t, db, "s")
		openStreams(t, db, session.Stream{ID: "x", Session: "s"})
		appendEvents(t, db, session.Event{Stream: "x", Sequence: 1, Data: []byte("1")})
		if n, err := db.PurgeStreams(t.Context(), time.Hour, 2*time.Hour); n != 0 || err != nil {
			t.Errorf("purged %d, %v", n, err)
		}
		if n, err := db.PurgeStreams(t.Context(), -time.Hour, time.Hour); n != 0 || err != nil {
			t.Errorf("purged %d that are open, %v", n, err)
		}
		openStreams(t, db, session.Stream{ID: "y", Session: "s"})
		appendEvents(t, db, session.Event{Stream: "y", Sequence: 1, Data: []byte("1"), Last: true})
		if n, err := db.PurgeStreams(t.Context(), -time.Hour, time.Hour); n != 1 || err != nil {
			t.Errorf("purged %d, %v; want the closed one", n, err)
		}
		gone(t, db, "s", "y")
		if n, err := db.PurgeStreams(t.Context(), -time.Hour, -time.Hour); n != 1 || err != nil {
			t.Errorf("purged %d, %v; want 1", n, err)
		}
		gone(t, db, "s", "x")
	})
}

func TestTrimStreams(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		createSessions(t, db, "large", "small", "open")
		write := func(owner, id string, last bool) {
			openStreams(t, db, session.Stream{ID: id, Session: owner})
			appendEvents(t, db, session.Event{Stream: id, Sequence: 1, Data: bytes.Repeat([]byte("."), 60)},
				session.Event{Stream: id, Sequence: 2, Data: bytes.Repeat([]byte("."), 40), Last: last})
		}
		for i := range 5 {
			write("large", fmt.Sprint("l", i), i != 1)
			write("open", fmt.Sprint("o", i), false)
		}
		for i := range 3 {
			write("small", fmt.Sprint("s", i), true)
		}
		if n, err := db.TrimStreams(t.Context(), 300); n != 2 || err != nil {
			t.Errorf("trimmed %d, %v; want 2", n, err)
		}
		left := map[string]int{}
		for _, owner := range []string{"large", "open", "small"} {
			for i := range 5 {
				if _, events, err := db.ReadStream(t.Context(), owner, fmt.Sprint(owner[:1], i), 0, 10); err == nil && len(events) == 2 {
					left[owner]++
				}
			}
		}
		if diff := cmp.Diff(map[string]int{"large": 3, "open": 5, "small": 3}, left); diff != "" {
			t.Error(diff)
		}
		if _, _, err := db.ReadStream(t.Context(), "large", "l1", 0, 10); err != nil {
			t.Errorf("an open stream was trimmed: %v", err)
		}
		if n, err := db.TrimStreams(t.Context(), 300); n != 0 || err != nil {
			t.Errorf("trimmed %d again, %v", n, err)
		}
	})
}

// Sessions end while others open streams in them and write to those.
func TestStreamsOfSessionsThatEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		for round := range 10 {
			var ids []string
			var streams []session.Stream
			var events []session.Event
			for i := range 20 {
				id := fmt.Sprintf("%d.%d", round, i)
				ids = append(ids, id)
				streams = append(streams, session.Stream{ID: id, Session: id})
				events = append(events, session.Event{Stream: id, Sequence: 1})
			}
			createSessions(t, a, ids...)
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := a.OpenStreams(t.Context(), streams); err != nil {
					t.Error(err)
				}
				if err := a.AppendEvents(t.Context(), events); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := b.DeleteSessionsBefore(t.Context(), time.UnixMilli(3000)); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
		}
	})
}

func BenchmarkAppendEvents(b *testing.B) {
	storetest.EachBenchmark(b, func(b *testing.B, open func() *store.DB) {
		db := open()
		createSessions(b, db, "s")
		openStreams(b, db, session.Stream{ID: "x", Session: "s"})
		data := bytes.Repeat([]byte("."), 200)
		for _, size := range []int{1, 20, 500} {
			b.Run(fmt.Sprint(size), func(b *testing.B) {
				events := make([]session.Event, size)
				b.ReportAllocs()
				for b.Loop() {
					for i := range events {
						sequence++
						events[i] = session.Event{Stream: "x", Sequence: sequence, Data: data}
					}
					appendEvents(b, db, events...)
				}
			})
		}
	})
}

var sequence int64 // of the benchmark's events, over all its runs
