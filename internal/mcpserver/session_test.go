package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func TestVersionNegotiation(t *testing.T) {
	h := newTestHandler(t, Options{})
	for asked, want := range map[string]string{
		"2024-11-05": "2024-11-05", "2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25",
		"2026-07-28": "2025-11-25", "2099-01-01": "2025-11-25", "banana": "2025-11-25",
	} {
		w := serve(h, "POST", "/mcp/catalog", nil, initializeBody(asked))
		var result struct {
			ProtocolVersion, Instructions string
			ServerInfo                    map[string]string
			Capabilities                  map[string]map[string]bool
		}
		if err := json.Unmarshal(decode(t, w.Body).Result, &result); err != nil {
			t.Fatal(err)
		}
		if result.ProtocolVersion != want || result.Instructions != "Ask me." || result.ServerInfo["title"] != "Software catalog" {
			t.Errorf("%s: %+v", asked, result)
		}
		capabilities := map[string]map[string]bool{
			"tools": {"listChanged": true}, "prompts": {"listChanged": true}, "resources": {"subscribe": true, "listChanged": true},
			"completions": {}, "logging": {},
		}
		if diff := cmp.Diff(capabilities, result.Capabilities); diff != "" {
			t.Errorf("capabilities %s", diff)
		}
		stored, err := h.sessions.find(t.Context(), w.Header().Get("Mcp-Session-Id"))
		if err != nil || stored.ProtocolVersion != want || stored.Server != "catalog" {
			t.Errorf("%s: stored %+v, %v", asked, stored, err)
		}
		if string(stored.ClientInfo) != `{"name":"test","version":"1","x-own":true}` || string(stored.Capabilities) != `{"roots":{}}` {
			t.Errorf("client: %s, %s", stored.ClientInfo, stored.Capabilities)
		}
	}
}

