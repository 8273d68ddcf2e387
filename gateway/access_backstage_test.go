package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/auth"
)

// TestBackstageVerifierFaults: what is wrong with a verifier is told with its
// place, secrets excepted.
func TestBackstageVerifierFaults(t *testing.T) {
	const url = "https://backstage.example.com"
	external := func(a BackstageAccess) BackstageVerifier {
		return BackstageVerifier{BaseURL: url, External: []BackstageAccess{a}}
	}
	for name, c := range map[string]struct {
		v    BackstageVerifier
		want []string // places
	}{
		"least":                {BackstageVerifier{BaseURL: url}, nil},
		"on this machine":      {BackstageVerifier{BaseURL: "http://127.0.0.1:7007/"}, nil},
		"no URL":               {BackstageVerifier{PluginID: "gateway"}, []string{"v.baseURL"}},
		"plain http":           {BackstageVerifier{BaseURL: "http://backstage.internal:7007"}, []string{"v.baseURL"}},
		"URL with a password":  {BackstageVerifier{BaseURL: "https://a:b@backstage.example.com"}, []string{"v.baseURL"}},
		"URL with a query":     {BackstageVerifier{BaseURL: url + "?a=b"}, []string{"v.baseURL"}},
		"ids":                  {BackstageVerifier{BaseURL: url, PluginID: "a/b", Plugins: []string{"scaffolder", "../auth", ""}}, []string{"v.pluginID", "v.plugins[1]", "v.plugins[2]"}},
		"URL of no plugin":     {BackstageVerifier{BaseURL: url, Plugins: []string{"scaffolder"}, PluginURLs: map[string]string{"scafolder": url}}, []string{"v.pluginURLs.scafolder"}},
		"URL that is none":     {BackstageVerifier{BaseURL: url, Plugins: []string{"scaffolder"}, PluginURLs: map[string]string{"scaffolder": "scaffolder"}}, []string{"v.pluginURLs.scaffolder"}},
		"authorization server": {BackstageVerifier{BaseURL: url, AuthorizationServer: "yes"}, []string{"v.authorizationServer"}},
		"external, empty":      {external(BackstageAccess{}), []string{"v.external[0]"}},
		"external, two": {external(BackstageAccess{Static: BackstageStatic{SecretValue("canary-token"), "a"}, Legacy: BackstageLegacy{SecretValue("c2VjcmV0"), "a"}}),
			[]string{"v.external[0]"}},
		"static":               {external(BackstageAccess{Static: BackstageStatic{SecretValue("canary-1"), "ci"}}), nil},
		"static, short":        {external(BackstageAccess{Static: BackstageStatic{SecretValue("canary"), "ci"}}), []string{"v.external[0].static.token"}},
		"static, with a space": {external(BackstageAccess{Static: BackstageStatic{SecretValue("canary and"), "a b"}}), []string{"v.external[0].static.subject", "v.external[0].static.token"}},
		"static, not set":      {external(BackstageAccess{Static: BackstageStatic{SecretEnv("STAGEDOOR_NO_SUCH"), "ci"}}), []string{"v.external[0].static.token"}},
		"static, no token":     {external(BackstageAccess{Static: BackstageStatic{Subject: "ci"}}), []string{"v.external[0].static.token"}},
		"legacy":               {external(BackstageAccess{Legacy: BackstageLegacy{SecretValue("c2VjcmV0"), "old"}}), nil},
		"legacy, no base64":    {external(BackstageAccess{Legacy: BackstageLegacy{SecretValue("canary!"), ""}}), []string{"v.external[0].legacy.subject", "v.external[0].legacy.secret"}},
		"jwks":                 {external(BackstageAccess{JWKS: BackstageJWKS{URL: url + "/jwks", Algorithms: []string{"ES256"}}}), nil},
		"jwks, secrets shared": {external(BackstageAccess{JWKS: BackstageJWKS{URL: "jwks", Algorithms: []string{"ES256", "HS256"}}}), []string{"v.external[0].jwks.url", "v.external[0].jwks.algorithms[1]"}},
		"jwks without a URL":   {external(BackstageAccess{JWKS: BackstageJWKS{Issuers: []string{"a"}}}), []string{"v.external[0].jwks.url"}},
	} {
		t.Run(name, func(t *testing.T) {
			var fs Faults
			c.v.validate(&fs, "v")
			var places []string
			for _, f := range fs {
				places = append(places, f.Path)
			}
			if diff := cmp.Diff(c.want, places); diff != "" || strings.Contains(fs.Error(), "canary") {
				t.Errorf("%v\n%s", fs, diff)
			}
		})
	}
}

