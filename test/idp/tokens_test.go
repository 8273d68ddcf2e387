package idp

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth/authtest"
)

// jwks are the provider's keys, as it publishes them.
func (p *provider) jwks(t *testing.T) (raw []byte, kid string) {
	t.Helper()
	response, err := http.Get(p.issuer + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var set struct {
		Keys []struct{ Kid, Kty string }
	}
	if raw, err = io.ReadAll(response.Body); err == nil {
		err = json.Unmarshal(raw, &set)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if k.Kty == "RSA" {
			kid = k.Kid
		}
	}
	return raw, kid
}

// payload are the claims of a JWT.
func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	claims := map[string]any{}
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestRS07BadTokens (and threat 21): whoever forges a token of the provider, or
// has one that does not hold, learns that it is no token.
func TestRS07BadTokens(t *testing.T) {
	p := providerOf(t, lasting)
	own := authtest.NewIssuer(t)
	f := openGateway(t, p.issuer, strings.Replace(twoServers, "servers:", `  - jwt: {issuer: "`+own.URL+`"}`+"\nservers:", 1))
	at := f.resource("a")
	good := p.robot(t, at, "mcp:read")
	parts := strings.Split(good, ".")
	claims := payload(t, good)
	keys, kid := p.jwks(t)
	if kid == "" {
		t.Fatal("the provider has no RSA key")
	}
	rsa, stranger := authtest.NewKey(t, kid, "RS256"), authtest.NewKey(t, "stranger", "RS256")
	more := map[string]any{"iss": p.issuer, "aud": at, "sub": "admin", "scope": "mcp:destructive", "exp": time.Now().Add(time.Hour).Unix()}
	raised, err := json.Marshal(more)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"no signature":        parts[0] + "." + parts[1] + ".",
		"other signature":     parts[0] + "." + parts[1] + "." + strings.Split(p.robot(t, f.resource("b"), "mcp:read"), ".")[2],
		"other payload":       parts[0] + "." + base64.RawURLEncoding.EncodeToString(raised) + "." + parts[2],
		"its kid, other key":  rsa.Sign(map[string]any{"typ": "at+jwt"}, claims),
		"unknown kid":         stranger.Sign(map[string]any{"typ": "at+jwt"}, claims),
		"no kid":              rsa.Sign(map[string]any{"typ": "at+jwt", "kid": nil}, claims),
		"none":                authtest.Unsigned(map[string]any{"alg": "none", "typ": "at+jwt"}, more),
		"None, with its kid":  authtest.Unsigned(map[string]any{"alg": "nOnE", "kid": kid}, more),
		"HS256 with its keys": authtest.HMAC(keys, map[string]any{"alg": "HS256", "kid": kid, "typ": "at+jwt"}, more),
		"HS256 with nothing":  authtest.HMAC(nil, map[string]any{"alg": "HS256", "kid": kid, "typ": "at+jwt"}, more),
		"a key of its own":    stranger.Sign(map[string]any{"typ": "at+jwt", "jwk": stranger.JWK()}, claims),
		"keys elsewhere":      stranger.Sign(map[string]any{"typ": "at+jwt", "jku": own.URL + "/jwks", "x5u": own.URL + "/jwks"}, claims),
		"kid is a path":       rsa.Sign(map[string]any{"typ": "at+jwt", "kid": "../../../dev/null"}, claims),
		"kid is long":         rsa.Sign(map[string]any{"typ": "at+jwt", "kid": strings.Repeat("k", 4000)}, claims),
		"five parts":          good + "." + parts[1] + "." + parts[2],
		"of another issuer":   own.Newest().Sign(map[string]any{"typ": "at+jwt"}, claims),
		// of an issuer that signs whatever it is asked to
		"expired":       own.Token(at, map[string]any{"exp": time.Now().Add(-time.Second).Unix()}),
		"no exp":        own.Token(at, map[string]any{"exp": nil}),
		"not yet":       own.Token(at, map[string]any{"nbf": time.Now().Add(5 * time.Minute).Unix()}),
		"critical":      own.Newest().Sign(map[string]any{"typ": "at+jwt", "crit": []string{"x"}, "x": 1}, own.Claims(at, nil)),
		"encrypted":     own.Newest().Sign(map[string]any{"typ": "at+jwt", "enc": "A256GCM"}, own.Claims(at, nil)),
		"no subject":    own.Token(at, map[string]any{"sub": nil}),
		"claims of two": own.Newest().SignBytes([]byte(`{"alg":"ES256","kid":"key-1"}`), []byte(`{"sub":"ada","sub":"admin"}`)),
	} {
		for _, r := range []ask{{body: initialize}, modern("", "list", "{}"), {method: http.MethodGet}, {method: http.MethodDelete}} {
			r.token = token
			if got := f.want(name, r, http.StatusUnauthorized, ""); got.challenge("error") != "invalid_token" {
				t.Errorf("%s: %s", name, got.header.Get("WWW-Authenticate"))
			}
		}
	}
	if n := own.Requests("/jwks"); n > 1 {
		t.Errorf("keys were fetched %d times", n)
	}
	f.want("the real one", ask{token: good, body: initialize}, http.StatusOK, "protocolVersion")
	if len(f.plugin.requests()) > 0 {
		t.Errorf("the plugin had %+v", f.plugin.requests())
	}
}

