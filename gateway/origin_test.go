package gateway

import (
	"strings"
	"testing"
)

// A publisher stays below its base URLs, in whatever way the gateway, a proxy and
// the plugin's server read an address.
func TestAdmits(t *testing.T) {
	for prefix, cases := range map[string]struct{ in, out []string }{
		"https://billing.internal": {
			in: []string{
				"https://billing.internal", "https://billing.internal/", "HTTPS://Billing.INTERNAL/a/b/", "https://billing.internal:443/a",
				"https://billing.internal:", "https://billing.internal/%C3%A9/a;v=1",
			},
			out: []string{
				"", "billing.internal", "//billing.internal", "https:billing.internal", "https:///billing.internal", "https://", "ftp://billing.internal",
				"http://billing.internal", "https://billing.internal:80", "https://billing.internal:8443", "https://billing.internal:0443",
				"https://billing.internal.evil.com", "https://billing.internal@evil.com", "https://billing.internal:443@evil.com", "https://u:p@billing.internal", "https://@billing.internal",
				"https://evil.com/billing.internal", "https://evil.com\\@billing.internal", "https://billing.internal\\@evil.com", "https://billing.internal\\evil",
				"https://billing.internal.", "https://billing.internal..", "https://.billing.internal", "https://billing%2einternal", "https://billing。internal", "https://bılling.internal",
				"https://billing.internal?", "https://billing.internal/?", "https://billing.internal/?a=b", "https://billing.internal#", "https://billing.internal/#a", "https://billing.internal/a?",
				"https://billing.internal//", "https://billing.internal//a", "https://billing.internal/a//b", "https://billing.internal/a//", "https://billing.internal/%2f", "https://billing.internal/%2F%2Fevil.com",
				"https://billing.internal/a\r\nb", "https://billing.internal/%0d%0aHost:%20evil", "https://billing.internal/%00", "https://billing.internal/%250a", "https://billing.internal/%7f",
				"https://billing.internal/%ff", "https://billing.internal/%", "https://billing.internal/%zz", "https://billing.internal/a\tb", " https://billing.internal", "https://billing.internal ",
				"https://billing.internal/\u202e", "https://billing.internal/%e2%80%8b",
			},
		},
		"https://shared.internal/team-a/": {
			in: []string{
				"https://shared.internal/team-a", "https://shared.internal/team-a/", "https://shared.internal/team-a/v1/", "https://shared.internal:443/team-a/v1",
				"https://shared.internal/team%2da", "https://shared.internal/team-a/...", "https://shared.internal/team-a/..x",
			},
			out: []string{
				"https://shared.internal", "https://shared.internal/", "https://shared.internal/team-b", "https://shared.internal/team-ab", "https://shared.internal/TEAM-A", "https://shared.internal//team-a",
				"https://shared.internal/team-a/..", "https://shared.internal/team-a/../team-b", "https://shared.internal/team-b/../team-a", "https://shared.internal/./team-a", "https://shared.internal/team-a/.",
				"https://shared.internal/team-b/..%2fteam-a", "https://shared.internal/team-a/..%2fteam-b", "https://shared.internal/team-a%2f..%2fteam-b", "https://shared.internal/team-a%2fv1",
				"https://shared.internal/team-a/..%5cteam-b", "https://shared.internal/team-a/..\\team-b", "https://shared.internal/team-a/%5c..%5cteam-b", "https://shared.internal/team-a%5cb",
				"https://shared.internal/team-a/..;/team-b", "https://shared.internal/team-a/..;x=y/team-b", "https://shared.internal/team-a;/b", "https://shared.internal/team-a/.;/b",
				"https://shared.internal/team-a/%2e%2e/team-b", "https://shared.internal/team-a/.%2e/team-b", "https://shared.internal/team-a/%2E%2E", "https://shared.internal/team-a/%252e%252e/team-b",
				"https://shared.internal/team-a/%25252e%25252e/team-b", "https://shared.internal/team-a/%252f", "https://shared.internal/team-a/a%25b",
			},
		},
		"http://[::1]:80/": {
			in:  []string{"http://[::1]", "http://[::1]:80/x"},
			out: []string{"http://[::1%25lo]", "http://[::1%25evil.com]:80", "http://[::1]:81", "http://::1", "http://[0:0:0:0:0:0:0:1]", "http://[::1", "http://[::1].evil.com", "https://[::1]:80"},
		},
		"http://billing:8080": {
			in:  []string{"http://billing:8080/api"},
			out: []string{"http://billing", "http://billing:80", "http://billing:08080", "http://billing:8080:80", "http://billing:8080.evil.com"},
		},
		"https://billing.internal/../": {out: []string{"https://billing.internal/", "https://billing.internal/../", "https://billing.internal/a"}},
		"https://u:p@billing.internal": {out: []string{"https://billing.internal/", "https://u:p@billing.internal"}},
	} {
		p := Publisher{BaseURLs: []string{prefix}}
		for _, baseURL := range cases.in {
			if !p.admits(baseURL) {
				t.Errorf("%s does not admit %q", prefix, baseURL)
			}
		}
		for _, baseURL := range cases.out {
			if p.admits(baseURL) {
				t.Errorf("%s admits %q", prefix, baseURL)
			}
		}
	}
}

