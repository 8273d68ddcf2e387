package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
)

const idp = "https://idp.example.com"

// bubble runs a test on a clock of its own, with an issuer that needs no
// socket.
func bubble(t *testing.T, run func(t *testing.T, issuer *authtest.Issuer, v auth.Verifier)) {
	key := authtest.NewKey(t, "key-1", "ES256")
	synctest.Test(t, func(t *testing.T) {
		issuer := authtest.Unserved(idp, key)
		run(t, issuer, auth.NewJWT(auth.JWTOptions{Issuer: idp, Keys: auth.NewKeySets(issuer).Of(idp)}))
	})
}

const long = 100 * 3600

func lasting(i *authtest.Issuer, claims map[string]any) map[string]any {
	return i.Claims(catalog, map[string]any{"exp": time.Now().Unix() + long, "x": claims})
}

// TestUnknownKeysFloodNobody: 1000 random kids cause at most 10 fetches a
// minute, discovery and all else included.
func TestUnknownKeysFloodNobody(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *authtest.Issuer, v auth.Verifier) {
		for minute := range 3 {
			before := issuer.Requests("")
			for i := range 1000 {
				token := issuer.Newest().Sign(map[string]any{"kid": fmt.Sprintf("random-%d-%d", minute, i)}, lasting(issuer, nil))
				if got := verdict(t, v, token); got != "token is signed with an unknown key" {
					t.Fatalf("got %q", got)
				}
				time.Sleep(60 * time.Millisecond)
			}
			if n := issuer.Requests("") - before; n > 10 {
				t.Errorf("minute %d: %d fetches", minute, n)
			}
		}
		if n := issuer.Requests("/jwks"); n < 4 || n > 8 {
			t.Errorf("keys were fetched %d times in three minutes", n)
		}
	})
}

// TestRotation: a new key counts from the first token on, and one that is
// gone no longer than keys are fresh, remembered tokens included.
func TestRotation(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *authtest.Issuer, v auth.Verifier) {
		old := issuer.Newest()
		first := old.Sign(nil, lasting(issuer, nil))
		if got := verdict(t, v, first); got != "" {
			t.Fatal(got)
		}
		time.Sleep(time.Minute)
		fresh := authtest.NewKey(t, "key-2", "ES256")
		issuer.Publish(old, fresh)
		if got := verdict(t, v, fresh.Sign(nil, lasting(issuer, nil))); got != "" {
			t.Errorf("first token of the new key: %s", got)
		}
		if n := issuer.Requests("/jwks"); n != 2 {
			t.Errorf("keys were fetched %d times", n)
		}
		if got := verdict(t, v, first); got != "" {
			t.Errorf("token of the old key: %s", got)
		}
		issuer.Publish(fresh)
		time.Sleep(10*time.Minute + time.Second)
		for _, token := range []string{first, old.Sign(nil, lasting(issuer, nil))} {
			if got := verdict(t, v, token); got != "token is signed with an unknown key" {
				t.Errorf("token of a key that is gone: %q", got)
			}
		}
	})
}

// TestRotationWithoutKeyIDs: such keys are all tried, and a new one is looked
// for as by its id.
func TestRotationWithoutKeyIDs(t *testing.T) {
	one, two := authtest.NewKey(t, "", "EdDSA"), authtest.NewKey(t, "", "EdDSA")
	bubble(t, func(t *testing.T, issuer *authtest.Issuer, v auth.Verifier) {
		issuer.Publish(one)
		if got := verdict(t, v, one.Sign(nil, lasting(issuer, nil))); got != "" {
			t.Fatal(got)
		}
		issuer.Publish(one, two)
		for _, k := range []*authtest.Key{two, one} {
			if got := verdict(t, v, k.Sign(nil, lasting(issuer, nil))); got != "" {
				t.Error(got)
			}
		}
		if n := issuer.Requests("/jwks"); n != 2 {
			t.Errorf("keys were fetched %d times", n)
		}
	})
}

// TestIssuerIsDownAtStart: its tokens are not called invalid, it is asked less
// and less often, and found again.
func TestIssuerIsDownAtStart(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *authtest.Issuer, v auth.Verifier) {
		issuer.Down(true)
		token := issuer.Newest().Sign(nil, lasting(issuer, nil))
		start := time.Now()
		for time.Since(start) < 10*time.Minute {
			if got := verdict(t, v, token); got != "unavailable" {
				t.Fatalf("got %q", got)
			}
			time.Sleep(time.Second)
		}
		if n := issuer.Requests(""); n < 10 || n > 10+2*10 {
			t.Errorf("it was asked %d times in ten minutes", n)
		}
		if got := verdict(t, v, issuer.Newest().Sign(nil, issuer.Claims(catalog, map[string]any{"exp": 1}))); got != "token has expired" {
			t.Errorf("a token that cannot be good: %q", got)
		}
		issuer.Down(false)
		time.Sleep(time.Minute)
		if got := verdict(t, v, token); got != "" {
			t.Errorf("after it came back: %s", got)
		}
	})
}

