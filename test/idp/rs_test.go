package idp

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// metadata is RFC 9728's document of a server.
func (f *front) metadata(server string) (answer, map[string]any) {
	f.t.Helper()
	got := f.do(ask{method: http.MethodGet, path: "/.well-known/oauth-protected-resource/mcp/" + server})
	document := map[string]any{}
	if got.status == http.StatusOK {
		if err := json.Unmarshal([]byte(got.body), &document); err != nil {
			f.t.Fatal(err)
		}
	}
	return got, document
}

// TestRS01Metadata: each server has metadata (RFC 9728) that leads to an
// authorization server, which is there.
func TestRS01Metadata(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	for _, server := range []string{"a", "b"} {
		got, document := f.metadata(server)
		servers, _ := document["authorization_servers"].([]any)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" || len(servers) != 1 || servers[0] != p.issuer {
			t.Fatalf("%s: %+v", server, got)
		}
	}
	response, err := http.Get(p.issuer + "/.well-known/openid-configuration")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	_ = response.Body.Close()
}

// TestRS02Challenge: a 401 names the metadata of the very server that was asked.
func TestRS02Challenge(t *testing.T) {
	f := openGateway(t, providerOf(t, lasting).issuer, twoServers)
	for _, server := range []string{"a", "b"} {
		for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
			got := f.want(method, ask{method: method, path: "/mcp/" + server, body: ping}, http.StatusUnauthorized, "")
			if want := f.url + "/.well-known/oauth-protected-resource/mcp/" + server; got.challenge("resource_metadata") != want {
				t.Errorf("%s of %s leads to %q", method, server, got.challenge("resource_metadata"))
			}
		}
	}
}

// TestRS03ResourceIsItself: resource is the URL from which the document's own is
// made, and there is no document but those of servers.
func TestRS03ResourceIsItself(t *testing.T) {
	f := openGateway(t, providerOf(t, lasting).issuer, twoServers)
	_, a := f.metadata("a")
	_, b := f.metadata("b")
	if a["resource"] != f.resource("a") || b["resource"] != f.resource("b") {
		t.Errorf("resources %v and %v", a["resource"], b["resource"])
	}
	for _, path := range []string{"", "/", "/mcp", "/mcp/", "/mcp/c", "/mcp/a/", "/mcp/a/sse", "/a"} {
		f.want(path, ask{method: http.MethodGet, path: "/.well-known/oauth-protected-resource" + path}, http.StatusNotFound, "")
	}
}

// TestRS04ScopeOfChallenge: a caller is told the least scope, and not all that
// there are.
func TestRS04ScopeOfChallenge(t *testing.T) {
	f := openGateway(t, providerOf(t, lasting).issuer, twoServers)
	for _, r := range []ask{{body: ping}, {method: http.MethodGet}, modern("", "bill", "{}")} {
		if got := f.do(r); got.challenge("scope") != "mcp:read" {
			t.Errorf("scope %q", got.challenge("scope"))
		}
	}
	if _, document := f.metadata("a"); len(document["scopes_supported"].([]any)) != 4 {
		t.Errorf("scopes_supported are %v", document["scopes_supported"])
	}
	if _, document := f.metadata("b"); len(document["scopes_supported"].([]any)) != 1 {
		t.Errorf("scopes_supported of a server that only reads are %v", document["scopes_supported"])
	}
}

// TestRS05OfflineAccess: asking for a refresh token is the client's own affair.
func TestRS05OfflineAccess(t *testing.T) {
	f := openGateway(t, providerOf(t, lasting).issuer, strings.Replace(twoServers, `  b: {`, `  b: {scopes: {read: offline_access}, `, 1))
	for _, server := range []string{"a", "b"} {
		got, _ := f.metadata(server)
		refused := f.do(ask{path: "/mcp/" + server, body: ping})
		if strings.Contains(got.body+refused.header.Get("WWW-Authenticate"), "offline_access") {
			t.Errorf("%s: %s, %s", server, got.body, refused.header.Get("WWW-Authenticate"))
		}
	}
}

// TestRS06EveryRequest: a session is no token, for none of the methods.
func TestRS06EveryRequest(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	session := f.session("a", token)
	for _, r := range []ask{{body: ping}, {method: http.MethodGet}, {method: http.MethodDelete}, legacy("", "", "list", "{}")} {
		r.session = session
		f.want(r.method+" without a token", r, http.StatusUnauthorized, "")
	}
	f.want("with one", legacy(token, session, "list", "{}"), http.StatusOK, `"result"`)
}

// TestRS10Query: a token in the query is none, beside the header it is too many,
// and neither is in the log.
func TestRS10Query(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	for _, query := range []string{"?access_token=", "?access%5Ftoken=", "?token=", "?bearer=", "?x=1&access_token="} {
		got := f.want(query, ask{path: "/mcp/a" + query + token, body: ping}, http.StatusUnauthorized, "")
		if got.challenge("error") != "" {
			t.Errorf("%s: error %q", query, got.challenge("error"))
		}
	}
	f.want("both", ask{path: "/mcp/a?access_token=" + token, token: token, body: ping}, http.StatusBadRequest, "")
	if strings.Contains(f.log.String(), token) {
		t.Error("the token is in the log")
	}
}

