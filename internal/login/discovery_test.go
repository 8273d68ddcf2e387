package login

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/login/logintest"
)

// TestDiscoveryLies: what servers and authorization servers say that is not
// taken, or taken by the rules (CL01, CL03).
func TestDiscoveryLies(t *testing.T) {
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	const base = "https://mcp.example.com"
	for _, tt := range []struct {
		name   string
		change func(p *logintest.Provider)
		want   string // of the error; "": the login succeeds
	}{
		{"as it should be", func(*logintest.Provider) {}, ""},
		{"no token needed", func(p *logintest.Provider) {
			p.Instead[logintest.ServerPath], p.Instead[logintest.ResourcePath] = text(200, "{}"), text(404, "")
		}, "server asks for no token"},
		{"token needed at times", func(p *logintest.Provider) { p.Instead[logintest.ServerPath] = text(400, "{}") }, ""},
		{"web page", func(p *logintest.Provider) {
			p.Instead[logintest.ServerPath] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = w.Write([]byte("<!doctype html>"))
			}
		}, "answer is a web page (HTTP 200); is the URL that of an MCP server"},
		{"wrong URL", func(p *logintest.Provider) { p.Instead[logintest.ServerPath] = text(404, "") }, "server: HTTP 404; is the URL that of an MCP server"},
		{"server down", func(p *logintest.Provider) { p.Instead[logintest.ServerPath] = text(503, "") }, "server: HTTP 503; try again later"},
		{"server redirects", func(p *logintest.Provider) {
			p.Instead[logintest.ServerPath] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/mcp/x", http.StatusTemporaryRedirect)
			}
		}, "server redirects to /mcp/x"},
		{"challenge without metadata", func(p *logintest.Provider) { p.Challenge = `Bearer realm="x"` }, ""},
		{"challenge of another scheme", func(p *logintest.Provider) { p.Challenge = `Basic realm="x"` }, ""},
		{"metadata at the root", func(p *logintest.Provider) {
			p.Challenge, p.Instead[logintest.ResourcePath] = `Bearer`, text(404, "")
			p.Instead["/.well-known/oauth-protected-resource"] = text(200, `{"resource":"`+base+`","authorization_servers":["`+base+`/idp"]}`)
		}, ""},
		{"metadata nowhere", func(p *logintest.Provider) {
			p.Challenge, p.Instead[logintest.ResourcePath] = `Bearer`, text(404, "")
		}, "asks for a token, and has no metadata that says where to get one (https://mcp.example.com/.well-known/oauth-protected-resource: HTTP 404)"},
		{"metadata of another server", func(p *logintest.Provider) { p.Resource = map[string]any{"resource": base + "/mcp/other"} }, "one for somebody else"},
		{"metadata of the parent", func(p *logintest.Provider) { p.Resource = map[string]any{"resource": base + "/mcp"} }, "one for somebody else"},
		{"metadata of the origin, at the path", func(p *logintest.Provider) { p.Resource = map[string]any{"resource": base} }, "one for somebody else"},
		{"metadata of a longer name", func(p *logintest.Provider) { p.Resource = map[string]any{"resource": base + "/mcp/demo2"} }, "one for somebody else"},
		{"metadata with a slash", func(p *logintest.Provider) { p.Resource = map[string]any{"resource": base + "/mcp/demo/"} }, "one for somebody else"},
		{"metadata in capitals", func(p *logintest.Provider) {
			p.Resource = map[string]any{"resource": "HTTPS://MCP.Example.com:443/mcp/demo"}
		}, ""},
		{"metadata without a resource", func(p *logintest.Provider) { p.Resource = map[string]any{"resource": nil} }, "one for somebody else"},
		{"no authorization server", func(p *logintest.Provider) { p.Resource = map[string]any{"authorization_servers": nil} }, "names no authorization server"},
		{"no JSON", func(p *logintest.Provider) { p.Instead[logintest.ResourcePath] = text(200, "<html>") }, "no JSON document"},
		{"redirect", func(p *logintest.Provider) {
			p.Instead[logintest.ResourcePath] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
			}
		}, "answer is a redirect, which is not followed"},
		{"10 MB", func(p *logintest.Provider) {
			p.Instead[logintest.ResourcePath] = text(200, strings.Repeat(" ", 10<<20))
		}, "answer is larger than 1 MiB"},
		{"metadata of a cloud", func(p *logintest.Provider) {
			p.Challenge = `Bearer resource_metadata="https://169.254.169.254/latest"`
		}, "address 169.254.169.254 is one that no server may lead to"},
		{"http", func(p *logintest.Provider) { p.Challenge = `Bearer resource_metadata="http://mcp.example.com/x"` }, "URL http://mcp.example.com/x is not https"},
		{"file", func(p *logintest.Provider) { p.Challenge = `Bearer resource_metadata="file:///etc/passwd"` }, "is not an absolute https URL"},
		{"credentials", func(p *logintest.Provider) { p.Challenge = `Bearer resource_metadata="https://a:b@mcp.example.com/"` }, "without credentials"},
		{"issuer on this machine", func(p *logintest.Provider) {
			p.Resource = map[string]any{"authorization_servers": []string{"https://127.0.0.1/"}}
		}, "address 127.0.0.1 is this machine"},
		{"issuer in a private net", func(p *logintest.Provider) {
			p.Resource = map[string]any{"authorization_servers": []string{"https://10.0.0.1/"}}
		}, "address 10.0.0.1 is private, and the server's own is not"},
		{"issuer with a query", func(p *logintest.Provider) {
			p.Resource = map[string]any{"authorization_servers": []string{base + "/idp?x=1"}}
		}, "has a query"},
		{"issuer mismatch", func(p *logintest.Provider) { p.Metadata = map[string]any{"issuer": "https://idp.example.com"} }, `is the metadata of "https://idp.example.com", not of "https://mcp.example.com/idp": it is not used`},
		{"issuer with a slash", func(p *logintest.Provider) { p.Metadata = map[string]any{"issuer": base + "/idp/"} }, "it is not used"},
		{"issuer in capitals", func(p *logintest.Provider) { p.Metadata = map[string]any{"issuer": "https://MCP.example.com/idp"} }, "it is not used"},
		{"no issuer", func(p *logintest.Provider) { p.Metadata = map[string]any{"issuer": nil} }, "it is not used"},
		{"token endpoint missing", func(p *logintest.Provider) { p.Metadata = map[string]any{"token_endpoint": nil} }, "has no token_endpoint"},
		{"token endpoint in clear text", func(p *logintest.Provider) {
			p.Metadata = map[string]any{"token_endpoint": "http://mcp.example.com/t"}
		}, "is not https"},
		{"token endpoint on this machine", func(p *logintest.Provider) {
			p.Metadata = map[string]any{"token_endpoint": "https://[::ffff:127.0.0.1]/t"}
		}, "is this machine"},
		{"page to run", func(p *logintest.Provider) {
			p.Instead[logintest.DevicePath] = text(200, `{"device_code":"d","user_code":"u","verification_uri":"javascript:alert(1)"}`)
		}, "page to log in at: URL javascript:alert(1) is not"},
		{"no code", func(p *logintest.Provider) { p.Instead[logintest.DevicePath] = text(200, `{}`) }, "answer has no device_code"},
		{"token that breaks a header", func(p *logintest.Provider) {
			p.Instead[logintest.TokenPath] = text(200, `{"access_token":"a\r\nb","token_type":"bearer"}`)
		}, "answer has no access token that a header can carry"},
		{"token of another type", func(p *logintest.Provider) {
			p.Instead[logintest.TokenPath] = text(200, `{"access_token":"a","token_type":"DPoP"}`)
		}, `token is of type "DPoP", and only Bearer tokens are understood`},
		{"no device flow", func(p *logintest.Provider) { p.Metadata = map[string]any{"device_authorization_endpoint": nil} }, "has no device_authorization_endpoint; try --browser"},
		{"no registration", func(p *logintest.Provider) { p.Metadata = map[string]any{"registration_endpoint": nil} }, "name it with --client-id"},
		{"client with a secret", func(p *logintest.Provider) {
			p.Instead[logintest.RegisterPath] = text(201, `{"client_id":"c","client_secret":"s","token_endpoint_auth_method":"client_secret_basic"}`)
		}, "registers only clients with a secret"},
		{"registration refused", func(p *logintest.Provider) {
			p.Instead[logintest.RegisterPath] = text(400, `{"error":"invalid_redirect_uri","error_description":"no\u001b[2J"}`)
		}, "client could not be registered (--client-id names one that is): authorization server says invalid_redirect_uri: no\ufffd[2J"},
		{"second authorization server", func(p *logintest.Provider) {
			p.Resource = map[string]any{"authorization_servers": []string{base + "/gone", base + "/idp"}}
		}, ""},
		{"openid, inserted", func(p *logintest.Provider) { moved(p, "/.well-known/openid-configuration/idp") }, ""},
		{"openid, appended", func(p *logintest.Provider) { moved(p, "/idp/.well-known/openid-configuration") }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := logintest.New(base)
				tt.change(p)
				s, _ := open(t, p, t.TempDir())
				_, err := s.Login(t.Context())
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if err != nil && strings.ContainsAny(err.Error(), "\x1b\r") {
					t.Errorf("error plays with the terminal: %q", err)
				}
			})
		})
	}
}

