package mcpserver

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	// cacheLife bounds how long a replica goes on after another one ended a session.
	cacheLife = 3 * time.Second
	cacheSize = 4096
	// staleLife is how long a session goes on while the database is away.
	staleLife = 5 * time.Minute
	// clockSkew is by how much the clocks of replicas may differ: what has ended
	// by one of them is kept for as long.
	clockSkew = time.Hour
	// awayFor is how long nobody asks a database that did not answer.
	awayFor = time.Second
)

var errStoreAway = errors.New("session store: it did not answer a moment ago")

// sessions is a read-through cache of the store, and gathers when sessions
// were last seen. Sessions that nobody uses are in neither map.
type sessions struct {
	store SessionStore
	ttl   time.Duration
	now   func() time.Time

	mu     sync.Mutex
	cached map[string]cachedSession
	seen   map[string]time.Time
	away   time.Time // until when the database counts as away
}

type cachedSession struct {
	session session.Session
	until   time.Time // after it, the database is asked again
}

func newSessions(store SessionStore, ttl time.Duration, now func() time.Time) *sessions {
	return &sessions{
		store: store, ttl: ttl, now: now,
		cached: map[string]cachedSession{}, seen: map[string]time.Time{},
	}
}

func (s *sessions) create(ctx context.Context, made session.Session) error {
	made.Created = s.now()
	made.Seen = made.Created
	if err := s.store.CreateSession(ctx, made); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(made, made.Created)
	return nil
}

// find gives the session and notes that it was seen. While the database is
// away, sessions that were well go on.
func (s *sessions) find(ctx context.Context, id string) (session.Session, error) {
	now := s.now()
	s.mu.Lock()
	hit, ok := s.cached[id]
	away := now.Before(s.away)
	if ok && (away || now.Before(hit.until)) {
		s.seen[id] = now
		s.mu.Unlock()
		return hit.session, nil
	}
	s.mu.Unlock()
	if away {
		return session.Session{}, errStoreAway
	}
	found, err := s.store.Session(ctx, id)
	if err == nil && found.Seen.Before(now.Add(-s.ttl)) {
		err = session.ErrNotFound
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, session.ErrNotFound):
		delete(s.cached, id)
		delete(s.seen, id)
		return session.Session{}, err
	case err != nil:
		if ctx.Err() == nil { // else the caller went, perhaps, not the database
			s.away = now.Add(awayFor)
		}
		if !ok {
			return session.Session{}, err
		}
		s.seen[id] = now
		return hit.session, nil
	}
	s.seen[id] = now
	s.keep(found, now)
	return found, nil
}

// touch notes that a session is in use, though nobody asks for it.
func (s *sessions) touch(id string) {
	if id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[id] = s.now()
}

// change applies a change of a session that the database has taken.
func (s *sessions) change(id string, apply func(*session.Session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hit, ok := s.cached[id]; ok {
		apply(&hit.session)
		s.cached[id] = hit
	}
}

// forget is for a session that ended elsewhere.
func (s *sessions) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cached, id)
	delete(s.seen, id)
}

// doubt makes all sessions be looked up again.
func (s *sessions) doubt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.cached {
		c.until = time.Time{}
		s.cached[id] = c
	}
	s.away = time.Time{}
}

// keep puts a session in the cache; what is over or too much goes.
func (s *sessions) keep(kept session.Session, now time.Time) {
	if len(s.cached) >= cacheSize {
		maps.DeleteFunc(s.cached, func(_ string, c cachedSession) bool { return !now.Before(c.until) })
	}
	for id := range s.cached {
		if len(s.cached) < cacheSize {
			break
		}
		delete(s.cached, id) // any of them: all are young
	}
	s.cached[kept.ID] = cachedSession{session: kept, until: now.Add(cacheLife)}
}

func (s *sessions) end(ctx context.Context, id string) error {
	err := s.store.DeleteSession(ctx, id)
	if err == nil || errors.Is(err, session.ErrNotFound) {
		s.forget(id)
	}
	return err
}

// flush writes when sessions were last seen, and drops the cache's dead.
func (s *sessions) flush(ctx context.Context) error {
	now := s.now()
	s.mu.Lock()
	maps.DeleteFunc(s.cached, func(id string, c cachedSession) bool {
		_, used := s.seen[id]
		return !used && now.After(c.until.Add(staleLife))
	})
	seen := s.seen
	s.seen = map[string]time.Time{}
	s.mu.Unlock()
	if len(seen) == 0 {
		return nil
	}
	err := s.store.TouchSessions(ctx, seen)
	if err != nil { // next time, unless they are seen again before
		s.mu.Lock()
		defer s.mu.Unlock()
		maps.Copy(seen, s.seen)
		s.seen = seen
	}
	return err
}

// purge removes the sessions that outlived the TTL, on all replicas, and by all
// their clocks.
func (s *sessions) purge(ctx context.Context) (int, error) {
	return s.store.DeleteSessionsBefore(ctx, s.now().Add(-s.ttl-clockSkew))
}
