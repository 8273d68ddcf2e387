package mcpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// TestSessionCacheKeepsTheUsed: however many sessions are made, those that are
// used are remembered.
func TestSessionCacheKeepsTheUsed(t *testing.T) {
	db := newMemoryStore()
	s := newSessions(db, time.Hour, newClock().Now)
	create := func(id, said string) {
		if err := s.create(t.Context(), session.Session{ID: id, ClientInfo: json.RawMessage(said)}); err != nil {
			t.Fatal(err)
		}
	}
	create("used", "{}")
	if _, err := s.find(t.Context(), "used"); err != nil {
		t.Fatal(err)
	}
	for range 2 * cacheSize {
		create(newSessionID(), "{}")
	}
	if n := len(s.cached.all); n != cacheSize || s.cached.get("used") == nil {
		t.Errorf("%d are remembered, the used one: %v", n, s.cached.get("used") != nil)
	}
	for range cacheSize {
		create(newSessionID(), strings.Repeat("x", maxClientSaid))
	}
	if s.cached.bytes > cacheBytes || s.cached.get("used") == nil {
		t.Errorf("%d bytes are remembered", s.cached.bytes)
	}
	size := 0
	s.cached.each(func(_ string, c *cachedSession) { size += c.size() })
	if size != s.cached.bytes || s.cached.fresh.Len()+s.cached.used.Len() != len(s.cached.all) {
		t.Errorf("%d bytes are counted, %d there", s.cached.bytes, size)
	}
}

// TestEndedSessionStaysEnded: a lookup that began before the session's end does
// not bring it back.
func TestEndedSessionStaysEnded(t *testing.T) {
	db := &heldStore{Store: openStore(t), found: make(chan struct{}), goOn: make(chan struct{})}
	h := newTestHandler(t, Options{Store: db})
	id := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	h.sessions.doubt()
	db.hold.Store(true)
	done := make(chan error)
	go func() {
		_, err := h.sessions.find(context.Background(), id)
		done <- err
	}()
	<-db.found
	db.hold.Store(false)
	if w := serve(h, "DELETE", "/mcp/catalog", headers{"Mcp-Session-Id": id}, ""); w.Code != http.StatusNoContent {
		t.Fatal(w.Code)
	}
	close(db.goOn)
	if err := <-done; err == nil {
		t.Error("the lookup finds it")
	}
	if w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": id}, list); w.Code != http.StatusNotFound {
		t.Errorf("a session that was deleted here answers %d", w.Code)
	}
}

// heldStore keeps lookups of sessions back after they were made.
type heldStore struct {
	Store
	hold        atomic.Bool
	found, goOn chan struct{}
}

func (s *heldStore) Session(ctx context.Context, id string) (session.Session, error) {
	found, err := s.Store.Session(ctx, id)
	if s.hold.Load() {
		close(s.found)
		<-s.goOn
	}
	return found, err
}

func BenchmarkSessions(b *testing.B) {
	s := newSessions(newMemoryStore(), time.Hour, time.Now)
	ids := make([]string, 2*cacheSize)
	for i := range ids {
		ids[i] = newSessionID()
		if err := s.create(b.Context(), session.Session{ID: ids[i]}); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		if _, err := s.find(b.Context(), ids[i%len(ids)]); err != nil {
			b.Fatal(err)
		}
	}
}
