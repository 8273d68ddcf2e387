package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/login/logintest"
)

const deviceGrantType = "urn:ietf:params:oauth:grant-type:device_code"

// screen is what a person reads.
type screen struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(p)
}

// open makes a source that speaks to a provider without a network, as in the
// bubble of a synctest there is none.
func open(t *testing.T, p *logintest.Provider, dir string, change ...func(*Options)) (*Source, *screen) {
	t.Helper()
	out := &screen{}
	o := Options{Flow: Device, Store: StoreFile, Dir: dir, Out: out}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(p.Server(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.transport = p
	t.Cleanup(func() {
		if strings.Contains(out.String(), logintest.Canary) {
			t.Errorf("the screen tells a secret:\n%s", out.String())
		}
	})
	return s, out
}

func mustLogin(t *testing.T, s *Source) string {
	t.Helper()
	if _, err := s.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestPolling: how often a device login asks, and how it ends (RFC 8628, section 3.5).
func TestPolling(t *testing.T) {
	for _, tt := range []struct {
		name     string
		polls    string
		interval int
		waits    []int // seconds before each poll
		want     string
	}{
		{"at once", "ok", 5, []int{5}, ""},
		{"interval not said", "ok", 0, []int{5}, ""},
		{"pending", "authorization_pending authorization_pending ok", 2, []int{2, 2, 2}, ""},
		{"slow down", "slow_down authorization_pending slow_down ok", 1, []int{1, 6, 6, 11}, ""},
		{"denied", "authorization_pending access_denied", 1, []int{1, 1}, "login was refused"},
		{"expired", "authorization_pending expired_token", 1, []int{1, 1}, "code has expired"},
		{"never", "authorization_pending", 59, slices.Repeat([]int{59}, 10), "code has expired"},
		{"network", "down down authorization_pending ok", 5, []int{5, 10, 20, 5}, ""},
		{"network for ever", "down", 5, []int{5, 10, 20, 40, 60, 60, 60, 60, 60, 60, 60, 60}, "code has expired"},
		{"server error", "503 503 ok", 3, []int{3, 6, 12}, ""},
		{"other error", "invalid_grant", 1, []int{1}, "authorization server says invalid_grant: as the test says"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := logintest.New("https://mcp.example.com")
				p.Polls = strings.Fields(tt.polls)
				for i, poll := range p.Polls {
					p.Polls[i] = strings.TrimPrefix(poll, "ok")
				}
				p.Interval = float64(tt.interval)
				s, _ := open(t, p, t.TempDir())
				_, err := s.Login(t.Context())
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				var waits []int
				if len(p.Requests(logintest.DevicePath)) == 0 {
					t.Fatal(err)
				}
				last := p.Requests(logintest.DevicePath)[0].At
				for _, poll := range p.Grants(deviceGrantType) {
					waits = append(waits, int(poll.At.Sub(last).Seconds()))
					last = poll.At
				}
				if !slices.Equal(waits, tt.waits) {
					t.Errorf("waits %v, want %v", waits, tt.waits)
				}
			})
		})
	}
}

// TestInterrupt: who is called off while waiting ends at once, and stores nothing.
func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		p.Polls = []string{"authorization_pending"}
		s, _ := open(t, p, t.TempDir())
		ctx, cancel := context.WithTimeout(t.Context(), 12500*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := s.Login(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 12500*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if _, err := s.Token(t.Context()); !errors.Is(err, ErrLoggedOut) {
			t.Errorf("got %v", err)
		}
	})
}

