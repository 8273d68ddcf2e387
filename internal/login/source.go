// Package login is the client's side of MCP authorization: it finds out which
// authorization server an MCP server trusts, logs a person in there (RFC 8628
// device grant, or authorization code with PKCE), keeps the tokens, and renews
// them. What it says to people goes to Options.Out; tokens never do.
package login

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Flow is how a person logs in.
type Flow string

// The flows. Auto takes the browser where there seems to be one, and the
// device grant elsewhere, as far as the authorization server has them.
const (
	Auto    Flow = ""
	Device  Flow = "device"
	Browser Flow = "browser"
)

// Options are what a Source may be told. The zero value logs nobody in, and
// uses the tokens that are stored.
type Options struct {
	// ClientID is the OAuth client; "": the one that was used last with the
	// authorization server, else one that is registered there (RFC 7591).
	ClientID string
	// Scopes are asked for exactly; nil: those that the server's challenge or
	// metadata names, with offline_access where the authorization server has it.
	Scopes []string
	Flow   Flow
	// Interactive lets Refresh and StepUp begin a login by themselves.
	Interactive bool
	// NoOpen only prints the URL that a browser would be opened with.
	NoOpen bool
	// QR draws the device login's URL as a QR code.
	QR bool
	// AllowPrivate trusts a server at a public address that names an authorization
	// server at a private one.
	AllowPrivate bool
	// Store is where secrets are kept; "" is StoreAuto.
	Store StoreMode
	// Dir has the stored logins; "": "stagedoor" in os.UserConfigDir.
	Dir string
	// Out is for people; nil: nobody reads.
	Out io.Writer
	// UserAgent is what requests say that they come from.
	UserAgent string
}

// ErrLoggedOut is in the chain of errors that only a login mends. Their
// message says how.
var ErrLoggedOut = errors.New("logged out")

// ErrNoTokenNeeded is in the chain of a login's error where the server asks
// for no token.
var ErrNoTokenNeeded = errors.New("server asks for no token")

// Source gives the bearer tokens for one MCP server. It is safe for concurrent
// use, by several processes too: only one of them spends a refresh token.
type Source struct {
	server *url.URL // as canonical makes it
	opts   Options
	store  *store
	busy   chan struct{}          // holds one while somebody renews or logs in
	held   atomic.Pointer[record] // that Token gave last: a keyring is slow to ask
	steps  map[string]time.Time   // when StepUp began a login for which scopes; guarded by busy

	tls       *tls.Config       // of tests; nil: as usual
	transport http.RoundTripper // of tests; nil: the network
	opened    func(url string) error
}

// Open makes the source for the server at a URL, for example
// "https://gateway.example.com/mcp/catalog". Nothing is sent yet.
func Open(serverURL string, o Options) (*Source, error) {
	server, err := canonical(serverURL)
	if err != nil {
		return nil, err
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	st, err := openStore(o.Dir, o.Store, o.Out)
	if err != nil {
		return nil, err
	}
	return &Source{server: server, opts: o, store: st, busy: make(chan struct{}, 1), steps: map[string]time.Time{}, opened: openBrowser}, nil
}

// Server is the canonical URL of the server: scheme and host in lower case, no
// default port, no slash in the place of an empty path.
func (s *Source) Server() string { return s.server.String() }

// canonical reads a server's URL. Tokens go there: it has to be https, or http
// on this machine.
func canonical(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("server URL: expected an absolute https URL without credentials and fragment, for example https://gateway.example.com/mcp/catalog")
	}
	if u.Scheme == "http" && !isLoopbackHost(u.Hostname()) {
		return nil, errors.New("server URL: http is for this machine only (localhost, 127.0.0.1, [::1]): elsewhere tokens would travel in clear text; use https")
	}
	u.Host = strings.ToLower(u.Host)
	if port := u.Port(); port == "" || port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		u.Host = strings.TrimSuffix(strings.TrimSuffix(u.Host, port), ":")
	}
	if u.Path == "/" {
		u.Path = ""
	}
	u.ForceQuery = false
	return u, nil
}

// Token gives the access token, renewed when it is about to end. Without a
// stored login the error is ErrLoggedOut.
func (s *Source) Token(ctx context.Context) (string, error) {
	if held := s.held.Load(); held != nil && held.fresh(time.Now()) {
		return held.Secrets.Access, nil
	}
	record, err := s.record()
	if err != nil {
		return "", err
	}
	if now := time.Now(); record.fresh(now) || record.Secrets.Refresh == "" && record.valid(now) {
		s.held.Store(&record)
		return record.Secrets.Access, nil
	}
	token, err := s.Refresh(ctx, record.Secrets.Access)
	if err != nil && !errors.Is(err, ErrLoggedOut) && record.valid(time.Now()) {
		return record.Secrets.Access, nil // it could not be renewed yet, and still holds
	}
	return token, err
}

