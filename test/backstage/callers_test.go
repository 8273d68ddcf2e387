package backstage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
)

// guarded is the gateway with the plugin pets, which lets in whom Backstage
// vouches for, to everything or to what rules say.
func guarded(t *testing.T, rules ...gateway.AccessRule) string {
	t.Helper()
	url, _ := backstage(t)
	plugin := gateway.DefaultPlugin()
	plugin.Document, plugin.BaseURL = []byte(petDocument), pets(t)
	cfg := testConfig(t)
	cfg.Plugins["pets"] = plugin
	cfg.Auth = []gateway.Verifier{{Backstage: gateway.BackstageVerifier{BaseURL: url, Plugins: []string{"mcp-actions", "scaffolder"}}}}
	cfg.Rules = rules
	return serveSource(t, cfg)
}

// petTools are the tools of pets that Backstage's MCP server shows to whoever
// has the token.
func petTools(t *testing.T, token string) (names []string) {
	t.Helper()
	answer := askAs(t, token, http.MethodPost, "/api/mcp-actions/v1", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`)
	var list struct {
		Result struct{ Tools []backstageTool }
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	for _, tool := range list.Result.Tools {
		if name, ok := strings.CutPrefix(tool.Name, "pets."); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestBackstageCalls: Backstage's MCP server and its scaffolder call a gateway
// that lets nobody in without a token, for a user and for a service.
func TestBackstageCalls(t *testing.T) {
	gate := guarded(t)
	_, static := backstage(t)
	resp, err := http.Get(gate + "/api/pets/.backstage/actions/v1/actions")
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: HTTP %d", resp.StatusCode)
	}
	all := []string{"create-pet", "get-pet", "get-picture", "list-pets", "release-pet"}
	for who, token := range map[string]string{"service": static, "user": guestToken(t)} {
		if diff := cmp.Diff(all, petTools(t, token)); diff != "" {
			t.Errorf("%s: tools (-want +got)\n%s", who, diff)
		}
		call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pets.get-pet","arguments":{"name":"Rex"}}}`
		if answer := askAs(t, token, http.MethodPost, "/api/mcp-actions/v1", call); !strings.Contains(string(answer), "Bruges") {
			t.Errorf("%s: %s", who, answer)
		}
	}
}

// TestBackstageUsers: the gateway knows the users for whom Backstage calls, and
// those who come themselves: rules tell them from others.
func TestBackstageUsers(t *testing.T) {
	catalogs(t, "http://127.0.0.1:9/") // waits for the entities, which groups are made of
	gate := guarded(t,
		gateway.AccessRule{Allow: &gateway.Grant{Group: "group:depot/night-shift"}},
		gateway.AccessRule{Deny: &gateway.Grant{Kind: "user", Actions: []gateway.Rule{{ID: "pets:create-pet"}}}},
	)
	_, static := backstage(t)
	guest := guestToken(t)
	want := []string{"get-pet", "get-picture", "list-pets", "release-pet"}
	if diff := cmp.Diff(want, petTools(t, guest)); diff != "" {
		t.Errorf("by way of Backstage: tools (-want +got)\n%s", diff)
	}
	if got := petTools(t, static); len(got) > 0 {
		t.Errorf("a service without groups sees %s", got)
	}
	var own []string
	for tool := range listTools(t, gate+"/mcp/pets", guest) {
		own = append(own, strings.TrimPrefix(tool, "pets_"))
	}
	slices.Sort(own)
	if diff := cmp.Diff(want, own); diff != "" {
		t.Errorf("at the gateway: tools (-want +got)\n%s", diff)
	}
	for name, token := range map[string]string{"none": "", "Backstage's own": static, "tampered": guest[:len(guest)-8] + "AAAAAAAA"} {
		if status := statusOf(t, gate+"/mcp/pets", token); status != http.StatusUnauthorized {
			t.Errorf("token %s: HTTP %d", name, status)
		}
	}
}

