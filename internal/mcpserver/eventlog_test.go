package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// slowLog is a database that was away, and then takes its time.
type slowLog struct {
	*memoryStore
	away  atomic.Bool
	event atomic.Int64 // nanoseconds that it takes to write one
	most  atomic.Int64 // events of one transaction
}

func (s *slowLog) AppendEvents(ctx context.Context, events []session.Event) error {
	if s.away.Load() {
		return session.ErrAway
	}
	s.most.Store(max(s.most.Load(), int64(len(events))))
	select {
	case <-time.After(time.Duration(int64(len(events)) * s.event.Load())):
		return s.memoryStore.AppendEvents(ctx, events)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slowLog) written(stream string) []session.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[stream]
}

// TestEventLogCatchesUp: what gathered while the database was away is more than
// it can take at once, and gets there all the same, in order.
func TestEventLogCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slowLog{memoryStore: newMemoryStore()}
		db.event.Store(int64(time.Millisecond))
		log := newEventLog(db, slog.New(slog.DiscardHandler), func(_, _ []string) {})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { log.run(ctx) })
		if err := log.open(ctx, session.Stream{ID: "s", Session: "x"}); err != nil {
			t.Fatal(err)
		}
		db.away.Store(true)
		const total = 20_000 // 20 s of work, where a transaction has 5 s
		for i := range total {
			if err := log.append(session.Event{Stream: "s", Sequence: int64(i + 1), Data: []byte(fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Second)
		db.away.Store(false)
		time.Sleep(30 * time.Second)
		written := db.written("s")
		if n := len(written); n != total || log.unwritten() {
			t.Errorf("%d events of %d are written", n, total)
		}
		for i, e := range written {
			if e.Sequence != int64(i+1) {
				t.Fatalf("event %d stands at %d", e.Sequence, i)
			}
		}
		if db.most.Load() > batchEvents {
			t.Errorf("%d events in one transaction", db.most.Load())
		}
		for i := range 3 * batchEvents { // what is there at the end is written, too
			_ = log.append(session.Event{Stream: "s", Sequence: int64(total + i + 1)})
		}
		db.event.Store(0)
		cancel()
		running.Wait()
		if n := len(db.written("s")); n != total+3*batchEvents {
			t.Errorf("%d events are lost at the end", total+3*batchEvents-n)
		}
	})
}

// TestEventLogAway: one call waits for a database that does not answer, and the
// others go on without it until it does.
func TestEventLogAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slowLog{memoryStore: newMemoryStore()}
		db.away.Store(true)
		log := newEventLog(db, slog.New(slog.DiscardHandler), func(_, _ []string) {})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { log.run(ctx) })
		if err := log.open(ctx, session.Stream{ID: "0"}); !errors.Is(err, errAway) {
			t.Errorf("the first: %v", err)
		}
		start := time.Now()
		for range 100 {
			if err := log.open(ctx, session.Stream{ID: "1"}); !errors.Is(err, errLogAway) {
				t.Errorf("the others: %v", err)
			}
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("the others wait %v", took)
		}
		db.away.Store(false)
		time.Sleep(logAway)
		for range 2 {
			if err := log.open(ctx, session.Stream{ID: "2"}); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		}
		cancel()
		running.Wait()
	})
}

func (s *slowLog) OpenStreams(ctx context.Context, streams []session.Stream) error {
	if !s.away.Load() {
		return s.memoryStore.OpenStreams(ctx, streams)
	}
	time.Sleep(2 * time.Second) // synctest's clock
	return errAway
}

// TestEventLogIsBounded: a stream whose events have no room goes on, and is
// forgotten by those who would wait for them.
func TestEventLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &slowLog{memoryStore: newMemoryStore()}
		h := newTestHandler(t, Options{Store: db})
		w := &brokenWriter{}
		x := &exchange{handler: h, w: w, r: newRequest("POST", "/", nil, ""), session: session.Session{ID: "s"}}
		x.stream.allowed = true
		x.notify([]byte("1"))
		if h.live.get(x.stream.id) != x {
			t.Fatal("the stream is not known")
		}
		stream := x.stream.id
		db.away.Store(true)
		x.notify(make([]byte, maxUnwritten+1))
		if err := h.log.append(session.Event{Data: make([]byte, maxUnwritten+1)}); !errors.Is(err, errLogFull) {
			t.Errorf("the log takes more than it may: %v", err)
		}
		if h.live.get(stream) != nil || x.stream.id != "" {
			t.Error("the stream can be resumed, though it is not in the log")
		}
	})
}