// Refresh gives another access token than the one that the server answered
// with 401. Whoever else renewed it meanwhile is followed. rejected is "" when
// the request had none. Where no token can be had without a person, an
// interactive source logs in, and others give ErrLoggedOut.
func (s *Source) Refresh(ctx context.Context, rejected string) (string, error) {
	if err := s.begin(ctx); err != nil {
		return "", err
	}
	defer s.end()
	token, err := s.renewed(ctx, rejected)
	if !errors.Is(err, ErrLoggedOut) || !s.opts.Interactive {
		return token, err
	}
	if last, err := s.record(); err == nil && last.Secrets.Access == rejected && last.valid(time.Now()) && time.Since(last.LoggedIn) < patience {
		return "", fmt.Errorf("server refuses the token of a login that was just made, so another one is of no use: %s; stagedoor login %s tries it once more", last.forWhom(), s.Server())
	}
	say(s.opts.Out, "Login needed for %s\n", s.Server())
	record, err := s.logIn(ctx, s.opts.Scopes)
	if err != nil {
		return "", err
	}
	return record.Secrets.Access, nil
}

// StepUp logs in anew for the scopes that a 403 challenge (RFC 6750, section
// 3.1: insufficient_scope) names, beside those of before; challenge is the
// value of its WWW-Authenticate.
func (s *Source) StepUp(ctx context.Context, challenge string) error {
	asked := parseChallenge([]string{challenge})
	needed := strings.Fields(asked["scope"])
	if asked["error"] != "insufficient_scope" || len(needed) == 0 {
		return errors.New("challenge of the server names no scopes to log in for")
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.end()
	record, err := s.record()
	if err != nil && !errors.Is(err, ErrLoggedOut) {
		return err
	}
	if done, err := s.stepped(record, needed); done || err != nil {
		return err
	}
	if !s.opts.Interactive {
		return &loggedOutError{fmt.Sprintf("server wants the scopes %s: run stagedoor login %s --scope %q", clean(asked["scope"]), s.Server(), clean(strings.Join(union(record.scopes(), needed), " ")))}
	}
	if s.recentSteps() >= maxSteps {
		return fmt.Errorf("server has asked for other scopes %d times within %s, and now for %s; if that is right: stagedoor login %s --scope %q", maxSteps, patience, clean(asked["scope"]), s.Server(), clean(strings.Join(union(record.scopes(), needed), " ")))
	}
	say(s.opts.Out, "%s wants more than the login allows: %s\n", s.Server(), clean(asked["scope"]))
	s.steps[stepKey(needed)] = time.Now()
	record, err = s.logIn(ctx, union(record.scopes(), needed))
	if err == nil && !covers(record.Scopes, needed) {
		return notGranted(record, needed)
	}
	return err
}

// stepped tells whether a login for these scopes was just made, and why there
// is no use in another one.
func (s *Source) stepped(r record, needed []string) (done bool, err error) {
	at, before := s.steps[stepKey(needed)]
	switch {
	case !before || r.LoggedIn.After(at.Add(patience)) || r.LoggedIn.Before(at):
		return false, nil // never, or somebody logged in by hand since, or the login failed
	case !covers(r.Scopes, needed):
		return false, notGranted(r, needed)
	case time.Since(at) < patience:
		return true, nil // several requests were refused together
	}
	return false, fmt.Errorf("server refuses a token with the scopes that it asks for: %s", strings.Join(needed, " "))
}

// patience is how long logins and what hangs on them may take.
const patience = 20 * time.Minute

// maxSteps bounds the sets of scopes that a server may have a person log in
// for within patience.
const maxSteps = 5

func (s *Source) recentSteps() (n int) {
	for _, at := range s.steps {
		if time.Since(at) < patience {
			n++
		}
	}
	return n
}

func notGranted(r record, needed []string) error {
	return fmt.Errorf("authorization server %s did not grant all of the scopes %s", r.Issuer, clean(strings.Join(needed, " ")))
}

func stepKey(needed []string) string { return strings.Join(union(nil, needed), " ") }

// Login logs a person in, whether a login is stored or not, and tries the token
// at the server. One that the server refuses is stored all the same: what is
// wrong may be mended there.
func (s *Source) Login(ctx context.Context) (Login, error) {
	if err := s.begin(ctx); err != nil {
		return Login{}, err
	}
	defer s.end()
	record, err := s.logIn(ctx, s.opts.Scopes)
	if err != nil {
		return Login{}, err
	}
	challenge, _, err := s.probe(ctx, record.Secrets.Access)
	if err == nil && challenge != nil {
		err = fmt.Errorf("login succeeded, but the server refuses the token (%s): %s", clean(cmp.Or(challenge["error_description"], challenge["error"], "it does not say why")), record.forWhom())
	}
	return record.Login, err
}

// begin waits until nobody else renews or logs in. What Token held is looked up
// anew, as somebody is not content with it.
func (s *Source) begin(ctx context.Context) error {
	select {
	case s.busy <- struct{}{}:
		s.held.Store(nil)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Source) end() { <-s.busy }

// record is the stored login, with its secrets.
func (s *Source) record() (record, error) {
	r, ok, err := s.store.find(s.Server(), s.opts.ClientID)
	if err == nil && (!ok || r.Secrets == nil) {
		err = s.loggedOut("not logged in")
	}
	return r, err
}

// loggedOut is an error that a login mends.
func (s *Source) loggedOut(why string) error {
	return &loggedOutError{fmt.Sprintf("%s: stagedoor login %s", why, s.Server())}
}

type loggedOutError struct{ message string }

func (e *loggedOutError) Error() string { return e.message }
func (e *loggedOutError) Unwrap() error { return ErrLoggedOut }
