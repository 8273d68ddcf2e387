package auth_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// introspector is an authorization server that knows tokens by their answers.
type introspector struct {
	mu       sync.Mutex
	answers  map[string]string
	status   int
	requests atomic.Int64
}

func (i *introspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.requests.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	switch {
	case i.status != 0:
		w.WriteHeader(i.status)
	case r.Method != http.MethodPost || id != "gate+way" || secret != "s%3Acret%2F" || r.PostFormValue("token_type_hint") != "access_token":
		w.WriteHeader(http.StatusUnauthorized)
	case i.answers[r.PostFormValue("token")] == "":
		fmt.Fprint(w, `{"active":false}`)
	default:
		fmt.Fprint(w, i.answers[r.PostFormValue("token")])
	}
}

// RoundTrip serves tests in a bubble.
func (i *introspector) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w.Result(), nil
}

func (i *introspector) options(url string) auth.IntrospectionOptions {
	return auth.IntrospectionOptions{URL: url, Issuer: idp, ClientID: "gate way", ClientSecret: "s:cret/", Cache: time.Minute}
}

func answer(edit map[string]any) string {
	all := map[string]any{"active": true, "iss": idp, "aud": catalog, "sub": "ada", "client_id": "agent", "scope": "mcp:read", "token_type": "Bearer"}
	maps.Copy(all, edit)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestIntrospection(t *testing.T) {
	i := &introspector{answers: map[string]string{}}
	server := httptest.NewServer(i)
	defer server.Close()
	now := time.Now().Unix()
	for name, tc := range map[string]struct{ answer, want string }{
		"good":              {answer(nil), ""},
		"no iss":            {answer(map[string]any{"iss": nil}), ""},
		"no token_type":     {answer(map[string]any{"token_type": nil}), ""},
		"aud list":          {answer(map[string]any{"aud": []string{"x", catalog}}), ""},
		"not active":        {answer(map[string]any{"active": false}), "token is not active"},
		"active as a text":  {answer(map[string]any{"active": "true"}), "token is not active"},
		"active as a 1":     {answer(map[string]any{"active": 1}), "token is not active"},
		"active not said":   {answer(map[string]any{"active": nil}), "token is not active"},
		"active twice":      {`{"active":false,"active":true}`, "unavailable"},
		"of another issuer": {answer(map[string]any{"iss": idp + "/"}), "token is of another issuer"},
		"iss no text":       {answer(map[string]any{"iss": []string{idp}}), "token is of another issuer"},
		"aud absent":        {answer(map[string]any{"aud": nil}), "token is not for this server"},
		"aud other":         {answer(map[string]any{"aud": "https://other"}), "token is not for this server"},
		"ended":             {answer(map[string]any{"exp": now - 1}), "token has expired"},
		"begins later":      {answer(map[string]any{"nbf": now + 100}), "token is not valid yet"},
		"refresh, Hydra":    {answer(map[string]any{"token_use": "refresh_token"}), "token is not an access token"},
		"refresh, Keycloak": {answer(map[string]any{"typ": "Refresh"}), "token is not an access token"},
		"DPoP":              {answer(map[string]any{"token_type": "DPoP"}), "token is not an access token"},
		"nobody's":          {answer(map[string]any{"sub": nil, "client_id": nil}), "token does not say whose it is"},
		"no object":         {`[true]`, "unavailable"},
		"no JSON":           {`<html>`, "unavailable"},
	} {
		i.mu.Lock()
		i.answers["canary"] = tc.answer
		i.mu.Unlock()
		v := auth.NewIntrospection(i.options(server.URL))
		if got := verdict(t, v, "canary"); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	i.mu.Lock()
	i.answers["canary"], i.answers["client's"] = answer(map[string]any{"exp": now + 100}), answer(map[string]any{"sub": nil})
	i.mu.Unlock()
	v := auth.NewIntrospection(i.options(server.URL))
	p, err := v.Verify(t.Context(), "canary", at)
	if err != nil || p.Kind != principal.User || p.Subject != "ada" || p.Issuer != idp || p.Client != "agent" || p.Expires.Unix() != now+100 || p.Token.Reveal() != "canary" {
		t.Errorf("got %+v, %v", p, err)
	}
	if p, err = v.Verify(t.Context(), "client's", at); err != nil || p.Kind != principal.Service || p.Subject != "agent" || !p.Expires.IsZero() {
		t.Errorf("got %+v, %v", p, err)
	}
	if got := v.AuthorizationServers(); len(got) != 1 || got[0] != idp {
		t.Errorf("authorization servers %q", got)
	}
}

// TestIntrospectionRemembers: an active token until its end or the cache's, and
// one that is not for five seconds.
func TestIntrospectionRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &introspector{answers: map[string]string{"long": answer(nil), "short": answer(map[string]any{"exp": time.Now().Unix() + 20})}}
		o := i.options(idp + "/introspect")
		o.Transport = i
		v := auth.NewIntrospection(o)
		expect := func(token, want string, requests int64) {
			t.Helper()
			if got := verdict(t, v, token); got != want || i.requests.Load() != requests {
				t.Errorf("%s: got %q after %d requests, want %q after %d", token, got, i.requests.Load(), want, requests)
			}
		}
		expect("long", "", 1)
		expect("short", "", 2)
		expect("none", "token is not active", 3)
		expect("none", "token is not active", 3)
		time.Sleep(6 * time.Second)
		expect("none", "token is not active", 4)
		i.mu.Lock()
		delete(i.answers, "long")
		delete(i.answers, "short")
		i.mu.Unlock()
		time.Sleep(13 * time.Second)
		expect("short", "", 4)
		time.Sleep(2 * time.Second)
		expect("short", "token is not active", 5)
		time.Sleep(38 * time.Second)
		expect("long", "", 5)
		time.Sleep(2 * time.Second)
		expect("long", "token is not active", 6)
	})
}

