// Package logintest has an authorization server and a protected MCP server to
// log in to, for tests: they do as they are told, lies included.
package logintest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Paths of what a Provider serves.
const (
	ServerPath    = "/mcp/demo"
	IssuerPath    = "/idp"
	ResourcePath  = "/.well-known/oauth-protected-resource" + ServerPath
	MetadataPath  = "/.well-known/oauth-authorization-server" + IssuerPath
	TokenPath     = IssuerPath + "/token"
	DevicePath    = IssuerPath + "/device"
	RevokePath    = IssuerPath + "/revoke"
	RegisterPath  = IssuerPath + "/register"
	AuthorizePath = IssuerPath + "/authorize"
	// Canary is in all that is secret: it may stand in no output.
	Canary = "canary"
)

// Request is one that a Provider was sent.
type Request struct {
	Path string
	Form url.Values
	Body string // where it was no form
	At   time.Time
}

// Provider is an authorization server and, on the same origin, the MCP server
// that trusts it. Its fields are set before it is used, or through Do.
type Provider struct {
	// Base is the origin of both.
	Base string
	// Polls is what device polls get in turn, the last again and again: an OAuth
	// error, "down" for no answer, "503" for one that says nothing, or "" for tokens.
	Polls []string
	// Life is that of access tokens, in seconds; 0: it is not said.
	Life int
	// Interval is that of polls, in seconds; 0: it is not said.
	Interval float64
	// Granted are the scopes of tokens; "": those asked for, and not said.
	Granted string
	// Metadata and Resource change the documents; a nil value leaves a member out.
	Metadata, Resource map[string]any
	// Challenge is the WWW-Authenticate of the server; "": as usual.
	Challenge string
	// Callback changes the parameters of authorization responses.
	Callback func(url.Values)
	// Instead serves paths in another way.
	Instead map[string]http.HandlerFunc

	mu        sync.Mutex
	requests  []Request
	issued    int
	access    map[string]bool
	refresh   map[string]bool
	codes     map[string]url.Values
	clients   int
	forgotten map[string]bool
}

// Start serves a provider on loopback, changed before it is in use. Close ends
// it.
func Start(changes ...func(*Provider)) (*Provider, *httptest.Server) {
	p := New("")
	server := httptest.NewUnstartedServer(p)
	p.Base = "http://" + server.Listener.Addr().String()
	for _, change := range changes {
		change(p)
	}
	server.Start()
	return p, server
}

// New makes a provider at an origin.
func New(base string) *Provider {
	return &Provider{
		Base: base, Polls: []string{""}, Life: 300, Interval: 1, Instead: map[string]http.HandlerFunc{},
		access: map[string]bool{}, refresh: map[string]bool{}, codes: map[string]url.Values{}, forgotten: map[string]bool{},
	}
}

// Server is the URL of the MCP server, Issuer the authorization server's.
func (p *Provider) Server() string { return p.Base + ServerPath }

// Issuer is the authorization server's own name.
func (p *Provider) Issuer() string { return p.Base + IssuerPath }

// Do changes the provider while it is in use.
func (p *Provider) Do(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// Requests are those that were sent to a path so far.
func (p *Provider) Requests(path string) []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.requests), func(r Request) bool { return r.Path != path })
}

// Grants are the requests of the token endpoint for one grant type.
func (p *Provider) Grants(grant string) []Request {
	return slices.DeleteFunc(p.Requests(TokenPath), func(r Request) bool { return r.Form.Get("grant_type") != grant })
}

// End makes all tokens invalid.
func (p *Provider) End() {
	p.Do(func() { clear(p.access); clear(p.refresh) })
}

// EndAccess makes all access tokens invalid, and leaves refresh tokens alone.
func (p *Provider) EndAccess() { p.Do(func() { clear(p.access) }) }

// ForgetClients makes all registered clients unknown.
func (p *Provider) ForgetClients() {
	p.Do(func() {
		for i := range p.clients {
			p.forgotten[clientID(i+1)] = true
		}
	})
}

func clientID(n int) string { return fmt.Sprintf("client-%d", n) }

// RoundTrip answers without a network. Polls that are "down" fail.
func (p *Provider) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	r = r.Clone(r.Context())
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if !p.answers(recorder, r) {
		return nil, io.ErrUnexpectedEOF
	}
	return recorder.Result(), nil
}

func (p *Provider) answers(w http.ResponseWriter, r *http.Request) (ok bool) {
	defer func() {
		if why := recover(); why != nil && why != http.ErrAbortHandler { //nolint:errorlint // that very value
			panic(why)
		}
	}()
	p.ServeHTTP(w, r)
	return true
}

