package mcpserver

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// heartbeats is a database of which a test says whom it heard of.
type heartbeats struct {
	*memoryStore
	alive bool
	err   error
}

func (s *heartbeats) says(alive bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive, s.err = alive, err
}

func (s *heartbeats) Alive(context.Context, string, time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive, s.err
}

// TestMissedReplicas: who could not say that it lives, because nobody could say
// anything, gets the time to.
func TestMissedReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &heartbeats{memoryStore: newMemoryStore()}
		h := newTestHandler(t, Options{Store: db})
		look := func(what string, want bool) {
			t.Helper()
			if alive, _ := h.absent.alive(t.Context(), "b"); alive != want {
				t.Errorf("%s: alive is %v", what, alive)
			}
		}
		for range 3 {
			look("the first looks after an outage", true)
			time.Sleep(3 * time.Second)
		}
		db.says(true, nil)
		look("it says that it lives", true)
		db.says(false, nil)
		look("missed again", true)
		time.Sleep(10 * time.Second)
		db.says(false, session.ErrAway)
		time.Sleep(30 * time.Second) // nobody looks but we ourselves
		db.says(false, nil)
		look("the first look after the next outage", true)
		time.Sleep(deadSure - time.Second)
		look("not missed for long enough", true)
		time.Sleep(2 * time.Second)
		look("dead", false)
		time.Sleep(time.Hour)
		look("still dead, whenever somebody looks", false)
		db.says(true, nil)
		look("the same name, started again", true)
		db.says(false, nil)
		look("which is missed like any other", true)
	})
}

// TestUnwrittenAnswerIsNotLost: who comes back while the answer waits for the
// database gets it as soon as it is there.
func TestUnwrittenAnswerIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slowLog{memoryStore: newMemoryStore()}
		calls := &fakeInvoker{gate: make(chan struct{})}
		h := newTestHandler(t, Options{Store: db, Invoker: calls})
		id := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
		go serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": id}, callBody("1", "fake_wait", "{}"))
		time.Sleep(3 * time.Second) // it is a stream by now
		synctest.Wait()
		stream := ""
		for stream = range h.live.streams {
		}
		db.away.Store(true)
		close(calls.gate)
		time.Sleep(time.Second)
		got := make(chan string)
		go func() {
			got <- serve(h, "GET", "/mcp/catalog", headers{"Mcp-Session-Id": id, "Accept": eventStream, "Last-Event-Id": stream + ".0"}, "").Body.String()
		}()
		time.Sleep(time.Minute)
		db.away.Store(false)
		if body := <-got; strings.Contains(body, "lost") || !strings.Contains(body, `"waited":true`) {
			t.Errorf("got %s", body)
		}
	})
}

// TestQuietStreamStays: a call that says nothing for longer than its events
// would be kept is answered all the same.
func TestQuietStreamStays(t *testing.T) {
	calls := &fakeInvoker{gate: make(chan struct{})}
	r := newReplica(t, openStore(t), Options{Invoker: calls, SlowCall: 10 * time.Millisecond, EventTTL: time.Millisecond})
	hs := inSession(startSession(t, r, "/mcp/catalog", "2025-11-25", ""), "")
	call := request(t, "POST", r.url, hs, callBody("1", "fake_wait", "{}"))
	primer, _ := call.next(t)
	call.close()
	time.Sleep(5 * time.Millisecond) // the database's clock is the real one
	r.purge(t.Context())
	hs["Last-Event-ID"] = primer.id
	again := request(t, "GET", r.url, hs, "")
	close(calls.gate)
	again.want(t, `"waited":true`)
}
