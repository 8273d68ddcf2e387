package mcpserver

import (
	"context"
	"sync"
)

// inflight knows the legacy requests that are being answered, so that their
// own session can cancel them, and no other (2025-11-25,
// basic/utilities/cancellation).
type inflight struct {
	mu    sync.Mutex
	calls map[inflightKey]*inflightCall
}

type inflightKey struct{ session, id string }

type inflightCall struct{ cancel context.CancelFunc }

// start makes the request cancellable; done forgets it.
func (f *inflight) start(ctx context.Context, session string, id []byte) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	key, call := inflightKey{session, string(id)}, &inflightCall{cancel}
	f.mu.Lock()
	if f.calls == nil {
		f.calls = map[inflightKey]*inflightCall{}
	}
	f.calls[key] = call
	f.mu.Unlock()
	return ctx, func() {
		f.mu.Lock()
		if f.calls[key] == call { // a client may have used the id again
			delete(f.calls, key)
		}
		f.mu.Unlock()
		cancel()
	}
}

func (f *inflight) cancel(session string, id []byte) {
	f.mu.Lock()
	call := f.calls[inflightKey{session, string(id)}]
	f.mu.Unlock()
	if call != nil {
		call.cancel()
	}
}
