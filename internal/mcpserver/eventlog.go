package mcpserver

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	// maxUnwritten bounds what waits for a database that does not answer.
	maxUnwritten = 64 << 20
	// One transaction has at most this much, so that the database can catch up
	// after it was away, however much has gathered.
	batchEvents = 2000
	batchBytes  = 4 << 20
	logTimeout  = 5 * time.Second
	logRetry    = 500 * time.Millisecond
	// logAway is how long nobody waits for a database that did not answer; longer
	// than the next attempt takes.
	logAway = 3 * time.Second
	// logAttempts is how often a database that answers may refuse an event.
	logAttempts = 3
)

var (
	errLogFull = errors.New("event log: the database has not answered for long, streams cannot be resumed")
	errLogAway = errors.New("event log: the database did not answer a moment ago")
	errRefused = errors.New("event log: the database refused an event of the stream")
)

// eventLog writes what legacy streams send into the database, many streams with
// one transaction: whoever comes while one is being written shares the next.
type eventLog struct {
	store  StreamStore
	logger *slog.Logger
	// written is told which streams have new events in the database, and which of
	// them other replicas read.
	written func(streams, followed []string)

	mu       sync.Mutex
	opens    []opening
	events   []session.Event
	bytes    int
	away     time.Time // until when the database counts as away
	wake     chan struct{}
	followed map[string]bool // streams that other replicas read
	waiting  map[string]int  // how many events of a stream are not in the database yet
	refused  map[string]bool // streams that go on without the log
	most     int             // events of one transaction
	attempts int             // that one event was refused
}

type opening struct {
	stream session.Stream
	done   chan error
}

func newEventLog(store StreamStore, logger *slog.Logger, written func(streams, followed []string)) *eventLog {
	return &eventLog{store: store, logger: logger, written: written, wake: make(chan struct{}, 1), followed: map[string]bool{}, waiting: map[string]int{}, refused: map[string]bool{}, most: batchEvents}
}

// open makes a stream known to all replicas. It returns when it is: only then
// may a client learn of an event's id.
func (l *eventLog) open(ctx context.Context, stream session.Stream) error {
	done := make(chan error, 1)
	l.mu.Lock()
	away := time.Now().Before(l.away)
	if !away {
		l.opens = append(l.opens, opening{stream, done})
	}
	l.mu.Unlock()
	if away { // the call goes on without
		return errLogAway
	}
	nudge(l.wake)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// append keeps an event; it is written soon.
func (l *eventLog) append(event session.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := error(nil)
	switch {
	case l.refused[event.Stream]:
		err = errRefused
	case l.bytes+len(event.Data) > maxUnwritten:
		err = errLogFull
	}
	if err != nil { // nobody appends to the stream again
		delete(l.refused, event.Stream)
		delete(l.followed, event.Stream)
		return err
	}
	l.events = append(l.events, event)
	l.bytes += len(event.Data)
	l.waiting[event.Stream]++
	nudge(l.wake)
	return nil
}

// holds tells whether events of the stream are still to be written.
func (l *eventLog) holds(stream string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[stream] > 0
}

// run writes until the context ends, and then what is left.
func (l *eventLog) run(ctx context.Context) {
	for {
		select {
		case <-l.wake:
			if !l.flush(ctx) {
				select {
				case <-time.After(logRetry):
					nudge(l.wake)
				case <-ctx.Done():
				}
			}
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logTimeout)
			defer cancel()
			for l.flush(ctx) && l.unwritten() {
			}
			return
		}
	}
}

// flush writes of what has gathered as much as goes at once; what is left is
// written soon, and so are events that could not be written.
func (l *eventLog) flush(ctx context.Context) (ok bool) {
	l.mu.Lock()
	opens, events := l.opens, l.events[:batch(l.events, l.most)]
	l.opens, l.events = nil, l.events[len(events):]
	if len(l.events) > 0 {
		nudge(l.wake)
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	if len(opens) > 0 {
		streams := make([]session.Stream, len(opens))
		for i, o := range opens {
			streams[i] = o.stream
		}
		err := l.store.OpenStreams(ctx, streams)
		l.answers(err)
		for _, o := range opens {
			o.done <- err
		}
	}
	if len(events) == 0 {
		return true
	}
	err := l.store.AppendEvents(ctx, events)
	l.answers(err)
	if err != nil {
		l.logger.LogAttrs(ctx, slog.LevelWarn, "event log", slog.Int("events", len(events)), slog.String("error", err.Error()))
		l.again(events, errors.Is(err, session.ErrAway) || ctx.Err() != nil)
		return false
	}
	l.account(events)
	return true
}

// again keeps events that could not be written. Where the database refuses them,
// fewer are tried at once, and in the end the one that it does not take goes,
// with its stream: it must not hold up all others.
func (l *eventLog) again(events []session.Event, away bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = slices.Concat(events, l.events)
	if away {
		return
	}
	l.most = max(len(events)/2, 1)
	if len(events) > 1 {
		return
	}
	if l.attempts++; l.attempts < logAttempts {
		return
	}
	l.attempts = 0
	culprit, over := events[0].Stream, false
	l.events = slices.DeleteFunc(l.events, func(e session.Event) bool {
		if e.Stream != culprit {
			return false
		}
		l.bytes -= len(e.Data)
		over = over || e.Last
		return true
	})
	delete(l.waiting, culprit)
	if !over {
		l.refused[culprit] = true // until it is told so
	}
}

// answers notes whether the database does.
func (l *eventLog) answers(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.away = (time.Time{}); err != nil {
		l.away = time.Now().Add(logAway)
	}
}

// batch is how many of the events are written at once.
func batch(events []session.Event, most int) (n int) {
	for size := 0; n < min(len(events), most) && size < batchBytes; n++ {
		size += len(events[n].Data)
	}
	return n
}

func (l *eventLog) unwritten() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events) > 0
}

// account tells of what is in the database now.
func (l *eventLog) account(events []session.Event) {
	var streams, followed []string
	l.mu.Lock()
	l.most, l.attempts = min(2*l.most, batchEvents), 0
	for i := range events {
		e := &events[i]
		l.bytes -= len(e.Data)
		if l.waiting[e.Stream]--; l.waiting[e.Stream] == 0 {
			delete(l.waiting, e.Stream)
		}
		if n := len(streams); n == 0 || streams[n-1] != e.Stream {
			streams = append(streams, e.Stream)
			if l.followed[e.Stream] {
				followed = append(followed, e.Stream)
			}
		}
		if e.Last {
			delete(l.followed, e.Stream)
		}
	}
	l.mu.Unlock()
	l.written(streams, followed)
}

// follow notes that another replica wants to be told of the stream.
func (l *eventLog) follow(stream string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followed[stream] = true
}
