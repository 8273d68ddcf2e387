package bridge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// newGateway is a gateway that knows nothing of any other's sessions.
func newGateway(t *testing.T) http.Handler {
	t.Helper()
	g, err := gateway.New(t.Context(), gateway.Config{
		Database: gateway.Database{URL: gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "test.db"))},
		Plugins:  map[string]gateway.Plugin{"catalog": {Embedded: "catalog", Locations: []string{"embedded:example"}}},
		Servers:  map[string]gateway.Server{"catalog": {Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "catalog:*"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g.Handler()
}

// TestGatewayForgets: when a gateway is replaced by one with another database,
// clients of all revisions go on, and hear of what they subscribed to.
func TestGatewayForgets(t *testing.T) {
	gateways := []http.Handler{newGateway(t), newGateway(t)}
	var now atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { gateways[now.Load()].ServeHTTP(w, r) }))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	const params = `"name":"catalog_get-catalog-entity","arguments":{"name":"checkout-service"}`
	rigs := map[string]*rig{}
	for _, version := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"} {
		r := start(t, s.URL+"/mcp/catalog", nil)
		r.send(strings.Replace(initialize25, "2025-11-25", version, 1), initialized, `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"error"}}`)
		if line := r.next(); !strings.Contains(line, `"protocolVersion":"`+version+`"`) {
			t.Fatal(line)
		}
		r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
		rigs[fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{%s}}`, params)+" "+version] = r
	}
	rigs[modern(2, "tools/call", params)+" 2026-07-28"] = start(t, s.URL+"/mcp/catalog", nil)
	for range 2 {
		for call, r := range rigs {
			i := strings.LastIndex(call, " ")
			r.send(call[:i])
			if line := r.next(); !strings.Contains(line, `"id":2,"result":{`) || !strings.Contains(line, "checkout-service") {
				t.Errorf("%s: %.300s", call[i:], line)
			}
		}
		now.Store(1)
	}
	for _, r := range rigs {
		if rest := r.end(); len(rest) > 0 {
			t.Error(rest)
		}
	}
}