// TestIssuerGoesDown: its keys count for a day; what they did not sign is not
// called invalid.
func TestIssuerGoesDown(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *authtest.Issuer, v auth.Verifier) {
		token := issuer.Newest().Sign(nil, lasting(issuer, nil))
		if got := verdict(t, v, token); got != "" {
			t.Fatal(got)
		}
		issuer.Down(true)
		for range 23 {
			time.Sleep(time.Hour)
			if got := verdict(t, v, token); got != "" {
				t.Fatalf("stale key: %s", got)
			}
		}
		if got := verdict(t, v, issuer.Newest().Sign(map[string]any{"kid": "new"}, lasting(issuer, nil))); got != "unavailable" {
			t.Errorf("unknown kid: %q", got)
		}
		time.Sleep(time.Hour)
		if got := verdict(t, v, token); got != "unavailable" {
			t.Errorf("a day later: %q", got)
		}
		issuer.Down(false)
		time.Sleep(time.Minute)
		if got := verdict(t, v, token); got != "" {
			t.Errorf("after it came back: %s", got)
		}
	})
}

// TestFreshness: max-age counts within a minute and ten.
func TestFreshness(t *testing.T) {
	for control, fresh := range map[string]time.Duration{
		"": 10 * time.Minute, "max-age=5": time.Minute, "no-store": time.Minute, "public, max-age=120": 2 * time.Minute,
		"max-age=86400": 10 * time.Minute, "max-age=x": time.Minute, "Max-Age=\"180\"": 3 * time.Minute, "max-age=99999999999999999999": time.Minute,
	} {
		bubble(t, func(t *testing.T, issuer *authtest.Issuer, v auth.Verifier) {
			issuer.CacheFor(control)
			token := issuer.Newest().Sign(nil, lasting(issuer, nil))
			for _, step := range []struct {
				wait    time.Duration
				fetches int
			}{{0, 1}, {fresh*4/5 - time.Second, 1}, {time.Second, 2}} {
				time.Sleep(step.wait)
				if got := verdict(t, v, token); got != "" {
					t.Fatal(got)
				}
				synctest.Wait()
				if n := issuer.Requests("/jwks"); n != step.fetches {
					t.Errorf("%q: %d fetches after %s, want %d", control, n, step.wait, step.fetches)
				}
			}
		})
	}
}

// TestOneFetchForAll: however many wait for the first keys.
func TestOneFetchForAll(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	sets := auth.NewKeySets(nil)
	token := issuer.Token(catalog, nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			v := auth.NewJWT(auth.JWTOptions{Issuer: issuer.URL, Keys: sets.Of(issuer.URL)})
			if got := verdict(t, v, token); got != "" {
				t.Error(got)
			}
		})
	}
	all.Wait()
	if n := issuer.Requests(""); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestDiscovery: an issuer with a path may have its metadata at three places;
// it has to be its own.
func TestDiscovery(t *testing.T) {
	for _, good := range []string{"/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant", "/tenant/.well-known/openid-configuration", ""} {
		key := authtest.NewKey(t, "k", "ES256")
		var server *httptest.Server
		server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			issuer := server.URL + "/tenant/" // another one: a slash more
			switch r.URL.Path {
			case "/keys":
				_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{key.JWK()}})
				return
			case good:
				issuer = server.URL + "/tenant"
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": server.URL + "/keys"})
		}))
		defer server.Close()
		issuer := server.URL + "/tenant"
		v := auth.NewJWT(auth.JWTOptions{Issuer: issuer, Keys: auth.NewKeySets(nil).Of(issuer)})
		token := key.Sign(nil, map[string]any{"iss": issuer, "aud": catalog, "sub": "ada", "exp": time.Now().Unix() + 60})
		want := ""
		if good == "" {
			want = "unavailable"
		}
		if got := verdict(t, v, token); got != want {
			t.Errorf("metadata at %q: got %q, want %q", good, got, want)
		}
	}
}

