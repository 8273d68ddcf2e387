package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fakeTokens is a login whose test says how it goes.
type fakeTokens struct {
	mu        sync.Mutex
	token     string
	refreshed []string // tokens that were rejected
	stepped   []string // challenges
	refresh   func(ctx context.Context, rejected string) (string, error)
}

func (f *fakeTokens) Token(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.token, nil
}

func (f *fakeTokens) Refresh(ctx context.Context, rejected string) (string, error) {
	f.mu.Lock()
	f.refreshed = append(f.refreshed, rejected)
	f.mu.Unlock()
	token, err := f.refresh(ctx, rejected)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.token = token
	}
	return token, err
}

func (f *fakeTokens) StepUp(_ context.Context, challenge string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stepped = append(f.stepped, challenge)
	f.token = "more"
	return nil
}

// guarded is a server that takes one token.
func guarded(t *testing.T, token func() string) string {
	return scripted(t, func(w http.ResponseWriter, r received) {
		if r.Header.Get("Authorization") != "Bearer "+token() {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.id == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		reply(w, r.id, `{}`)
	}).URL
}

// TestRefresh: many requests that are refused together have one refresh, and
// are sent again.
func TestRefresh(t *testing.T) {
	url := guarded(t, func() string { return "new" })
	gate := make(chan struct{})
	tokens := &fakeTokens{token: "old", refresh: func(context.Context, string) (string, error) {
		<-gate
		return "new", nil
	}}
	r := start(t, url, tokens)
	for i := range 20 {
		r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call"}`, i))
	}
	close(gate)
	for range 20 {
		if line := r.next(); !strings.Contains(line, `"result"`) {
			t.Error(line)
		}
	}
	if len(tokens.refreshed) != 1 || tokens.refreshed[0] != "old" {
		t.Error(tokens.refreshed)
	}
}

// TestFirstLogin: without a token, the first request that is refused begins the
// login, and waits for it; a server that wants none has none.
func TestFirstLogin(t *testing.T) {
	tokens := &fakeTokens{refresh: func(context.Context, string) (string, error) { return "new", nil }}
	r := start(t, guarded(t, func() string { return "new" }), tokens)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	if fmt.Sprint(tokens.refreshed) != "[]" || len(tokens.refreshed) != 1 {
		t.Errorf("%q", tokens.refreshed)
	}
	open := scripted(t, func(w http.ResponseWriter, r received) {
		if len(r.Header.Values("Authorization")) > 0 {
			t.Error("an empty token was sent")
		}
		reply(w, r.id, `{}`)
	})
	r = start(t, open.URL, &fakeTokens{})
	r.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
}

// TestLoginFails: all that waits is told how to log in, and the bridge lives: once
// somebody has logged in, it works.
func TestLoginFails(t *testing.T) {
	tokens := &fakeTokens{token: "old", refresh: func(context.Context, string) (string, error) {
		return "", errors.New("not logged in: run stagedoor login https://x")
	}}
	r := start(t, guarded(t, func() string { return "new" }), tokens)
	for i := range 3 {
		r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i))
		if f := r.fault(fmt.Sprint(i)); f.Code != codeLoggedOut || f.Message != "not logged in: run stagedoor login https://x" {
			t.Errorf("%d %s", f.Code, f.Message)
		}
	}
	tokens.mu.Lock()
	tokens.token = "new"
	tokens.mu.Unlock()
	r.send(`{"jsonrpc":"2.0","id":9,"method":"ping"}`)
	r.expect(`{"jsonrpc":"2.0","id":9,"result":{}}`)
}

// TestNothingHelps: a server that refuses every token is asked three times, and
// costs no more tokens for a while.
func TestNothingHelps(t *testing.T) {
	var asked atomic.Int32
	s := scripted(t, func(w http.ResponseWriter, _ received) {
		asked.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	})
	n := 0
	tokens := &fakeTokens{token: "0", refresh: func(context.Context, string) (string, error) { n++; return fmt.Sprint(n), nil }}
	r := start(t, s.URL, tokens)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if f := r.fault("1"); f.Code != codeLoggedOut || asked.Load() != 3 || n != 2 {
		t.Errorf("%d %s, asked %d times, %d tokens", f.Code, f.Message, asked.Load(), n)
	}
	for i := range 3 {
		r.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
		if f := r.fault("2"); f.Code != codeLoggedOut || asked.Load() != int32(4+i) || n != 2 {
			t.Errorf("%d %s, asked %d times, %d tokens", f.Code, f.Message, asked.Load(), n)
		}
	}
	r = start(t, s.URL, nil)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if f := r.fault("1"); f.Code != codeLoggedOut {
		t.Error(f)
	}
}

