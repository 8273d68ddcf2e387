package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// calls are one of each kind: reading, writing, in transactions and not.
func calls(db *store.DB) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Session":       func(ctx context.Context) error { _, err := db.Session(ctx, "s"); return err },
		"CreateSession": func(ctx context.Context) error { return db.CreateSession(ctx, newSession("new", 1)) },
		"Subscribe":     func(ctx context.Context) error { return db.Subscribe(ctx, "s", "u") },
		"OpenStreams": func(ctx context.Context) error {
			return db.OpenStreams(ctx, []session.Stream{{ID: "x", Session: "s"}})
		},
		"AppendEvents": func(ctx context.Context) error {
			return db.AppendEvents(ctx, []session.Event{{Stream: "x", Sequence: 1}})
		},
		"ReadStream": func(ctx context.Context) error { _, _, err := db.ReadStream(ctx, "s", "x", 0, 1); return err },
		"PutMail":    func(ctx context.Context) error { return db.PutMail(ctx, "box", 1, []byte("x")) },
		"TakeMail":   func(ctx context.Context) error { _, err := db.TakeMail(ctx, "box"); return err },
		"Signal":     func(ctx context.Context) error { return db.Signal(ctx, session.Signal{Topic: "t"}) },
		"Spend":      func(ctx context.Context) error { _, err := db.Spend(ctx, "n", time.Now()); return err },
		"Key":        func(ctx context.Context) error { _, err := db.Key(ctx, "k"); return err },
		"Task":       func(ctx context.Context) error { _, err := db.Task(ctx, "t"); return err },
		"Alive":      func(ctx context.Context) error { _, err := db.Alive(ctx, "r", 1); return err },
		"KeepGeneration": func(ctx context.Context) error {
			return db.KeepGeneration(ctx, newGeneration("billing", "1", publication.Accepted))
		},
		"Generations": func(ctx context.Context) error { _, err := db.Generations(ctx, "billing"); return err },
		"Register": func(ctx context.Context) error {
			return db.Register(ctx, publication.Registration{Plugin: "auth"}, 1, newGeneration("auth", "1", publication.Accepted))
		},
		"Registrations": func(ctx context.Context) error { _, err := db.Registrations(ctx); return err },
		"Catalog":       func(ctx context.Context) error { _, err := db.CatalogVersion(ctx); return err },
		"Ping":          db.Ping,
	}
}

// silence is how long a call may take that nobody answers: four times its
// bound, for machines differ.
const silence = 8 * time.Second

// allAway makes every call at once and wants it to fail within the time.
func allAway(t *testing.T, db *store.DB, within time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	for range 3 { // more than there are connections
		for name, call := range calls(db) {
			wg.Go(func() {
				start := time.Now()
				err := call(t.Context())
				if !errors.Is(err, session.ErrAway) || errors.Is(err, session.ErrNotFound) {
					t.Errorf("%s: error %v, want that the database is away", name, err)
				}
				if took := time.Since(start); took > within {
					t.Errorf("%s took %v", name, took)
				}
			})
		}
	}
	wg.Wait()
}

// recovered waits until the database answers, and then wants all calls to succeed.
func recovered(t *testing.T, db *store.DB) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if _, err := db.Session(t.Context(), "s"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// hears sends signals until one arrives, and wants a resync before it.
func hears(t *testing.T, db *store.DB, heard <-chan session.Signal, key string) {
	t.Helper()
	if got := receive(t, heard); got.Topic != session.SignalResync {
		t.Errorf("heard %+v first, want a resync", got)
	}
	if err := db.Signal(t.Context(), session.Signal{Topic: "t", Key: key}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, heard); got.Key != key {
		t.Errorf("heard %+v, want %s", got, key)
	}
}

func TestPostgresIsCutOff(t *testing.T) {
	link := storetest.NewLink(t)
	db := openURL(t, link.URL)
	createSessions(t, db, "s")
	heard := listen(t, db)
	for round := range 3 {
		link.Cut()
		allAway(t, db, patience)
		link.Restore()
		recovered(t, db)
		hears(t, db, heard, fmt.Sprint(round))
	}
}

// The worst way to be away: nothing is refused, and nothing answers.
func TestPostgresIsSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for bounds of seconds")
	}
	link := storetest.NewLink(t)
	db := openURL(t, link.URL)
	createSessions(t, db, "s")
	heard := listen(t, db)
	recovered(t, db)
	link.Silence()
	allAway(t, db, silence)
	allAway(t, db, silence)
	link.Restore() // and what is left of the old connections answers no more, ever
	recovered(t, db)
	hears(t, db, heard, "after")
}

// A client that goes away does not make the database away.
func TestCallerGoesAway(t *testing.T) {
	link := storetest.NewLink(t)
	db := openURL(t, link.URL)
	createSessions(t, db, "s")
	link.Silence()
	defer link.Restore()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := db.Session(ctx, "s"); !errors.Is(err, context.Canceled) || errors.Is(err, session.ErrAway) {
		t.Errorf("error %v, want that the caller went away", err)
	}
}

// A real restart: connections, prepared statements and listeners come back.
func TestPostgresRestarts(t *testing.T) {
	server := storetest.NewServer(t)
	a, b := openURL(t, server.URL), openURL(t, server.URL)
	createSessions(t, a, "s")
	key, err := a.Key(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	heard := listen(t, b)
	server.Stop()
	allAway(t, a, patience)
	server.Start()
	recovered(t, a)
	recovered(t, b)
	hears(t, a, heard, "after")
	if again, err := b.Key(t.Context(), "k"); err != nil || !bytes.Equal(again, key) {
		t.Errorf("key %x, %v", again, err)
	}
	for name, call := range calls(a) {
		if err := call(t.Context()); err != nil && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s after the restart: %v", name, err)
		}
	}
}

// A database that was never there is away, too, and says so soon.
func TestOpenSilent(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	start := time.Now()
	db, err := store.Open(t.Context(), "postgres://u@"+listener.Addr().String()+"/db?connect_timeout=1")
	if err == nil {
		db.Close()
		t.Fatal("opened")
	}
	if took := time.Since(start); took > patience {
		t.Errorf("took %v", took)
	}
}