// TestBadAnswers: whatever an issuer answers, its tokens are not taken and not
// called invalid, and nothing else is asked.
func TestBadAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) }))
	defer elsewhere.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"web page": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no keys":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"error":"x"}`) },
		"null":     func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `null`) },
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"keys":["`+strings.Repeat("x", 600<<10)+`"]}`)
		},
		"too many": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"keys":[`+strings.Repeat("1,", 200)+`1]}`)
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"keys":[`)
		},
	} {
		server := httptest.NewServer(answer)
		v := auth.NewJWT(auth.JWTOptions{Issuer: idp, Keys: auth.NewKeySets(nil).At(server.URL + "/jwks")})
		token := authtest.NewKey(t, "k", "ES256").Sign(nil, map[string]any{"iss": idp, "aud": catalog, "sub": "ada", "exp": time.Now().Unix() + 60})
		if got := verdict(t, v, token); got != "unavailable" {
			t.Errorf("%s: got %q", name, got)
		}
		server.Close()
	}
}

// TestMetadataLeadsNowhereElse: keys come over https, or from this machine.
func TestMetadataLeadsNowhereElse(t *testing.T) {
	for place, want := range map[string]bool{
		"https://idp.example.com/jwks": true, "http://127.0.0.1:1/jwks": true, "http://[::1]/jwks": true, "http://localhost/jwks": true,
		"http://idp.example.com/jwks": false, "http://169.254.169.254/jwks": false, "file:///etc/passwd": false, "": false,
		"http://localhost.evil.example/": false, "https://user:pw@idp.example.com/": false, "https://": false, "//idp/jwks": false, "https://idp/#x": false,
	} {
		if got := auth.IsEndpoint(place); got != want {
			t.Errorf("%q: %v", place, got)
		}
	}
}

// TestMetadataLeadsNotHere: an issuer elsewhere has nothing asked on this
// machine.
func TestMetadataLeadsNotHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, misled := authtest.Unserved(idp, authtest.NewKey(t, "k", "ES256")), 0
		keys := auth.NewKeySets(roundTrip(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			if r.URL.Scheme == "http" {
				misled++
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": idp, "jwks_uri": "http://127.0.0.1:6060/jwks"})
			return w.Result(), nil
		}))
		v := auth.NewJWT(auth.JWTOptions{Issuer: idp, Keys: keys.Of(idp)})
		if got := verdict(t, v, issuer.Token(catalog, nil)); got != "unavailable" || misled > 0 {
			t.Errorf("got %q after %d requests to this machine", got, misled)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestWhichKeysCount: public ones that sign, and are strong enough.
func TestWhichKeysCount(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err)
	}
	strong := authtest.NewKey(t, "k", "RS256")
	short := authtest.Of("k", "RS256", weak)
	jwk := func(k *authtest.Key, edit map[string]any) any {
		b, err := json.Marshal(k.JWK())
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for name, v := range edit {
			m[name] = v
		}
		return m
	}
	for name, tc := range map[string]struct {
		signer *authtest.Key
		jwk    any
		good   bool
	}{
		"good":        {strong, jwk(strong, nil), true},
		"no use":      {strong, jwk(strong, map[string]any{"use": "", "alg": ""}), true},
		"key_ops":     {strong, jwk(strong, map[string]any{"key_ops": []string{"verify"}}), true},
		"weak":        {short, jwk(short, nil), false},
		"for secrets": {strong, jwk(strong, map[string]any{"use": "enc"}), false},
		"other alg":   {strong, jwk(strong, map[string]any{"alg": "RS512"}), false},
		"other ops":   {strong, jwk(strong, map[string]any{"key_ops": []string{"encrypt"}}), false},
		"kid no text": {strong, jwk(strong, map[string]any{"kid": 1}), false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{
				map[string]any{"kty": "oct", "k": "c2VjcmV0"}, map[string]any{"kty": "new"}, 1, "x", nil, tc.jwk,
			}})
		}))
		v := auth.NewJWT(auth.JWTOptions{Issuer: idp, Keys: auth.NewKeySets(nil).At(server.URL)})
		got := verdict(t, v, tc.signer.Sign(nil, map[string]any{"iss": idp, "aud": catalog, "sub": "ada", "exp": time.Now().Unix() + 60}))
		if (got == "") != tc.good || !tc.good && got != "token is signed with an unknown key" {
			t.Errorf("%s: got %q", name, got)
		}
		server.Close()
	}
}

func TestMetadataURLs(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://a.example":       {"https://a.example/.well-known/oauth-authorization-server", "https://a.example/.well-known/openid-configuration"},
		"https://a.example/":      {"https://a.example/.well-known/oauth-authorization-server", "https://a.example/.well-known/openid-configuration"},
		"https://a.example/x/y":   {"https://a.example/.well-known/oauth-authorization-server/x/y", "https://a.example/.well-known/openid-configuration/x/y", "https://a.example/x/y/.well-known/openid-configuration"},
		"https://a.example/x%2Fy": {"https://a.example/.well-known/oauth-authorization-server/x%2Fy", "https://a.example/.well-known/openid-configuration/x%2Fy", "https://a.example/x%2Fy/.well-known/openid-configuration"},
		"nothing":                 nil,
	} {
		if got := auth.MetadataURLs(issuer); !slices.Equal(got, want) {
			t.Errorf("%s: %q", issuer, got)
		}
	}
}
