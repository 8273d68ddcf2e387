package auth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// door is a resource behind a guard, on a real socket: /mcp/{name} and its
// metadata.
func door(t *testing.T, name string, chain ...auth.Verifier) (at string, refused *error) {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	refused = new(error)
	resource := server.URL + "/mcp/" + name
	guard := &auth.Guard{Chain: chain, Resource: auth.Resource{URL: resource}, Scopes: []string{"mcp:read", "offline_access", "granted"}, Granted: []string{"granted"}}
	metadata := guard.Document("Catalog", "", []string{"mcp:read", "mcp:write", "offline_access", "granted"})
	guard.Metadata = metadata.URL()
	mux.HandleFunc("/mcp/"+name, func(w http.ResponseWriter, r *http.Request) {
		p, refusal := guard.Authenticate(r)
		if refusal == nil && r.Header.Get("X-Needs") != "" {
			needed := strings.Fields(r.Header.Get("X-Needs"))
			refusal = guard.StepUp(p, needed, needed)
		}
		if refusal == nil {
			_, _ = w.Write([]byte(p.Subject))
			return
		}
		*refused = refusal
		refusal.SetHeader(w.Header())
		http.Error(w, refusal.Message, refusal.Status)
	})
	mux.Handle("/.well-known/oauth-protected-resource/mcp/"+name, metadata)
	return resource, refused
}

func send(t *testing.T, method, at string, header http.Header) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader("access_token=in-the-body"))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// TestRS01RS02RS03: the challenge leads to the metadata of that server, and
// that names the server exactly.
func TestRS01RS02RS03Metadata(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	for _, name := range []string{"a", "b"} {
		at, _ := door(t, name, auth.NewStatic(), jwtOf(issuer))
		challenge := send(t, http.MethodPost, at, nil).Header.Get("WWW-Authenticate")
		_, rest, _ := strings.Cut(challenge, `resource_metadata="`)
		place, _, _ := strings.Cut(rest, `"`)
		origin := strings.TrimSuffix(at, "/mcp/"+name)
		if place != origin+"/.well-known/oauth-protected-resource/mcp/"+name {
			t.Fatalf("challenge %s", challenge)
		}
		response := send(t, http.MethodGet, place, http.Header{"Origin": {"https://inspector.example"}})
		var document struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
			Methods  []string `json:"bearer_methods_supported"`
			Name     string   `json:"resource_name"`
		}
		if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
			t.Fatal(err)
		}
		if document.Resource != at || len(document.Servers) != 1 || document.Servers[0] != issuer.URL || document.Name != "Catalog" ||
			strings.Join(document.Scopes, " ") != "mcp:read mcp:write" || strings.Join(document.Methods, " ") != "header" {
			t.Errorf("%s: got %+v", name, document)
		}
		if response.Header.Get("Access-Control-Allow-Origin") != "*" || response.Header.Get("Content-Type") != "application/json" || response.Header.Get("Cache-Control") == "" {
			t.Errorf("header %v", response.Header)
		}
		if preflight := send(t, http.MethodOptions, place, nil); preflight.StatusCode != http.StatusNoContent || preflight.Header.Get("Access-Control-Allow-Headers") != "*" {
			t.Errorf("preflight: %s", preflight.Status)
		}
		if deleted := send(t, http.MethodDelete, place, nil); deleted.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("DELETE: %s", deleted.Status)
		}
	}
}

// TestNoIssuerNoMetadata: where tokens are only the operator's, there is
// nowhere to send clients to.
func TestNoIssuerNoMetadata(t *testing.T) {
	at, _ := door(t, "a", auth.NewStatic(auth.StaticToken{Token: "0123456789abcdef", Subject: "ci"}))
	if challenge := send(t, http.MethodPost, at, nil).Header.Get("WWW-Authenticate"); challenge != `Bearer scope="mcp:read"` {
		t.Errorf("challenge %s", challenge)
	}
	if response := send(t, http.MethodGet, strings.Replace(at, "/mcp", auth.WellKnown+"/mcp", 1), nil); response.StatusCode != http.StatusNotFound {
		t.Errorf("metadata: %s", response.Status)
	}
	if got := (&auth.Guard{}).StepUp(principal.Principal{}, nil, nil).Challenge; !strings.HasPrefix(got, `Bearer error="insufficient_scope"`) {
		t.Errorf("challenge %s", got)
	}
	_, refusal := (&auth.Guard{}).Authenticate(httptest.NewRequest(http.MethodPost, "/", nil))
	if refusal == nil || refusal.Challenge != `Bearer realm="stagedoor"` {
		t.Errorf("a guard of nothing: %+v", refusal)
	}
}

