package idp

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// tokenService is a token endpoint for exchanges (RFC 8693), which asks the
// provider whose token it is shown.
type tokenService struct {
	mu    sync.Mutex
	asked []url.Values
	url   string
}

func startTokenService(t *testing.T) *tokenService {
	t.Helper()
	s := &tokenService{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *tokenService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if err := r.ParseForm(); err != nil || id != "stagedoor" || secret != "exchange-secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, r.PostForm)
	n := len(s.asked)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": fmt.Sprintf("exchanged-%d", n), "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 300,
	})
}

// TestTokenExchange: the plugin has a token of the caller that is for it, and
// the caller's own is shown to the token service alone.
func TestTokenExchange(t *testing.T) {
	p := providerOf(t, lasting)
	service := startTokenService(t)
	f := openGateway(t, p.issuer, `
auth:
  - jwt: {issuer: "IDP"}
  - static: {token: 0123456789abcdef, subject: ci, scopes: ["mcp:destructive"]}
plugins:
  things:
    spec: things.yaml
    baseURL: PLUGIN
    attributes: {make: {destructive: false}}
    auth: {tokenExchange: {tokenURL: "`+service.url+`", clientID: stagedoor, clientSecret: exchange-secret, issuers: ["IDP"], audience: things}}
servers:
  a: {toolNames: "{action}", actions: {include: ["things:*"]}}
`)
	ada, eve := p.user(t, "ada", f.resource("a"), "mcp:write").Access, p.user(t, "eve", f.resource("a"), "mcp:write").Access
	for _, token := range []string{ada, ada, eve, ada, eve} {
		f.want("a call", modern(token, "list", "{}"), http.StatusOK, `"structuredContent"`)
	}
	f.want("who has no token of the issuer", modern("0123456789abcdef", "list", "{}"), http.StatusOK, `"isError":true`)
	var sent []string
	for _, r := range f.plugin.requests() {
		sent = append(sent, r.Header.Get("Authorization"))
	}
	if got := strings.Join(sent, ", "); got != "Bearer exchanged-1, Bearer exchanged-1, Bearer exchanged-2, Bearer exchanged-1, Bearer exchanged-2" {
		t.Errorf("the plugin had %s", got)
	}
	if len(service.asked) != 2 || service.asked[0].Get("subject_token") != ada || service.asked[1].Get("subject_token") != eve || service.asked[0].Get("audience") != "things" ||
		service.asked[0].Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" {
		t.Errorf("the service was asked %v", service.asked)
	}
	for _, secret := range []string{ada[len(ada)-40:], "exchange-secret", "exchanged-"} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("%.12s is in the log", secret)
		}
	}
}

// TestPluginClientCredentials: the gateway gets a token of the provider for
// itself, once.
func TestPluginClientCredentials(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, `
auth: [{jwt: {issuer: "IDP"}}]
plugins:
  things:
    spec: things.yaml
    baseURL: PLUGIN
    auth: {clientCredentials: {tokenURL: "IDP/token", clientID: gateway, clientSecret: gateway-secret, resource: "PLUGIN", scopes: ["mcp:read"]}}
servers:
  a: {toolNames: "{action}", actions: {include: ["things:*"]}}
`)
	token := p.robot(t, f.resource("a"), "mcp:read")
	for range 3 {
		f.want("a call", modern(token, "list", "{}"), http.StatusOK, `"structuredContent"`)
	}
	seen := map[string]bool{}
	for _, r := range f.plugin.requests() {
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if claims := payload(t, bearer); claims["aud"] != f.plugin.url || claims["client_id"] != "gateway" || claims["scope"] != "mcp:read" {
			t.Errorf("the plugin had %v", claims)
		}
		seen[bearer] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d tokens", len(seen))
	}
}

// verifies tells whether one of the keys signed a token.
func verifies(t *testing.T, keys []byte, token string) bool {
	t.Helper()
	var set jose.JSONWebKeySet
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err == nil {
		err = json.Unmarshal(keys, &set)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Key(signed.Signatures[0].Header.KeyID) {
		if _, err := signed.Verify(k); err == nil {
			return true
		}
	}
	return false
}

// TestAssertion: a plugin can verify who calls by the keys that the gateway
// publishes.
func TestAssertion(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, `
auth: [{jwt: {issuer: "IDP"}}]
plugins:
  things: {spec: things.yaml, baseURL: PLUGIN, auth: assertion}
servers:
  a: {toolNames: "{action}", actions: {include: ["things:*"]}}
`)
	f.want("a call", modern(p.user(t, "admin-ada", f.resource("a"), "mcp:read").Access, "list", "{}"), http.StatusOK, `"structuredContent"`)
	assertion := f.plugin.requests()[0].Header.Get("Stagedoor-Assertion")
	claims := payload(t, assertion)
	if claims["iss"] != f.url || claims["aud"] != "things" || claims["sub"] != "admin-ada" || !strings.Contains(fmt.Sprint(claims["groups"]), "admins") || claims["action"] != "things:list" || claims["server"] != "a" {
		t.Errorf("the plugin is told %v", claims)
	}
	response, err := http.Get(f.url + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if keys, err := io.ReadAll(response.Body); err != nil || !verifies(t, keys, assertion) {
		t.Errorf("the keys that are published did not sign it: %v %s", err, keys)
	}
	f.want("an assertion is no token", ask{token: assertion, body: initialize}, http.StatusUnauthorized, "")
}

// TestThreat10Credentials: a plugin's credentials go to its own address, whatever
// a document says.
func TestThreat10Credentials(t *testing.T) {
	p := providerOf(t, lasting)
	other := startSpy(t)
	f := openGateway(t, p.issuer, `
auth: [{jwt: {issuer: "IDP"}}]
plugins:
  things: {spec: things.yaml, baseURL: PLUGIN, auth: {bearer: things-secret}}
  others: {spec: others.yaml, baseURL: "`+other.url+`", auth: {header: {name: X-Key, value: others-secret}}}
servers:
  a: {toolNames: "{plugin}_{action}", actions: {include: ["*"]}}
`)
	token := p.robot(t, f.resource("a"), "mcp:read")
	f.want("things", modern(token, "things_list", "{}"), http.StatusOK, `"result"`)
	f.want("others", modern(token, "others_list", "{}"), http.StatusOK, `"result"`)
	for _, r := range f.plugin.requests() {
		if r.Header.Get("X-Key") != "" || r.Header.Get("Authorization") != "Bearer things-secret" {
			t.Errorf("things had %+v", r)
		}
	}
	for _, r := range other.requests() {
		if r.Header.Get("Authorization") != "" || r.Header.Get("X-Key") != "others-secret" {
			t.Errorf("others had %+v", r)
		}
	}
	if len(f.plugin.requests()) != 1 || len(other.requests()) != 1 {
		t.Errorf("%d and %d requests", len(f.plugin.requests()), len(other.requests()))
	}
}
