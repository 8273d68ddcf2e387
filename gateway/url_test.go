package gateway

import (
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// TestPublicURL: what tokens have to be for is in the form that clients make of
// whatever the operator writes.
func TestPublicURL(t *testing.T) {
	for said, want := range map[string]string{
		"":                              "http://127.0.0.1:8080",
		"https://tools.example.com":     "https://tools.example.com",
		"https://tools.example.com/":    "https://tools.example.com",
		"HTTPS://Tools.Example.com:443": "https://tools.example.com",
		"http://tools.example.com:80/":  "http://tools.example.com",
		"https://tools.example.com:80":  "https://tools.example.com:80",
		"https://[2001:DB8::1]:8443/":   "https://[2001:db8::1]:8443",
	} {
		if got := (Config{PublicURL: said, Listen: "127.0.0.1:8080"}).publicURL(); got != want {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
	}
	for _, said := range []string{"https://tools.example.com?", "https://tools.example.com#", "https://tools.example.com/x", "https://a@tools.example.com", "tools.example.com"} {
		if isOrigin(said) {
			t.Errorf("%q is taken", said)
		}
	}
}

// TestResourceNeedsURL: no issuer makes tokens for the address of no machine.
func TestResourceNeedsURL(t *testing.T) {
	bound := Verifier{JWT: JWTVerifier{Issuer: "https://idp.example.com"}}
	named := Verifier{JWT: JWTVerifier{Issuer: "https://idp.example.com", Audiences: []string{"tools"}}}
	for name, tc := range map[string]struct {
		listen, public string
		auth           Verifier
		fault          bool
	}{
		"every address":         {"0.0.0.0:8080", "", bound, true},
		"every address, IPv6":   {"[::]:8080", "", bound, true},
		"no address":            {":8080", "", bound, true},
		"one address":           {"127.0.0.1:8080", "", bound, false},
		"a URL":                 {":8080", "https://tools.example.com", bound, false},
		"audiences that are so": {":8080", "", named, false},
	} {
		c := Config{Listen: tc.listen, PublicURL: tc.public, Auth: []Verifier{tc.auth}, Servers: map[string]Server{"a": {Actions: Allowlist{Include: []Rule{{ID: "*"}}}}}}
		if got := strings.Contains(c.Validate().Error(), "publicURL: "); got != tc.fault {
			t.Errorf("%s: %v", name, c.Validate())
		}
	}
}

// TestScopeNames: a scope that is renamed to nothing is still needed.
func TestScopeNames(t *testing.T) {
	names := Scopes{Names: map[string]string{"a": "", "b": "none", "c": "other"}}.scopes("mcp").Names
	if names["a"] != "a" || names["b"] != "" || names["c"] != "other" {
		t.Errorf("got %v", names)
	}
}

// TestScopesOfOneName: of two rungs that are called the same, the one between
// them is not enough for the higher one.
func TestScopesOfOneName(t *testing.T) {
	a := &registry.Action{}
	a.Attributes.Destructive = true
	d := registry.Door{Scopes: registry.Scopes{Read: "all", Write: "write", Destructive: "all"}}
	for has, missing := range map[string]int{"all": 0, "write": 1} {
		p := principal.Principal{Kind: principal.User, Subject: "ada"}
		if p.Scopes = []string{has}; len(d.Missing(p, a)) != missing {
			t.Errorf("with %s, %v is missing", has, d.Missing(p, a))
		}
	}
}

// TestPassedBy: an actions API opens nothing that servers close, unless the
// config says what it is to have.
func TestPassedBy(t *testing.T) {
	rule := []AccessRule{{Allow: &Grant{Everyone: true}}}
	ruled := map[string]Server{"a": {Rules: rule}, "b": {Arguments: []ArgumentRule{{}}}, "c": {}}
	for name, tc := range map[string]struct {
		config Config
		open   bool
		warns  string
	}{
		"nothing to pass by":   {Config{Servers: map[string]Server{"c": {}}}, true, ""},
		"nothing said":         {Config{Servers: ruled}, false, ""},
		"rules for all":        {Config{Servers: ruled, Rules: rule}, false, ""},
		"on":                   {Config{Servers: ruled, ActionsAPI: ActionsAPI{Support: "on"}}, true, "servers.a.rules servers.b.arguments"},
		"off":                  {Config{ActionsAPI: ActionsAPI{Support: "off", Rules: rule}}, false, ""},
		"rules of its own":     {Config{Servers: ruled, ActionsAPI: ActionsAPI{Rules: rule}}, true, ""},
		"actions of its own":   {Config{Servers: ruled, ActionsAPI: ActionsAPI{Actions: Allowlist{Include: []Rule{{ID: "a:b"}}}}}, true, "servers.a.rules servers.b.arguments"},
		"verifiers of its own": {Config{Servers: ruled, ActionsAPI: ActionsAPI{Auth: []Verifier{{Use: "none"}}}}, true, "servers.a.rules servers.b.arguments"},
	} {
		if open := tc.config.hasActionsAPI(); open != tc.open {
			t.Errorf("%s: open is %v", name, open)
		}
		if got := strings.Join(tc.config.passedBy(), " "); tc.open && got != tc.warns {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