// pickyLog is a database that does not take some event.
type pickyLog struct{ *memoryStore }

func (s *pickyLog) AppendEvents(ctx context.Context, events []session.Event) error {
	for _, e := range events {
		if string(e.Data) == "poison" {
			return errors.New("value out of range")
		}
	}
	return s.memoryStore.AppendEvents(ctx, events)
}

// TestEventLogGoesOnWithoutWhatIsRefused: an event that the database does not
// take costs its own stream, and no other.
func TestEventLogGoesOnWithoutWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &pickyLog{newMemoryStore()}
		log := newEventLog(db, slog.New(slog.DiscardHandler), func(_, _ []string) {})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { log.run(ctx) })
		for i := range 3000 {
			e := session.Event{Stream: fmt.Sprint("s", i%10), Sequence: int64(i), Data: []byte("fine")}
			if i == 1234 {
				e.Stream, e.Data = "poisoned", []byte("poison")
			}
			if err := log.append(e); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		n := 0
		for _, events := range db.events {
			n += len(events)
		}
		if n != 2999 || log.bytes != 0 || len(log.waiting) != 0 {
			t.Errorf("%d events are written; %d bytes of %d streams wait", n, log.bytes, len(log.waiting))
		}
		if err := log.append(session.Event{Stream: "poisoned"}); !errors.Is(err, errRefused) || len(log.refused) != 0 {
			t.Errorf("its stream goes on: %v, %v", err, log.refused)
		}
		cancel()
		running.Wait()
	})
}

// TestOpenStreamsAreBounded: what is beyond a session's share is told, and not
// kept; the answer is.
func TestOpenStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newMemoryStore()
		h := newTestHandler(t, Options{Store: db, EventBytes: 1000})
		w := httptest.NewRecorder()
		x := &exchange{handler: h, w: w, r: newRequest("POST", "/", nil, ""), session: session.Session{ID: "s"}}
		x.stream.allowed = true
		for range 100 {
			time.Sleep(progressEvery)
			x.log([]byte(`"` + strings.Repeat("l", 98) + `"`))
		}
		x.notify([]byte(`"question"`))
		x.send(200, []byte(`"answer"`))
		time.Sleep(time.Second)
		synctest.Wait()
		for stream, events := range db.events {
			if n := len(events); n != 12 || string(events[10].Data) != `"question"` || string(events[11].Data) != `"answer"` {
				t.Errorf("%d events of %s are kept", n, stream)
			}
			for i, e := range events {
				if e.Sequence != int64(i+1) {
					t.Errorf("event %d stands at %d", e.Sequence, i)
				}
			}
		}
		body := w.Body.String()
		if n := strings.Count(body, "data: "); n != 102 || strings.Count(body, "id: ") != 12 {
			t.Errorf("%d events are told, %d with ids", n, strings.Count(body, "id: "))
		}
		if len(h.live.streams)+len(h.live.bytes) != 0 {
			t.Error("something is counted still")
		}
	})
}

// TestLogsAreLimited: a plugin that logs all the time does not flood its client.
func TestLogsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		x := &exchange{handler: newTestHandler(t, Options{Store: newMemoryStore()}), w: w, r: newRequest("POST", "/", nil, "")}
		x.stream.allowed = true
		for range 1000 {
			x.log([]byte("1"))
			time.Sleep(time.Millisecond)
		}
		if got := strings.Count(w.Body.String(), "event:"); got < progressBurst+8 || got > progressBurst+10 {
			t.Errorf("%d log messages in a second", got)
		}
	})
}