func TestSessionIDs(t *testing.T) {
	h := newTestHandler(t, Options{})
	seen := map[string]bool{}
	for range 200 {
		id := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`).MatchString(id) || seen[id] {
			t.Fatalf("id %q, seen before: %v", id, seen[id])
		}
		seen[id] = true
	}
}

func TestSessionIsRequired(t *testing.T) {
	h := newTestHandler(t, Options{})
	ada := startSession(t, h, "/mcp/catalog", "2025-11-25", "ada")
	for _, test := range []struct {
		name, path, user, id, body string
		want                       int
	}{
		{"own", "/mcp/catalog", "ada", ada, list, 200},
		{"none", "/mcp/catalog", "ada", "", list, 400},
		{"none for ping", "/mcp/catalog", "ada", "", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 400},
		{"never issued", "/mcp/catalog", "ada", "AAAAAAAAAAAAAAAAAAAAAA", list, 404},
		{"of another principal", "/mcp/catalog", "eve", ada, list, 404},
		{"of a named principal", "/mcp/catalog", "", ada, list, 404},
		{"of another server", "/mcp/admin", "ada", ada, list, 404},
		{"notification", "/mcp/catalog", "ada", ada, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, 202},
		{"notification of another", "/mcp/catalog", "eve", ada, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, 404},
		{"response", "/mcp/catalog", "ada", ada, `{"jsonrpc":"2.0","id":1,"result":{}}`, 202},
		{"error response", "/mcp/catalog", "ada", ada, `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}`, 202},
		{"initialize again", "/mcp/catalog", "ada", ada, initializeBody("2025-11-25"), 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := serve(h, "POST", test.path, headers{"X-User": test.user, "Mcp-Session-Id": test.id}, test.body)
			if w.Code != test.want {
				t.Errorf("%d, want %d: %s", w.Code, test.want, w.Body)
			}
			if w.Code == 202 && w.Body.Len() > 0 {
				t.Errorf("202 with a body: %s", w.Body)
			}
		})
	}
	if w := serve(h, "DELETE", "/mcp/catalog", headers{"X-User": "eve", "Mcp-Session-Id": ada}, ""); w.Code != 404 {
		t.Errorf("another principal's DELETE: %d", w.Code)
	}
	if w := serve(h, "DELETE", "/mcp/catalog", headers{"X-User": "ada"}, ""); w.Code != 400 {
		t.Errorf("DELETE of nothing: %d", w.Code)
	}
	if w := serve(h, "DELETE", "/mcp/catalog", headers{"X-User": "ada", "Mcp-Session-Id": ada}, ""); w.Code != 204 {
		t.Errorf("DELETE: %d", w.Code)
	}
	for _, method := range []string{"POST", "DELETE"} {
		if w := serve(h, method, "/mcp/catalog", headers{"X-User": "ada", "Mcp-Session-Id": ada}, list); w.Code != 404 {
			t.Errorf("%s after DELETE: %d", method, w.Code)
		}
	}
}

func TestLegacyVersionHeader(t *testing.T) {
	h := newTestHandler(t, Options{})
	s := startSession(t, h, "/mcp/catalog", "2025-06-18", "")
	for version, want := range map[string]int{"": 200, "2025-06-18": 200, "2025-03-26": 200, "1999-01-01": 400, "2025-11-26": 400} {
		w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": s, "Mcp-Protocol-Version": version}, list)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", version, w.Code, want)
		}
	}
	if w := serve(h, "DELETE", "/mcp/catalog", headers{"Mcp-Session-Id": s, "Mcp-Protocol-Version": "1999-01-01"}, ""); w.Code != 400 {
		t.Errorf("DELETE of another version: %d", w.Code)
	}
}

func TestBatches(t *testing.T) {
	h := newTestHandler(t, Options{})
	old := startSession(t, h, "/mcp/catalog", "2025-03-26", "")
	ping := `{"jsonrpc":"2.0","id":%d,"method":"ping"}`
	note := `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	for _, test := range []struct{ name, body, want string }{
		{"two", "[" + fmt.Sprintf(ping, 1) + " , " + fmt.Sprintf(ping, 2) + "]", `[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"result":{}}]`},
		{"one of two", "[" + note + "," + fmt.Sprintf(ping, 2) + "]", `[{"jsonrpc":"2.0","id":2,"result":{}}]`},
		{"none", " [" + note + "," + note + "]", ``},
		{"odd ones", `[7,` + fmt.Sprintf(ping, 2) + `]`, `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a message must be an object"}},{"jsonrpc":"2.0","id":2,"result":{}}]`},
		{"initialize", "[" + initializeBody("2025-03-26") + "]", `[{"jsonrpc":"2.0","id":0,"error":{"code":-32600,"message":"initialize must not be part of a batch"}}]`},
		{"empty", "[ ]", `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a batch has 1 to 100 messages"}}`},
		{"101", "[" + strings.Repeat(note+",", 100) + note + "]", `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a batch has 1 to 100 messages"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": old}, test.body)
			if w.Body.String() != test.want || (w.Code == 202) != (test.want == "") {
				t.Errorf("%d %s\nwant %s", w.Code, w.Body, test.want)
			}
		})
	}
	for _, version := range []string{"2024-11-05", "2025-06-18", "2025-11-25"} {
		s := startSession(t, h, "/mcp/catalog", version, "")
		w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": s}, "["+fmt.Sprintf(ping, 1)+"]")
		if w.Code != 400 || decode(t, w.Body).code() != -32600 {
			t.Errorf("%s: %d", version, w.Code)
		}
	}
	if w := serve(h, "POST", "/mcp/catalog", nil, "["+initializeBody("2025-03-26")+"]"); w.Code != 400 {
		t.Errorf("batch without a session: %d", w.Code)
	}
}

// Two replicas on one database, with no stickiness.
func TestReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		clock := newClock()
		a := newTestHandler(t, Options{Store: open(), Now: clock.Now})
		b := newTestHandler(t, Options{Store: open(), Now: clock.Now})
		s := startSession(t, a, "/mcp/catalog", "2025-11-25", "ada")
		hs := headers{"Mcp-Session-Id": s, "X-User": "ada"}
		for _, h := range []*Handler{b, a, b} {
			if w := serve(h, "POST", "/mcp/catalog", hs, callBody("1", "fake_echo", "{}")); w.Code != 200 {
				t.Fatalf("call: %d %s", w.Code, w.Body)
			}
		}
		if w := serve(b, "DELETE", "/mcp/catalog", hs, ""); w.Code != 204 {
			t.Fatalf("DELETE on b: %d", w.Code)
		}
		clock.advance(cacheLife)
		for name, h := range map[string]*Handler{"a": a, "b": b} {
			if w := serve(h, "POST", "/mcp/catalog", hs, list); w.Code != 404 {
				t.Errorf("%s after DELETE: %d", name, w.Code)
			}
		}
	})
}

func TestSessionsExpireByUse(t *testing.T) {
	clock := newClock()
	db := openStore(t)
	h := newTestHandler(t, Options{Store: db, Now: clock.Now, SessionTTL: time.Hour})
	used, idle := startSession(t, h, "/mcp/catalog", "2025-11-25", ""), startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	for range 5 {
		clock.advance(30 * time.Minute)
		if w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": used}, list); w.Code != 200 {
			t.Fatalf("a session in use: %d", w.Code)
		}
		h.flush(t.Context())
	}
	if w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": idle}, list); w.Code != 404 {
		t.Errorf("an expired session: %d", w.Code)
	}
	if _, err := db.Session(t.Context(), idle); err != nil {
		t.Errorf("purged too early: %v", err)
	}
	h.purge(t.Context())
	if _, err := db.Session(t.Context(), idle); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("not purged: %v", err)
	}
	if _, err := db.Session(t.Context(), used); err != nil {
		t.Errorf("purged in use: %v", err)
	}
}

func TestIdleSessionsCostNoHeap(t *testing.T) {
	clock := newClock()
	h := newTestHandler(t, Options{Now: clock.Now})
	for range cacheSize + 100 {
		startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	}
	if n := len(h.sessions.cached.all); n > cacheSize {
		t.Errorf("%d cached sessions", n)
	}
	h.flush(t.Context()) // what is seen is written
	clock.advance(cacheLife + staleLife + 1)
	h.flush(t.Context())
	if c, s := len(h.sessions.cached.all), len(h.sessions.seen); c+s > 0 {
		t.Errorf("%d cached and %d seen after all fell idle", c, s)
	}
}

// brokenStore is a database that went away.
type brokenStore struct {
	Store
	broken bool
}

var errAway = errors.New("dial tcp db.internal: password hunter2")

func (b *brokenStore) Session(ctx context.Context, id string) (session.Session, error) {
	if b.broken {
		return session.Session{}, errAway
	}
	return b.Store.Session(ctx, id)
}

func (b *brokenStore) CreateSession(ctx context.Context, s session.Session) error {
	if b.broken {
		return errAway
	}
	return b.Store.CreateSession(ctx, s)
}

func (b *brokenStore) TouchSessions(ctx context.Context, seen map[string]time.Time) error {
	if b.broken {
		return errAway
	}
	return b.Store.TouchSessions(ctx, seen)
}

func (b *brokenStore) DeleteSession(context.Context, string) error { return errAway }

func TestStoreAway(t *testing.T) {
	clock := newClock()
	db := &brokenStore{Store: openStore(t)}
	h := newTestHandler(t, Options{Store: db, Now: clock.Now})
	known := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	other := startSession(t, newTestHandler(t, Options{Store: db.Store, Now: clock.Now}), "/mcp/catalog", "2025-11-25", "")
	db.broken = true
	clock.advance(cacheLife + time.Millisecond)
	if w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": known}, list); w.Code != 200 {
		t.Errorf("a session that was well a moment ago: %d", w.Code)
	}
	h.flush(t.Context()) // drops the stale, keeps what it could not write
	for what, w := range map[string]*http.Response{
		"unknown":    serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": other}, list).Result(),
		"initialize": serve(h, "POST", "/mcp/catalog", nil, initializeBody("2025-11-25")).Result(),
		"end":        serve(h, "DELETE", "/mcp/catalog", headers{"Mcp-Session-Id": known}, "").Result(),
	} {
		var b strings.Builder
		_ = w.Write(&b)
		if w.StatusCode != 503 || w.Header.Get("Retry-After") == "" || strings.Contains(b.String(), "hunter2") {
			t.Errorf("%s: %s", what, b.String())
		}
	}
	db.broken = false
	clock.advance(awayFor)
	h.flush(t.Context())
	if row, err := db.Session(t.Context(), known); err != nil || !row.Seen.Equal(clock.Now().Add(-awayFor)) {
		t.Errorf("what could not be written is lost: seen %v, %v", row.Seen, err)
	}
	if w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": other}, list); w.Code != 200 {
		t.Errorf("after the database came back: %d", w.Code)
	}
}

func TestRunFlushesAtTheEnd(t *testing.T) {
	clock := newClock()
	db := openStore(t)
	h := newTestHandler(t, Options{Store: db, Now: clock.Now})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	clock.advance(time.Second)
	serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": s}, list)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.Run(ctx)
	if row, err := db.Session(t.Context(), s); err != nil || !row.Seen.Equal(clock.Now()) {
		t.Errorf("seen %v, %v; want %v", row.Seen, err, clock.Now())
	}
}

func TestLongClientInfo(t *testing.T) {
	h := newTestHandler(t, Options{})
	body := strings.Replace(initializeBody("2025-11-25"), `"x-own":true`, `"x-own":"`+strings.Repeat("x", maxClientSaid)+`"`, 1)
	if w := serve(h, "POST", "/mcp/catalog", nil, body); decode(t, w.Body).code() != -32602 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