// moved serves the authorization server's metadata elsewhere.
func moved(p *logintest.Provider, path string) {
	p.Instead[logintest.MetadataPath] = http.NotFound
	p.Instead[path] = func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q,"device_authorization_endpoint":%q,"registration_endpoint":%q}`,
			p.Issuer(), p.Base+logintest.TokenPath, p.Base+logintest.DevicePath, p.Base+logintest.RegisterPath)
	}
}

// TestScopes: which scopes are asked for.
func TestScopes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *logintest.Provider)
		scopes []string // option
		want   string
	}{
		{"challenge", func(*logintest.Provider) {}, nil, "mcp:read offline_access"},
		{"metadata", func(p *logintest.Provider) { p.Challenge = "Bearer" }, nil, "mcp:read mcp:write offline_access"},
		{"none", func(p *logintest.Provider) {
			p.Challenge, p.Resource, p.Metadata = "Bearer", map[string]any{"scopes_supported": nil}, map[string]any{"scopes_supported": nil}
		}, nil, ""},
		{"no offline access there", func(p *logintest.Provider) { p.Metadata = map[string]any{"scopes_supported": []string{"openid"}} }, nil, "mcp:read"},
		{"asked for", func(*logintest.Provider) {}, []string{"mcp:write"}, "mcp:write"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := logintest.New("https://mcp.example.com")
			tt.change(p)
			s, _ := open(t, p, t.TempDir(), func(o *Options) { o.Scopes = tt.scopes })
			mustLogin(t, s)
			if form := p.Requests(logintest.DevicePath)[0].Form; form.Get("scope") != tt.want || form.Has("scope") != (tt.want != "") {
				t.Errorf("%s: %v, want %q", tt.name, form, tt.want)
			}
		})
	}
}

// TestDialGuard is CL03 where it counts: names that lead to addresses are judged
// when the connection is made.
func TestDialGuard(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"resource":"x"}`)) }))
	defer server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	s := &Source{tls: &tls.Config{RootCAs: pool, ServerName: "example.com"}}
	at := strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // a name, as far as the URL goes
	for most, want := range map[reach]string{reachPublic: "is this machine, where no server of another may lead", reachPrivate: "is this machine", reachLoopback: ""} {
		var doc protectedResource
		_, err := s.web(most).get(t.Context(), at, &doc)
		if want == "" && (err != nil || doc.Resource != "x") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", most, err)
		}
	}
}

