package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/gateway"
)

// TestCatalogEntities: the built-in catalog, which has Backstage's rules, takes
// what a gateway says of its servers, whatever their texts are.
func TestCatalogEntities(t *testing.T) {
	cfg := petConfig(t, "")
	cfg.PublicURL = "https://tools.example.com"
	catalog := gateway.DefaultPlugin()
	catalog.Embedded = "catalog"
	cfg.Plugins["catalog"] = catalog
	all, empty := cfg.Servers["all"], gateway.DefaultServer()
	all.Title, all.Description, all.WebsiteURL = "Pets: \"all\"\n# of them", "- {a: *b}\n---\n…", "https://example.com/pets"
	empty.Actions.Include = []gateway.Rule{{Plugin: "pets"}}
	empty.Actions.Exclude = []gateway.Rule{{ID: "pets:*"}}
	cfg.Servers["all"], cfg.Servers["empty"] = all, empty
	g := start(t, cfg)
	options := gateway.EntityOptions{Owner: "group:default/platform", System: "portal", Lifecycle: "experimental", Namespace: "tools"}
	for _, o := range []gateway.EntityOptions{{}, options} {
		entities, err := g.CatalogEntities(o)
		if err != nil {
			t.Fatal(err)
		}
		docs := yaml.NewDecoder(bytes.NewReader(entities))
		count := 0
		for ; ; count++ {
			var entity map[string]any
			if err := docs.Decode(&entity); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			text, err := yaml.Marshal(entity)
			if err != nil {
				t.Fatal(err)
			}
			arguments, err := json.Marshal(map[string]string{"entity": string(text)})
			if err != nil {
				t.Fatal(err)
			}
			result, err := g.Call(t.Context(), "catalog:validate-entity", arguments)
			if err != nil || !strings.Contains(string(result.JSON), `"isValid":true`) {
				t.Errorf("%v %s: %s", err, result.JSON, text)
			}
		}
		if count != 3 || !strings.Contains(string(entities), "url: https://tools.example.com/mcp/safe\n") {
			t.Errorf("%d entities:\n%s", count, entities)
		}
	}
}

func TestCatalogInfo(t *testing.T) {
	cfg := petConfig(t, "")
	g := start(t, cfg)
	want, err := g.CatalogEntities(gateway.EntityOptions{Owner: "group:default/platform"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(want), "url: http://127.0.0.1:8080/mcp/all\n") || !strings.Contains(string(want), "pets_get-pet: ") {
		t.Errorf("%s", want)
	}
	for target, code := range map[string]int{
		"http://127.0.0.1/catalog-info.yaml?owner=group:default/platform": 200,
		"http://127.0.0.1/catalog-info.yaml?owner=%0Aowner":               400,
		"http://127.0.0.1/catalog-info.yaml?onwer=a":                      400,
		"http://127.0.0.1/catalog-info.yaml?owner=a&owner=b":              400,
		"http://127.0.0.1/catalog-info.yaml?namespace=A":                  400,
		"http://evil.example/catalog-info.yaml":                           403,
	} {
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		if w.Code != code || code == 200 && w.Body.String() != string(want) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}