// TestRS08Audience: a token is for the server that it names, byte for byte.
func TestRS08Audience(t *testing.T) {
	p := providerOf(t, lasting)
	own := authtest.NewIssuer(t)
	f := openGateway(t, p.issuer, strings.Replace(twoServers, "servers:", `  - jwt: {issuer: "`+own.URL+`"}`+"\nservers:", 1))
	a, b := f.resource("a"), f.resource("b")
	ofA, ofB := p.user(t, "ada", a, "mcp:read").Access, p.user(t, "ada", b, "mcp:read").Access
	for _, tc := range []struct {
		path, token string
		status      int
	}{{"/mcp/a", ofA, 200}, {"/mcp/b", ofB, 200}, {"/mcp/a", ofB, 401}, {"/mcp/b", ofA, 401}} {
		f.want(tc.path, ask{path: tc.path, token: tc.token, body: initialize}, tc.status, "")
	}
	for name, audience := range map[string]any{
		"absent": nil, "empty": "", "no list": []string{}, "a slash": a + "/", "a part": f.url + "/mcp", "the gateway": f.url, "more": a + "b", "below": a + "/sse",
		"capitals": strings.ToUpper(a), "a query": a + "?x", "https": strings.Replace(a, "http:", "https:", 1), "another name": strings.Replace(a, "127.0.0.1", "localhost", 1),
		"a glob": f.url + "/mcp/*", "an object": map[string]any{a: true}, "b in a list": []string{b, "x"}, "joined": a + " " + b,
	} {
		got := f.want(name, ask{token: own.Token(a, map[string]any{"aud": audience}), body: initialize}, http.StatusUnauthorized, "")
		if got.challenge("error") != "invalid_token" {
			t.Errorf("%s: %s", name, got.header.Get("WWW-Authenticate"))
		}
	}
	f.want("a list", ask{token: own.Token(a, map[string]any{"aud": []string{"x", a}}), body: initialize}, http.StatusOK, "")
}

