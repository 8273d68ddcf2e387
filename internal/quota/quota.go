// Package quota bounds what one principal may do by one door. Each replica
// counts for itself: a bound holds for what comes to one of them.
package quota

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxUses bounds how many principals are remembered. The one that was away the
// longest is forgotten first, and begins anew when it comes back.
const maxUses = 10_000

// busyRetry is when to come again where calls under way have to end first.
const busyRetry = time.Second

// Limits are the bounds of one door; 0: there is none.
type Limits struct {
	CallsPerMinute int // on average
	Burst          int // of them, that may come at once; at least 1
	Concurrent     int // under way
}

// Quota counts the calls of principals. It is safe for concurrent use.
type Quota struct {
	most   int
	mu     sync.Mutex
	uses   map[who]*list.Element // of *use
	recent list.List             // the last used first
}

// who is a principal at a door.
type who struct{ door, key string }

type use struct {
	who
	limits  Limits
	calls   *rate.Limiter // nil: no bound
	running int
}

// New makes a quota of which nothing is used.
func New() *Quota { return &Quota{most: maxUses, uses: map[who]*list.Element{}} }

// Take counts n calls that are made one after the other, by the principal of
// the key at the door; release is called when they have ended. Not ok: they
// would be too many, none of them counts, and retryAfter tells when to come
// again. More than a burst of calls are always too many. What was used is
// forgotten where the limits are others than before, save what is under way.
func (q *Quota) Take(door, key string, n int, l Limits) (release func(), retryAfter time.Duration, ok bool) {
	if l == (Limits{}) || n == 0 {
		return func() {}, 0, true
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	u := q.use(who{door, key}, l)
	if l.Concurrent > 0 && u.running >= l.Concurrent {
		return nil, busyRetry, false
	}
	if u.calls != nil && !u.calls.AllowN(now, n) {
		lacking := float64(min(n, u.calls.Burst())) - u.calls.TokensAt(now)
		return nil, time.Duration(math.Max(0, lacking) / float64(u.calls.Limit()) * float64(time.Second)), false
	}
	u.running++
	return sync.OnceFunc(func() { q.end(u) }), 0, true
}

func (q *Quota) end(u *use) {
	q.mu.Lock()
	defer q.mu.Unlock()
	u.running--
}

// use gives what a principal has used, the newest of all.
func (q *Quota) use(of who, l Limits) *use {
	at := q.uses[of]
	if at == nil {
		q.makeRoom()
		at = q.recent.PushFront(&use{who: of})
		q.uses[of] = at
	}
	q.recent.MoveToFront(at)
	u := at.Value.(*use)
	if u.limits != l {
		if u.limits, u.calls = l, nil; l.CallsPerMinute > 0 {
			u.calls = rate.NewLimiter(rate.Limit(float64(l.CallsPerMinute)/60), max(1, l.Burst))
		}
	}
	return u
}

// makeRoom forgets the principal that was away the longest and has no call
// under way.
func (q *Quota) makeRoom() {
	for tries := len(q.uses); tries > 0 && len(q.uses) >= q.most; tries-- {
		at := q.recent.Back()
		u := at.Value.(*use)
		if u.running > 0 {
			q.recent.MoveToFront(at)
			continue
		}
		q.recent.Remove(at)
		delete(q.uses, u.who)
	}
}