// TestSlowAnswer: who does not come to an end is left after ten seconds.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Source{transport: tripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		began := time.Now()
		_, err := s.web(reachPublic).get(t.Context(), "https://a.example/?token=canary", nil)
		if took := time.Since(began); took != webPatience || err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v after %s", err, took)
		}
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestReach(t *testing.T) {
	for want, all := range map[reach][]string{
		reachLoopback: {"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"},
		reachPrivate:  {"10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "fd00::1", "fec0::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "203.0.113.9"},
		reachPublic:   {"1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1", "64:ff9b::808:808"},
		reachNowhere:  {"0.0.0.0", "0.1.2.3", "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "255.255.255.255", "::", "::7f00:1", "fd00:ec2::254", "100.100.100.200", "2001:0::1"},
	} {
		for _, ip := range all {
			if got := reachOf(netip.MustParseAddr(ip)); got != want {
				t.Errorf("%s: %q, want %q", ip, got, want)
			}
		}
	}
	order := []reach{reachPublic, reachPrivate, reachLoopback}
	for i, server := range order {
		for j, other := range order {
			if server.covers(other) != (j <= i) {
				t.Errorf("a server at a %s address and a %s one", server, other)
			}
		}
		if server.covers(reachNowhere) {
			t.Errorf("a server at a %s address leads to nowhere", server)
		}
	}
}

func TestCanonical(t *testing.T) {
	for raw, want := range map[string]string{
		"https://MCP.Example.com:443/mcp/Demo": "https://mcp.example.com/mcp/Demo",
		"https://mcp.example.com/":             "https://mcp.example.com",
		"https://mcp.example.com:8443/a/":      "https://mcp.example.com:8443/a/",
		"http://LOCALHOST:80/x?":               "http://localhost/x",
		"http://127.0.0.1:8080/mcp/a?b=c":      "http://127.0.0.1:8080/mcp/a?b=c",
		"http://[::1]:8080/mcp":                "http://[::1]:8080/mcp",
		"https://[2001:DB8::1]:443/a%2Fb":      "https://[2001:db8::1]/a%2Fb",
		"http://mcp.example.com/mcp":           "",
		"http://127.0.0.1.example.com/mcp":     "",
		"mcp.example.com":                      "",
		"https://":                             "",
		"https://:443/":                        "",
		"https://a:b@mcp.example.com":          "",
		"https://mcp.example.com/#x":           "",
		"ftp://mcp.example.com":                "",
		"https:mcp.example.com":                "",
		"":                                     "",
	} {
		u, err := canonical(raw)
		if want == "" && err == nil || want != "" && (err != nil || u.String() != want) {
			t.Errorf("%q: %v, %v; want %q", raw, u, err, want)
		}
	}
}

func TestMetadataURLs(t *testing.T) {
	const base = "https://idp.example.com"
	for issuer, want := range map[string][]string{
		base:                  {base + "/.well-known/oauth-authorization-server", base + "/.well-known/openid-configuration"},
		base + "/":            {base + "/.well-known/oauth-authorization-server", base + "/.well-known/openid-configuration"},
		base + "/tenant%2F1/": {base + "/.well-known/oauth-authorization-server/tenant%2F1", base + "/.well-known/openid-configuration/tenant%2F1", base + "/tenant%2F1/.well-known/openid-configuration"},
	} {
		u, err := (&web{most: reachPublic}).check(issuer)
		if err != nil {
			t.Fatal(err)
		}
		if got := metadataURLs(u); !slices.Equal(got, want) {
			t.Errorf("%s: %q", issuer, got)
		}
	}
}

func TestChallenge(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   string
	}{
		{[]string{`Bearer`}, "map[]"},
		{[]string{`bearer Scope="a b", error=invalid_token`}, "map[error:invalid_token scope:a b]"},
		{[]string{`Basic realm="Bearer scope=x", Bearer scope="y"`}, "map[scope:y]"},
		{[]string{`Negotiate abc==, Bearer scope = "a\"b,c" , x=y`}, `map[scope:a"b,c x:y]`},
		{[]string{`Basic realm="x"`, `Bearer a=b`}, "map[a:b]"},
		{[]string{`Bearer a=b, a=c, Basic a=d`}, "map[a:b]"},
		{[]string{`Bearer a="b`}, "map[a:b]"},
		{[]string{`Basic a=b`}, "nil"},
		{nil, "nil"},
	} {
		got := parseChallenge(tt.values)
		if text := fmt.Sprint(got); got == nil && tt.want != "nil" || got != nil && text != tt.want {
			t.Errorf("%q: %s, want %s", tt.values, text, tt.want)
		}
	}
}

// FuzzChallenge: nothing that a server says takes for ever, or is more than it said.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer scope="a", Basic x=y`)
	f.Add("Bearer \x80=\"\\")
	f.Fuzz(func(t *testing.T, value string) {
		for name, v := range parseChallenge([]string{value}) {
			if len(name)+len(v) > len(value) || name == "" {
				t.Errorf("%q: %q=%q", value, name, v)
			}
		}
	})
}
