package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// TestOperators: what is for those who run the gateway is for them alone, once
// anybody is asked; probes need no token, and learn the status.
func TestOperators(t *testing.T) {
	cfg := petConfig(t, "")
	static := func(token, subject string, scopes ...string) gateway.Verifier {
		return gateway.Verifier{Static: gateway.StaticVerifier{Token: gateway.SecretValue(token), Subject: subject, Scopes: scopes}}
	}
	cfg.Auth = []gateway.Verifier{static("token-of-ada-0123", "ada", "mcp:destructive"), static("token-of-ops-0123", "ops", "operator:read")}
	g := start(t, cfg)
	for path, want := range map[string]struct {
		nobody, ada, ops int
		secret           string // that only operators see
	}{
		"/metrics":               {401, 403, 200, "stagedoor_"},
		"/registry/v1/plugins":   {401, 403, 200, `"source"`},
		"/catalog-info.yaml":     {401, 403, 200, "mcp-server"},
		"/readyz":                {200, 200, 200, `"plugins"`},
		"/healthz":               {200, 200, 200, "\x00"},
		"/.well-known/jwks.json": {200, 200, 200, "\x00"},
	} {
		for token, status := range map[string]int{"": want.nobody, "token-of-ada-0123": want.ada, "token-of-ops-0123": want.ops} {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, http.NoBody)
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			w := httptest.NewRecorder()
			g.Handler().ServeHTTP(w, r)
			operator := token == "token-of-ops-0123" && want.secret != "\x00"
			if w.Code != status || strings.Contains(w.Body.String(), want.secret) != operator {
				t.Errorf("%s with %q: %d %s", path, token, w.Code, w.Body)
			}
		}
	}
}