// FuzzAdmits: what is admitted is below the prefix when it is decoded once more,
// and says so in the text.
func FuzzAdmits(f *testing.F) {
	for _, seed := range []string{"/", "/v1", "/..%5cteam-b", "/%252e%252e", "/..;/", "@evil.com"} {
		f.Add("https://shared.internal/team-a" + seed)
	}
	f.Fuzz(func(t *testing.T, baseURL string) {
		if !(Publisher{BaseURLs: []string{"https://shared.internal/team-a"}}).admits(baseURL) {
			return
		}
		if at, ok := placeOf(baseURL); !ok || at.host != "shared.internal" || at.segments[0] != "team-a" || strings.ContainsAny(strings.Join(at.segments, ""), "/\\%\x00") || strings.Contains(baseURL, "@shared") {
			t.Errorf("%q: %+v", baseURL, at)
		}
	})
}

func TestPublishersBesideEachOther(t *testing.T) {
	const first, second = "0123456789abcdef-a", "0123456789abcdef-b"
	publisher := func(token, plugins string) Publisher {
		return Publisher{Token: SecretValue(token), Plugins: []string{plugins}, BaseURLs: []string{"https://x.internal"}}
	}
	withAuth := Plugin{Auth: PluginAuth{Bearer: SecretValue("t")}}
	withSpecAuth := Plugin{SpecAuth: PluginAuth{Header: HeaderAuth{Name: "X-API-Key", Value: SecretValue("t")}}}
	atHome := withAuth
	atHome.BaseURL = "https://x.internal"
	for name, tt := range map[string]struct {
		publishers map[string]Publisher
		plugins    map[string]Plugin
		want       string
	}{
		"fine":                      {map[string]Publisher{"a": publisher(first, "pay-*"), "b": publisher(second, "shop")}, map[string]Plugin{"pay-x": withAuth, "shop": withSpecAuth}, ""},
		"one token":                 {map[string]Publisher{"a": publisher(first, "pay"), "b": publisher(first, "shop")}, nil, "publishers.b.token: is the token of publisher a, too"},
		"credentials to either":     {map[string]Publisher{"a": publisher(first, "pay-*"), "b": publisher(second, "*")}, map[string]Plugin{"pay-x": withAuth}, "plugins.pay-x: has credentials"},
		"of the document to either": {map[string]Publisher{"a": publisher(first, "pay-*"), "b": publisher(second, "*")}, map[string]Plugin{"pay-x": withSpecAuth}, "plugins.pay-x: has credentials"},
		"without credentials":       {map[string]Publisher{"a": publisher(first, "pay-*"), "b": publisher(second, "*")}, map[string]Plugin{"pay-x": {}}, ""},
		"where it is is known":      {map[string]Publisher{"a": publisher(first, "pay-*"), "b": publisher(second, "*")}, map[string]Plugin{"pay-x": atHome}, ""},
	} {
		fs := Config{Publishers: tt.publishers, Plugins: tt.plugins, Servers: map[string]Server{"s": {Actions: Allowlist{Include: []Rule{{ID: "*"}}}}}}.Validate()
		if got := fs.Error(); !strings.HasPrefix(got, tt.want) || (tt.want == "") != (got == "") || strings.Contains(got, first) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestPublishersPrincipals: who is a publisher has to be said.
func TestPublishersPrincipals(t *testing.T) {
	for want, e := range map[string]Exception{
		"":                               {Subject: "billing-*"},
		"publishers.a.principals[0]: pr": {},
		"publishers.a.principals[0].gro": {Group: "["},
		"publishers.a.principals[0].kin": {Kind: "robot"},
	} {
		p := Publisher{Principals: []Exception{e}, Plugins: []string{"pay"}, BaseURLs: []string{"https://x.internal"}}
		fs := Config{Publishers: map[string]Publisher{"a": p}, Servers: map[string]Server{"s": {Actions: Allowlist{Include: []Rule{{ID: "*"}}}}}}.Validate()
		if got := fs.Error(); !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%+v: %s", e, got)
		}
	}
}
