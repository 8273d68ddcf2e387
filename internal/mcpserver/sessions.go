package mcpserver

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// SessionStore keeps sessions where all replicas see them. Lookups of what is
// not there give an error that is [session.ErrNotFound].
type SessionStore interface {
	CreateSession(ctx context.Context, s session.Session) error
	Session(ctx context.Context, id string) (session.Session, error)
	TouchSessions(ctx context.Context, seen map[string]time.Time) error
	DeleteSession(ctx context.Context, id string) error
	DeleteSessionsBefore(ctx context.Context, before time.Time) (int, error)
}

const (
	// cacheLife bounds how long a replica goes on after another one ended a session.
	cacheLife = 3 * time.Second
	cacheSize = 4096
)

// sessions is a read-through cache of the store, and gathers when sessions
// were last seen. Sessions that nobody uses are in neither map.
type sessions struct {
	store SessionStore
	ttl   time.Duration
	now   func() time.Time

	mu     sync.Mutex
	cached map[string]cachedSession
	seen   map[string]time.Time
}

type cachedSession struct {
	session session.Session
	until   time.Time
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

// find gives the session and notes that it was seen.
func (s *sessions) find(ctx context.Context, id string) (session.Session, error) {
	now := s.now()
	s.mu.Lock()
	hit, ok := s.cached[id]
	if ok && now.Before(hit.until) {
		s.seen[id] = now
		s.mu.Unlock()
		return hit.session, nil
	}
	s.mu.Unlock()
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
	case err != nil && ok:
		s.seen[id] = now
		return hit.session, nil // the store is away for a moment, the session was well
	case err != nil:
		return session.Session{}, err
	}
	s.seen[id] = now
	s.keep(found, now)
	return found, nil
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
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cached, id)
	delete(s.seen, id)
	return err
}

// flush writes when sessions were last seen, and drops the cache's dead.
func (s *sessions) flush(ctx context.Context) error {
	now := s.now()
	s.mu.Lock()
	maps.DeleteFunc(s.cached, func(_ string, c cachedSession) bool { return !now.Before(c.until) })
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

// purge ends the sessions that outlived the TTL, on all replicas.
func (s *sessions) purge(ctx context.Context) (int, error) {
	return s.store.DeleteSessionsBefore(ctx, s.now().Add(-s.ttl))
}
