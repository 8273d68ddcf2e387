package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
)

func TestValidateVerifiers(t *testing.T) {
	static := func(token, subject string) Verifier {
		return Verifier{Static: StaticVerifier{Token: SecretValue(token), Subject: subject}}
	}
	jwt := func(v JWTVerifier) Verifier { return Verifier{JWT: v} }
	asks := func(v IntrospectionVerifier) Verifier { return Verifier{Introspection: v} }
	secret := SecretValue("s3cret")
	const idp = "https://idp.example.com"
	for name, tc := range map[string]struct {
		list []Verifier
		want []string // beginnings of faults
	}{
		"none":      {[]Verifier{{Use: "none"}}, nil},
		"good":      {[]Verifier{static("0123456789abcdef", "ci"), jwt(JWTVerifier{Issuer: idp}), asks(IntrospectionVerifier{URL: idp + "/introspect", ClientID: "x", ClientSecret: secret})}, nil},
		"loopback":  {[]Verifier{jwt(JWTVerifier{Issuer: "http://127.0.0.1:9400"}), jwt(JWTVerifier{Issuer: "http://localhost:9400/x", JWKS: "http://[::1]/jwks"})}, nil},
		"two kinds": {[]Verifier{{Use: "none", JWT: JWTVerifier{Issuer: idp}}}, []string{"auth[0]: has more than one of use, jwt"}},
		"nothing":   {[]Verifier{{}}, []string{"auth[0]: needs one of"}},
		"unknown":   {[]Verifier{{Use: "oauth"}}, []string{`auth[0]: expected none, static, jwt, introspection or backstage, got "oauth"`}},
		"not alone": {[]Verifier{static("0123456789abcdef", "ci"), {Use: "none"}}, []string{"auth[1]: none lets everybody in"}},
		"static": {
			[]Verifier{static("short", "ci"), static("0123456789abcdef with", "ci"), static("0123456789abcdef", ""), static("0123456789abcdef", "x"), {Static: StaticVerifier{Subject: "x"}}},
			[]string{
				"auth[0].static.token: token has less than 16 characters", "auth[1].static.token: token has characters", "auth[2].static.subject: ",
				"auth[3].static.token: is the token of auth[2], too", "auth[4].static.token: secret is not set",
			},
		},
		"jwt": {
			[]Verifier{
				jwt(JWTVerifier{Groups: "groups"}), jwt(JWTVerifier{Issuer: "http://idp.example.com"}), jwt(JWTVerifier{Issuer: idp + "?x"}),
				jwt(JWTVerifier{Issuer: idp + "#"}), jwt(JWTVerifier{Issuer: idp, JWKS: "http://idp.example.com/jwks"}),
				jwt(JWTVerifier{Issuer: idp, Algorithms: []string{"RS256", "HS256", "none", "ES265"}}),
				jwt(JWTVerifier{Issuer: idp, Types: []string{"vnd.backstage.user"}, Audiences: []string{""}, GrantScopes: []string{" "}}),
			},
			[]string{
				"auth[0].jwt.issuer: expected an https URL", "auth[1].jwt.issuer: expected an https URL", "auth[2].jwt.issuer: expected an https URL",
				"auth[3].jwt.issuer: expected an https URL", "auth[4].jwt.jwks: expected an https URL",
				"auth[5].jwt.algorithms[1]: HS256 signs with a secret", `auth[5].jwt.algorithms[2]: unknown algorithm "none"`, `auth[5].jwt.algorithms[3]: unknown algorithm "ES265"`,
				"auth[6].jwt.types[0]: tokens of a Backstage", "auth[6].jwt.audiences[0]: is empty", "auth[6].jwt.grantScopes[0]: is empty",
			},
		},
		"introspection": {
			[]Verifier{asks(IntrospectionVerifier{URL: "http://idp.example.com/", Issuer: "idp", Cache: -1}), asks(IntrospectionVerifier{URL: idp, ClientID: "x"})},
			[]string{
				"auth[0].introspection.url: ", "auth[0].introspection.issuer: ", "auth[0].introspection.clientID: ", "auth[0].introspection.clientSecret: ",
				"auth[0].introspection.cache: cannot be negative", "auth[1].introspection.clientSecret: secret is not set",
			},
		},
	} {
		var fs Faults
		validateVerifiers(&fs, "auth", tc.list)
		good := len(fs) == len(tc.want)
		for i := range min(len(fs), len(tc.want)) {
			good = good && strings.HasPrefix(fs[i].String(), tc.want[i])
		}
		if !good || strings.Contains(fs.Error(), "0123456789abcdef") {
			t.Errorf("%s: got\n%s\nwant\n%s", name, fs.Error(), strings.Join(tc.want, "\n"))
		}
	}
}

