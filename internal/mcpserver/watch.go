package mcpserver

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// errNoRight ends a stream whose client may read it no longer.
var errNoRight = errors.New("the caller's token has ended")

// lastAnswers is how long a client of HTTP+SSE whose token has ended may wait for
// the answers to calls under way.
const lastAnswers = 4 * time.Second

// watch looks after one client's right to a stream that may live longer than
// its token: a token ends, is revoked, or is not taken any more by a changed
// config.
type watch struct {
	h      *Handler
	server string
	key    string        // the principal's
	r      *http.Request // as it came
	end    context.CancelCauseFunc

	mu      sync.Mutex
	expires time.Time // zero: the token does not say
	timer   *time.Timer
	asking  bool // the gate is being asked
	again   bool // it has to be asked again, it may be another one
	ended   bool
}

// watches are those of this replica.
type watches struct {
	mu  sync.Mutex
	all map[*watch]struct{}
}

// whileAllowed gives a context that ends with the stream's client or, with the
// cause errNoRight, with its right to listen. Who came in by no gate keeps it.
func (h *Handler) whileAllowed(x *exchange) (ctx context.Context, done func()) {
	if x.forwards() {
		return x.r.Context(), func() {}
	}
	w := &watch{h: h, server: x.server.name, key: x.key, r: x.r, expires: x.principal.Expires}
	ctx, w.end = context.WithCancelCause(x.r.Context())
	w.mu.Lock()
	w.timer = time.AfterFunc(w.wait(), w.look)
	w.mu.Unlock()
	h.watches.add(w)
	if now := h.server(x.server.name); now == nil || now.door != x.server.door { // it changed before it was watched
		w.look()
	}
	return ctx, func() {
		h.watches.remove(w)
		w.finish(nil)
	}
}

// wait is how long nobody has to look.
func (w *watch) wait() time.Duration {
	if w.expires.IsZero() {
		return w.h.options.Recheck
	}
	return max(0, min(w.h.options.Recheck, w.expires.Sub(w.h.options.Now())))
}

// finish ends the stream, and what is done for it.
func (w *watch) finish(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over(why)
}

func (w *watch) over(why error) {
	w.ended = true
	w.timer.Stop()
	w.end(why)
}

// look ends the stream where its client has no right to it any more: it shows
// the gate the same request once more. A gate that takes its time does not make
// a token last longer.
func (w *watch) look() {
	for asking := w.begin(); asking; {
		p, why := principal.Principal{}, &principal.Refusal{Status: http.StatusNotFound}
		if s := w.h.server(w.server); s != nil {
			p, why = s.door.Gate.Authenticate(w.r)
		}
		asking = w.learn(p, why)
	}
}

// begin tells whether the gate is to be asked now, and sets when to look again.
func (w *watch) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	if !w.expires.IsZero() && !w.h.options.Now().Before(w.expires) {
		w.over(errNoRight)
		return false
	}
	w.timer.Reset(w.wait())
	w.again = w.asking
	w.asking = true
	return !w.again
}

// learn takes the gate's answer, and tells whether to ask again. Of a gate that
// cannot tell, nothing is learnt.
func (w *watch) learn(p principal.Principal, why *principal.Refusal) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
		return false
	case why != nil && (why.Status == http.StatusServiceUnavailable || why.Status == http.StatusTooManyRequests):
	case why != nil || p.Key() != w.key:
		w.over(errNoRight)
		return false
	default:
		w.expires = p.Expires
		w.timer.Reset(w.wait())
	}
	w.asking, w.again = w.again, false
	return w.asking
}

func (ws *watches) add(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all = map[*watch]struct{}{}
	}
	ws.all[w] = struct{}{}
}

func (ws *watches) remove(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
}

// look looks after all streams of a server at once: who may come in has changed.
func (ws *watches) look(server string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		if w.server == server {
			go w.look()
		}
	}
}
