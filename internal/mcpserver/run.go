package mcpserver

import (
	"context"
	"sync"
	"time"
)

const (
	flushEvery = 10 * time.Second
	purgeEvery = time.Minute
	// lastFlush is what a stopping gateway gives its database.
	lastFlush = 5 * time.Second
	// tendEvery is how often answers in the making are looked after.
	tendEvery = 250 * time.Millisecond
	// signalTimeout bounds what a hint may cost.
	signalTimeout = 2 * time.Second
)

// Run does what goes on beside the requests until the context ends: when
// sessions were last seen goes to the database and what is old goes from it,
// events are written, and slow answers are looked after.
func (h *Handler) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { h.log.run(ctx) })
	all.Go(func() { every(ctx, tendEvery, h.tend) })
	all.Go(func() { every(ctx, lookAgain, func(time.Time) { h.absent.look(ctx) }) })
	all.Go(func() { every(ctx, purgeEvery, func(time.Time) { h.purge(ctx) }) })
	every(ctx, flushEvery, func(time.Time) { h.flush(ctx) })
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
	defer cancel()
	h.flush(last)
}

// every calls f again and again until the context ends.
func every(ctx context.Context, interval time.Duration, f func(now time.Time)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			f(now)
		case <-ctx.Done():
			return
		}
	}
}

// tend looks after the answers that take long. Each on its own: a client that
// does not read holds up its own answer only.
func (h *Handler) tend(now time.Time) {
	for _, x := range h.inflight.since(now.Add(-h.options.SlowCall)) {
		if x.due(now) {
			go x.tend(now)
		}
	}
}

// Drain ends the streams that only listen, so that the gateway can stop: their
// clients come back, to another replica. Calls in flight go on.
func (h *Handler) Drain() { h.drain.Do(func() { close(h.draining) }) }

// Finish waits for the tasks that this replica works on, once no more requests
// come.
func (h *Handler) Finish(ctx context.Context) error { return h.works.wait(ctx) }

func (h *Handler) flush(ctx context.Context) {
	if err := h.sessions.flush(ctx); err != nil {
		h.options.Logger.WarnContext(ctx, "session flush", "error", err)
	}
}

func (h *Handler) purge(ctx context.Context) {
	n, err := h.sessions.purge(ctx)
	if err != nil {
		h.options.Logger.WarnContext(ctx, "session purge", "error", err)
	} else if n > 0 {
		h.options.Logger.InfoContext(ctx, "sessions purged", "count", n)
	}
	// A call that says nothing for long is still being made.
	if _, err = h.options.Store.PurgeStreams(ctx, h.options.EventTTL, h.options.CallTimeout+h.options.EventTTL); err == nil {
		_, err = h.options.Store.TrimStreams(ctx, h.options.EventBytes)
	}
	if err != nil {
		h.options.Logger.WarnContext(ctx, "event log purge", "error", err)
	}
}
