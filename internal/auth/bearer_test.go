package auth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzBearer: whatever the headers, a token is token68, from one header with
// the scheme Bearer, and of a bounded length.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  a.b.c==", "Basic x", "", "Bearer", " Bearer a", "Bearer a b", "Bearer\ta", "Bearer a,b", "Bearer \x00"} {
		f.Add(seed, "")
	}
	f.Add("Bearer abc", "access_token=x")
	f.Add("Bearer abc", "%zz&access%5Ftoken")
	f.Fuzz(func(t *testing.T, header, query string) {
		r := &http.Request{Header: http.Header{"Authorization": {header}}, URL: &url.URL{RawQuery: query}}
		got := bearer(r)
		if got.token == "" {
			return
		}
		if got.problem != "" || !IsBearer(got.token) || len(got.token) > maxToken || strings.ContainsAny(got.token, " \t\r\n\",;") {
			t.Errorf("%q is %+v", header, got)
		}
		scheme, rest, ok := strings.Cut(strings.TrimSpace(header), " ")
		if !ok || !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != got.token {
			t.Errorf("%q is the token %q", header, got.token)
		}
		r.Header["Authorization"] = append(r.Header["Authorization"], header)
		if twice := bearer(r); twice.token != "" || twice.problem == "" {
			t.Errorf("two headers are %+v", twice)
		}
	})
}

// FuzzChallenge: no scope or text gets out of its quotes.
func FuzzChallenge(f *testing.F) {
	f.Add("mcp:read", "token has expired")
	f.Add(`x", realm="evil`, "a\r\nSet-Cookie: x")
	f.Fuzz(func(t *testing.T, scope, text string) {
		c := challenge{metadata: "https://x.example/", scopes: []string{scope, "y"}, code: "invalid_token", description: text}.String()
		for _, r := range c {
			if r < ' ' || r > '~' {
				t.Fatalf("challenge %q", c)
			}
		}
		quotes := 8
		if quotable(text) == "" {
			quotes = 6
		}
		if strings.Count(c, `"`) != quotes || strings.Contains(c, `\`) {
			t.Errorf("challenge %s", c)
		}
	})
}

// TestCacheIsBounded: those that have ended go first, and none is given out
// after its end.
func TestCacheIsBounded(t *testing.T) {
	c := newCache[int, int](100)
	now := time.Now()
	for i := range 10_000 {
		c.put(i, i, now, now.Add(time.Second))
		if len(c.all) > 100 {
			t.Fatalf("%d entries", len(c.all))
		}
		if v, ok := c.get(i, now); !ok || v != i {
			t.Fatalf("%d is not there", i)
		}
	}
	if _, ok := c.get(9999, now.Add(time.Second)); ok {
		t.Error("an entry outlives its end")
	}
	one := newCache[int, int](1)
	for i := range 3 {
		if one.put(i, i, now, now.Add(time.Second)); len(one.all) != 1 {
			t.Errorf("%d entries", len(one.all))
		}
	}
}
