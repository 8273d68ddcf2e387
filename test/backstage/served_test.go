package backstage_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/gateway"
)

// serving is a gateway with the actions of the running Backstage and one server
// over them, which shows what only reads, save for what is excluded.
func serving(t *testing.T, exclude ...gateway.Rule) *httptest.Server {
	t.Helper()
	url, token := backstage(t)
	cfg := testConfig(t)
	for _, name := range append([]string{"depot"}, shipped...) {
		p := gateway.DefaultPlugin()
		p.Backstage = gateway.BackstageSource{BaseURL: url, Plugin: name}
		p.Auth.Bearer = gateway.SecretValue(token)
		if name == "depot" {
			p.Backstage.Secrets = map[string]gateway.Secret{"depotKey": gateway.SecretValue(depotKey)}
		}
		cfg.Plugins[name] = p
	}
	readers := gateway.DefaultServer()
	readers.ToolNames = "{plugin}_{action}"
	readers.Actions.Include = []gateway.Rule{{ID: "*", Attributes: gateway.AttributeRule{ReadOnly: new(true)}}}
	readers.Actions.Exclude = exclude
	cfg.Servers = map[string]gateway.Server{"readers": readers}
	return serve(t, cfg)
}

// testConfig is a config with a database of its own, and nothing in it yet.
func testConfig(t *testing.T) gateway.Config {
	t.Helper()
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "gateway.db"))
	cfg.Plugins, cfg.Servers = map[string]gateway.Plugin{}, map[string]gateway.Server{}
	return cfg
}

// start runs a gateway until the test ends.
func start(t *testing.T, cfg gateway.Config) *gateway.Gateway {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	g, err := gateway.New(t.Context(), cfg, gateway.WithLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func serve(t *testing.T, cfg gateway.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(start(t, cfg).Handler())
	t.Cleanup(server.Close)
	return server
}

// TestServeImportedActions: Backstage's actions as an MCP client of a named
// server sees them.
func TestServeImportedActions(t *testing.T) {
	server := serving(t, gateway.Rule{ID: "depot:{burn,lose}"}, gateway.Rule{ID: "scaffolder:*"})
	var list struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if err := json.Unmarshal(post(t, server, "tools/list", "", `{}`), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Result.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	want := []string{
		"auth_who-am-i", "catalog_get-catalog-entity", "catalog_get-catalog-model-description", "catalog_query-catalog-entities", "catalog_validate-entity",
		"depot_count-parcels", "depot_keep", "depot_leave", "depot_list-parcels", "depot_see-caller", "depot_unlock", "depot_weigh",
		"kubernetes_get-kubernetes-clusters", "kubernetes_get-kubernetes-resources-for-entity", "notifications_get-notifications", "search_query",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	type result struct {
		Structured any
		Text       string
		IsError    bool
	}
	for _, tt := range []struct {
		tool, arguments string
		want            result
	}{
		{"depot_list-parcels", `{}`, result{Structured: []any{"a", "b"}, Text: `["a","b"]`}},
		{"depot_leave", `{}`, result{Text: `null`}},
		{"depot_unlock", `{"door":"back"}`, result{Structured: map[string]any{"door": "back", "key": "[redacted]"}, Text: `{"door":"back","key":"[redacted]"}`}},
		{"depot_unlock", `{"depotKey":"mine"}`, result{IsError: true, Text: "depotKey is not known here"}},
		{"catalog_validate-entity", `{"entity":"kind: Component\n"}`, result{Text: `"isValid":false`}},
		{"catalog_get-catalog-entity", `{"name":"nothing"}`, result{IsError: true, Text: `InputError: No entity found with name "nothing"`}},
		{"catalog_get-catalog-entity", `{}`, result{IsError: true, Text: "name is missing"}},
		{"auth_who-am-i", `{}`, result{IsError: true, Text: "NotAllowedError: "}},
	} {
		params, err := json.Marshal(map[string]any{"name": tt.tool, "arguments": json.RawMessage(tt.arguments)})
		if err != nil {
			t.Fatal(err)
		}
		answer := post(t, server, "tools/call", tt.tool, string(params))
		var got struct {
			Result struct {
				Content           []struct{ Text string }
				StructuredContent any
				IsError           bool
			}
		}
		if err := json.Unmarshal(answer, &got); err != nil || len(got.Result.Content) == 0 {
			t.Fatalf("%v: %s", err, answer)
		}
		r := got.Result
		if r.IsError != tt.want.IsError || !strings.Contains(r.Content[0].Text, tt.want.Text) || tt.want.Structured != nil && cmp.Diff(tt.want.Structured, r.StructuredContent) != "" {
			t.Errorf("%s %s: got %s", tt.tool, tt.arguments, answer)
		}
		if strings.Contains(string(answer), depotKey) {
			t.Errorf("%s tells the secret: %s", tt.tool, answer)
		}
	}
}

// post sends a request of MCP 2026-07-28 to the server readers.
func post(t *testing.T, server *httptest.Server, method, name, params string) []byte {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(params), &object); err != nil {
		t.Fatal(err)
	}
	object["_meta"] = map[string]any{
		"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": map[string]any{},
		"io.modelcontextprotocol/clientInfo": map[string]any{"name": "t", "version": "1"},
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": object})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/mcp/readers", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method,
	}
	if name != "" {
		headers["Mcp-Name"] = name
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
