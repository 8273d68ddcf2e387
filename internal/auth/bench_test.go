package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
)

// BenchmarkFresh is a token that was not seen before, with a key that was.
func BenchmarkFresh(b *testing.B) {
	for _, algorithm := range auth.DefaultAlgorithms() {
		b.Run(algorithm, func(b *testing.B) {
			issuer := authtest.NewIssuer(b)
			issuer.Publish(authtest.NewKey(b, "k", algorithm))
			keys := auth.NewKeySets(nil).Of(issuer.URL)
			token := issuer.Token(catalog, nil)
			verify(b, auth.NewJWT(auth.JWTOptions{Issuer: issuer.URL, Keys: keys}), token)
			b.ReportAllocs()
			for b.Loop() {
				t, err := auth.ParseJWT(token)
				if err != nil {
					b.Fatal(err)
				}
				if err := t.Verify(b.Context(), keys, []string{algorithm}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRepeated is a token that was verified a moment ago.
func BenchmarkRepeated(b *testing.B) {
	issuer := authtest.NewIssuer(b)
	token, v := issuer.Token(catalog, nil), jwtOf(issuer)
	verify(b, v, token)
	b.ReportAllocs()
	for b.Loop() {
		verify(b, v, token)
	}
}

// BenchmarkStatic is one of twenty tokens of the config.
func BenchmarkStatic(b *testing.B) {
	var tokens []auth.StaticToken
	for i := range 20 {
		tokens = append(tokens, auth.StaticToken{Token: strings.Repeat(string(rune('a'+i)), 48), Subject: "ci"})
	}
	v := auth.NewStatic(tokens...)
	b.ReportAllocs()
	for b.Loop() {
		verify(b, v, tokens[10].Token)
	}
}

func verify(b *testing.B, v auth.Verifier, token string) {
	b.Helper()
	if _, err := v.Verify(b.Context(), token, at); err != nil {
		b.Fatal(err)
	}
}

// TestVerificationIsCheap: a token that was verified before costs less than 30
// µs, and a static one less than 2 µs, in the best of many rounds.
func TestVerificationIsCheap(t *testing.T) {
	if racing {
		t.Skip("the race detector takes its time")
	}
	issuer := authtest.NewIssuer(t)
	repeated := issuer.Token(catalog, nil)
	for name, tc := range map[string]struct {
		verifier auth.Verifier
		token    string
		bound    time.Duration
	}{
		"repeated": {jwtOf(issuer), repeated, 30 * time.Microsecond},
		"static":   {auth.NewStatic(auth.StaticToken{Token: "0123456789abcdef0123456789abcdef", Subject: "ci"}), "0123456789abcdef0123456789abcdef", 2 * time.Microsecond},
	} {
		best := time.Hour
		for range 200 {
			start := time.Now()
			for range 100 {
				if _, err := tc.verifier.Verify(t.Context(), tc.token, at); err != nil {
					t.Fatal(err)
				}
			}
			best = min(best, time.Since(start)/100)
		}
		if best > tc.bound {
			t.Errorf("%s: %s", name, best)
		}
	}
}