// ServeHTTP implements [http.Handler].
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	got := Request{Path: r.URL.Path, Form: r.URL.Query(), Body: string(body), At: time.Now()}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		got.Form, _ = url.ParseQuery(got.Body)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, got)
	if instead := p.Instead[r.URL.Path]; instead != nil {
		instead(w, r)
		return
	}
	switch r.URL.Path {
	case ServerPath:
		p.serve(w, r)
	case ResourcePath:
		reply(w, 200, p.resource())
	case MetadataPath:
		reply(w, 200, p.metadata())
	case DevicePath:
		p.device(w, got.Form)
	case AuthorizePath:
		p.authorize(w, r)
	case TokenPath:
		p.token(w, got.Form)
	case RevokePath:
		delete(p.refresh, got.Form.Get("token"))
		clear(p.access)
	case RegisterPath:
		p.clients++
		reply(w, 201, map[string]any{"client_id": clientID(p.clients), "token_endpoint_auth_method": "none"})
	default:
		http.NotFound(w, r)
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code string) {
	reply(w, 400, map[string]string{"error": code, "error_description": "as the test says"})
}

// serve is the MCP server: it answers everything, to those with a token.
func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	if p.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] {
		reply(w, 200, map[string]any{"jsonrpc": "2.0", "id": 1, "result": map[string]any{}})
		return
	}
	challenge := p.Challenge
	if challenge == "" {
		challenge = fmt.Sprintf(`Bearer resource_metadata=%q, scope="mcp:read"`, p.Base+ResourcePath)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.WriteHeader(http.StatusUnauthorized)
}

func (p *Provider) resource() map[string]any {
	return changed(map[string]any{
		"resource": p.Server(), "authorization_servers": []string{p.Issuer()}, "scopes_supported": []string{"mcp:read", "mcp:write"},
	}, p.Resource)
}

func (p *Provider) metadata() map[string]any {
	return changed(map[string]any{
		"issuer": p.Issuer(), "token_endpoint": p.Base + TokenPath, "authorization_endpoint": p.Base + AuthorizePath,
		"device_authorization_endpoint": p.Base + DevicePath, "registration_endpoint": p.Base + RegisterPath, "revocation_endpoint": p.Base + RevokePath,
		"scopes_supported": []string{"openid", "offline_access"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
	}, p.Metadata)
}

func changed(doc, by map[string]any) map[string]any {
	maps.Copy(doc, by)
	maps.DeleteFunc(doc, func(_ string, v any) bool { return v == nil })
	return doc
}

func (p *Provider) device(w http.ResponseWriter, form url.Values) {
	if p.forgotten[form.Get("client_id")] {
		fail(w, "invalid_client")
		return
	}
	answer := map[string]any{
		"device_code": "device-" + Canary, "user_code": "WDJB-MJHT", "verification_uri": p.Base + "/d",
		"verification_uri_complete": p.Base + "/d?user_code=WDJB-MJHT", "expires_in": 600,
	}
	if p.Interval > 0 {
		answer["interval"] = p.Interval
	}
	reply(w, 200, answer)
}

// authorize lets everybody in at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.issued++
	code := fmt.Sprintf("code-%s-%d", Canary, p.issued)
	p.codes[code] = q
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Issuer()}}
	if p.Callback != nil {
		p.Callback(back)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound) // #nosec G710 -- tests only
}

func (p *Provider) token(w http.ResponseWriter, form url.Values) {
	switch form.Get("grant_type") {
	case "urn:ietf:params:oauth:grant-type:device_code":
		next := p.Polls[0]
		if len(p.Polls) > 1 {
			p.Polls = p.Polls[1:]
		}
		switch next {
		case "":
			p.issue(w, form)
		case "down":
			panic(http.ErrAbortHandler)
		case "503":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			fail(w, next)
		}
	case "authorization_code":
		asked := p.codes[form.Get("code")]
		delete(p.codes, form.Get("code"))
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if asked == nil || asked.Get("code_challenge_method") != "S256" || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) ||
			asked.Get("redirect_uri") != form.Get("redirect_uri") || asked.Get("client_id") != form.Get("client_id") {
			fail(w, "invalid_grant")
			return
		}
		p.issue(w, form)
	case "refresh_token":
		old := form.Get("refresh_token")
		if !p.refresh[old] {
			clear(p.refresh) // it was stolen, for all that one can tell: the family ends
			fail(w, "invalid_grant")
			return
		}
		delete(p.refresh, old)
		p.issue(w, form)
	default:
		fail(w, "unsupported_grant_type")
	}
}

// issue answers with new tokens.
func (p *Provider) issue(w http.ResponseWriter, form url.Values) {
	p.issued++
	claims, _ := json.Marshal(map[string]any{"sub": "ada", "iss": p.Issuer(), "aud": form.Get("resource"), "groups": []string{"dev"}, "jti": p.issued})
	access := "e30." + base64.RawURLEncoding.EncodeToString(claims) + "." + Canary
	refresh := fmt.Sprintf("refresh-%s-%d", Canary, p.issued)
	p.access[access], p.refresh[refresh] = true, true
	answer := map[string]any{"access_token": access, "token_type": "bearer", "refresh_token": refresh}
	if p.Life > 0 {
		answer["expires_in"] = p.Life
	}
	if p.Granted != "" {
		answer["scope"] = p.Granted
	}
	reply(w, 200, answer)
}
