package mcpserver

import (
	"context"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// memoryStore is a SessionStore without goroutines, for tests that stop time.
type memoryStore struct {
	mu  sync.Mutex
	all map[string]session.Session
}

func newMemoryStore() *memoryStore { return &memoryStore{all: map[string]session.Session{}} }

func (m *memoryStore) CreateSession(_ context.Context, s session.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[s.ID] = s
	return nil
}

func (m *memoryStore) Session(_ context.Context, id string) (session.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.all[id]
	if !ok {
		return s, session.ErrNotFound
	}
	return s, nil
}

func (m *memoryStore) TouchSessions(context.Context, map[string]time.Time) error { return nil }

func (m *memoryStore) DeleteSession(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, id)
	return nil
}

func (m *memoryStore) DeleteSessionsBefore(context.Context, time.Time) (int, error) { return 0, nil }
