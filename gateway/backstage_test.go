package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// TestBackstageSecrets: actions of a Backstage plugin are trusted with what they
// say of themselves, and get the secrets that the config has for them, on calls
// and nowhere else.
func TestBackstageSecrets(t *testing.T) {
	const key = "depot-key-123456"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/depot/.backstage/actions/v1/actions", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"actions":[{"id":"depot:unlock","title":"Unlock","description":"Unlocks.","attributes":{"readOnly":true,"destructive":false,"idempotent":true},"schema":{
			"input":{"type":"object","properties":{"door":{"type":"string"}},"additionalProperties":false},
			"secrets":{"type":"object","properties":{"depotKey":{"type":"string"}},"required":["depotKey"]}}}]}`)
	})
	mux.HandleFunc("POST /api/depot/.backstage/actions/v2/actions/{id}/invoke", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Input   map[string]string
			Secrets map[string]string
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Secrets["depotKey"] != key {
			t.Errorf("got %+v, %v", body, err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"output":{"door":%q,"key":%q}}`, body.Input["door"], body.Secrets["depotKey"])
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "gateway.db"))
	plugin := gateway.DefaultPlugin()
	plugin.Backstage = gateway.BackstageSource{BaseURL: server.URL, Plugin: "depot", Secrets: map[string]gateway.Secret{"depotKey": gateway.SecretValue(key)}}
	cfg.Plugins = map[string]gateway.Plugin{"depot": plugin}
	readers := gateway.DefaultServer()
	readers.Actions.Include = []gateway.Rule{{Attributes: gateway.AttributeRule{ReadOnly: new(true)}}}
	cfg.Servers = map[string]gateway.Server{"readers": readers}
	g, err := gateway.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}()
	if findings := g.Findings(); len(findings) > 0 {
		t.Error(findings)
	}
	if list, err := g.ToolsList("readers", ""); err != nil || !json.Valid(list) || !bytes.Contains(list, []byte(`"name":"depot_unlock"`)) || bytes.Contains(list, []byte("depotKey")) {
		t.Errorf("got %s, %v", list, err)
	}
	r, err := g.Call(t.Context(), "depot:unlock", json.RawMessage(`{"door":"back"}`))
	if err != nil || string(r.JSON) != `{"door":"back","key":"[redacted]"}` {
		t.Errorf("got %+v, %v", r, err)
	}
}
