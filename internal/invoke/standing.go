package invoke

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// When a plugin is left alone, and for how long.
const (
	failuresOfOne = 10               // or so many of one, while no other is answered,
	failuresInRow = 5                // so many calls, one after the other, and of more than one operation,
	failingFor    = time.Second      // and nothing else for so long: a burst is no outage
	shortestPause = 5 * time.Second  // after that the first pause, and twice as long each time,
	longestPause  = 30 * time.Second // up to this
	probeTime     = 5 * time.Second  // after a pause one call tries; where it takes longer, another one does, too
)

// standing is how a plugin does: since when it is down, and whether it is left
// alone (a circuit breaker). Any answer closes it. It counts failures without a
// window of time, for those of a plugin that hangs come as late as its timeout,
// and a probe that hangs keeps no other from trying. Calls of a plugin that does
// well take no lock.
type standing struct {
	breaks   bool        // it is left alone when it keeps failing
	troubled atomic.Bool // any of the below is set
	open     atomic.Bool // pause is

	mu     sync.Mutex
	since  time.Time // of the first failure that no answer followed, or when the source said so
	reason string    // of the last
	row    int       // failures since the last answer,
	lost   int       // those of them that were the connection's,
	first  string    // the operation of the first of them,
	many   bool      // and whether there are others
	pause  time.Duration
	until  time.Time // no call before
	last   time.Time // answer after a failure
}

// refusal says why a call is not made, and how long none is.
type refusal struct {
	since  time.Time
	reason string
	wait   time.Duration
}

// admit lets a call through, or refuses it. A probe is a call that finds out
// whether the plugin is back.
func (s *standing) admit() (probe bool, refused *refusal) {
	if !s.open.Load() {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if refused = s.refusal(); refused == nil && s.pause > 0 {
		probe, s.until = true, time.Now().Add(probeTime)
	}
	return probe, refused
}

// refuses is admit without letting anybody through.
func (s *standing) refuses() *refusal {
	if !s.open.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusal()
}

func (s *standing) refusal() *refusal {
	wait := time.Until(s.until)
	if s.pause == 0 || wait <= 0 {
		return nil
	}
	return &refusal{s.since, s.reason, wait}
}

// answered notes that the plugin is there, whatever it said. Closed: it was
// left alone before.
func (s *standing) answered() (closed bool) {
	if !s.troubled.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	closed = s.pause > 0
	s.clear()
	return closed
}

func (s *standing) clear() {
	s.since, s.reason, s.pause, s.until = time.Time{}, "", 0, time.Time{}
	s.row, s.lost, s.first, s.many = 0, 0, "", false
	s.open.Store(false)
	s.troubled.Store(false)
}

// failure is a call that says the plugin is down.
type failure struct {
	operation, reason string
	lost              bool // there was no connection, or none any more: any operation would have failed
	began             time.Time
	probe             bool
}

// failed notes a failure, and gives since when the plugin was known to be down
// before; zero: it is news. Opened: it is left alone from now on. One operation
// that fails, while nobody calls another, may be all that is wrong: it takes more.
func (s *standing) failed(f failure) (since time.Time, opened bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if since = s.since; since.IsZero() {
		s.since = now
	}
	s.reason = f.reason
	if s.row == 0 {
		s.first = f.operation
	}
	s.row++
	s.many = s.many || f.operation != s.first
	if f.lost {
		s.lost++
	}
	s.troubled.Store(true)
	long := now.Sub(s.since) >= failingFor || now.Sub(f.began) >= failingFor
	enough := s.row >= failuresInRow && s.many || s.lost >= failuresInRow || s.row >= failuresOfOne
	switch {
	case f.probe && s.pause > 0:
		s.pause = min(2*s.pause, longestPause)
	case s.breaks && s.pause == 0 && enough && long:
		s.pause, opened = shortestPause, true
	default: // what began before the pause says nothing new
		return since, false
	}
	// Replicas do not try all at once.
	s.until = now.Add(s.pause - rand.N(s.pause/5)) //nolint:gosec // no secret
	s.open.Store(true)
	return since, opened
}

// down notes what the source of the plugin's documents sees. What was known
// from calls, and is later than the source's news, counts more.
func (s *standing) down(since time.Time, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since.IsZero() {
		since = time.Now()
	}
	if since.Before(s.last) {
		since = s.last
	}
	if s.since.IsZero() || since.Before(s.since) {
		s.since = since
	}
	if s.row == 0 {
		s.reason = reason
	}
	s.troubled.Store(true)
}

// up lets the next call try. Only an answer to a call says that the plugin
// answers calls.
func (s *standing) up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.row == 0 {
		s.clear()
	}
	s.until = time.Time{}
}

// known gives since when the plugin is down, and why; zero: nothing is wrong.
func (s *standing) known() (since time.Time, reason string) {
	if !s.troubled.Load() {
		return time.Time{}, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.reason
}