// sendMCP sends a request of MCP 2026-07-28 with a token.
func sendMCP(t *testing.T, url, token, method, name, params string) *http.Response {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
		"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`, method, params)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method,
	} {
		req.Header.Set(k, v)
	}
	if name != "" {
		req.Header.Set("Mcp-Name", name)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func statusOf(t *testing.T, url, token string) int {
	t.Helper()
	return sendMCP(t, url, token, "tools/list", "", "").StatusCode
}

// listTools are the tools of a server, by name.
func listTools(t *testing.T, url, token string) map[string]bool {
	t.Helper()
	text := lastMessage(t, sendMCP(t, url, token, "tools/list", "", ""))
	var list struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	names := map[string]bool{}
	for _, tool := range list.Result.Tools {
		names[tool.Name] = true
	}
	if len(names) == 0 {
		t.Fatalf("no tools: %s", text)
	}
	return names
}

// TestOnBehalf: who comes to the gateway with the token of a user of Backstage,
// or for one, calls its plugins as that user, in the gateway's name, and nobody
// else does.
func TestOnBehalf(t *testing.T) {
	url, static := backstage(t)
	cfg := testConfig(t)
	for name, behalf := range map[string]string{"auth": "", "depot": "required", "notes": "possible", "stock": "never"} {
		p := gateway.DefaultPlugin()
		p.Backstage = gateway.BackstageSource{BaseURL: url, Plugin: "depot"}
		if name == "auth" {
			p.Backstage.Plugin = "auth"
		}
		p.Auth.Backstage = &gateway.BackstageAuth{OnBehalf: behalf}
		cfg.Plugins[name] = p
		server := gateway.DefaultServer()
		server.ToolNames, server.Actions.Include = "{action}", []gateway.Rule{{ID: name + ":{who-am-i,see-caller}"}}
		cfg.Servers[name] = server
	}
	cfg.Auth = []gateway.Verifier{
		{Backstage: gateway.BackstageVerifier{
			BaseURL:  url,
			External: []gateway.BackstageAccess{{Static: gateway.BackstageStatic{Token: gateway.SecretValue(static), Subject: "stagedoor"}}},
		}},
		{Static: gateway.StaticVerifier{Token: gateway.SecretValue("somebody-else-altogether"), Subject: "user:default/guest", Scopes: []string{"mcp:destructive"}}},
	}
	gate := serveForBackstage(t, cfg)
	guest := guestToken(t)
	for name := range cfg.Servers { // Backstage reads the gateway's keys once it listens
		eventually(t, `"tools":[{`, func() string {
			return string(lastMessage(t, sendMCP(t, gate+"/mcp/"+name, guest, "tools/list", "", "")))
		})
	}
	const (
		asGuest   = `{"type":"user","userEntityRef":"user:default/guest","actor":{"type":"service","subject":"plugin:stagedoor"}}`
		asGateway = `{"type":"service","subject":"plugin:stagedoor"}`
		refused   = "users of Backstage only"
	)
	for _, c := range []struct{ who, token, server, want string }{
		{"user", guest, "depot", asGuest},
		{"user", guest, "notes", asGuest},
		{"user", guest, "stock", asGateway},
		{"service of Backstage", static, "depot", refused},
		{"service of Backstage", static, "notes", asGateway},
		{"service of Backstage", static, "stock", asGateway},
		{"somebody of that name", "somebody-else-altogether", "depot", refused},
		{"somebody of that name", "somebody-else-altogether", "notes", asGateway},
	} {
		text := string(lastMessage(t, sendMCP(t, gate+"/mcp/"+c.server, c.token, "tools/call", "see-caller", `"name":"see-caller","arguments":{},`)))
		if c.want == refused {
			if !strings.Contains(text, refused) || !strings.Contains(text, `"isError":true`) {
				t.Errorf("%s at %s: %s", c.who, c.server, text)
			}
			continue
		}
		if diff := cmp.Diff(decode(t, []byte(c.want)), decode(t, []byte(look(t, ".result.structuredContent", decode(t, []byte(text)))))); diff != "" {
			t.Errorf("%s at %s: the plugin sees (-want +got)\n%s\n%s", c.who, c.server, diff, text)
		}
	}
	who := string(lastMessage(t, sendMCP(t, gate+"/mcp/auth", guest, "tools/call", "who-am-i", `"name":"who-am-i","arguments":{},`)))
	if !strings.Contains(who, `"userEntityRef":"user:default/guest"`) {
		t.Errorf("who-am-i: %s", who)
	}
}

// TestDocumentedOnBehalf runs the config of docs/backstage.md that calls for
// users, as it stands there.
func TestDocumentedOnBehalf(t *testing.T) {
	url, _ := backstage(t)
	page, err := os.ReadFile("../../docs/backstage.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(publicURL:.*?)```").FindAllSubmatch(page, -1)
	path := filepath.Join(t.TempDir(), "config.yaml")
	if len(blocks) != 1 || os.WriteFile(path, []byte(strings.ReplaceAll(string(blocks[0][1]), "https://backstage.example.com", url)), 0o600) != nil {
		t.Fatalf("docs/backstage.md has %d configs with publicURL", len(blocks))
	}
	file, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	gate, guest := serveForBackstage(t, file.Config), guestToken(t)
	eventually(t, `"userEntityRef":"user:default/guest"`, func() string { // Backstage reads the gateway's keys once it listens
		return string(lastMessage(t, sendMCP(t, gate+"/mcp/desk", guest, "tools/call", "me_who-am-i", `"name":"me_who-am-i","arguments":{},`)))
	})
}