// TestIntrospectionFailsClosed: what cannot be asked is not taken, and not
// called invalid; an issuer that fails is left alone for a moment.
func TestIntrospectionFailsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &introspector{answers: map[string]string{"good": answer(nil), "other": answer(nil)}}
		o := i.options(idp + "/introspect")
		o.Transport = i
		v := auth.NewIntrospection(o)
		if got := verdict(t, v, "good"); got != "" {
			t.Fatal(got)
		}
		i.status = http.StatusInternalServerError
		for range 10 {
			if got := verdict(t, v, "other"); got != "unavailable" {
				t.Errorf("got %q", got)
			}
		}
		if n := i.requests.Load(); n != 2 {
			t.Errorf("%d requests", n)
		}
		if got := verdict(t, v, "good"); got != "" {
			t.Errorf("a token that was just good: %q", got)
		}
		time.Sleep(2 * time.Minute)
		if got := verdict(t, v, "good"); got != "unavailable" {
			t.Errorf("a token that was good long ago: %q", got)
		}
		i.status = 0
		time.Sleep(time.Second)
		if got := verdict(t, v, "other"); got != "" {
			t.Errorf("after it came back: %q", got)
		}
	})
}

// TestIntrospectionOfOddTokens: a token that the authorization server makes no
// sense of keeps no other one out.
func TestIntrospectionOfOddTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusOK} {
			i := &introspector{answers: map[string]string{"good": answer(nil), "odd": "<html>"}}
			o := i.options(idp + "/introspect")
			o.Transport = i
			v := auth.NewIntrospection(o)
			if i.status = status; status == http.StatusOK {
				i.status = 0
			}
			if got := verdict(t, v, "odd"); got != "unavailable" {
				t.Errorf("%d: got %q of an odd token", status, got)
			}
			i.status = 0
			if got := verdict(t, v, "good"); got != "" {
				t.Errorf("%d: got %q of a good token just after an odd one", status, got)
			}
		}
	})
}

// TestIntrospectionOfNoIssuer: an answer cannot make its principals those of
// somebody else, whom rules may trust with more.
func TestIntrospectionOfNoIssuer(t *testing.T) {
	i := &introspector{answers: map[string]string{"good": answer(map[string]any{"iss": auth.StaticIssuer})}}
	server := httptest.NewServer(i)
	defer server.Close()
	o := i.options(server.URL)
	o.Issuer = ""
	if p, err := auth.NewIntrospection(o).Verify(t.Context(), "good", at); err != nil || p.Issuer != server.URL {
		t.Errorf("got the issuer %q, %v", p.Issuer, err)
	}
}

