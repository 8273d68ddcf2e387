// Package authtest is an issuer of tokens for tests: it serves metadata and
// keys over a real socket, and signs tokens of any shape.
package authtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Issuer is an authorization server without a login. It is safe for concurrent
// use.
type Issuer struct {
	// URL is its issuer identifier; its keys are at URL + "/jwks".
	URL string

	mu       sync.Mutex
	keys     []*Key
	down     bool
	maxAge   string
	requests map[string]int
}

// NewIssuer starts an issuer with one ES256 key, "key-1".
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := Unserved("", NewKey(t, "key-1", "ES256"))
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// Unserved is an issuer without a socket: an http.Handler for a URL, which
// [Issuer.RoundTrip] asks as well.
func Unserved(url string, keys ...*Key) *Issuer {
	return &Issuer{URL: url, keys: keys, requests: map[string]int{}}
}

// Token signs an access token of ada, good for an hour, with the newest key.
// Claims that are given replace its own; nil takes one away.
func (i *Issuer) Token(audience string, claims map[string]any) string {
	return i.Newest().Sign(map[string]any{"typ": "at+jwt"}, i.Claims(audience, claims))
}

// Claims are those of Token.
func (i *Issuer) Claims(audience string, claims map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{"iss": i.URL, "aud": audience, "sub": "ada", "client_id": "agent", "scope": "mcp:read", "iat": now, "exp": now + 3600}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// Newest is the key that signs.
func (i *Issuer) Newest() *Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// Publish replaces the keys; the last one signs.
func (i *Issuer) Publish(keys ...*Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Down has it answer 503, or no more.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// CacheFor sets Cache-Control of the keys, for example "max-age=60".
func (i *Issuer) CacheFor(control string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.maxAge = control
}

// Requests counts what was asked of paths that end so; "" counts all.
func (i *Issuer) Requests(suffix string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for path, count := range i.requests {
		if strings.HasSuffix(path, suffix) {
			n += count
		}
	}
	return n
}

// ServeHTTP implements [http.Handler].
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests[r.URL.Path]++
	w.Header().Set("Content-Type", "application/json")
	switch {
	case i.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case strings.Contains(r.URL.Path, "/.well-known/"):
		i.write(w, map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/jwks", "token_endpoint": i.URL + "/token", "introspection_endpoint": i.URL + "/introspect",
		})
	case strings.HasSuffix(r.URL.Path, "/jwks"):
		jwks := make([]any, 0, len(i.keys))
		for _, k := range i.keys {
			jwks = append(jwks, k.JWK())
		}
		if i.maxAge != "" {
			w.Header().Set("Cache-Control", i.maxAge)
		}
		i.write(w, map[string]any{"keys": jwks})
	default:
		http.NotFound(w, r)
	}
}

func (i *Issuer) write(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

// RoundTrip implements [http.RoundTripper] without a socket, for tests in a
// synctest bubble.
func (i *Issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w.Result(), nil
}