// TestRequests: what is sent at a device login, and that CL01's resource is in
// each request.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		s, out := open(t, p, t.TempDir(), func(o *Options) { o.QR = true })
		first := mustLogin(t, s)
		if second, err := s.Refresh(t.Context(), first); err != nil || second == first {
			t.Fatalf("refresh: %v", err)
		}
		device, poll, refresh := p.Requests(logintest.DevicePath)[0].Form, p.Grants(deviceGrantType)[0].Form, p.Grants("refresh_token")[0].Form
		for name, form := range map[string]url.Values{"device": device, "poll": poll, "refresh": refresh} {
			if !slices.Equal(form["resource"], []string{p.Server()}) || form.Get("client_id") != "client-1" || form.Has("client_secret") {
				t.Errorf("%s: %v", name, form)
			}
		}
		if got := device.Get("scope"); got != "mcp:read offline_access" {
			t.Errorf("scope %q", got)
		}
		for _, want := range []string{"https://mcp.example.com/d\n", "WDJB-MJHT", "10m0s", "█"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("screen has no %q:\n%s", want, out)
			}
		}
		var asked map[string]any
		if err := json.Unmarshal([]byte(p.Requests(logintest.RegisterPath)[0].Body), &asked); err != nil || asked["application_type"] != "native" || asked["token_endpoint_auth_method"] != "none" {
			t.Errorf("registration: %v %v", asked, err)
		}
	})
}

// TestRenewal: a token is renewed a minute before it ends, once.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		s, _ := open(t, p, t.TempDir())
		first := mustLogin(t, s)
		time.Sleep(239 * time.Second)
		if got, err := s.Token(t.Context()); got != first || err != nil {
			t.Errorf("renewed too early: %v", err)
		}
		time.Sleep(2 * time.Second)
		p.Do(func() { p.Instead[logintest.TokenPath] = down })
		if got, err := s.Token(t.Context()); got != first || err != nil {
			t.Errorf("a token that still holds is not given while the authorization server is down: %v", err)
		}
		p.Do(func() { clear(p.Instead) })
		second, err := s.Token(t.Context())
		if err != nil || second == first {
			t.Errorf("not renewed: %v", err)
		}
		if again, err := s.Token(t.Context()); again != second || err != nil || len(p.Grants("refresh_token")) != 2 {
			t.Errorf("renewed again: %v", err)
		}
		time.Sleep(time.Hour)
		p.Do(func() { p.Instead[logintest.TokenPath] = down })
		if _, err := s.Token(t.Context()); err == nil || errors.Is(err, ErrLoggedOut) {
			t.Errorf("a token that has ended: %v", err)
		}
	})
}

func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }

// TestRotationRace: of many who renew at once, as many processes do, one spends
// the refresh token, and all have what came of it.
func TestRotationRace(t *testing.T) {
	p, server := logintest.Start()
	defer server.Close()
	dir := t.TempDir()
	p.Interval = 0.01
	s, _ := open(t, p, dir)
	s.transport = nil
	first := mustLogin(t, s)
	p.EndAccess()
	var wg sync.WaitGroup
	got := make([]string, 16)
	for i := range got {
		wg.Go(func() {
			other, _ := open(t, p, dir) // file locks are of open files: this is as another process
			other.transport = nil
			token, err := other.Refresh(t.Context(), first)
			if err != nil {
				t.Error(err)
			}
			got[i] = token
		})
	}
	wg.Wait()
	if n := len(p.Grants("refresh_token")); n != 1 || len(slices.Compact(got)) != 1 || got[0] == first {
		t.Errorf("%d refreshes, tokens %q", n, got)
	}
}

