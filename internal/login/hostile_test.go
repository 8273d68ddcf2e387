package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/login/logintest"
)

// TestNowhereToKeepTokens: that tokens cannot be kept is found before anybody
// takes the trouble of a login.
func TestNowhereToKeepTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"below a file": filepath.Join(file, "stagedoor"), "no folder to write in": "/proc/stagedoor"} {
		t.Run(name, func(t *testing.T) {
			p := logintest.New("https://mcp.example.com")
			s, out := open(t, p, dir)
			if _, err := s.Login(t.Context()); err == nil || !strings.Contains(err.Error(), "stored logins: nothing can be kept in "+dir) {
				t.Errorf("got %v", err)
			}
			if n := len(p.Requests(logintest.DevicePath)); n != 0 || out.Len() != 0 {
				t.Errorf("%d device logins; screen: %s", n, out)
			}
		})
	}
}

// TestInterruptedRenewal: an interrupt ends the looking around before a refresh
// token is spent, but not the spending of it.
func TestInterruptedRenewal(t *testing.T) {
	for _, tt := range []struct {
		path  string
		saved bool
	}{{logintest.MetadataPath, false}, {logintest.TokenPath, true}} {
		synctest.Test(t, func(t *testing.T) {
			p := logintest.New("https://mcp.example.com")
			s, _ := open(t, p, t.TempDir())
			token := mustLogin(t, s)
			ctx, interrupt := context.WithCancel(t.Context())
			s.transport = interrupted{p, tt.path, interrupt}
			got, err := s.Refresh(ctx, token)
			if tt.saved != (err == nil && got != token) || !tt.saved && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %q, %v", tt.path, got, err)
			}
			if n := len(p.Grants("refresh_token")); (n == 1) != tt.saved {
				t.Errorf("%s: refresh token was spent %d times", tt.path, n)
			}
			if r, err := s.record(); err != nil || (r.Secrets.Access == got) != tt.saved {
				t.Errorf("%s: %v", tt.path, err)
			}
		})
	}
}

// interrupted sends requests, and has somebody interrupt those to a path.
type interrupted struct {
	http.RoundTripper
	path      string
	interrupt func()
}

func (i interrupted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == i.path {
		i.interrupt()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return i.RoundTripper.RoundTrip(r)
}

// TestRefusedLogin: a server that refuses the token of a login that was just made
// does not have a person log in again and again.
func TestRefusedLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		p.Instead[logintest.TokenPath] = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"access_token":"` + time.Now().Format("150405.000") + `","token_type":"Bearer"}`))
		}
		s, _ := open(t, p, t.TempDir(), func(o *Options) { o.Interactive = true })
		token, err := s.Refresh(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := s.Refresh(t.Context(), token); err == nil || !strings.Contains(err.Error(), "tokens of https://mcp.example.com/idp have to be for the audience https://mcp.example.com/mcp/demo") {
				t.Errorf("got %v", err)
			}
		}
		if n := len(p.Requests(logintest.DevicePath)); n != 1 {
			t.Errorf("%d logins", n)
		}
		time.Sleep(patience)
		if again, err := s.Refresh(t.Context(), token); err != nil || again == token {
			t.Errorf("%q, %v", again, err)
		}
	})
}

// TestEndlessSteps: a server that wants other scopes at each call does not have a
// person log in at each call.
func TestEndlessSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		s, out := open(t, p, t.TempDir(), func(o *Options) { o.Interactive = true })
		mustLogin(t, s)
		step := func(i int) error {
			return s.StepUp(t.Context(), fmt.Sprintf("Bearer error=\"insufficient_scope\", scope=\"s%d\x1b[2J\"", i))
		}
		for i := range maxSteps {
			if err := step(i); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			if err := step(maxSteps + i); err == nil || !strings.Contains(err.Error(), "server has asked for other scopes 5 times within 20m0s") || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("got %v", err)
			}
		}
		if n := len(p.Requests(logintest.DevicePath)); n != 1+maxSteps || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%d logins; screen: %q", n, out)
		}
		time.Sleep(patience)
		if err := step(99); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// TestHastyPolling: no authorization server has us ask it all the time.
func TestHastyPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		p.Interval, p.Polls = 0.001, []string{"authorization_pending", "authorization_pending", ""}
		s, _ := open(t, p, t.TempDir())
		began := time.Now()
		if mustLogin(t, s); time.Since(began) != 3*time.Second {
			t.Errorf("polled three times in %s", time.Since(began))
		}
	})
}

// TestQRWidth: what is wider than a terminal is no QR code there.
func TestQRWidth(t *testing.T) {
	for length, want := range map[int]bool{90: true, 400: true, 600: false, 2900: false, 5000: false} {
		code, err := drawQR("https://mcp.example.com/" + strings.Repeat("a", length))
		if (err == nil) != want {
			t.Errorf("%d: %v", length, err)
		}
		for line := range strings.Lines(code) {
			if n := strings.Count(line, "") - len("\x1b[97;40m\x1b[0m\n") - 1; n > 80 {
				t.Errorf("%d: %d columns", length, n)
			}
		}
	}
}

// TestTokensWithoutLogin: a server that wants a token, and does not say where to
// get one, is no dead end.
func TestTokensWithoutLogin(t *testing.T) {
	for name, change := range map[string]func(*logintest.Provider){
		"no metadata": func(p *logintest.Provider) {
			p.Challenge = `Bearer scope="mcp:read"`
			p.Instead[logintest.ResourcePath] = http.NotFound
		},
		"no authorization server": func(p *logintest.Provider) { p.Resource = map[string]any{"authorization_servers": []string{}} },
	} {
		t.Run(name, func(t *testing.T) {
			p := logintest.New("https://mcp.example.com")
			change(p)
			s, _ := open(t, p, t.TempDir())
			if _, err := s.Login(t.Context()); err == nil || !strings.Contains(err.Error(), "ask the server's operator for a token, and put it where --token-env finds it") {
				t.Errorf("got %v", err)
			}
		})
	}
}