func TestMetadataURL(t *testing.T) {
	for resource, want := range map[string]string{
		"https://x.example/mcp/a": "https://x.example/.well-known/oauth-protected-resource/mcp/a",
		"https://x.example:8443/": "https://x.example:8443/.well-known/oauth-protected-resource",
		"https://x.example":       "https://x.example/.well-known/oauth-protected-resource",
	} {
		if got := (auth.Metadata{Resource: resource, AuthorizationServers: []string{"x"}}).URL(); got != want {
			t.Errorf("%s: %s", resource, got)
		}
	}
}

// TestErrorTable has RS04, RS05, RS10 and RS11: what a caller is told, row by
// row, and that it is no more than that.
func TestErrorTable(t *testing.T) {
	issuer, down := authtest.NewIssuer(t), authtest.NewIssuer(t)
	down.Down(true)
	at, refused := door(t, "catalog", auth.NewStatic(auth.StaticToken{Token: "0123456789abcdef", Subject: "ci"}), jwtOf(issuer), jwtOf(down))
	origin, _ := url.Parse(at)
	metadata := `resource_metadata="http://` + origin.Host + `/.well-known/oauth-protected-resource/mcp/catalog", scope="mcp:read"`
	problem := func(code, description string) string {
		return "Bearer " + metadata + `, error="` + code + `", error_description="` + description + `"`
	}
	one := func(v string) http.Header { return http.Header{"Authorization": {v}} }
	good := issuer.Token(at, nil)
	nothing := "Bearer " + metadata
	for name, tc := range map[string]struct {
		query     string
		header    http.Header
		status    int
		challenge string
	}{
		"good":                {"", one("Bearer " + good), 200, ""},
		"scheme in any case":  {"", one("bEARER " + good), 200, ""},
		"two spaces":          {"", one("Bearer  " + good), 200, ""},
		"static":              {"", one("Bearer 0123456789abcdef"), 200, ""},
		"missing":             {"", nil, 401, nothing},
		"another scheme":      {"", one("Basic dXNlcjpwYXNz"), 401, nothing},
		"cookies":             {"", http.Header{"Cookie": {"backstage-auth=" + good + "; access_token=" + good}}, 401, nothing},
		"query alone":         {"?access_token=" + good, nil, 401, nothing},
		"query and header":    {"?access%5Ftoken=x", one("Bearer " + good), 400, problem("invalid_request", "request has a token in its query and in its header")},
		"two headers":         {"", http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, 400, problem("invalid_request", "request has more than one Authorization header")},
		"empty":               {"", one(""), 400, problem("invalid_request", "Authorization header is empty")},
		"no token":            {"", one("Bearer"), 400, problem("invalid_request", "Authorization header has no bearer token")},
		"two tokens":          {"", one("Bearer " + good + " " + good), 400, problem("invalid_request", "Authorization header has no bearer token")},
		"with a comma":        {"", one("Bearer " + good + ", Basic x"), 400, problem("invalid_request", "Authorization header has no bearer token")},
		"not ASCII":           {"", one("Bearer t\u00f6ken"), 400, problem("invalid_request", "Authorization header has no bearer token")},
		"only padding":        {"", one("Bearer ==="), 400, problem("invalid_request", "Authorization header has no bearer token")},
		"padding in between":  {"", one("Bearer a=b"), 400, problem("invalid_request", "Authorization header has no bearer token")},
		"too long":            {"", one("Bearer " + strings.Repeat("x", 33<<10)), 400, problem("invalid_request", "token is too long")},
		"unknown":             {"", one("Bearer canary-token"), 401, problem("invalid_token", "token is of nobody who is trusted here")},
		"expired":             {"", one("Bearer " + issuer.Token(at, map[string]any{"exp": 1})), 401, problem("invalid_token", "token has expired")},
		"of another server":   {"", one("Bearer " + issuer.Token(at+"x", map[string]any{"sub": "canary"})), 401, problem("invalid_token", "token is not for this server")},
		"of an issuer down":   {"", one("Bearer " + down.Token(at, nil)), 503, ""},
		"of another IdP":      {"", one("Bearer " + authtest.NewIssuer(t).Token(at, nil)), 401, problem("invalid_token", "token is of nobody who is trusted here")},
		"too few scopes":      {"", http.Header{"Authorization": {"Bearer " + good}, "X-Needs": {"mcp:write billing.write"}}, 403, strings.Replace(problem("insufficient_scope", "token lacks a scope: mcp:write billing.write"), "mcp:read", "mcp:write billing.write", 1)},
		"scopes of documents": {"", http.Header{"Authorization": {"Bearer " + good}, "X-Needs": {`a"b a\b mcp:write`}}, 403, strings.Replace(problem("insufficient_scope", "token lacks a scope: mcp:write"), "mcp:read", "mcp:write", 1)},
	} {
		response := send(t, http.MethodPost, at+tc.query, tc.header)
		if response.StatusCode != tc.status || response.Header.Get("WWW-Authenticate") != tc.challenge {
			t.Errorf("%s: got %d %s\nwant %d %s", name, response.StatusCode, response.Header.Get("WWW-Authenticate"), tc.status, tc.challenge)
		}
		if tc.status == 503 && response.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if tc.status != 200 && strings.Contains((*refused).Error(), good) {
			t.Errorf("%s: cause has the token: %v", name, *refused)
		}
	}
}

