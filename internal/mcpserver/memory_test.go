package mcpserver

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// memoryStore is a Store without a database, for tests that stop time. What it
// does not have, those tests do not use.
type memoryStore struct {
	Store
	mu      sync.Mutex
	all     map[string]session.Session
	streams map[string]session.Stream
	events  map[string][]session.Event
	mail    map[string][][]byte
}

func newMemoryStore() *memoryStore {
	return &memoryStore{
		all: map[string]session.Session{}, streams: map[string]session.Stream{},
		events: map[string][]session.Event{}, mail: map[string][][]byte{},
	}
}

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

func (m *memoryStore) UpdateSession(ctx context.Context, s session.Session) error {
	return m.CreateSession(ctx, s)
}

func (m *memoryStore) TouchSessions(context.Context, map[string]time.Time) error { return nil }

func (m *memoryStore) DeleteSession(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, id)
	return nil
}

func (m *memoryStore) OtherSessions(context.Context, session.Session, int, int) ([]string, error) {
	return nil, nil
}

func (m *memoryStore) DeleteSessionsBefore(context.Context, time.Time) (int, error) { return 0, nil }

func (m *memoryStore) DeleteServerSessions(context.Context, string) (int, error) { return 0, nil }

func (m *memoryStore) OpenStreams(_ context.Context, streams []session.Stream) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range streams {
		m.streams[s.ID] = s
	}
	return nil
}

func (m *memoryStore) AppendEvents(_ context.Context, events []session.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		m.events[e.Stream] = append(m.events[e.Stream], e)
	}
	return nil
}

func (m *memoryStore) ReadStream(_ context.Context, id, stream string, after int64, limit int) (session.Stream, []session.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.streams[stream]
	if !ok || s.Session != id {
		return s, nil, session.ErrNotFound
	}
	events := slices.Clone(m.events[stream])
	events = slices.DeleteFunc(events, func(e session.Event) bool { return e.Sequence <= after })
	return s, events[:min(limit, len(events))], nil
}

func (m *memoryStore) PurgeStreams(context.Context, time.Duration, time.Duration) (int, error) {
	return 0, nil
}

func (m *memoryStore) TrimStreams(context.Context, int64) (int, error) { return 0, nil }

func (m *memoryStore) PutMail(_ context.Context, address string, most int, bodies ...[]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mail[address])+len(bodies) > most {
		return session.ErrTooMany
	}
	m.mail[address] = append(m.mail[address], bodies...)
	return nil
}

func (m *memoryStore) TakeMail(_ context.Context, address string) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.mail[address]
	delete(m.mail, address)
	return taken, nil
}

func (m *memoryStore) Signal(context.Context, ...session.Signal) error { return nil }

func (m *memoryStore) Alive(context.Context, string, time.Duration) (bool, error) { return true, nil }
