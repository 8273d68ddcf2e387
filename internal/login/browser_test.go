package login

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/login/logintest"
)

// browse makes a source whose browser is the test.
func browse(t *testing.T, change func(*logintest.Provider), visit func(page string) error) (*Source, *logintest.Provider) {
	t.Helper()
	p, server := logintest.Start()
	t.Cleanup(server.Close)
	change(p)
	s, _ := open(t, p, t.TempDir(), func(o *Options) { o.Flow = Browser })
	s.transport, s.opened = nil, visit
	return s, p
}

// visit goes where a browser would, in the background.
func visit(page string) error {
	go func() {
		if resp, err := http.Get(page); err == nil {
			_ = resp.Body.Close()
		}
	}()
	return nil
}

// TestBrowser is CL01: PKCE with S256 (the provider checks the verifier), and
// the resource in both requests.
func TestBrowser(t *testing.T) {
	s, p := browse(t, func(*logintest.Provider) {}, visit)
	mustLogin(t, s)
	asked, redeemed := p.Requests(logintest.AuthorizePath)[0].Form, p.Grants("authorization_code")[0].Form
	if asked.Get("resource") != p.Server() || redeemed.Get("resource") != p.Server() || asked.Get("prompt") != "consent" || asked.Get("scope") != "mcp:read offline_access" {
		t.Errorf("%v\n%v", asked, redeemed)
	}
	if n := len(redeemed.Get("code_verifier")); n < 43 || n > 128 || len(asked.Get("state")) < 22 {
		t.Errorf("verifier of %d characters, state %q", n, asked.Get("state"))
	}
	if u, err := url.Parse(asked.Get("redirect_uri")); err != nil || u.Hostname() != "127.0.0.1" || u.Path != "/callback" || u.Port() == "" {
		t.Errorf("redirect URI %v", u)
	}
}

// TestPKCERequired is CL01: without S256 there is no code flow.
func TestPKCERequired(t *testing.T) {
	for _, methods := range []any{nil, []string{}, []string{"plain"}} {
		s, p := browse(t, func(p *logintest.Provider) { p.Metadata = map[string]any{"code_challenge_methods_supported": methods} }, visit)
		if _, err := s.Login(t.Context()); err == nil || !strings.Contains(err.Error(), "no S256 in code_challenge_methods_supported") {
			t.Errorf("%v: %v", methods, err)
		}
		if n := len(p.Requests(logintest.AuthorizePath)) + len(p.Requests(logintest.RegisterPath)); n != 0 {
			t.Errorf("%v: it was asked", methods)
		}
	}
}

// TestIssuerOfResponse is the table of MCP 2026-07-28, basic/authorization,
// Authorization Response Validation (RFC 9207, section 2.4): what is refused
// reaches no token endpoint, and its error no person.
func TestIssuerOfResponse(t *testing.T) {
	const issuer = "https://idp.example.com/a"
	for _, tt := range []struct {
		advertised bool
		iss        []string
		ok         bool
	}{
		{true, []string{issuer}, true},
		{true, nil, false},
		{true, []string{""}, false},
		{false, []string{issuer}, true},
		{false, nil, true},
		{false, []string{""}, false},
		{false, []string{issuer + "/"}, false},
		{false, []string{"https://IDP.example.com/a"}, false},
		{false, []string{"https://idp.example.com:443/a"}, false},
		{false, []string{"https://idp.example.com/%61"}, false},
		{true, []string{issuer, issuer}, false},
	} {
		for _, outcome := range []string{"code", "error"} {
			back := &callback{host: "127.0.0.1:1", state: "s", as: authServer{Issuer: issuer, SendsIssuer: tt.advertised}, outcome: make(chan url.Values, 1)}
			q := url.Values{"state": {"s"}, outcome: {"x"}}
			if tt.iss != nil {
				q["iss"] = tt.iss
			}
			if _, err := back.judge(q.Encode()); (err == nil) != tt.ok {
				t.Errorf("advertised %v, iss %q, %s: %v", tt.advertised, tt.iss, outcome, err)
			}
		}
	}
}

