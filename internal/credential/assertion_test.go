package credential_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/signing"
	"github.com/stagedoor/stagedoor/openapi"
)

// payload is what a JWT says, unverified: package signing proves signatures.
func payload(t *testing.T, jwt string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", jwt)
	}
	for i, out := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, out)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// TestAssertion: it says who calls what, for the plugin alone, and no more of
// the caller's claims than the config lists.
func TestAssertion(t *testing.T) {
	keys, err := signing.New(t.Context(), signing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := newClock()
	o := credential.AssertionOptions{Signer: keys, Issuer: "https://gw.example.com", Plugin: "billing", Claims: []string{"org", "level", "none"}, Now: c.now}
	common := map[string]any{
		"iss": "https://gw.example.com", "aud": "billing", "server": "sales", "action": "billing:pay",
		"iat": float64(c.now().Unix()), "exp": float64(c.now().Add(time.Minute).Unix()),
	}
	for name, tt := range map[string]struct {
		caller principal.Principal
		want   map[string]any
	}{
		"user": {ada(), map[string]any{
			"kind": "user", "sub": "ada", "sub_iss": idp, "act": map[string]any{"sub": "plugin:scaffolder"}, "client_id": "cli",
			"groups": []any{"admins"}, "scope": "mcp:read mcp:write", "claims": map[string]any{"org": "acme", "level": 3.0},
		}},
		"anonymous": {principal.Principal{}, map[string]any{"kind": "anonymous"}},
	} {
		got, err := credential.Assertion(o).Credentials(as(t.Context(), tt.caller), action)
		if err != nil {
			t.Fatal(err)
		}
		header, claims := payload(t, got.Header.Get("Stagedoor-Assertion"))
		if id, _ := claims["jti"].(string); len(id) < 20 || header["typ"] != "stagedoor-assertion+jwt" || header["alg"] != "ES256" || len(got.Header) != 1 {
			t.Errorf("%s: jti %q, header %v", name, id, header)
		}
		delete(claims, "jti")
		for k, v := range common {
			tt.want[k] = v
		}
		if diff := cmp.Diff(tt.want, claims); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	o.Header, o.Audience = "authorization", "https://billing.internal"
	wanted, err := credential.Assertion(o).Credentials(as(t.Context(), ada()), action)
	if err != nil {
		t.Fatal(err)
	}
	jwt, isBearer := strings.CutPrefix(wanted.Header.Get("Authorization"), "Bearer ")
	if _, claims := payload(t, jwt); !isBearer || claims["aud"] != "https://billing.internal" {
		t.Errorf("got %v", wanted)
	}
}

// TestConstant: credentials that stay the same are the same value, and a secret
// that changes is used at once.
func TestConstant(t *testing.T) {
	secret, fails := "first-secret", error(nil)
	read := func() (string, error) { return secret, fails }
	for name, tt := range map[string]struct {
		source credential.Source
		want   func(secret string) *credential.Credentials
	}{
		"bearer": {credential.Bearer(read), func(s string) *credential.Credentials {
			return &credential.Credentials{Header: http.Header{"Authorization": {"Bearer " + s}}}
		}},
		"basic": {credential.Basic("ada", read), func(s string) *credential.Credentials {
			return &credential.Credentials{Header: http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("ada:"+s))}}}
		}},
		"header": {credential.Header("x-api-key", read), func(s string) *credential.Credentials {
			return &credential.Credentials{Header: http.Header{"X-Api-Key": {s}}}
		}},
		"query": {credential.Query("api_key", read), func(s string) *credential.Credentials {
			return &credential.Credentials{Query: map[string][]string{"api_key": {s}}}
		}},
	} {
		secret = "first-secret"
		first, err := tt.source.Credentials(t.Context(), action)
		if diff := cmp.Diff(tt.want(secret), first); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
		if again, _ := tt.source.Credentials(t.Context(), nil); again != first {
			t.Errorf("%s: the same secret made other credentials", name)
		}
		secret = "other-secret"
		next, err := tt.source.Credentials(t.Context(), action)
		if diff := cmp.Diff(tt.want(secret), next); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
		fails = errors.New("file is gone")
		if c, err := tt.source.Credentials(t.Context(), action); c != nil || err == nil {
			t.Errorf("%s: got %v without a secret", name, c)
		}
		fails = nil
		if n := testing.AllocsPerRun(10, func() { _, _ = tt.source.Credentials(context.Background(), action) }); n > 0 {
			t.Errorf("%s: %v allocations a call", name, n)
		}
	}
}

// TestBySecurity: which of the credentials go with which action.
func TestBySecurity(t *testing.T) {
	key, user := credential.Header("X-Key", known("the-key")), credential.Query("user", known("the-user"))
	schemes := map[string]credential.Source{"key": key, "user": user, "free": nil}
	need := func(names ...string) []openapi.SecurityScheme {
		alternative := []openapi.SecurityScheme{}
		for _, name := range names {
			s := openapi.SecurityScheme{Name: name}
			if name == "mutual" {
				s.Type = "mutualTLS"
			}
			alternative = append(alternative, s)
		}
		return alternative
	}
	for name, tt := range map[string]struct {
		security      [][]openapi.SecurityScheme
		otherwise     credential.Source
		header, query string
		places        credential.Places
	}{
		"nothing said":       {nil, nil, "", "", credential.Places{}},
		"nothing said, auth": {nil, credential.Bearer(known("own")), "Bearer own", "", credential.Places{Header: []string{"Authorization"}}},
		"one":                {[][]openapi.SecurityScheme{need("key")}, nil, "the-key", "", credential.Places{Header: []string{"X-Key"}}},
		"first that is served": {[][]openapi.SecurityScheme{need("key", "none"), need("user"), need("key")}, nil, "", "user=the-user",
			credential.Places{Query: []string{"user"}}},
		"both":                     {[][]openapi.SecurityScheme{need("key", "user")}, nil, "the-key", "user=the-user", credential.Places{Header: []string{"X-Key"}, Query: []string{"user"}}},
		"optional":                 {[][]openapi.SecurityScheme{need(), need("key")}, nil, "the-key", "", credential.Places{Header: []string{"X-Key"}}},
		"optional, nothing served": {[][]openapi.SecurityScheme{need(), need("none")}, nil, "", "", credential.Places{}},
		"free":                     {[][]openapi.SecurityScheme{need("free")}, credential.Bearer(known("own")), "", "", credential.Places{}},
		"with a certificate":       {[][]openapi.SecurityScheme{need("mutual", "key")}, nil, "the-key", "", credential.Places{Header: []string{"X-Key"}}},
		"none served, auth":        {[][]openapi.SecurityScheme{need("none")}, credential.Bearer(known("own")), "Bearer own", "", credential.Places{Header: []string{"Authorization"}}},
	} {
		source := credential.BySecurity(schemes, tt.otherwise)
		a := &openapi.Action{Name: "x", Security: tt.security}
		c, err := source.Credentials(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		header, query := "", ""
		if c != nil {
			header, query = c.Header.Get("X-Key")+c.Header.Get("Authorization"), c.Query.Encode()
		}
		if header != tt.header || query != tt.query {
			t.Errorf("%s: got %q %q", name, header, query)
		}
		if diff := cmp.Diff(tt.places, source.Places(a)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		all := credential.Places{Header: []string{"X-Key"}, Query: []string{"user"}}
		if tt.otherwise != nil {
			all.Header = []string{"Authorization", "X-Key"}
		}
		if diff := cmp.Diff(all, source.Places(nil)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
