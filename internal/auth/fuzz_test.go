package auth_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
)

// FuzzVerify: whatever comes as a token, the verifier does not panic, and takes
// nothing but what the issuer signed.
func FuzzVerify(f *testing.F) {
	issuer := authtest.NewIssuer(f)
	v := jwtOf(issuer)
	good := issuer.Token(catalog, nil)
	f.Add(good)
	f.Add("..")
	f.Add(authtest.Unsigned(map[string]any{"alg": "none"}, issuer.Claims(catalog, nil)) + "AA")
	f.Add(good + "." + good)
	f.Fuzz(func(t *testing.T, token string) {
		if got := verdict(t, v, token); got == "" && token != good {
			t.Errorf("taken: %q", token)
		}
	})
}

// FuzzClaims: the same for what stands in header and payload, signed by the
// issuer itself.
func FuzzClaims(f *testing.F) {
	issuer := authtest.NewIssuer(f)
	v := jwtOf(issuer)
	header, payload, _ := strings.Cut(issuer.Token(catalog, nil), ".")
	payload, _, _ = strings.Cut(payload, ".")
	f.Add(decode(f, header), decode(f, payload))
	f.Add([]byte(`{"alg":"ES256","kid":"key-1"}`), []byte(`{"exp":1e400,"aud":[[]],"iss":"`+issuer.URL+`"}`))
	f.Add([]byte(`{}`), []byte(strings.Repeat(`[`, 1000)))
	f.Add([]byte(`{"alg":"ES256","jwk":{"kty":"EC"},"x5c":["AA"]}`), []byte(`{"sub":{"a":{"b":null}}}`))
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		token := issuer.Newest().SignBytes(header, payload)
		p, err := v.Verify(t.Context(), token, at)
		var invalid *auth.InvalidError
		if err != nil && !errors.As(err, &invalid) && !errors.Is(err, auth.ErrNotMine) {
			t.Errorf("%s.%s: %v", header, payload, err)
		}
		if err == nil && (p.Subject == "" || p.Issuer != issuer.URL || p.Expires.IsZero()) {
			t.Errorf("%s.%s: taken as %+v", header, payload, p)
		}
	})
}

func decode(tb testing.TB, s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
