package mcpserver

import (
	lru "container/list"
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
	cached sessionCache
	seen   map[string]time.Time
	away   time.Time // until when the database counts as away
}

func newSessions(store SessionStore, ttl time.Duration, now func() time.Time) *sessions {
	return &sessions{
		store: store, ttl: ttl, now: now,
		cached: sessionCache{all: map[string]*lru.Element{}}, seen: map[string]time.Time{},
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
	s.cached.put(cachedSession{session: made, until: made.Created.Add(cacheLife)})
	return nil
}

// find gives the session and notes that it was seen. While the database is
// away, sessions that were well go on.
func (s *sessions) find(ctx context.Context, id string) (session.Session, error) {
	now := s.now()
	s.mu.Lock()
	hit := s.cached.get(id)
	away := now.Before(s.away)
	if hit != nil && (hit.ended || away || now.Before(hit.until)) {
		defer s.mu.Unlock()
		return s.give(hit, now)
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
	hit = s.cached.get(id) // it may have changed meanwhile
	switch {
	case hit != nil && hit.ended:
		return s.give(hit, now)
	case errors.Is(err, session.ErrNotFound):
		s.cached.drop(id)
		delete(s.seen, id)
		return session.Session{}, err
	case err != nil:
		if ctx.Err() == nil { // else the caller went, perhaps, not the database
			s.away = now.Add(awayFor)
		}
		if hit == nil {
			return session.Session{}, err
		}
		return s.give(hit, now)
	}
	hit = &cachedSession{session: found, until: now.Add(cacheLife), used: true}
	s.cached.put(*hit)
	return s.give(hit, now)
}

// give gives a session that is known, and notes that it was seen.
func (s *sessions) give(known *cachedSession, now time.Time) (session.Session, error) {
	if known.ended {
		return session.Session{}, session.ErrNotFound
	}
	s.seen[known.session.ID] = now
	s.cached.use(known.session.ID)
	return known.session, nil
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
	if hit := s.cached.get(id); hit != nil {
		changed := *hit
		apply(&changed.session)
		s.cached.put(changed)
	}
}

// forget makes a session be looked up again.
func (s *sessions) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cached.drop(id)
	delete(s.seen, id)
}

// ended is told of a session that ended, here or elsewhere.
func (s *sessions) ended(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cached.put(cachedSession{session: session.Session{ID: id}, until: s.now().Add(cacheLife), ended: true})
	delete(s.seen, id)
}

// doubt makes all sessions be looked up again.
func (s *sessions) doubt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cached.each(func(_ string, c *cachedSession) { c.until = time.Time{} })
	s.away = time.Time{}
}

func (s *sessions) end(ctx context.Context, id string) error {
	err := s.store.DeleteSession(ctx, id)
	if err == nil || errors.Is(err, session.ErrNotFound) {
		s.ended(id)
	}
	return err
}

// flush writes when sessions were last seen, and drops the cache's dead.
func (s *sessions) flush(ctx context.Context) error {
	now := s.now()
	s.mu.Lock()
	s.cached.each(func(id string, c *cachedSession) {
		if _, used := s.seen[id]; !used && now.After(c.until.Add(staleLife)) {
			s.cached.drop(id)
		}
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