// TestRS11Errors: what is missing, malformed and bad is told apart (RFC 6750,
// section 3.1).
func TestRS11Errors(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	for name, tc := range map[string]struct {
		header []string
		status int
		code   string
	}{
		"none":         {nil, 401, ""},
		"other scheme": {[]string{"Basic cm9ib3Q6eA=="}, 401, ""},
		"empty":        {[]string{""}, 400, "invalid_request"},
		"no token":     {[]string{"Bearer"}, 400, "invalid_request"},
		"two parts":    {[]string{"Bearer a b"}, 400, "invalid_request"},
		"two headers":  {[]string{"Bearer " + token, "Bearer " + token}, 400, "invalid_request"},
		"no JWT":       {[]string{"Bearer abc"}, 401, "invalid_token"},
		"small letter": {[]string{"bearer " + token}, 200, ""},
		"good":         {[]string{"Bearer " + token}, 200, ""},
	} {
		r := ask{body: initialize}
		if tc.header != nil {
			r.header = http.Header{"Authorization": tc.header}
		}
		if got := f.want(name, r, tc.status, ""); got.challenge("error") != tc.code {
			t.Errorf("%s: error %q", name, got.challenge("error"))
		}
	}
}

// scopesOf are those of a challenge, sorted.
func (a answer) scopesOf() []string {
	all := strings.Fields(a.challenge("scope"))
	slices.Sort(all)
	return all
}

// TestRS12StepUp: a call that needs more says what, and goes through with a
// token that has it, in the same session.
func TestRS12StepUp(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	few := p.user(t, "ada", f.resource("a"), "mcp:read").Access
	session := f.session("a", few)
	f.want("a read", legacy(few, session, "list", "{}"), http.StatusOK, `"result"`)
	for name, r := range map[string]ask{"in a session": legacy(few, session, "make", `{"name":"x"}`), "without": modern(few, "make", `{"name":"x"}`)} {
		got := f.want(name, r, http.StatusForbidden, "")
		if got.challenge("error") != "insufficient_scope" || got.challenge("scope") != "mcp:write" || got.challenge("resource_metadata") != f.url+"/.well-known/oauth-protected-resource/mcp/a" {
			t.Errorf("%s: %s", name, got.header.Get("WWW-Authenticate"))
		}
	}
	more := p.user(t, "ada", f.resource("a"), "mcp:read mcp:write").Access
	f.want("stepped up", legacy(more, session, "make", `{"name":"x"}`), http.StatusOK, `"result"`)
	f.want("stepped up", modern(more, "make", `{"name":"x"}`), http.StatusOK, `"result"`)
	if n := len(f.plugin.requests()); n != 3 { // none of those that were refused
		t.Errorf("the plugin had %d requests", n)
	}
}

// TestRS13AllScopesAtOnce: one challenge has all that a call needs.
func TestRS13AllScopesAtOnce(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	got := f.want("bill", modern(token, "bill", "{}"), http.StatusForbidden, "")
	if !slices.Equal(got.scopesOf(), []string{"billing:admin", "mcp:destructive"}) {
		t.Errorf("scopes %q", got.scopesOf())
	}
	half := p.robot(t, f.resource("a"), "mcp:destructive")
	if got := f.want("half", modern(half, "bill", "{}"), http.StatusForbidden, ""); !slices.Contains(got.scopesOf(), "billing:admin") {
		t.Errorf("scopes %q", got.scopesOf())
	}
	f.want("all", modern(p.robot(t, f.resource("a"), "mcp:destructive billing:admin"), "bill", "{}"), http.StatusOK, `"result"`)
}

// TestRS14Hierarchy: who may do more may do less.
func TestRS14Hierarchy(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	for scope, may := range map[string][]string{"mcp:read": {"list"}, "mcp:write": {"list", "make"}, "mcp:destructive": {"list", "make", "clear"}} {
		token := p.robot(t, f.resource("a"), scope)
		for _, tool := range []string{"list", "make", "clear"} {
			status := http.StatusForbidden
			if slices.Contains(may, tool) {
				status = http.StatusOK
			}
			f.want(scope+" "+tool, modern(token, tool, "{}"), status, "")
		}
	}
}

// TestRS15ScopesOfBefore: a server may have its challenges name what the token
// has as well, for clients that forget it.
func TestRS15ScopesOfBefore(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, strings.Replace(twoServers, `  a: {`, `  a: {scopes: {challenge: union}, `, 1))
	got := f.want("union", modern(p.robot(t, f.resource("a"), "mcp:read billing:admin"), "make", "{}"), http.StatusForbidden, "")
	if !slices.Equal(got.scopesOf(), []string{"billing:admin", "mcp:read", "mcp:write"}) {
		t.Errorf("scopes %q", got.scopesOf())
	}
}
