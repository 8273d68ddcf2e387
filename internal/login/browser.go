package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// browserPatience is how long a login in the browser may take.
const browserPatience = 5 * time.Minute

// byBrowser lets a person log in with the browser of this machine: an
// authorization code with PKCE comes back to a port of it (RFC 8252).
func (s *Source) byBrowser(ctx context.Context, e *errand) (tokenAnswer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return tokenAnswer{}, fmt.Errorf("port for the browser to come back to: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, browserPatience, errors.New("nobody logged in with the browser within "+browserPatience.String()))
	defer cancel()
	back := &callback{host: listener.Addr().String(), state: rand.Text(), as: e.as, outcome: make(chan url.Values, 1)}
	server := &http.Server{Handler: back, ReadHeaderTimeout: webPatience, ReadTimeout: webPatience, WriteTimeout: webPatience, MaxHeaderBytes: 64 << 10}
	go func() { _ = server.Serve(listener) }() // it ends with Shutdown
	defer func() {
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer stop()
		_ = server.Shutdown(last) // lets the answer out to the browser
	}()
	redirect, verifier := "http://"+back.host+callbackPath, rand.Text()+rand.Text()
	s.showPage(e.authorizeURL(redirect, back.state, verifier))
	select {
	case <-ctx.Done():
		return tokenAnswer{}, context.Cause(ctx)
	case got := <-back.outcome:
		if code := got.Get("error"); code != "" {
			return tokenAnswer{}, &oauthError{code, got.Get("error_description")}
		}
		return e.grant(ctx, e.as.TokenEndpoint, url.Values{
			"grant_type": {codeGrant}, "code": {got.Get("code")}, "redirect_uri": {redirect},
			"client_id": {e.client}, "code_verifier": {verifier}, "resource": {e.resource},
		})
	}
}

// authorizeURL is where the browser goes. What the endpoint has of a query
// stays (RFC 6749, section 3.1).
func (e *errand) authorizeURL(redirect, state, verifier string) string {
	u, _ := url.Parse(e.as.AuthorizationEndpoint) // checkEndpoints did
	sum := sha256.Sum256([]byte(verifier))
	q := u.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": e.client, "redirect_uri": redirect, "state": state, "resource": e.resource,
		"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256",
	} {
		q.Set(name, value)
	}
	if len(e.scopes) > 0 {
		q.Set("scope", strings.Join(e.scopes, " "))
	}
	if covers(e.scopes, []string{"offline_access"}) {
		q.Set("prompt", "consent") // OpenID Connect Core 1.0, section 11
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// showPage opens the browser, and says where in any case.
func (s *Source) showPage(page string) {
	say(s.opts.Out, "To log in to %s, open this page in a browser of this machine:\n\n    %s\n\n", s.Server(), page)
	if s.opts.NoOpen {
		return
	}
	if err := s.opened(page); err != nil {
		say(s.opts.Out, "It could not be opened from here: %v\n", err)
	}
}

// callback waits for the browser to come back, once.
type callback struct {
	host    string // and port, as the browser has it
	state   string
	as      authServer
	outcome chan url.Values // of one: the first with our state
}

// ServeHTTP implements [http.Handler]. Nothing of the request is shown.
func (c *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	answer := func(status int, text string) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<!doctype html><title>Stagedoor</title><p>" + text + "\n")) // a browser that is gone needs no words
	}
	if r.URL.Path != callbackPath || r.Host != c.host {
		answer(http.StatusNotFound, "There is nothing here.")
		return
	}
	if r.Method != http.MethodGet {
		h.Set("Allow", http.MethodGet)
		answer(http.StatusMethodNotAllowed, "This takes GET alone.")
		return
	}
	got, err := c.judge(r.URL.RawQuery)
	if err != nil {
		answer(http.StatusBadRequest, "This is not the answer to the login that is under way.")
		return
	}
	select {
	case c.outcome <- got:
		answer(http.StatusOK, "Done. The terminal has the rest, and this window may be closed.")
	default:
		answer(http.StatusConflict, "This login has had its answer.")
	}
}

// judge tells whether a response is for us: of our state, and of the issuer
// that was asked, as far as it says (RFC 9207, section 2.4). Parameters that come
// twice are refused (RFC 6749, section 3.1). It errs before anything of the
// response is used, its error included.
func (c *callback) judge(query string) (url.Values, error) {
	got, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"state", "iss", "code", "error", "error_description"} {
		if len(got[name]) > 1 {
			return nil, errors.New("response has a parameter twice")
		}
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(got.Get("state")), []byte(c.state)) != 1:
		return nil, errors.New("response has another state")
	case c.as.SendsIssuer && !got.Has("iss"):
		return nil, errors.New("response has no issuer")
	case got.Has("iss") && got.Get("iss") != c.as.Issuer:
		return nil, errors.New("response is of another issuer")
	case got.Get("code") == "" && got.Get("error") == "":
		return nil, errors.New("response has neither code nor error")
	}
	return got, nil
}

// browserHere tells whether a browser of this machine is likely to be seen.
func browserHere() bool {
	if os.Getenv("SSH_CONNECTION") != "" || os.Getenv("SSH_TTY") != "" {
		return false
	}
	switch runtime.GOOS {
	case "darwin", "windows":
		return true
	}
	_, err := exec.LookPath("xdg-open")
	return err == nil && (os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "")
}

// openBrowser shows a page. The URL is https or of this machine: web.check saw
// to it.
func openBrowser(page string) error {
	command := []string{"xdg-open", page}
	switch runtime.GOOS {
	case "darwin":
		command = []string{"open", page}
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", page}
	}
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...) // #nosec G204 -- no shell reads it, and it outlives the login
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // whatever becomes of it: the URL is printed
	return nil
}