// TestOpenDoorsAreLoopback: a gateway that the network reaches asks at each of
// its ways in, and says which one it does not ask at.
func TestOpenDoorsAreLoopback(t *testing.T) {
	ask, open := []Verifier{{JWT: JWTVerifier{Issuer: "https://idp.example.com"}}}, []Verifier{{Use: "none"}}
	allow := Server{Actions: Allowlist{Include: []Rule{{ID: "*"}}}}
	server := func(auth []Verifier) map[string]Server {
		s := allow
		s.Auth = auth
		return map[string]Server{"sales": s}
	}
	for name, tc := range map[string]struct {
		config Config
		open   string // the list that lets everybody in; "": none
	}{
		"nothing said":     {Config{Servers: server(nil)}, "auth"},
		"all ask":          {Config{Auth: ask, Servers: server(nil)}, ""},
		"an open server":   {Config{Auth: ask, Servers: server(open)}, "servers.sales.auth"},
		"an open API":      {Config{Auth: ask, Servers: server(nil), ActionsAPI: ActionsAPI{Auth: open}}, "actionsAPI.auth"},
		"no API":           {Config{Auth: ask, Servers: server(nil), ActionsAPI: ActionsAPI{Support: "off", Auth: open}}, ""},
		"open to operate":  {Config{Auth: ask, Servers: server(nil), Operator: Operator{Auth: open}}, "operator.auth"},
		"only server asks": {Config{Servers: server(ask)}, "auth"},
		"each asks itself": {Config{Servers: server(ask), ActionsAPI: ActionsAPI{Auth: ask}, Operator: Operator{Auth: ask}}, ""},
	} {
		for listen, loopback := range map[string]bool{"127.0.0.1:8080": true, "localhost:1": true, "[::1]:1": true, "0.0.0.0:8080": false, ":8080": false} {
			tc.config.Listen = listen
			faults := tc.config.Validate()
			i := slices.IndexFunc(faults, func(f Fault) bool { return f.Path == "listen" })
			want := ""
			if tc.open != "" && !loopback {
				want = fmt.Sprintf("%q is reachable from other machines, and %s: none lets everybody call", listen, tc.open)
			}
			if i < 0 != (want == "") || i >= 0 && faults[i].Message != want {
				t.Errorf("%s at %s: got %v, want %q", name, listen, faults, want)
			}
		}
	}
}

