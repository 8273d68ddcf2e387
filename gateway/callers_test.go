package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
)

// TestServersAreResourcesOfTheirOwn has RS01 to RS03, RS06, RS08, RS11 and RS25
// over a socket: a token is good for the server that it names and of the issuer
// that the server trusts, at each request, and its 401 leads to where to get
// one.
func TestServersAreResourcesOfTheirOwn(t *testing.T) {
	one, other := authtest.NewIssuer(t), authtest.NewIssuer(t)
	cfg := petConfig(t, "")
	front := httptest.NewUnstartedServer(nil)
	origin := "http://" + front.Listener.Addr().String()
	cfg.PublicURL, cfg.Auth = origin, []gateway.Verifier{{JWT: gateway.JWTVerifier{Issuer: one.URL}}}
	safe := cfg.Servers["safe"]
	safe.Auth = []gateway.Verifier{{JWT: gateway.JWTVerifier{Issuer: other.URL}}}
	cfg.Servers["safe"] = safe
	front.Config.Handler = start(t, cfg).Handler()
	front.Start()
	defer front.Close()
	ask := func(method, path, token string) (*http.Response, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, origin+path, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Accept", "application/json, text/event-stream")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(body)
	}
	all, few := origin+"/mcp/all", origin+"/mcp/safe"
	for name, tc := range map[string]struct {
		path, token string
		taken       bool
	}{
		"of all":                   {"/mcp/all", one.Token(all, nil), true},
		"of safe":                  {"/mcp/safe", other.Token(few, nil), true},
		"of the other server":      {"/mcp/all", one.Token(few, nil), false},
		"of the other issuer":      {"/mcp/safe", one.Token(few, nil), false},
		"of the gateway itself":    {"/mcp/all", one.Token(origin, nil), false},
		"none":                     {"/mcp/all", "", false},
		"none, at the legacy door": {"/mcp/all/sse", "", false},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			if strings.HasSuffix(tc.path, "/sse") != (method == http.MethodGet) && strings.HasSuffix(tc.path, "/sse") || tc.taken && method == http.MethodGet {
				continue
			}
			response, body := ask(method, tc.path, tc.token)
			if taken := response.StatusCode != http.StatusUnauthorized; taken != tc.taken {
				t.Errorf("%s, %s: %s %s", name, method, response.Status, body)
			}
			if !tc.taken && !strings.Contains(response.Header.Get("WWW-Authenticate"), `resource_metadata="`+origin+"/.well-known/oauth-protected-resource/mcp/") {
				t.Errorf("%s, %s: challenge %q", name, method, response.Header.Get("WWW-Authenticate"))
			}
		}
	}
	for server, issuer := range map[string]string{"all": one.URL, "safe": other.URL} {
		response, body := ask(http.MethodGet, "/.well-known/oauth-protected-resource/mcp/"+server, "")
		var document struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
		}
		if err := json.Unmarshal([]byte(body), &document); err != nil || response.StatusCode != http.StatusOK || document.Resource != origin+"/mcp/"+server || len(document.Servers) != 1 || document.Servers[0] != issuer {
			t.Errorf("metadata of %s: %s %s", server, response.Status, body)
		}
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp/none"} {
		if response, body := ask(http.MethodGet, path, ""); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s %s", path, response.Status, body)
		}
	}
}
