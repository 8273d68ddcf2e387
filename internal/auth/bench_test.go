package auth_test

import (
	"strings"
	"testing"

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