func bearerOf(token string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// TestGate: a list becomes a guard that takes what it says, and nothing else.
func TestGate(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	m := verifiers{keys: auth.NewKeySets(nil)}
	const at = "https://stagedoor.example.com/mcp/sales"
	list := []Verifier{
		{Static: StaticVerifier{Token: SecretValue("0123456789abcdef"), Subject: "ci", Scopes: []string{"mcp:read"}, Claims: map[string]Scalar{"org": "7"}}},
		{JWT: JWTVerifier{Issuer: issuer.URL, Groups: "roles", Claims: map[string]Scalar{"tid": "7"}, GrantScopes: []string{"mcp:read", "mcp:write"}}},
		{Static: StaticVerifier{Token: SecretValue("fedcba9876543210"), Subject: "ops"}},
	}
	var faults Faults
	gate := m.guard(Config{PublicURL: "https://stagedoor.example.com"}, list, "servers.sales.auth", "/mcp/sales", &faults)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for token, want := range map[string]string{
		"0123456789abcdef": "service static ci", "fedcba9876543210": "service static ops",
		issuer.Token(at, map[string]any{"tid": 7, "roles": []string{"dev"}}): "user " + issuer.URL + " ada",
		issuer.Token(at, nil): "token lacks a claim that is needed here",
		"0123456789abcdeg":    "token is of nobody who is trusted here",
	} {
		p, refusal := gate.Authenticate(bearerOf(token))
		got := string(p.Kind) + " " + p.Issuer + " " + p.Subject
		if refusal != nil {
			got = refusal.Message
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if strings.Join(gate.Granted, " ") != "mcp:read mcp:write" || gate.Resource.URL != at {
		t.Errorf("got %+v", gate)
	}
	if gate := m.guard(Config{Auth: []Verifier{{Use: "none"}}}, nil, "servers.a.auth", "/mcp/a", &faults); gate != nil {
		t.Errorf("none is %v", gate)
	}
}

// TestReloadFetchesNothing: chains of another config share the keys, and those
// of one place their verifiers.
func TestReloadFetchesNothing(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	keys := auth.NewKeySets(nil)
	for range 3 {
		m := verifiers{keys: keys}
		for _, url := range []string{"https://a.example/mcp/a", "https://a.example/mcp/b"} {
			chain, faults := m.chain("auth", []Verifier{{JWT: JWTVerifier{Issuer: issuer.URL}}})
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			if _, err := chain.Verify(t.Context(), issuer.Token(url, nil), auth.Resource{URL: url}); err != nil {
				t.Error(err)
			}
		}
		if len(m.made) != 1 {
			t.Errorf("%d chains", len(m.made))
		}
	}
	if n := issuer.Requests(""); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// TestMissingSecretsShutTheGate: a chain that cannot be made lets nobody in.
func TestMissingSecretsShutTheGate(t *testing.T) {
	m := verifiers{keys: auth.NewKeySets(nil)}
	var faults Faults
	nowhere := SecretEnv("STAGEDOOR_NOWHERE_TO_BE_FOUND")
	gate := m.guard(Config{}, []Verifier{
		{Static: StaticVerifier{Token: nowhere, Subject: "ci"}}, {Introspection: IntrospectionVerifier{URL: "https://x", ClientSecret: nowhere}},
		{Backstage: BackstageVerifier{BaseURL: "https://x", External: []BackstageAccess{{Static: BackstageStatic{Token: nowhere, Subject: "x"}}}}},
		{Static: StaticVerifier{Token: SecretValue("0123456789abcdef"), Subject: "ci"}},
	}, "auth", "", &faults)
	if len(faults) != 3 || faults[0].Path != "auth[0].static.token" || faults[1].Path != "auth[1].introspection.clientSecret" || faults[2].Path != "auth[2].backstage" {
		t.Errorf("faults %v", faults)
	}
	for _, token := range []string{"", "x", "0123456789abcdef"} {
		if _, refusal := gate.Authenticate(bearerOf(token)); refusal == nil {
			t.Errorf("%q is let in", token)
		}
	}
}

func TestGrantedByAll(t *testing.T) {
	jwt := func(scopes ...string) Verifier {
		return Verifier{JWT: JWTVerifier{Issuer: "https://x", GrantScopes: scopes}}
	}
	for want, list := range map[string][]Verifier{
		"":    {jwt("a", "b"), jwt()},
		"a":   {jwt("a", "b"), {Static: StaticVerifier{Subject: "x"}}, jwt("c", "a")},
		"a b": {jwt("a", "b"), {Introspection: IntrospectionVerifier{URL: "https://x"}}},
	} {
		if got := strings.Join(grantedByAll(list), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
