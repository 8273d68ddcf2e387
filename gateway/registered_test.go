package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

const publisherToken = "a-publisher-token-of-24"

// publishing is a gateway to which the plugin shop may register itself.
func publishing(t *testing.T, database string) gateway.Config {
	t.Helper()
	cfg := petConfig(t, "")
	cfg.Database.URL = gateway.SecretValue(database)
	cfg.Publishers = map[string]gateway.Publisher{"team": {
		Token: gateway.SecretValue(publisherToken), Plugins: []string{"shop", "shop-*"}, BaseURLs: []string{"http://127.0.0.1/"},
	}}
	cfg.Servers["all"] = gateway.Server{Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "*"}}}}
	return cfg
}

// register has a plugin register a document that has these operations.
func register(g *gateway.Gateway, plugin string, operations ...string) *httptest.ResponseRecorder {
	document := "openapi: 3.1.0\npaths:\n"
	for _, o := range operations {
		document += fmt.Sprintf("  /%s: {get: {operationId: %s, x-action: true, responses: {}}}\n", o, o)
	}
	r := httptest.NewRequest(http.MethodPut, "http://127.0.0.1/registry/v1/plugins/"+plugin+"?baseURL=http%3A%2F%2F127.0.0.1%2Fshop", strings.NewReader(document))
	r.Header.Set("Authorization", "Bearer "+publisherToken)
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, r)
	return w
}

func ids(g *gateway.Gateway) (ids []string) {
	for _, a := range g.Actions() {
		ids = append(ids, a.ID)
	}
	return ids
}

// TestRegisteredAreRecalled: what plugins registered is there again after a
// restart, and for commands that ask no running gateway.
func TestRegisteredAreRecalled(t *testing.T) {
	cfg := publishing(t, "sqlite:"+filepath.Join(t.TempDir(), "gateway.db"))
	g := start(t, cfg)
	for plugin, operation := range map[string]string{"shop": "buy", "shop-two": "sell"} {
		if w := register(g, plugin, operation); w.Code != http.StatusCreated {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	want := ids(g)
	if !slices.Contains(want, "shop:buy") || !slices.Contains(want, "shop-two:sell") {
		t.Fatalf("got %v", want)
	}
	if w := register(g, "shop"); w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusTooManyRequests {
		t.Errorf("a document without actions: %d %s", w.Code, w.Body)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if got := ids(start(t, cfg)); !slices.Equal(got, want) {
		t.Errorf("after a restart: %v", got)
	}
	for _, recalls := range []bool{true, false} {
		options := []gateway.Option{gateway.Offline()}
		if recalls {
			options = append(options, gateway.WithRegistered())
		}
		if got := ids(start(t, cfg, options...)); slices.Equal(got, want) != recalls {
			t.Errorf("offline, recalled %v: %v", recalls, got)
		}
	}
}
