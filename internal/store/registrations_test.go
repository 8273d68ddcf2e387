package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func register(t *testing.T, db *store.DB, publisher string, lease time.Duration, g publication.Generation) {
	t.Helper()
	r := publication.Registration{Plugin: g.Plugin, Publisher: publisher, BaseURL: "https://" + g.Plugin + ".internal"}
	if err := db.Register(t.Context(), r, lease, g); err != nil {
		t.Fatal(err)
	}
}

// registered gives the only registration.
func registered(t *testing.T, db *store.DB) publication.Registration {
	t.Helper()
	all, err := db.Registrations(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d registrations, %v", len(all), err)
	}
	return all[0]
}

// lasts wants the lease to end after that time, as the database's clock has it.
func lasts(t *testing.T, r publication.Registration, lease time.Duration) {
	t.Helper()
	if left := r.Until.Sub(r.Now); left > lease || left < lease-time.Minute {
		t.Errorf("lease ends in %v, want %v", left, lease)
	}
}

func TestRegistration(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		first, second := newGeneration("billing", "1", publication.Accepted), newGeneration("billing", "2", publication.Accepted)
		register(t, a, "p", time.Hour, first)
		got := registered(t, b)
		want := publication.Registration{Plugin: "billing", Publisher: "p", BaseURL: "https://billing.internal", Hash: first.Hash}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(time.Time{})); diff != "" {
			t.Error(diff)
		}
		lasts(t, got, time.Hour)
		created := got.Created

		register(t, b, "p", 2*time.Hour, second)
		got = registered(t, a)
		if got.Hash != second.Hash || !got.Created.Equal(created) {
			t.Errorf("registered %+v", got)
		}
		renewed, err := a.Renew(t.Context(), "billing", "p", second.Hash, 3*time.Hour)
		if renewed.Hash != second.Hash || err != nil {
			t.Errorf("renewed %+v, %v", renewed, err)
		}
		lasts(t, renewed, 3*time.Hour)
		for _, other := range [][3]string{{"billing", "p", first.Hash}, {"billing", "q", second.Hash}} {
			there, err := a.Renew(t.Context(), other[0], other[1], other[2], time.Hour)
			if !errors.Is(err, publication.ErrNotFound) || there.Hash != second.Hash {
				t.Errorf("%v: %+v, %v", other, there, err)
			}
		}
		if there, err := a.Renew(t.Context(), "auth", "p", second.Hash, time.Hour); !errors.Is(err, publication.ErrNotFound) || there.Plugin != "" {
			t.Errorf("another plugin's: %+v, %v", there, err)
		}
		lasts(t, registered(t, b), 3*time.Hour)
	})
}

func TestWithdraw(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		g := newGeneration("billing", "1", publication.Accepted)
		register(t, db, "p", time.Hour, g)
		for _, other := range [][3]string{{"billing", "q", ""}, {"auth", "p", ""}, {"billing", "p", "another"}, {"billing", "q", g.Hash}} {
			if err := db.Withdraw(t.Context(), other[0], other[1], other[2]); !errors.Is(err, publication.ErrNotFound) {
				t.Errorf("%v: error %v", other, err)
			}
		}
		for _, hash := range []string{g.Hash, ""} {
			register(t, db, "p", time.Hour, g)
			if err := db.Withdraw(t.Context(), "billing", "p", hash); err != nil {
				t.Error(err)
			}
			if err := db.Withdraw(t.Context(), "billing", "p", hash); !errors.Is(err, publication.ErrNotFound) {
				t.Errorf("again: error %v", err)
			}
		}
		if _, err := db.LastGood(t.Context(), "billing"); err != nil {
			t.Error(err)
		}
	})
}

// A lease that lapsed can be renewed until it is forgotten, and taken by
// another publisher at once.
func TestLapsedRegistration(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		g := newGeneration("billing", "1", publication.Accepted)
		register(t, db, "p", -time.Minute, g)
		lapsed := registered(t, db)
		if _, err := db.Renew(t.Context(), "billing", "p", g.Hash, time.Minute); err != nil {
			t.Error(err)
		}
		if forgotten, err := db.Forget(t.Context(), "billing", lapsed.Until.Add(time.Millisecond)); forgotten || err != nil {
			t.Errorf("renewed, and forgotten: %v, %v", forgotten, err)
		}
		register(t, db, "p", -time.Minute, g)
		register(t, db, "q", time.Minute, g)
		taken := registered(t, db)
		if taken.Publisher != "q" || taken.Created.Before(lapsed.Created) {
			t.Errorf("registered %+v", taken)
		}
		if _, err := db.Renew(t.Context(), "billing", "p", g.Hash, time.Minute); !errors.Is(err, publication.ErrNotFound) {
			t.Errorf("error %v", err)
		}
		for _, want := range []bool{true, false} {
			if forgotten, err := db.Forget(t.Context(), "billing", taken.Until.Add(time.Millisecond)); forgotten != want || err != nil {
				t.Errorf("forgotten: %v, %v", forgotten, err)
			}
		}
	})
}

// Of two publishers that come at once, one gets the plugin.
func TestRegisterTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		g := newGeneration("billing", "1", publication.Accepted)
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				r := publication.Registration{Plugin: "billing", Publisher: fmt.Sprint("p", i)}
				err := dbs[i%2].Register(t.Context(), r, time.Minute, g)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, publication.ErrHeld) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d publishers hold the plugin", won.Load())
		}
	})
}

// A publisher cannot fill the database with names; those that it has go on.
func TestTooManyRegistrations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		name := func(i int) publication.Generation {
			return newGeneration(fmt.Sprint("a-", i), "x", publication.Accepted)
		}
		for i := range 200 {
			register(t, db, "p", time.Minute, name(i))
		}
		if err := db.Register(t.Context(), publication.Registration{Plugin: "a-200", Publisher: "p"}, time.Minute, name(200)); !errors.Is(err, publication.ErrTooMany) {
			t.Errorf("error %v", err)
		}
		register(t, db, "p", time.Minute, name(7))
		register(t, db, "other", time.Minute, name(200))
		if err := db.Withdraw(t.Context(), "a-8", "p", ""); err != nil {
			t.Fatal(err)
		}
		register(t, db, "p", time.Minute, name(201))
	})
}
