package invoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

// spy is a plugin that notes all that it is sent, as bytes of a socket have it.
type spy struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newSpy(t *testing.T, answer http.HandlerFunc) *spy {
	t.Helper()
	s := &spy{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen = append(s.seen, fmt.Sprintf("%s %s %v %s %s", r.Method, r.URL.RequestURI(), r.Header, r.Host, body))
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if answer != nil {
			answer(w, r)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *spy) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, "\n")
}

func withParameter(p openapi.Parameter) *openapi.Action {
	a := plain("x")
	p.Value = openapi.Value{Argument: "a"}
	a.Request.Parameters = []openapi.Parameter{p}
	return a
}

// TestTrespass: no argument gets to where credentials are, and nothing is sent
// of a call that tries.
func TestTrespass(t *testing.T) {
	const evil = "evil-value"
	header := func(name string) *openapi.Action {
		return withParameter(openapi.Parameter{In: openapi.InHeader, Name: name, Style: "simple"})
	}
	query := func(name string, change func(*openapi.Parameter)) *openapi.Action {
		p := openapi.Parameter{In: openapi.InQuery, Name: name, Style: "form", Explode: true}
		if change != nil {
			change(&p)
		}
		return withParameter(p)
	}
	nothing := credential.Source(nil)
	key, inQuery := credential.Header("X-API-Key", known(secret)), credential.Query("api_key", known(secret))
	cookie := credential.Header("Cookie", known("sid="+secret))
	for name, tt := range map[string]struct {
		source  credential.Source
		action  *openapi.Action
		value   any
		refused bool
	}{
		"authorization":                  {nothing, header("Authorization"), evil, true},
		"authorization in another case":  {credentials, header("aUTHORIZATION"), evil, true},
		"proxy-authorization":            {nothing, header("Proxy-Authorization"), evil, true},
		"host":                           {nothing, header("host"), evil, true},
		"cookie header":                  {nothing, header("Cookie"), evil, true},
		"credential's header":            {key, header("x-api-key"), evil, true},
		"another header":                 {key, header("X-Other"), evil, false},
		"cookie":                         {key, withParameter(openapi.Parameter{In: openapi.InCookie, Name: "lang", Style: "form"}), evil, false},
		"cookie beside credential's":     {cookie, withParameter(openapi.Parameter{In: openapi.InCookie, Name: "lang", Style: "form"}), evil, true},
		"credential's query":             {inQuery, query("api_key", nil), evil, true},
		"in another case":                {inQuery, query("API_KEY", nil), evil, true},
		"by a member":                    {inQuery, query("o", nil), map[string]any{"a": "b", "api_key": evil}, true},
		"by a member, encoded":           {inQuery, query("o", nil), map[string]any{"api%5Fkey": evil}, false},
		"deep":                           {inQuery, query("o", func(p *openapi.Parameter) { p.Style = "deepObject" }), map[string]any{"api_key": evil}, false},
		"in a value":                     {inQuery, query("o", nil), "x&api_key=" + evil, false},
		"in a value that is not encoded": {inQuery, query("o", func(p *openapi.Parameter) { p.AllowReserved = true }), "x&api_key=" + evil, false},
		"in the whole query": {inQuery, query("q", func(p *openapi.Parameter) {
			p.In, p.ContentType = openapi.InQuerystring, "application/x-www-form-urlencoded"
		}), map[string]any{"api_key": evil}, true},
		"another query": {inQuery, query("key", nil), evil, false},
	} {
		s := newSpy(t, nil)
		_, err := newClient(t, Options{BaseURL: s.URL, Credentials: tt.source}).Invoke(t.Context(), tt.action, map[string]any{"a": tt.value})
		var e *Error
		switch {
		case tt.refused:
			if !errors.As(err, &e) || e.Kind != InvalidArguments || !strings.Contains(e.Message, "the gateway's own") || s.all() != "" {
				t.Errorf("%s: %v, sent %s", name, err, s.all())
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.source != nil && strings.Count(s.all(), secret) != 1:
			t.Errorf("%s: sent %s", name, s.all())
		}
		if u, _, _ := strings.Cut(strings.TrimPrefix(s.all(), "GET "), " "); tt.source == inQuery && !tt.refused {
			if sent, _ := url.Parse(u); len(sent.Query()["api_key"]) != 1 || sent.Query().Get("api_key") != secret {
				t.Errorf("%s: sent %s", name, u)
			}
		}
	}
}

// TestQueryCredentials: they go at the end of whatever query there is, are
// masked in what is shown, and taken out of what comes back, as they are in URLs.
func TestQueryCredentials(t *testing.T) {
	const key = "s3cret key/ö&="
	s := newSpy(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "<"+r.URL.RequestURI()+"&page=2>; rel=next")
		fmt.Fprintf(w, `{"url":%q,"key":%q}`, r.URL.RequestURI(), r.URL.Query().Get("key"))
	})
	c := newClient(t, Options{BaseURL: s.URL, Credentials: credential.Query("key", known(key))})
	a := withParameter(openapi.Parameter{In: openapi.InQuery, Name: "q", Style: "form"})
	r, err := c.Invoke(t.Context(), a, map[string]any{"a": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.JSON) + fmt.Sprint(r.Headers); strings.Contains(got, "s3cret") || strings.Count(got, redacted) != 3 {
		t.Errorf("got %s", got)
	}
	if !strings.HasPrefix(s.all(), "GET /x?q=1&key=s3cret+key%2F%C3%B6%26%3D ") {
		t.Errorf("sent %s", s.all())
	}
	req, err := c.Request(t.Context(), a, map[string]any{"a": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Masked(a, req); req.URL.RawQuery != "q=1&key=%5Bredacted%5D" {
		t.Errorf("masked %s", req.URL)
	}
}

// renewable gives token-1, and another one after each drop.
type renewable struct {
	n       atomic.Int64
	dropped atomic.Int64
	fails   bool // there is none after that
}

func (r *renewable) Credentials(context.Context, *openapi.Action) (*credential.Credentials, error) {
	if r.fails && r.dropped.Load() > 0 {
		return nil, errors.New("no more")
	}
	n := r.n.Load() + 1
	return &credential.Credentials{
		Header: http.Header{"Authorization": {fmt.Sprintf("Bearer token-%d-of-the-gateway", n)}},
		Drop: func() {
			r.dropped.Add(1)
			r.n.Store(n)
		},
	}, nil
}

func (r *renewable) Places(*openapi.Action) credential.Places {
	return credential.Places{Header: []string{"Authorization"}}
}

// TestRenewed: a token that the plugin refuses is replaced once, whatever the
// action does; an answer other than 401 is not asked for twice.
func TestRenewed(t *testing.T) {
	for name, tt := range map[string]struct {
		source *renewable
		status func(token string) int
		sent   int
		ok     bool
	}{
		"revoked":                 {&renewable{}, func(token string) int { return map[bool]int{true: 200, false: 401}[token == "token-2"] }, 2, true},
		"never":                   {&renewable{}, func(string) int { return 401 }, 2, false},
		"only one":                {&renewable{fails: true}, func(string) int { return 401 }, 1, false},
		"forbidden":               {&renewable{}, func(string) int { return 403 }, 1, false},
		"unauthorized, then down": {&renewable{}, func(token string) int { return map[bool]int{true: 503, false: 401}[token == "token-2"] }, 2, false},
	} {
		for _, method := range []string{"GET", "POST"} {
			source := &renewable{fails: tt.source.fails}
			s := newSpy(t, func(w http.ResponseWriter, r *http.Request) {
				status := tt.status(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-of-the-gateway"))
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"message":%q}`, r.Header.Get("Authorization"))
			})
			a := &openapi.Action{Request: openapi.RequestPlan{Method: method, Path: []openapi.PathPart{{Literal: "/x"}}}}
			if method == "POST" {
				a.Request.Body = &openapi.Body{Whole: &openapi.Value{Argument: "a"}, Contents: []openapi.Content{{MediaType: "application/json", Format: openapi.FormatJSON}}}
			}
			r, err := newClient(t, Options{BaseURL: s.URL, Credentials: source}).Invoke(t.Context(), a, map[string]any{"a": map[string]any{"n": 1}})
			if (err == nil) != tt.ok || len(s.seen) != tt.sent {
				t.Errorf("%s %s: %v, sent %d times\n%s", name, method, err, len(s.seen), s.all())
			}
			if method == "POST" && strings.Count(s.all(), `{"n":1}`) != tt.sent {
				t.Errorf("%s: the body is not the same\n%s", name, s.all())
			}
			if told := fmt.Sprint(r, err); strings.Contains(told, "of-the-gateway") {
				t.Errorf("%s: told %s", name, told)
			}
		}
	}
}

// TestRefusedCaller: what a source says of the caller is said, and what it says
// of the gateway is not.
func TestRefusedCaller(t *testing.T) {
	for name, tt := range map[string]struct {
		err     error
		kind    Kind
		message string
	}{
		"caller":  {&credential.Refusal{Message: "you are not known there", Err: errors.New("inner.example.com")}, Denied, "you are not known there"},
		"gateway": {errors.New("inner.example.com does not answer"), Unavailable, "the gateway has no credentials for this plugin"},
	} {
		s := newSpy(t, nil)
		_, err := newClient(t, Options{BaseURL: s.URL, Credentials: credential.Bearer(func() (string, error) { return "", tt.err })}).Invoke(t.Context(), plain("x"), nil)
		var e *Error
		if !errors.As(err, &e) || e.Kind != tt.kind || e.Message != tt.message || !strings.Contains(err.Error(), "inner.example.com") || s.all() != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCredentialsStayAtHome: a request that is about to go elsewhere has none.
func TestCredentialsStayAtHome(t *testing.T) {
	c := newClient(t, Options{BaseURL: "https://billing.internal/v1", Credentials: credentials})
	proof, err := c.proof(t.Context(), plain("x"))
	if err != nil {
		t.Fatal(err)
	}
	for rawURL, home := range map[string]bool{
		"https://billing.internal/v1/x": true, "http://billing.internal/v1/x": false, "https://billing.internal:8443/v1/x": false,
		"https://other.internal/v1/x": false, "https://billing.internal.evil/v1/x": false,
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, rawURL, http.NoBody)
		_, err := c.authorize(req, proof, nil)
		if (err == nil) != home || (req.Header.Get("Authorization") != "") != home {
			t.Errorf("%s: %v %v", rawURL, req.Header, err)
		}
	}
}

// TestNoPassthrough: whatever the credentials are, the caller's token reaches the
// plugin in no header, query or body, and the token service alone sees it.
func TestNoPassthrough(t *testing.T) {
	const inbound = "canary-inbound-token"
	service := newSpy(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"exchanged-token","token_type":"Bearer","expires_in":60}`)
	})
	e := credential.Endpoint{URL: service.URL, ClientID: "gateway", ClientSecret: known(secret)}
	ctx := principal.WithCaller(t.Context(), &principal.Caller{
		Principal: principal.Principal{Kind: principal.User, Issuer: "https://idp", Subject: "ada", Token: principal.NewToken(inbound)}, Door: "sales",
	})
	for name, source := range map[string]credential.Source{
		"none": nil, "bearer": credentials, "query": credential.Query("k", known(secret)), "clientCredentials": credential.ClientCredentials(e),
		"tokenExchange": credential.TokenExchange(e, []string{"https://idp"}),
		"assertion":     credential.Assertion(credential.AssertionOptions{Signer: signer{}, Issuer: "https://gw", Plugin: "p", Claims: []string{"token"}}),
	} {
		s := newSpy(t, nil)
		a := &openapi.Action{Name: "x", Request: openapi.RequestPlan{Method: "POST", Path: []openapi.PathPart{{Literal: "/x"}}}}
		r, err := newClient(t, Options{BaseURL: s.URL, Credentials: source}).Invoke(ctx, a, nil)
		if err != nil || len(s.seen) != 1 || strings.Contains(s.all(), inbound) || strings.Contains(fmt.Sprintf("%+v", r), inbound) {
			t.Errorf("%s: %v %s", name, err, s.all())
		}
		if (name == "tokenExchange") != strings.Contains(s.all(), "exchanged-token") && name != "clientCredentials" {
			t.Errorf("%s: %s", name, s.all())
		}
	}
	if strings.Count(service.all(), inbound) != 1 {
		t.Errorf("the token service saw %s", service.all())
	}
}

// signer signs nothing.
type signer struct{}

func (signer) Sign(_ string, claims any) (string, error) {
	return fmt.Sprintf("signed-%x", fmt.Sprintf("%+v", claims)), nil
}
func (signer) JWKS() []byte { return nil }

// TestConstantCredentialsAreCheap: they are part of every call.
func TestConstantCredentialsAreCheap(t *testing.T) {
	c := newClient(t, Options{BaseURL: "https://billing.internal/v1", Credentials: credentials})
	a, ctx := plain("x"), t.Context()
	req, err := c.Request(ctx, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	add := func() {
		proof, err := c.proof(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.authorize(req, proof, nil); err != nil {
			t.Fatal(err)
		}
	}
	add()
	if n := testing.AllocsPerRun(100, add); n > 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// FuzzTrespass: whatever an object's members are called, the plugin finds one
// credential in its query, and it is the gateway's.
func FuzzTrespass(f *testing.F) {
	for _, name := range []string{"a", "api_key", "API_KEY", "api%5Fkey", "a;api_key", "a&api_key=x", "api_key[]", "+api_key", "api_key=", "\x00api_key"} {
		for _, style := range []string{"form", "deepObject", "spaceDelimited"} {
			f.Add(name, "value", style, true)
		}
	}
	c, err := New(Options{BaseURL: "http://plugin.invalid", Credentials: credential.Query("api_key", known(secret))})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, value, style string, reserved bool) {
		a := withParameter(openapi.Parameter{In: openapi.InQuery, Name: "o", Style: style, Explode: true, AllowReserved: reserved})
		req, err := c.Request(t.Context(), a, map[string]any{"a": map[string]any{name: value}})
		if err != nil {
			return
		}
		proof, err := c.proof(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.authorize(req, proof, nil); err != nil {
			t.Fatal(err)
		}
		// As servers read it that take ; for & as well.
		query, err := url.ParseQuery(strings.ReplaceAll(req.URL.RawQuery, ";", "&"))
		if err != nil {
			t.Skip(err)
		}
		for key, values := range query {
			if strings.EqualFold(key, "api_key") && (key != "api_key" || len(values) != 1 || values[0] != secret) {
				t.Errorf("%q %q: sent %s", name, value, req.URL.RawQuery)
			}
		}
	})
}