// TestCausesAreForTheLog: what verifiers say in their own words reaches no
// caller.
func TestCausesAreForTheLog(t *testing.T) {
	for _, err := range []error{
		&auth.InvalidError{Message: "token has expired", Cause: errors.New("canary at http://inner.host")},
		&auth.UnavailableError{Cause: errors.New("canary at http://inner.host")},
		errors.New("canary of a verifier that does not keep to the rules"),
	} {
		g := &auth.Guard{Chain: auth.Chain{saying{err}}}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "Bearer x")
		_, refusal := g.Authenticate(r)
		if refusal == nil || strings.Contains(refusal.Message+refusal.Challenge, "canary") || !strings.Contains(refusal.Error(), "canary") {
			t.Errorf("%v: got %+v", err, refusal)
		}
	}
}

// TestRS13RS15StepUp: all that a call needs in one challenge, and with union
// what the token has as well, but for what its issuer does not know.
func TestRS13RS15StepUp(t *testing.T) {
	p := principal.Principal{Scopes: []string{"mcp:read", "granted"}}
	g := &auth.Guard{Granted: []string{"granted"}, Scopes: []string{"granted"}}
	for union, want := range map[bool]string{false: `scope="mcp:write x"`, true: `scope="mcp:read mcp:write x"`} {
		g.Union = union
		got := g.StepUp(p, []string{"mcp:write", "x"}, []string{"x"})
		if got.Status != http.StatusForbidden || !strings.Contains(got.Challenge, want) || got.Message != "token lacks a scope: x" {
			t.Errorf("union %v: %+v", union, got)
		}
	}
	_, refusal := g.Authenticate(httptest.NewRequest(http.MethodGet, "/", nil))
	if strings.Contains(refusal.Challenge, "granted") {
		t.Errorf("challenge asks for what every token has: %s", refusal.Challenge)
	}
}

// TestPluginOfTheRequest: the plugin that a token has to be for is the
// request's own.
func TestPluginOfTheRequest(t *testing.T) {
	var seen auth.Resource
	g := &auth.Guard{
		Chain: auth.Chain{asked(func(at auth.Resource) { seen = at })}, Resource: auth.Resource{URL: catalog},
		Plugin: func(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/api/") },
	}
	r := httptest.NewRequest(http.MethodGet, "/api/billing", nil)
	r.Header.Set("Authorization", "Bearer x")
	if _, refusal := g.Authenticate(r); refusal != nil || seen != (auth.Resource{URL: catalog, Plugin: "billing"}) {
		t.Errorf("got %+v, %v", seen, refusal)
	}
}