// TestCallback: what comes to the port is answered without showing it, and
// counts once.
func TestCallback(t *testing.T) {
	back := &callback{host: "127.0.0.1:1", state: "right", as: authServer{Issuer: "https://i"}, outcome: make(chan url.Values, 1)}
	for _, tt := range []struct {
		method, target, host string
		status               int
	}{
		{"GET", "/", back.host, 404},
		{"GET", "/callback/", back.host, 404},
		{"GET", "/callback/..%2fcallback?state=right&code=c", back.host, 404},
		{"GET", "/callback?state=right&code=c", "evil.example", 404},
		{"POST", "/callback?state=right&code=c", back.host, 405},
		{"GET", "/callback", back.host, 400},
		{"GET", "/callback?state=wrong&code=<script>", back.host, 400},
		{"GET", "/callback?state=right", back.host, 400},
		{"GET", "/callback?state=right&code=a&code=b", back.host, 400},
		{"GET", "/callback?state=right&state=right&code=a", back.host, 400},
		{"GET", "/callback?state=right&code=%zz", back.host, 400},
		{"GET", "/callback?state=right&code=<script>&iss=https://i", back.host, 200},
		{"GET", "/callback?state=right&code=other", back.host, 409},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(tt.method, tt.target, http.NoBody)
		r.Host = tt.host
		back.ServeHTTP(w, r)
		if w.Code != tt.status || strings.Contains(w.Body.String(), "script") || w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s: %d, want %d\n%s", tt.method, tt.target, w.Code, tt.status, w.Body)
		}
	}
	if got := <-back.outcome; got.Get("code") != "<script>" {
		t.Errorf("got %v", got)
	}
}

// TestBrowserErrors: what the person declines, a response of another, and a
// browser that cannot be opened.
func TestBrowserErrors(t *testing.T) {
	s, _ := browse(t, func(p *logintest.Provider) {
		p.Callback = func(q url.Values) {
			q.Del("code")
			q.Set("error", "access_denied")
			q.Set("error_description", "not today\x1b[2J")
		}
	}, visit)
	if _, err := s.Login(t.Context()); err == nil || err.Error() != "authorization server says access_denied: not today\ufffd[2J" {
		t.Errorf("got %v", err)
	}

	var status int
	s, p := browse(t, func(p *logintest.Provider) { p.Callback = func(q url.Values) { q.Set("iss", "https://evil.example") } }, nil)
	done := make(chan error, 1)
	s.opened = func(page string) error {
		go func() {
			resp, err := http.Get(page)
			if err == nil {
				status = resp.StatusCode
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			p.Do(func() { p.Callback = nil }) // the honest answer comes as well
			resp, again := http.Get(page)
			if again == nil {
				_ = resp.Body.Close()
			}
			done <- errors.Join(err, again)
		}()
		return errors.New("no browser")
	}
	if _, err := s.Login(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil || status != http.StatusBadRequest || len(p.Grants("authorization_code")) != 1 {
		t.Errorf("status %d, %d codes redeemed, %v", status, len(p.Grants("authorization_code")), err)
	}
}

// TestFlow: which flow is taken.
func TestFlow(t *testing.T) {
	full := authServer{AuthorizationEndpoint: "a", DeviceEndpoint: "d", ChallengeMethods: []string{"S256"}}
	plain := authServer{AuthorizationEndpoint: "a", DeviceEndpoint: "d"}
	code := authServer{AuthorizationEndpoint: "a", ChallengeMethods: []string{"S256"}}
	device := authServer{DeviceEndpoint: "d"}
	for _, tt := range []struct {
		name    string
		as      authServer
		wanted  Flow
		browser bool
		want    Flow
	}{
		{"a browser here", full, Auto, true, Browser},
		{"none here", full, Auto, false, Device},
		{"device wanted", full, Device, true, Device},
		{"browser wanted", full, Browser, false, Browser},
		{"no PKCE", plain, Auto, true, Device},
		{"no PKCE, browser wanted", plain, Browser, true, ""},
		{"no device grant", code, Auto, false, Browser},
		{"no device grant, device wanted", code, Device, false, ""},
		{"device grant only", device, Auto, true, Device},
		{"nothing", authServer{}, Auto, true, ""},
	} {
		if got, err := tt.as.flow(tt.wanted, tt.browser); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

// TestQR reads the code back from what is drawn.
func TestQR(t *testing.T) {
	drawn, err := drawQR("https://idp.example.com/device?user_code=WDJB-MJHT")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(drawn, "\n"), "\n")
	width := -1
	for _, line := range lines {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[97;40m"), "\x1b[0m")
		if n := len([]rune(line)); width >= 0 && n != width {
			t.Fatalf("line of %d modules among those of %d", n, width)
		} else {
			width = n
		}
		if strings.Trim(line, "█▀▄ ") != "" || !strings.HasPrefix(line, "██") || !strings.HasSuffix(line, "██") {
			t.Errorf("line %q", line)
		}
	}
	if (width-4-17)%4 != 0 || len(lines) != (width+1)/2 {
		t.Errorf("%d lines of %d modules are no QR code", len(lines), width)
	}
	if !strings.Contains(lines[1], "██ ▄▄▄▄▄ █") { // the eye in the corner
		t.Errorf("no eye:\n%s", drawn)
	}
	if _, err := drawQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("5,000 characters in a QR code")
	}
}