// TestBackstageVerifier: defaults, and what is made of the config.
func TestBackstageVerifier(t *testing.T) {
	v, err := BackstageVerifier{
		BaseURL: "https://backstage.example.com/", AuthorizationServer: "on",
		External: []BackstageAccess{{Static: BackstageStatic{SecretValue("a-static-token"), "ci"}}},
	}.verifier(auth.NewKeySets(nil))
	if err != nil {
		t.Fatal(err)
	}
	p, err := v.Verify(t.Context(), "a-static-token", auth.Resource{})
	if err != nil || p.Subject != "ci" || p.Issuer != "https://backstage.example.com" {
		t.Errorf("%+v, %v", p, err)
	}
	if diff := cmp.Diff([]string{"mcp:destructive", "actions:destructive"}, p.Scopes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"https://backstage.example.com/api/auth"}, v.AuthorizationServers()); diff != "" {
		t.Error(diff)
	}
}

// TestBackstageAuth: which Backstage's users a plugin is told of.
func TestBackstageAuth(t *testing.T) {
	one, two := Verifier{Backstage: BackstageVerifier{BaseURL: "https://one.example.com/"}}, Verifier{Backstage: BackstageVerifier{BaseURL: "https://two.example.com"}}
	c := Config{
		Auth: []Verifier{{Use: "none"}, one}, ActionsAPI: ActionsAPI{Auth: []Verifier{two}}, Servers: map[string]Server{"a": {Auth: []Verifier{one}}},
		Plugins: map[string]Plugin{
			"a": {Auth: PluginAuth{Use: "backstage"}, Schemes: map[string]PluginAuth{"x": {Backstage: &BackstageAuth{PluginID: "gateway"}}}},
			"b": {Auth: PluginAuth{Backstage: &BackstageAuth{PluginID: "gateway"}}}, "c": {Auth: PluginAuth{Use: "none"}},
		},
	}
	both := c.backstages()
	if diff := cmp.Diff([]string{"https://one.example.com", "https://two.example.com"}, both); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"gateway", "stagedoor"}, c.backstagePluginIDs()); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		auth       BackstageAuth
		backstages []string
		want       string // place
	}{
		"one":             {BackstageAuth{}, both[:1], ""},
		"none":            {BackstageAuth{}, nil, "p"},
		"none needed":     {BackstageAuth{OnBehalf: "never"}, nil, ""},
		"several":         {BackstageAuth{OnBehalf: "possible"}, both, "p.issuer"},
		"one of several":  {BackstageAuth{Issuer: "https://two.example.com/"}, both, ""},
		"another":         {BackstageAuth{Issuer: "https://three.example.com"}, both, "p.issuer"},
		"unknown behalf":  {BackstageAuth{OnBehalf: "always"}, both[:1], "p.onBehalf"},
		"no plugin id":    {BackstageAuth{PluginID: "a b"}, both[:1], "p.pluginID"},
		"no id of target": {BackstageAuth{Target: "a/b"}, both[:1], "p.target"},
	} {
		var fs Faults
		c.auth.validate(&fs, "p", c.backstages)
		if len(fs) > 1 || (len(fs) == 0) != (c.want == "") || len(fs) == 1 && fs[0].Path != c.want {
			t.Errorf("%s: %v", name, fs)
		}
	}
}
