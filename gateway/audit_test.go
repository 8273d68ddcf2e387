package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
)

// TestAudit: who called what by which way, what was decided by which rule and
// what came of it is in the database, once the gateway has closed at the latest.
func TestAudit(t *testing.T) {
	const ada, reader = "static-token-of-ada", "static-token-of-bob"
	cfg := petConfig(t, "")
	cfg.Audit.Database = "on"
	cfg.Auth = []gateway.Verifier{
		{Static: gateway.StaticVerifier{Token: gateway.SecretValue(ada), Subject: "ada", Scopes: []string{"mcp:destructive", "actions:destructive"}}},
		{Static: gateway.StaticVerifier{Token: gateway.SecretValue(reader), Subject: "bob", Scopes: []string{"mcp:read"}}},
	}
	cfg.Rules = []gateway.AccessRule{
		{Allow: &gateway.Grant{Everyone: true}},
		{Deny: &gateway.Grant{Subject: "ada", Servers: []string{"all"}, Actions: []gateway.Rule{{ID: "pets:delete-pet"}}}},
	}
	g := start(t, cfg)
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	post := func(path, token, body string, header ...string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json", "Accept": "application/json, text/event-stream"} {
			r.Header.Set(name, value)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	call := func(token, tool, arguments string) {
		t.Helper()
		post("/mcp/all", token, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":`+arguments+`,"_meta":{
			"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}}}}`,
			"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", tool)
	}
	call(ada, "pets_get-pet", `{"id":"1"}`)
	call(ada, "pets_delete-pet", `{}`)
	call(ada, "pets_none", `{}`)
	call(ada, "pets_get-pet", `{"nonsense":1}`)
	call(reader, "pets_delete-pet", `{}`)
	for range 20 {
		call("nobody's-token", "pets_get-pet", `{}`)
	}
	post("/.backstage/actions/v1/actions/pets:get-pet/invoke", ada, `{"id":"1"}`)
	cfg.Audit.Arguments = "none"
	if err := g.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	call(ada, "pets_get-pet", `{"id":"1"}`)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	records, err := gateway.ReadAudit(t.Context(), cfg, gateway.AuditQuery{Since: time.Now().Add(-time.Hour), Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	prints := map[string]bool{}
	for _, r := range records {
		got = append(got, fmt.Sprint(r.Face, " ", r.Server, " ", r.Subject, " ", r.Client, " ", r.Tool, " ", r.Action, " ", r.Decision, " ", r.Rule, " ", r.Outcome, " ", len(r.Arguments), " ", r.Count))
		prints[r.Arguments] = true
	}
	want := []string{
		"mcp all ada test/1 pets_get-pet pets:get-pet allowed rules[0] ok 16 1",
		"mcp all ada test/1 pets_delete-pet pets:delete-pet denied rules[1] unknown_tool 0 1",
		"mcp all ada test/1 pets_none  unknown  unknown_tool 0 1",
		"mcp all ada test/1 pets_get-pet pets:get-pet invalid rules[0] invalid_arguments 16 1",
		"mcp all bob test/1 pets_delete-pet pets:delete-pet insufficient_scope rules[0] insufficient_scope 16 1",
		"mcp all     unauthenticated  unauthenticated 0 20",
		"actions-api actions-api ada  pets:get-pet pets:get-pet allowed rules[0] ok 16 1",
		"mcp all ada test/1 pets_get-pet pets:get-pet allowed rules[0] ok 0 1",
	}
	if missing := without(want, got); len(got) != len(want) || len(missing) > 0 || len(prints) != 4 {
		t.Errorf("got\n%s\nmissing\n%s\n%v", strings.Join(got, "\n"), strings.Join(missing, "\n"), prints)
	}
}

// without are those of all that some has not.
func without(all, some []string) (left []string) {
	has := map[string]bool{}
	for _, s := range some {
		has[s] = true
	}
	for _, s := range all {
		if !has[s] {
			left = append(left, s)
		}
	}
	return left
}
