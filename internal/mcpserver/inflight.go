package mcpserver

import (
	"context"
	"sync"
	"time"
)

// inflight knows the requests that are being answered, so that their own
// session can cancel them, and no other (2025-11-25,
// basic/utilities/cancellation), and so that slow ones become streams.
type inflight struct {
	mu    sync.Mutex
	calls map[string]map[string]*inflightCall // by session, and then by id
}

// inflightKey is a session with the id of a request in it. Requests of
// 2026-07-28 over HTTP have neither: nobody else can name them.
type inflightKey struct{ session, id string }

type inflightCall struct {
	x       *exchange
	cancel  context.CancelFunc
	started time.Time
}

// start makes the request cancellable; done forgets it.
func (f *inflight) start(ctx context.Context, x *exchange, key inflightKey) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	call := &inflightCall{x: x, cancel: cancel, started: time.Now()}
	f.mu.Lock()
	if f.calls == nil {
		f.calls = map[string]map[string]*inflightCall{}
	}
	if f.calls[key.session] == nil {
		f.calls[key.session] = map[string]*inflightCall{}
	}
	f.calls[key.session][key.id] = call
	f.mu.Unlock()
	return ctx, func() {
		f.mu.Lock()
		if own := f.calls[key.session]; own[key.id] == call { // a client may have used the id again
			if delete(own, key.id); len(own) == 0 {
				delete(f.calls, key.session)
			}
		}
		f.mu.Unlock()
		cancel()
	}
}

// cancel ends the work on a request, and says whether it was here.
func (f *inflight) cancel(session, id string) bool {
	f.mu.Lock()
	call := f.calls[session][id]
	f.mu.Unlock()
	if call != nil {
		call.cancel()
	}
	return call != nil
}

// cancelSession ends the work for a session that ended.
func (f *inflight) cancelSession(session string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range f.calls[session] {
		call.cancel()
	}
}

// since are the requests that began before the time.
func (f *inflight) since(before time.Time) (slow []*exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, own := range f.calls {
		for _, call := range own {
			if call.started.Before(before) {
				slow = append(slow, call.x)
			}
		}
	}
	return slow
}
