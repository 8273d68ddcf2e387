// Package clients_test drives the example's gateway with MCP clients that we
// did not write.
package clients_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
)

const catalogInfo = `
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: new-service, description: Registered by a test}
spec: {type: service, lifecycle: experimental, owner: group:default/payments}
`

// example is config.example.yaml served on a real socket, with one change: the
// catalog may read entities from allowed.
func example(t *testing.T, allowed string) string {
	t.Helper()
	file, err := config.Load(filepath.Join("..", "..", "config.example.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := file.Config
	cfg.Database.URL = gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "test.db"))
	catalog := cfg.Plugins["catalog"]
	catalog.AllowedURLs = []string{allowed}
	cfg.Plugins["catalog"] = catalog
	g, err := gateway.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL
}

type session struct {
	*client.Client
	t *testing.T
}

func connect(t *testing.T, url string) session {
	t.Helper()
	c, err := client.NewStreamableHttpClient(url)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	hello := mcp.InitializeRequest{}
	hello.Params.ProtocolVersion = "2025-11-25"
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	result, err := c.Initialize(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	if result.Instructions == "" {
		t.Error("the server gives no instructions")
	}
	return session{c, t}
}

func (s session) tools() []string {
	s.t.Helper()
	list, err := s.ListTools(s.t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names
}

// call gives a tool's structured result.
func (s session) call(name string, arguments map[string]any) (map[string]any, error) {
	s.t.Helper()
	req := mcp.CallToolRequest{}
	req.Params.Name, req.Params.Arguments = name, arguments
	result, err := s.CallTool(context.WithoutCancel(s.t.Context()), req)
	if err != nil {
		return nil, err
	}
	text := result.Content[0].(mcp.TextContent).Text
	if result.IsError {
		return nil, fmt.Errorf("tool: %s", text)
	}
	var structured, same map[string]any
	raw, err := json.Marshal(result.StructuredContent)
	if err != nil {
		s.t.Fatal(err)
	}
	if json.Unmarshal(raw, &structured) != nil || json.Unmarshal([]byte(text), &same) != nil || fmt.Sprint(structured) != fmt.Sprint(same) {
		s.t.Errorf("%s: structured content and text differ: %s, %s", name, raw, text)
	}
	return structured, nil
}

func (s session) must(name string, arguments map[string]any) map[string]any {
	s.t.Helper()
	result, err := s.call(name, arguments)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return result
}

func TestExampleWithMCPGo(t *testing.T) {
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, catalogInfo) }))
	defer files.Close()
	url := example(t, files.URL+"/")
	catalog, admin := connect(t, url+"/mcp/catalog"), connect(t, url+"/mcp/catalog-admin")

	const unregister = "catalog_unregister-entity"
	if tools := catalog.tools(); slices.Contains(tools, unregister) || len(tools) < 8 {
		t.Errorf("catalog shows %v", tools)
	}
	if tools := admin.tools(); !slices.Contains(tools, unregister) {
		t.Errorf("catalog-admin shows %v", tools)
	}

	entity := catalog.must("catalog_get-catalog-entity", map[string]any{"kind": "component", "name": "checkout-service"})
	relations := fmt.Sprint(entity["relations"])
	for _, relation := range []string{"ownedBy", "dependsOn"} {
		if !strings.Contains(relations, relation) {
			t.Errorf("checkout-service has no relation %s: %s", relation, relations)
		}
	}
	needed := catalog.must("catalog_get-catalog-related-entities", map[string]any{"entityRef": "component:default/checkout-service", "relation": "dependsOn"})
	if list, _ := needed["entities"].([]any); len(list) == 0 {
		t.Errorf("checkout-service depends on nothing: %v", needed)
	}

	if _, err := catalog.call(unregister, map[string]any{"type": map[string]any{"locationId": "x"}}); err == nil {
		t.Error("catalog unregisters")
	}
	location := admin.must("catalog_register-entity", map[string]any{"locationUrl": files.URL + "/catalog-info.yaml"})
	find := map[string]any{"kind": "component", "name": "new-service"}
	if owner := fmt.Sprint(catalog.must("catalog_get-catalog-entity", find)["spec"]); !strings.Contains(owner, "payments") {
		t.Errorf("new-service: %s", owner)
	}
	admin.must(unregister, map[string]any{"type": map[string]any{"locationId": location["locationId"]}})
	if _, err := catalog.call("catalog_get-catalog-entity", find); err == nil {
		t.Error("new-service is still there")
	}
	if _, err := admin.call("catalog_register-entity", map[string]any{"locationUrl": "http://127.0.0.1:1/x.yaml"}); err == nil || !strings.Contains(err.Error(), "tool:") {
		t.Errorf("a private address was read: %v", err)
	}
}