// TestNoRefreshToken: a token without one serves until it ends, and no longer.
func TestNoRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		p.Instead[logintest.TokenPath] = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"access_token":"only","token_type":"Bearer","expires_in":"300"}`))
		}
		s, _ := open(t, p, t.TempDir())
		_, err := s.Login(t.Context())
		if want := "login succeeded, but the server refuses the token (it does not say why): tokens of https://mcp.example.com/idp have to be for the audience https://mcp.example.com/mcp/demo"; err == nil || err.Error() != want {
			t.Errorf("got %v", err)
		}
		time.Sleep(299 * time.Second)
		if token, err := s.Token(t.Context()); token != "only" || err != nil {
			t.Errorf("%q, %v", token, err)
		}
		time.Sleep(time.Second)
		if _, err := s.Token(t.Context()); !errors.Is(err, ErrLoggedOut) || !strings.Contains(err.Error(), "gave no refresh token") {
			t.Errorf("got %v", err)
		}
	})
}

// TestLoginEnds: a refresh token that is of no use is forgotten, and the error
// says what to do.
func TestLoginEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		s, _ := open(t, p, t.TempDir())
		token := mustLogin(t, s)
		p.End()
		for _, want := range []string{"login has ended (authorization server says invalid_grant: as the test says): stagedoor login https://mcp.example.com/mcp/demo", "not logged in: stagedoor login https://mcp.example.com/mcp/demo"} {
			if _, err := s.Refresh(t.Context(), token); !errors.Is(err, ErrLoggedOut) || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	})
}

// TestOtherIssuer is CL02: tokens of one authorization server are shown to no
// other, and those of a server that turned to another one are not renewed.
func TestOtherIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		dir := t.TempDir()
		s, _ := open(t, p, dir)
		token := mustLogin(t, s)
		other := p.Base + "/evil"
		p.Do(func() {
			p.Resource = map[string]any{"authorization_servers": []string{other}}
			doc := `{"issuer":"` + other + `","token_endpoint":"` + other + `/token","device_authorization_endpoint":"` + p.Base + logintest.DevicePath + `"}`
			p.Instead["/.well-known/oauth-authorization-server/evil"] = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(doc)) }
		})
		if _, err := s.Refresh(t.Context(), token); !errors.Is(err, ErrLoggedOut) || !strings.Contains(err.Error(), "another authorization server") {
			t.Errorf("got %v", err)
		}
		if n := len(p.Requests("/evil/token")) + len(p.Grants("refresh_token")); n != 0 {
			t.Errorf("%d requests with the refresh token", n)
		}
		if _, err := s.Login(t.Context()); err == nil || !strings.Contains(err.Error(), "registers no clients by itself") {
			t.Errorf("the client of one authorization server is used at another: %v", err)
		}
	})
}

// TestClients: a client is registered once for each issuer, and again when it is
// forgotten there; a named one is remembered for its issuer.
func TestClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		s, _ := open(t, p, t.TempDir())
		mustLogin(t, s)
		mustLogin(t, s)
		if n := len(p.Requests(logintest.RegisterPath)); n != 1 {
			t.Errorf("registered %d times", n)
		}
		p.ForgetClients()
		mustLogin(t, s)
		if got := p.Grants(deviceGrantType)[2].Form.Get("client_id"); got != "client-2" {
			t.Errorf("client %s", got)
		}
		named, _ := open(t, p, s.opts.Dir, func(o *Options) { o.ClientID = "known" })
		mustLogin(t, named)
		mustLogin(t, s)
		if n, got := len(p.Requests(logintest.RegisterPath)), p.Grants(deviceGrantType)[4].Form.Get("client_id"); n != 2 || got != "known" {
			t.Errorf("registered %d times, client %s", n, got)
		}
	})
}

// TestInteractive: a source that may begins the login that is missing, once for
// all who wait for it.
func TestInteractive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		s, out := open(t, p, t.TempDir(), func(o *Options) { o.Interactive = true })
		if _, err := s.Token(t.Context()); !errors.Is(err, ErrLoggedOut) {
			t.Errorf("got %v", err)
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if token, err := s.Refresh(t.Context(), ""); err != nil || token == "" {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(p.Requests(logintest.DevicePath)); n != 1 || !strings.Contains(out.String(), "Login needed for https://mcp.example.com/mcp/demo") {
			t.Errorf("%d logins; %s", n, out)
		}
	})
}

// TestStepUp: more scopes are asked for beside those of before; several requests
// that were refused together are one login, and a server that refuses what was
// granted is not asked for ever.
func TestStepUp(t *testing.T) {
	const challenge = `Bearer error="insufficient_scope", scope="mcp:write mcp:destructive"`
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		dir := t.TempDir()
		s, _ := open(t, p, dir, func(o *Options) { o.Interactive = true })
		mustLogin(t, s)
		quiet, _ := open(t, p, dir)
		if err := quiet.StepUp(t.Context(), challenge); !errors.Is(err, ErrLoggedOut) || !strings.Contains(err.Error(), `--scope "mcp:destructive mcp:read mcp:write offline_access"`) {
			t.Errorf("got %v", err)
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := s.StepUp(t.Context(), challenge); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		asked := p.Requests(logintest.DevicePath)
		if len(asked) != 2 || asked[1].Form.Get("scope") != "mcp:destructive mcp:read mcp:write offline_access" {
			t.Errorf("%v", asked)
		}
		time.Sleep(patience)
		if err := s.StepUp(t.Context(), challenge); err == nil || !strings.Contains(err.Error(), "refuses a token with the scopes that it asks for") {
			t.Errorf("got %v", err)
		}
		p.Do(func() { p.Granted = "mcp:read" })
		for range 2 {
			if err := s.StepUp(t.Context(), `Bearer error="insufficient_scope", scope="admin"`); err == nil || !strings.Contains(err.Error(), "did not grant all of the scopes admin") {
				t.Errorf("got %v", err)
			}
		}
		if n := len(p.Requests(logintest.DevicePath)); n != 3 {
			t.Errorf("%d logins", n)
		}
		for _, bad := range []string{"", `Bearer error="invalid_token", scope="a"`, `Bearer error="insufficient_scope"`} {
			if err := s.StepUp(t.Context(), bad); err == nil {
				t.Errorf("%q: no error", bad)
			}
		}
	})
}

// TestAllowPrivate: what was allowed at a login holds for what comes of it.
func TestAllowPrivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const issuer = "https://10.0.0.1" + logintest.IssuerPath
		p := logintest.New("https://mcp.example.com")
		p.Resource = map[string]any{"authorization_servers": []string{issuer}}
		p.Metadata = map[string]any{"issuer": issuer, "token_endpoint": "https://10.0.0.1" + logintest.TokenPath}
		s, _ := open(t, p, t.TempDir())
		if _, err := s.Login(t.Context()); err == nil || !strings.Contains(err.Error(), "--allow-private at the login permits it") {
			t.Errorf("got %v", err)
		}
		allowed, _ := open(t, p, s.opts.Dir, func(o *Options) { o.AllowPrivate = true })
		token := mustLogin(t, allowed)
		if _, err := s.Refresh(t.Context(), token); err != nil {
			t.Error(err)
		}
		mustLogin(t, s)
	})
}

// TestLogout: tokens are revoked where they can be, and forgotten in any case.
func TestLogout(t *testing.T) {
	for name, change := range map[string]func(*logintest.Provider){
		"revoked":     func(*logintest.Provider) {},
		"cannot be":   func(p *logintest.Provider) { p.Metadata = map[string]any{"revocation_endpoint": nil} },
		"error":       func(p *logintest.Provider) { p.Instead[logintest.RevokePath] = down },
		"server down": func(p *logintest.Provider) { p.Instead[logintest.ServerPath] = down },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := logintest.New("https://mcp.example.com")
				s, out := open(t, p, t.TempDir())
				mustLogin(t, s)
				p.Do(func() { change(p) })
				if n, err := s.Logout(t.Context()); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
				told := strings.Contains(out.String(), "could not be revoked")
				revoked := len(p.Requests(logintest.RevokePath)) == 1 && p.Requests(logintest.RevokePath)[0].Form.Get("token_type_hint") == "refresh_token"
				if wants := name == "revoked" || name == "server down"; told == wants || revoked != (name != "cannot be") {
					t.Errorf("revoked %v; screen: %s", revoked, out)
				}
				if _, err := s.Token(t.Context()); !errors.Is(err, ErrLoggedOut) {
					t.Errorf("got %v", err)
				}
				if n, err := s.Logout(t.Context()); n != 0 || err != nil {
					t.Errorf("again: %d, %v", n, err)
				}
			})
		})
	}
}

// TestNoSecretInTheOpen: the file with the tokens is for its owner alone.
func TestNoSecretInTheOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := logintest.New("https://mcp.example.com")
		dir := filepath.Join(t.TempDir(), "deep", "stagedoor")
		s, out := open(t, p, dir)
		token := mustLogin(t, s)
		file := filepath.Join(dir, "tokens.json")
		for path, want := range map[string]os.FileMode{dir: 0o700, file: 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v %v", path, info.Mode(), err)
			}
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
		s.held.Store(nil)
		if got, err := s.Token(t.Context()); got != token || err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(out.String(), "could be read by others") {
			t.Errorf("%v %v %s", info.Mode(), err, out)
		}
	})
}
