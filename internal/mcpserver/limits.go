package mcpserver

import (
	"net/http"
	"sync"
)

// limit counts what is under way, of all clients and of each session.
type limit struct {
	what        string
	total, each int

	mu       sync.Mutex
	all      int
	sessions map[string]int
}

func newLimit(what string, total, each int) *limit {
	return &limit{what: what, total: total, each: each, sessions: map[string]int{}}
}

// begin counts one more, or refuses it. Without a session, empty, only the total
// counts.
func (l *limit) begin(session string) (done func(), refused *refusal) {
	later := [2]string{"Retry-After", "1"}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.total {
		return nil, &refusal{status: http.StatusServiceUnavailable, message: "too many " + l.what + " at once: try again later", header: later}
	}
	if session != "" && l.sessions[session] >= l.each {
		return nil, &refusal{status: http.StatusTooManyRequests, message: "session has too many " + l.what + " at once: wait until some have ended", header: later}
	}
	l.all++
	if session != "" {
		l.sessions[session]++
	}
	return func() { l.end(session) }, nil
}

func (l *limit) end(session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if session == "" {
		return
	}
	if l.sessions[session]--; l.sessions[session] == 0 {
		delete(l.sessions, session)
	}
}

// within does what counts, or refuses it.
func (x *exchange) within(l *limit, session string, do func()) {
	done, refused := l.begin(session)
	if refused != nil {
		x.refuse(refused)
		return
	}
	defer done()
	do()
}