// TestRS25Issuers: an issuer that one server trusts is nobody at another one.
func TestRS25Issuers(t *testing.T) {
	p := providerOf(t, lasting)
	own := authtest.NewIssuer(t)
	f := openGateway(t, p.issuer, strings.Replace(twoServers, `  b: {`, `  b: {auth: [{jwt: {issuer: "`+own.URL+`"}}], `, 1))
	for _, tc := range []struct {
		path, token string
		status      int
	}{
		{"/mcp/a", p.robot(t, f.resource("a"), "mcp:read"), 200},
		{"/mcp/b", own.Token(f.resource("b"), nil), 200},
		{"/mcp/b", p.robot(t, f.resource("b"), "mcp:read"), 401},
		{"/mcp/a", own.Token(f.resource("a"), nil), 401},
		{"/mcp/b", own.Token(f.resource("b"), map[string]any{"iss": own.URL + "/"}), 401},
		{"/mcp/b", own.Token(f.resource("b"), map[string]any{"iss": nil}), 401},
		{"/mcp/b", own.Token(f.resource("b"), map[string]any{"iss": p.issuer}), 401},
	} {
		f.want(tc.path, ask{path: tc.path, token: tc.token, body: initialize}, tc.status, "")
	}
	if _, document := f.metadata("b"); fmt.Sprint(document["authorization_servers"]) != "["+own.URL+"]" {
		t.Errorf("b leads to %v", document["authorization_servers"])
	}
}

// TestRS26Types: what a client has for itself is no access token.
func TestRS26Types(t *testing.T) {
	p := providerOf(t, lasting)
	own := authtest.NewIssuer(t)
	f := openGateway(t, p.issuer, `
auth: [{jwt: {issuer: "IDP"}}, {jwt: {issuer: "`+own.URL+`"}}]
servers:
  a: {toolNames: "{action}", actions: {include: ["things:*"]}}
  b: {actions: {include: ["things:*"]}, auth: [{jwt: {issuer: "IDP", audiences: [ORIGIN/mcp/a, stagedoor-cli], types: [at+jwt]}}]}
`)
	got := p.user(t, "ada", f.resource("a"), "mcp:read")
	if payload(t, got.ID)["aud"] != "stagedoor-cli" { // b takes that audience
		t.Fatalf("ID token has %v", payload(t, got.ID))
	}
	for _, path := range []string{"/mcp/a", "/mcp/b"} {
		f.want("access token", ask{path: path, token: got.Access, body: initialize}, http.StatusOK, "")
		f.want("ID token", ask{path: path, token: got.ID, body: initialize}, http.StatusUnauthorized, "")
		f.want("refresh token", ask{path: path, token: got.Refresh, body: initialize}, http.StatusUnauthorized, "")
	}
	sign := func(typ any) string {
		return own.Newest().Sign(map[string]any{"typ": typ}, own.Claims(f.resource("a"), nil))
	}
	for _, typ := range []any{"at+jwt", "application/at+jwt", "AT+JWT", "JWT", "jwt", nil} {
		f.want(fmt.Sprint(typ), ask{token: sign(typ), body: initialize}, http.StatusOK, "")
	}
	for _, typ := range []any{"logout+jwt", "dpop+jwt", "secevent+jwt", "vnd.backstage.user", "vnd.backstage.limited-user", "vnd.backstage.plugin", "stagedoor-assertion+jwt", "x"} {
		f.want(fmt.Sprint(typ), ask{token: sign(typ), body: initialize}, http.StatusUnauthorized, "")
	}
	for _, claims := range []map[string]any{{"nonce": "x"}, {"at_hash": "x"}, {"token_use": "id"}, {"typ": "ID"}, {"typ": "Refresh"}} {
		token := own.Newest().Sign(map[string]any{"typ": "JWT"}, own.Claims(f.resource("a"), claims))
		f.want(fmt.Sprint(claims), ask{token: token, body: initialize}, http.StatusUnauthorized, "")
	}
}

// TestThreat20Flood: made-up key ids and tokens do not become a flood of
// requests to the issuer.
func TestThreat20Flood(t *testing.T) {
	p := providerOf(t, lasting)
	own := authtest.NewIssuer(t)
	f := openGateway(t, p.issuer, strings.ReplaceAll(twoServers, "IDP", own.URL))
	stranger := authtest.NewKey(t, "", "ES256")
	for i := range 1000 {
		token := stranger.Sign(map[string]any{"typ": "at+jwt", "kid": fmt.Sprintf("kid-%d", i)}, own.Claims(f.resource("a"), nil))
		if got := f.do(ask{token: token, body: ping}); got.status == http.StatusOK {
			t.Fatalf("%d: %+v", i, got)
		}
	}
	if n := own.Requests("/jwks"); n > 10 {
		t.Errorf("keys were fetched %d times", n)
	}
	f.want("a real one", ask{token: own.Token(f.resource("a"), nil), body: initialize}, http.StatusOK, "")
}

