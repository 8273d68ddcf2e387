package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	"github.com/stagedoor/stagedoor/internal/principal"
)

const catalog = "https://stagedoor.example.com/mcp/catalog"

// at is the resource of most tests.
var at = auth.Resource{URL: catalog}

func jwtOf(i *authtest.Issuer, edit ...func(*auth.JWTOptions)) auth.Verifier {
	o := auth.JWTOptions{Issuer: i.URL, Keys: auth.NewKeySets(nil).Of(i.URL)}
	for _, e := range edit {
		e(&o)
	}
	return auth.NewJWT(o)
}

// verdict is what a caller would be told; "": the token holds.
func verdict(t testing.TB, v auth.Verifier, token string) string {
	t.Helper()
	_, err := v.Verify(t.Context(), token, at)
	var invalid *auth.InvalidError
	var unavailable *auth.UnavailableError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, auth.ErrNotMine):
		return "not mine"
	case errors.As(err, &invalid):
		if strings.Contains(err.Error(), token) {
			t.Errorf("error has the token: %v", err)
		}
		return invalid.Message
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	t.Errorf("error of no kind: %v", err)
	return err.Error()
}

func TestJWTTellsWhoItIs(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	v := jwtOf(issuer, func(o *auth.JWTOptions) { o.Groups = "realm.roles"; o.GrantScopes = []string{"mcp:write"} })
	token := issuer.Token(catalog, map[string]any{"realm": map[string]any{"roles": []string{"dev", "ops"}}, "tenant": 7})
	for range 2 { // the second time from the cache
		p, err := v.Verify(t.Context(), token, at)
		if err != nil {
			t.Fatal(err)
		}
		if p.Kind != principal.User || p.Subject != "ada" || p.Issuer != issuer.URL || p.Client != "agent" || strings.Join(p.Groups, " ") != "dev ops" ||
			strings.Join(p.Scopes, " ") != "mcp:read mcp:write" || p.Token.Reveal() != token || time.Until(p.Expires) < 59*time.Minute {
			t.Errorf("got %+v, until %s", p, p.Expires)
		}
		if got := principal.ClaimTexts(p.Claims, "tenant"); len(got) != 1 || got[0] != "7" {
			t.Errorf("tenant is %q", got)
		}
	}
}
