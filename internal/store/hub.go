package store

import (
	"context"
	"sync"

	"github.com/stagedoor/stagedoor/internal/session"
)

// hubQueue is how many signals wait for one listener before they become a resync.
const hubQueue = 4096

// hub carries signals between the listeners of one process. The zero hub has none.
type hub struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
}

type listener struct {
	mu     sync.Mutex
	queued []session.Signal
	wake   chan struct{} // has one element where something is queued
}

// send hands the signals to all listeners and never waits for one.
func (h *hub) send(signals []session.Signal) {
	h.mu.Lock() // all listeners get them in the same order
	defer h.mu.Unlock()
	for l := range h.listeners {
		l.put(signals)
	}
}

// listen calls heard with what is sent, until ctx ends.
func (h *hub) listen(ctx context.Context, heard func(session.Signal)) error {
	l := &listener{wake: make(chan struct{}, 1)}
	l.put([]session.Signal{{Topic: session.SignalResync}})
	h.mu.Lock()
	if h.listeners == nil {
		h.listeners = map[*listener]struct{}{}
	}
	h.listeners[l] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.listeners, l)
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
		}
		for _, signal := range l.take() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			heard(signal)
		}
	}
}

// put queues signals. A queue that is full becomes a single resync, after
// which the listener looks for itself.
func (l *listener) put(signals []session.Signal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queued)+len(signals) > hubQueue {
		l.queued, signals = nil, []session.Signal{{Topic: session.SignalResync}}
	}
	l.queued = append(l.queued, signals...)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *listener) take() []session.Signal {
	l.mu.Lock()
	defer l.mu.Unlock()
	queued := l.queued
	l.queued = nil
	return queued
}