const introspects = `
auth:
  - introspection: {url: "IDP/token/introspection", issuer: "IDP", clientID: gateway, clientSecret: gateway-secret}
servers:
  a: {toolNames: "{action}", actions: {include: ["things:*"]}}
  b: {toolNames: "{action}", actions: {include: ["things:list"]}}
`

// TestIntrospection: tokens that only the provider can read are as good as
// those that anybody can.
func TestIntrospection(t *testing.T) {
	p := providerOf(t, opaque)
	f := openGateway(t, p.issuer, introspects+`rules:
  - allow: {everyone: true}
  - deny: {kind: user, actions: ["things:clear"], unless: {group: admins}}
`)
	ada, admin := p.user(t, "ada", f.resource("a"), "mcp:destructive"), p.user(t, "admin-eve", f.resource("a"), "mcp:destructive")
	if strings.Contains(ada.Access, ".") {
		t.Fatal("the token is not opaque")
	}
	f.want("read", modern(ada.Access, "list", "{}"), http.StatusOK, `"result"`)
	f.want("clear, of dev", modern(ada.Access, "clear", "{}"), http.StatusOK, `unknown tool`)
	f.want("clear, of admins", modern(admin.Access, "clear", "{}"), http.StatusOK, `"result"`)
	f.want("of another server", ask{path: "/mcp/b", token: ada.Access, body: initialize}, http.StatusUnauthorized, "")
	few := p.user(t, "ada", f.resource("a"), "mcp:read").Access
	if got := f.want("too few scopes", modern(few, "make", "{}"), http.StatusForbidden, ""); got.challenge("scope") != "mcp:write" {
		t.Errorf("scope %q", got.challenge("scope"))
	}
	f.want("made up", ask{token: "made-up", body: initialize}, http.StatusUnauthorized, "")
	f.want("a refresh token", ask{token: ada.Refresh, body: initialize}, http.StatusUnauthorized, "")
	f.want("an ID token", ask{token: ada.ID, body: initialize}, http.StatusUnauthorized, "")
	fresh := p.user(t, "ada", f.resource("a"), "mcp:read").Access
	p.post(t, "/token/revocation", map[string][]string{"client_id": {"stagedoor-cli"}, "token": {fresh}}, nil)
	f.want("revoked before it was used", ask{token: fresh, body: initialize}, http.StatusUnauthorized, "")
}

// TestClientCredentials: a client without a user is a service, also to rules.
func TestClientCredentials(t *testing.T) {
	for name, kind := range map[string]struct {
		start  func() (*provider, error)
		config string
	}{"JWT": {lasting, twoServers}, "opaque": {opaque, introspects}} {
		t.Run(name, func(t *testing.T) {
			p := providerOf(t, kind.start)
			f := openGateway(t, p.issuer, kind.config+`rules:
  - allow: {kind: service, subject: robot, client: robot}
  - allow: {kind: user, actions: ["things:make"]}
`)
			robot, ada := p.robot(t, f.resource("a"), "mcp:write"), p.user(t, "ada", f.resource("a"), "mcp:write").Access
			f.want("robot lists", modern(robot, "list", "{}"), http.StatusOK, `"structuredContent"`)
			f.want("robot makes", modern(robot, "make", "{}"), http.StatusOK, `"structuredContent"`)
			f.want("ada lists", modern(ada, "list", "{}"), http.StatusOK, `unknown tool`)
			f.want("ada makes", modern(ada, "make", "{}"), http.StatusOK, `"structuredContent"`)
		})
	}
}
