package store_test

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func TestReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		// A clock that is wrong by years changes nothing.
		first := session.Replica{ID: "b", Generation: "g1", Started: time.UnixMilli(1000), Seen: time.UnixMilli(5)}
		second := session.Replica{ID: "a", Generation: "g2", Started: time.UnixMilli(2000)}
		if err := errors.Join(a.Beat(t.Context(), first), b.Beat(t.Context(), second)); err != nil {
			t.Fatal(err)
		}
		first.Generation = "g3"
		if err := a.Beat(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		got, err := b.Replicas(t.Context())
		if diff := cmp.Diff([]session.Replica{second, first}, got, cmpopts.IgnoreFields(session.Replica{}, "Seen")); diff != "" || err != nil {
			t.Error(err, diff)
		}
		for _, r := range got {
			if age := time.Since(r.Seen); age < -time.Minute || age > time.Minute {
				t.Errorf("seen %v", r.Seen)
			}
		}
		alive := func(id string, within time.Duration) bool {
			t.Helper()
			alive, err := b.Alive(t.Context(), id, within)
			if err != nil {
				t.Error(err)
			}
			return alive
		}
		if !alive("b", time.Minute) || !alive("a", time.Minute) || alive("c", time.Minute) || alive("b", -time.Minute) {
			t.Error("the wrong ones are alive")
		}
		for range 2 {
			if err := a.Leave(t.Context(), "b"); err != nil {
				t.Error(err)
			}
		}
		if alive("b", time.Hour) || !alive("a", time.Minute) {
			t.Error("the wrong one left")
		}
	})
}

func TestKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		keys := make([][]byte, 16)
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() {
				var err error
				if keys[i], err = dbs[i%2].Key(t.Context(), "state"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, key := range keys {
			if len(key) != 32 || !bytes.Equal(key, keys[0]) || bytes.Equal(key, make([]byte, 32)) {
				t.Fatalf("keys differ: %x", keys)
			}
		}
		if other, err := open().Key(t.Context(), "other"); err != nil || bytes.Equal(other, keys[0]) {
			t.Errorf("another name has the same key, %v", err)
		}
	})
}

func TestNonces(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		var firsts atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				first, err := dbs[i%2].Spend(t.Context(), "n", time.Now().Add(time.Hour))
				if err != nil {
					t.Error(err)
				}
				if first {
					firsts.Add(1)
				}
			})
		}
		wg.Wait()
		if firsts.Load() != 1 {
			t.Errorf("%d spent the nonce", firsts.Load())
		}
		if first, err := dbs[0].Spend(t.Context(), "another", time.Now()); !first || err != nil {
			t.Errorf("another: %v, %v", first, err)
		}
	})
}