// TestCancelledLogin: a request that is given up while it waits for a login is
// never sent, and the login goes on for the others.
func TestCancelledLogin(t *testing.T) {
	gate, begun := make(chan struct{}), make(chan struct{})
	var sent atomic.Int32
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		sent.Add(1)
		reply(w, r.id, `{}`)
	})
	tokens := &fakeTokens{refresh: func(context.Context, string) (string, error) {
		close(begun)
		<-gate
		return "new", nil
	}}
	r := start(t, s.URL, tokens)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	<-begun
	r.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	for r.b.calls.pending("number 1") != nil { // until the cancellation is read
		r.send("")
	}
	close(gate)
	r.expect(`{"jsonrpc":"2.0","id":2,"result":{}}`)
	if rest := r.end(); len(rest) > 0 || sent.Load() != 1 || len(tokens.refreshed) != 1 {
		t.Error(rest, sent.Load(), tokens.refreshed)
	}
}

// TestStepUp: a 403 that asks for more scopes has a login for them, once; any
// other is told.
func TestStepUp(t *testing.T) {
	const challenge = `Bearer error="insufficient_scope", scope="mcp:read mcp:write"`
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.Header.Get("Authorization") != "Bearer more" || r.method == "never" {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		reply(w, r.id, `{}`)
	})
	tokens := &fakeTokens{token: "less"}
	r := start(t, s.URL, tokens)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	r.send(`{"jsonrpc":"2.0","id":2,"method":"never"}`)
	if f := r.fault("2"); !strings.Contains(f.Message, "403") {
		t.Error(f)
	}
	if len(tokens.stepped) != 2 || tokens.stepped[0] != challenge || len(tokens.refreshed) != 0 {
		t.Error(tokens.stepped, tokens.refreshed)
	}
}

// TestTokenIsSecret: no token is in what the client or a person reads.
func TestTokenIsSecret(t *testing.T) {
	s := scripted(t, func(w http.ResponseWriter, _ received) { w.WriteHeader(http.StatusInternalServerError) })
	r := start(t, s.URL+"/?key=c4n4ry", &fakeTokens{token: "c4n4ry"})
	r.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	line := r.next()
	s.Close()
	r.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call"}`)
	if line += r.next() + r.log.String(); strings.Contains(line, "c4n4ry") {
		t.Error(line)
	}
}

// TestNoLoginUnasked: the session's own stream and the end of the session begin
// no login; the stream is opened again when a request had one.
func TestNoLoginUnasked(t *testing.T) {
	var logins, refused atomic.Int32
	var good atomic.Value
	good.Store("first")
	opened := make(chan string, 10)
	gone := make(chan struct{}, 1)
	o := &office{stream: func(w http.ResponseWriter, r received) {
		opened <- r.Header.Get("Authorization")
		events(w, ": hi\n\n")
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	}}
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.Header.Get("Authorization") != "Bearer "+good.Load().(string) {
			if r.Request.Method == http.MethodGet {
				refused.Add(1)
			}
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		o.serve(w, r)
	})
	tokens := &fakeTokens{token: "first", refresh: func(context.Context, string) (string, error) {
		logins.Add(1)
		return "second", nil
	}}
	r := start(t, s.URL, tokens, func(b *bridge) { b.idle.tokens = quietTokens{tokens} })
	r.open()
	if got := <-opened; got != "Bearer first" {
		t.Error(got)
	}
	good.Store("second") // the server closes streams whose token has ended
	gone <- struct{}{}
	for refused.Load() == 0 {
		runtime.Gosched()
	}
	if logins.Load() != 0 {
		t.Error("the stream began a login")
	}
	for answered := false; !answered; { // until the stream has given up
		r.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
		r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
		select {
		case got := <-opened:
			answered = got == "Bearer second"
		default:
		}
	}
	good.Store("third")
	r.end()
	if logins.Load() != 1 {
		t.Errorf("%d logins", logins.Load())
	}
}

// quietTokens begin no login.
type quietTokens struct{ *fakeTokens }

func (quietTokens) Refresh(context.Context, string) (string, error) {
	return "", errors.New("logged out")
}
