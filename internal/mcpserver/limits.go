package mcpserver

import (
	"net/http"
	"sync"
)

// limit counts what is under way: of all clients, of each session, and of each
// principal in all its sessions and without one.
type limit struct {
	what                            string
	total, perSession, perPrincipal int

	mu   sync.Mutex
	all  int
	each map[sharer]int
}

// sharer is who has a share of what there may be: a session or a principal.
type sharer struct{ session, principal string }

// partOfOne: one principal has at most a quarter of everything, or what one
// session may have where that is more.
const partOfOne = 4

func newLimit(what string, total, perSession int) *limit {
	return &limit{
		what: what, total: total, perSession: perSession, perPrincipal: max(total/partOfOne, perSession),
		each: map[sharer]int{},
	}
}

// begin counts one more, or refuses it. Without a session, empty, and for the
// anonymous principal, who is everybody, there are no shares.
func (l *limit) begin(session, principal string) (done func(), refused *refusal) {
	later := [2]string{"Retry-After", "1"}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.all >= l.total:
		return nil, &refusal{status: http.StatusServiceUnavailable, message: "too many " + l.what + " at once: try again later", header: later}
	case session != "" && l.each[sharer{session: session}] >= l.perSession:
		return nil, &refusal{status: http.StatusTooManyRequests, message: "session has too many " + l.what + " at once: wait until some have ended", header: later}
	case principal != "" && l.each[sharer{principal: principal}] >= l.perPrincipal:
		return nil, &refusal{status: http.StatusTooManyRequests, message: "you have too many " + l.what + " at once: wait until some have ended", header: later}
	}
	l.add(session, principal, 1)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.add(session, principal, -1)
	}, nil
}

func (l *limit) add(session, principal string, n int) {
	l.all += n
	for _, s := range [...]sharer{{session: session}, {principal: principal}} {
		if s == (sharer{}) {
			continue
		}
		if l.each[s] += n; l.each[s] == 0 {
			delete(l.each, s)
		}
	}
}

// within does what counts, or refuses it. Without a session it is empty.
func (x *exchange) within(l *limit, session string, do func()) {
	done, refused := l.begin(session, x.key)
	if refused != nil {
		x.refuse(refused)
		return
	}
	defer done()
	do()
}
