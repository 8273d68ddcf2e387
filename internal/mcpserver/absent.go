package mcpserver

import (
	"context"
	"sync"
	"time"
)

const (
	// deadAfter is how long a replica is not heard of before it is missed; two
	// of its heartbeats.
	deadAfter = 10 * time.Second
	// deadSure is how long it has to be missed, by a database that answers all the
	// while, before its calls count as lost: after an outage of the database all
	// are missed, until they can say again that they live.
	deadSure = 12 * time.Second
)

// absent are the replicas that are missed. A single look says nothing: it may be
// the first one after the database was away.
type absent struct {
	store Store
	sure  time.Duration // deadSure

	mu    sync.Mutex
	since map[string]time.Time
	dead  map[string]bool // missed for long enough
}

// alive tells whether a replica has to be reckoned with. Whoever is told that it
// is not may say that its work is lost.
func (a *absent) alive(ctx context.Context, replica string) (bool, error) {
	alive, err := a.store.Alive(ctx, replica, deadAfter)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch since, missed := a.since[replica]; {
	case err != nil || alive:
		delete(a.since, replica)
		delete(a.dead, replica)
		return true, err
	case a.dead[replica]:
		return false, nil
	case !missed:
		a.since[replica] = now
		return a.sure > 0, nil
	case now.Sub(since) < a.sure:
		return true, nil
	default:
		delete(a.since, replica)
		a.dead[replica] = true
		return false, nil
	}
}

// look asks after those that are missed, so that it is noticed when one comes
// back, or the database goes away, between the looks of others.
func (a *absent) look(ctx context.Context) {
	a.mu.Lock()
	missed := make([]string, 0, len(a.since))
	for replica := range a.since {
		missed = append(missed, replica)
	}
	a.mu.Unlock()
	for _, replica := range missed {
		_, _ = a.alive(ctx, replica) // noted there
	}
}
