package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// patience is how long tests wait for what should come at once.
const patience = 30 * time.Second

// listen gives what the handle hears after its first resync.
func listen(t testing.TB, db *store.DB) <-chan session.Signal {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	heard, ended := make(chan session.Signal, 100_000), make(chan error)
	go func() { ended <- db.Listen(ctx, func(s session.Signal) { heard <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Listen ended with %v", err)
		}
	})
	if got := receive(t, heard); got != (session.Signal{Topic: session.SignalResync}) {
		t.Fatalf("heard %+v first, want a resync", got)
	}
	return heard
}

func receive(t testing.TB, heard <-chan session.Signal) session.Signal {
	t.Helper()
	select {
	case s := <-heard:
		return s
	case <-time.After(patience):
		t.Fatal("no signal came")
		return session.Signal{}
	}
}

func TestSignals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		listeners := []<-chan session.Signal{listen(t, db), listen(t, db)}
		var want []session.Signal
		for i := range 100 {
			want = append(want,
				session.Signal{Topic: session.SignalEvents, Key: fmt.Sprint(i), Replica: "r1"},
				session.Signal{Topic: session.SignalLists, Key: "server tools"},
				session.Signal{Topic: session.SignalCancel, Key: `s "é' $1`, Replica: "r2"})
			if err := db.Signal(t.Context(), want[len(want)-3:]...); err != nil {
				t.Fatal(err)
			}
		}
		for _, heard := range listeners {
			var got []session.Signal
			for range want {
				got = append(got, receive(t, heard))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestSignalsBetweenReplicas(t *testing.T) {
	url := storetest.Postgres(t)
	a, b := openURL(t, url), openURL(t, url)
	other := openURL(t, storetest.Postgres(t)) // another database of the same server
	heard, elsewhere := listen(t, b), listen(t, other)
	many := make([]session.Signal, 1000)
	for i := range many {
		many[i] = session.Signal{Topic: session.SignalEvents, Key: strings.Repeat("x", 490) + fmt.Sprint(i), Replica: "a"}
	}
	if err := a.Signal(t.Context(), many...); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		if got := receive(t, heard); got != many[i] {
			t.Fatalf("signal %d is %+v", i, got)
		}
	}
	if len(elsewhere) != 0 {
		t.Errorf("another database hears %d signals", len(elsewhere))
	}
}

func TestSignalFaults(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		heard := listen(t, db)
		for _, s := range []session.Signal{
			{}, {Topic: "a\nb"}, {Topic: "t", Key: "a\nb"}, {Topic: "t", Replica: "a\nb"}, {Topic: "t", Key: "\x00"},
			{Topic: "t", Key: "\xff"}, {Topic: "t", Key: strings.Repeat("x", 501)}, {Topic: "t", Replica: strings.Repeat("x", 8000)},
		} {
			if err := db.Signal(t.Context(), session.Signal{Topic: "good"}, s); err == nil {
				t.Errorf("signal %.60q is accepted", s)
			}
		}
		if err := db.Signal(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.Signal(t.Context(), session.Signal{Topic: "t", Key: strings.Repeat("é", 250)}); err != nil {
			t.Error(err)
		}
		if got := receive(t, heard); got.Topic != "t" {
			t.Errorf("heard %+v of a call that was refused", got)
		}
	})
}

// A listener that is busy holds up nobody, and learns that it missed something.
func TestSlowListener(t *testing.T) {
	db := openURL(t, storetest.SQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	entered, proceed, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	var heard []session.Signal
	go func() {
		ended <- db.Listen(ctx, func(s session.Signal) {
			if heard = append(heard, s); len(heard) == 1 {
				close(entered)
				<-proceed
			}
			if s.Key == "last" {
				cancel()
			}
		})
	}()
	<-entered
	for i := range 10_000 {
		if err := db.Signal(t.Context(), session.Signal{Topic: "t", Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Signal(t.Context(), session.Signal{Topic: "t", Key: "last"}); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(heard) > 5000 || heard[1].Topic != session.SignalResync || heard[len(heard)-1].Key != "last" {
		t.Errorf("heard %d signals, second %+v, last %+v", len(heard), heard[1], heard[len(heard)-1])
	}
}

func BenchmarkSignal(b *testing.B) {
	storetest.EachBenchmark(b, func(b *testing.B, open func() *store.DB) {
		db := open()
		heard := listen(b, db)
		b.ReportAllocs()
		for b.Loop() { // there and back
			if err := db.Signal(b.Context(), session.Signal{Topic: "t", Key: "k", Replica: "r"}); err != nil {
				b.Fatal(err)
			}
			receive(b, heard)
		}
	})
}