// TestIntrospectionIsAskedLast: a token of the config is nobody else's business,
// wherever its verifier stands.
func TestIntrospectionIsAskedLast(t *testing.T) {
	i := &introspector{answers: map[string]string{"good": answer(nil)}}
	server := httptest.NewServer(i)
	defer server.Close()
	static := auth.NewStatic(auth.StaticToken{Token: "0123456789abcdef", Subject: "ci"})
	chain := auth.Chain{auth.NewIntrospection(i.options(server.URL)), static, saying{auth.ErrNotMine}}
	if p, err := chain.Verify(t.Context(), "0123456789abcdef", at); err != nil || p.Subject != "ci" || i.requests.Load() != 0 {
		t.Errorf("got %v, %v after %d requests", p, err, i.requests.Load())
	}
	if p, err := chain.Verify(t.Context(), "good", at); err != nil || p.Subject != "ada" {
		t.Errorf("got %v, %v", p, err)
	}
}

// crowded counts how many requests are under way at once.
type crowded struct {
	now, most atomic.Int64
	introspector
}

func (c *crowded) RoundTrip(r *http.Request) (*http.Response, error) {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for {
		most := c.most.Load()
		if n <= most || c.most.CompareAndSwap(most, n) {
			break
		}
	}
	time.Sleep(100 * time.Millisecond)
	return c.introspector.RoundTrip(r)
}

// TestIntrospectionIsNotFlooded: 400 tokens at once are 16 requests at a time,
// and one token is one request however many wait for it.
func TestIntrospectionIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowded{introspector: introspector{answers: map[string]string{"good": answer(nil)}}}
		o := c.options(idp + "/introspect")
		o.Transport = c
		v := auth.NewIntrospection(o)
		var all sync.WaitGroup
		for n := range 400 {
			all.Go(func() {
				if got := verdict(t, v, fmt.Sprintf("random-%d", n)); got != "token is not active" {
					t.Error(got)
				}
			})
		}
		all.Wait()
		if c.most.Load() != 16 || c.requests.Load() != 400 {
			t.Errorf("%d at once, %d in all", c.most.Load(), c.requests.Load())
		}
		for range 100 {
			all.Go(func() {
				if got := verdict(t, v, "good"); got != "" {
					t.Error(got)
				}
			})
		}
		all.Wait()
		if n := c.requests.Load(); n != 401 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestOthersTokensAreNotShown: a token that is known for another issuer's goes
// to no introspection after it, good or bad.
func TestOthersTokensAreNotShown(t *testing.T) {
	i := &introspector{answers: map[string]string{}}
	server := httptest.NewServer(i)
	defer server.Close()
	issuer := authtest.NewIssuer(t)
	chain := auth.Chain{jwtOf(issuer), auth.NewIntrospection(i.options(server.URL))}
	for token, want := range map[string]string{
		issuer.Token(catalog, nil):                                              "",
		issuer.Token("https://other.example/mcp", nil):                          "token is not for this server",
		issuer.Token(catalog, map[string]any{"exp": 1}):                         "token has expired",
		authtest.NewKey(t, "x", "ES256").Sign(nil, issuer.Claims(catalog, nil)): "token is signed with an unknown key",
	} {
		_, err := chain.Verify(t.Context(), token, at)
		if got := told(t, err, token); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if n := i.requests.Load(); n != 0 {
		t.Errorf("%d tokens were shown", n)
	}
	if _, err := chain.Verify(t.Context(), "opaque", at); told(t, err, "") != "token is not active" || i.requests.Load() != 1 {
		t.Errorf("got %v", err)
	}
}

// TestOddTokensStopNobody: an authorization server that answers 400 to a token
// of another kind (as oidc-provider does to JWTs) has not failed, or any caller
// could have all others turned away.
func TestOddTokensStopNobody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := r.PostFormValue("token"); token != "canary" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":%q}`, token)
			return
		}
		fmt.Fprint(w, answer(nil))
	}))
	defer server.Close()
	for code, want := range map[string]string{"unsupported_token_type": "token is not active", "invalid_request": "unavailable", "": "unavailable"} {
		v := auth.NewIntrospection((&introspector{}).options(server.URL))
		if got := verdict(t, v, code); got != want {
			t.Errorf("%s: got %q, want %q", code, got, want)
		}
		if got := verdict(t, v, "canary"); got != "" {
			t.Errorf("after %s: %s", code, got)
		}
	}
	v := auth.NewIntrospection((&introspector{}).options(server.URL))
	if one, two := verdict(t, v, "invalid_client"), verdict(t, v, "canary"); one != "unavailable" || two != one {
		t.Errorf("got %q and %q", one, two)
	}
}
