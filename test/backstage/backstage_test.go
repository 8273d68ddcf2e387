// Package backstage_test proves against a real Backstage backend what the
// shipped documents promise. run.sh starts one and then these tests; without
// it they are skipped.
package backstage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/specs"
)

// The three ways to the same catalog actions.
const (
	ours     = "ours"     // specs/catalog.yaml, calling Backstage
	theirs   = "theirs"   // the document that Backstage serves, with our overlay
	embedded = "embedded" // the built-in catalog, with the same entities
)

var queries = []string{
	"query-catalog-entities", "get-catalog-related-entities", "get-catalog-entities-by-refs", "get-catalog-facets", "validate-entity",
}

// backstage gives the running backend's URL and its static token.
func backstage(t *testing.T) (url, token string) {
	t.Helper()
	url, token = os.Getenv("STAGEDOOR_BACKSTAGE_URL"), os.Getenv("STAGEDOOR_BACKSTAGE_TOKEN")
	if url == "" {
		t.Skip("STAGEDOOR_BACKSTAGE_URL is not set; test/backstage/run.sh sets it")
	}
	return strings.TrimSuffix(url, "/"), token
}

func newGateway(t *testing.T, plugins map[string]gateway.Plugin) *gateway.Gateway {
	t.Helper()
	cfg := testConfig(t)
	cfg.Plugins = plugins
	for name := range plugins {
		server := gateway.DefaultServer()
		server.ToolNames = "{action}"
		server.Actions.Include = []gateway.Rule{{Plugin: name}}
		cfg.Servers[name] = server
	}
	g := start(t, cfg)
	for _, f := range g.Findings() {
		if f.Code != "attribute-weaker" { // the operator's attributes say it
			t.Log(f)
		}
	}
	return g
}

// catalogs is a gateway with all three plugins, when Backstage has read its
// entities. fileServer is where entities may be registered from.
func catalogs(t *testing.T, fileServer string) *gateway.Gateway {
	t.Helper()
	url, token := backstage(t)
	overlay, err := specs.Overlay("backstage-catalog")
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	yes := true
	attributes := map[string]gateway.AttributeRule{}
	for _, name := range queries {
		attributes[name] = gateway.AttributeRule{ReadOnly: &yes} // they are POST, but only read
	}
	document := gateway.DefaultPlugin()
	document.Document, document.BaseURL = specs.Catalog(), url+"/api/catalog"
	document.Auth.Bearer, document.Attributes = gateway.SecretValue(token), attributes

	served := gateway.DefaultPlugin()
	served.Spec, served.BaseURL = url+"/api/catalog/openapi.json", url // its paths have the prefix
	served.Overlays = []string{overlayFile}
	served.Auth.Bearer, served.Attributes = gateway.SecretValue(token), attributes

	builtIn := gateway.DefaultPlugin()
	builtIn.Embedded = "catalog"
	builtIn.Locations = []string{"../../specs/example/catalog-info.yaml", "entities/corners.yaml"}
	builtIn.AllowedURLs = []string{fileServer}

	document.OutputSchemas, served.OutputSchemas, builtIn.OutputSchemas = "strict", "strict", "strict"
	g := newGateway(t, map[string]gateway.Plugin{ours: document, theirs: served, embedded: builtIn})
	waitForEntities(t, g)
	return g
}

// waitForEntities waits until a catalog has everything that the built-in one
// has, relations included: Backstage works on its entities in the background.
func waitForEntities(t *testing.T, g *gateway.Gateway) {
	t.Helper()
	const facets = `{"facets":["kind","relations.partOf","relations.dependsOn","relations.ownedBy","relations.memberOf","relations.childOf"],
		"query":{"$not":{"kind":"location"}}}`
	var last string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		want, err := g.Call(t.Context(), embedded+":get-catalog-facets", json.RawMessage(facets))
		if err != nil {
			t.Fatal(err)
		}
		got, err := g.Call(t.Context(), ours+":get-catalog-facets", json.RawMessage(facets))
		if err != nil {
			t.Fatal(err)
		}
		if last = cmp.Diff(decode(t, want.JSON), decode(t, got.JSON)); last == "" {
			return
		}
	}
	t.Fatalf("after half a minute Backstage (+) has not what the built-in catalog has (-):\n%s", last)
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// call gives the result, or {"fault": {"kind", "message"}} as a caller sees it.
func call(t *testing.T, g *gateway.Gateway, plugin, action, arguments string) any {
	t.Helper()
	r, err := g.Call(t.Context(), plugin+":"+action, json.RawMessage(arguments))
	var fault *gateway.CallError
	switch {
	case errors.As(err, &fault):
		return map[string]any{"fault": map[string]any{"kind": fault.Kind, "message": fault.Message}}
	case err != nil:
		t.Fatal(err)
	case r.JSON == nil:
		return r.Text
	}
	return decode(t, r.JSON)
}

type reading struct{ action, arguments string }

// readings are calls that change nothing. Where they give several entities the
// order is one field that tells them apart: Backstage orders by the first field
// only, and then by uid, which is random.
var readings = []reading{
	{"get-catalog-entity", `{"name":"checkout-service"}`},
	{"get-catalog-entity", `{"kind":"Component","namespace":"default","name":"Checkout-Service"}`},
	{"get-catalog-entity", `{"name":"lantern"}`}, // two kinds
	{"get-catalog-entity", `{"name":"lantern","kind":"API"}`},
	{"get-catalog-entity", `{"name":"lantern","kind":"component"}`},
	{"get-catalog-entity", `{"name":"Oil_Store.v2"}`},
	{"get-catalog-entity", `{"name":"night-shift"}`},
	{"get-catalog-entity", `{"name":"payments"}`}, // a group and a system
	{"get-catalog-entity", `{"name":"nothing"}`},
	{"get-catalog-entity", `{"name":"a&b=c,d e+f%2F"}`},
	{"get-catalog-entity", `{"name":"a&b e+f%2F#g"}`},
	{"query-catalog-entities", `{"query":{"kind":"component"},"fields":["kind","metadata.name"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"query":{"kind":"Component","spec.type":"service","relations.ownedby":"group:default/payments"},"orderFields":[{"field":"metadata.name","order":"desc"}]}`},
	{"query-catalog-entities", `{"query":{"kind":{"$in":["api","System"]}},"fields":["kind","metadata.name","spec.owner"],"orderFields":[{"field":"metadata.name","order":"desc"}]}`},
	{"query-catalog-entities", `{"query":{"kind":{"$in":["api","group"]},"metadata.name":{"$hasPrefix":"PAY"}},"fields":["kind","metadata.name"],"orderFields":[{"field":"metadata.name","order":"asc"}]}`},
	{"query-catalog-entities", `{"query":{"metadata.tags":{"$contains":"go"}},"fields":["metadata.name","metadata.tags"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"query":{"metadata.tags":"c++"},"fields":["metadata.name","metadata.tags"]}`},
	{"query-catalog-entities", `{"query":{"metadata.annotations.pagerduty.com/service-id":{"$exists":true}},"fields":["metadata.name"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"query":{"kind":"component","metadata.annotations.pagerduty.com/service-id":{"$exists":false}},"fields":["metadata.name"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"query":{"$all":[{"kind":"component"},{"$any":[{"spec.lifecycle":"deprecated"},{"spec.type":"website"}]},{"$not":{"metadata.name":"shop-web"}}]},"fields":["kind","metadata.name"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"query":{"spec.floors":2},"fields":["metadata.name","spec.floors"]}`},
	{"query-catalog-entities", `{"query":{"spec.lit":true},"fields":["metadata.name","spec.lit"]}`},
	{"query-catalog-entities", `{"query":{"spec.watts":12.5},"fields":["metadata.name","spec.watts"]}`},
	{"query-catalog-entities", `{"query":{"metadata.title":"Lantern, \"the\" lämp 灯"},"fields":["metadata.title"]}`},
	{"query-catalog-entities", `{"query":{"metadata.name":{"$exists":true},"metadata.namespace":"depot","kind":{"$in":["resource","group","api"]}},"fields":["kind","metadata.name"],"orderFields":[{"field":"metadata.name","order":"asc"}]}`},
	{"query-catalog-entities", `{"query":{"kind":"component"},"fullTextFilter":{"term":"AUDITED","fields":["metadata.tags","metadata.description"]},"fields":["metadata.name"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"fullTextFilter":{"term":"checkout","fields":["metadata.name"]},"fields":["kind","metadata.name"],"orderFields":[{"field":"kind","order":"asc"}]}`},
	{"query-catalog-entities", `{"query":{"kind":"component"},"limit":"3","offset":"2","fields":["metadata.name"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"query":{"kind":"user"},"fields":["metadata.name","spec.profile","relations"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"query":{"relations.dependsOn":"resource:depot/missing"},"fields":["metadata.name"]}`},
	{"query-catalog-entities", `{"query":{"relations.dependson":{"$contains":"resource:depot/missing"}},"fields":["metadata.name"]}`},
	{"query-catalog-entities", `{"query":{"relations":{"$contains":{"type":"ownedBy","targetRef":"group:default/payments"}}},"fields":["kind","metadata.name"],"orderFields":{"field":"metadata.name","order":"asc"}}`},
	{"query-catalog-entities", `{"query":{"kind":"nothing"}}`},
	{"query-catalog-entities", `{"cursor":"nonsense"}`},
	{"get-catalog-related-entities", `{"entityRef":"component:default/checkout-service","relation":"ownedBy"}`},
	{"get-catalog-related-entities", `{"entityRef":"component:checkout-service","relation":"dependsOn"}`},
	{"get-catalog-related-entities", `{"entityRef":"component:checkout-service","relation":"providesApi"}`},
	{"get-catalog-related-entities", `{"entityRef":"component:checkout-service","relation":"consumesApi"}`},
	{"get-catalog-related-entities", `{"entityRef":"resource:postgres-cluster","relation":"dependencyOf"}`},
	{"get-catalog-related-entities", `{"entityRef":"group:payments","relation":"ownerOf"}`},
	{"get-catalog-related-entities", `{"entityRef":"Group:default/Payments","relation":"hasMember"}`},
	{"get-catalog-related-entities", `{"entityRef":"group:depot/night-shift","relation":"ownerOf"}`},
	{"get-catalog-related-entities", `{"entityRef":"user:guest","relation":"memberOf"}`},
	{"get-catalog-related-entities", `{"entityRef":"component:nothing","relation":"ownedBy"}`},
	{"get-catalog-entities-by-refs", `{"entityRefs":["group:default/payments","api:default/nothing","component:depot/lantern","Component:Depot/Lantern"],"fields":["kind","metadata.name"]}`},
	{"get-catalog-entities-by-refs", `{"entityRefs":["component:depot/lantern"]}`},
	{"get-catalog-entities-by-refs", `{"entityRefs":["lantern"],"fields":["kind"]}`},
	{"get-catalog-facets", `{"facets":["kind"],"query":{"$not":{"kind":"location"}}}`},
	{"get-catalog-facets", `{"facets":["spec.type","metadata.tags","relations.ownedBy","spec.lifecycle"],"query":{"kind":"component"}}`},
	{"get-catalog-facets", `{"facets":["nothing","metadata.namespace"],"query":{"kind":{"$in":["component","api"]}}}`},
	{"get-catalog-entity-ancestry", `{"kind":"component","name":"checkout-service"}`},
	{"get-catalog-entity-ancestry", `{"kind":"Component","namespace":"depot","name":"Lantern"}`},
	{"get-catalog-entity-ancestry", `{"kind":"component","name":"nothing"}`},
	{"get-catalog-entity-ancestry", `{"kind":"component","namespace":"..","name":"a/b"}`},
	{"list-catalog-locations", `{}`},
	{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: fine}\nspec: {type: service, lifecycle: production, owner: payments}\n"}`},
	{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: fine}\nspec: {type: service, lifecycle: production, owner: payments}\n","location":"https://git.example.com/x/catalog-info.yaml"}`},
	{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: fine}\nspec: {type: service, lifecycle: production, owner: payments}\n","location":"url:https://git.example.com/x/catalog-info.yaml"}`},
	{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: fine}\nspec: {type: service, lifecycle: production}\n"}`},
	{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: \"not fine!\"}\nspec: {type: service, lifecycle: production, owner: payments}\n"}`},
	{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: Widget\nmetadata: {name: fine}\n"}`},
	{"validate-entity", `{"entity":"kind: Component\n"}`},
	{"validate-entity", `{"entity":"just text"}`},
	{"validate-entity", `{"entity":"[1, 2]"}`},
	{"validate-entity", `{"entity":"a: [b\n"}`},
}

// TestBothDocumentsOnBackstage: our document and Backstage's own with our
// overlay show the same tools and give the same results.
func TestBothDocumentsOnBackstage(t *testing.T) {
	g := catalogs(t, "http://127.0.0.1:9/")
	toolsOurs, err := g.ToolsList(ours, "")
	if err != nil {
		t.Fatal(err)
	}
	toolsTheirs, err := g.ToolsList(theirs, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byName(t, toolsOurs), byName(t, toolsTheirs)); diff != "" {
		t.Errorf("tools of catalog.yaml (-), of Backstage's document (+):\n%s", diff)
	}
	for _, r := range readings {
		t.Run(r.action+" "+r.arguments, func(t *testing.T) {
			got := call(t, g, ours, r.action, r.arguments)
			if kind := faultKind(got); kind == "internal" || kind == "unavailable" {
				t.Errorf("%v", got)
			}
			if diff := cmp.Diff(got, call(t, g, theirs, r.action, r.arguments)); diff != "" {
				t.Errorf("with catalog.yaml (-), with Backstage's document (+):\n%s", diff)
			}
		})
	}
}

func faultKind(result any) string {
	fault, _ := result.(map[string]any)
	inner, _ := fault["fault"].(map[string]any)
	kind, _ := inner["kind"].(string)
	return kind
}

func byName(t *testing.T, list json.RawMessage) map[string]any {
	t.Helper()
	var answer struct{ Tools []map[string]any }
	if err := json.Unmarshal(list, &answer); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, tool := range answer.Tools {
		name, _ := tool["name"].(string)
		out[name] = tool
	}
	return out
}

// TestQueryOverMCP is the whole way: an MCP client's call, as bytes, to
// Backstage and back.
func TestQueryOverMCP(t *testing.T) {
	server := httptest.NewServer(catalogs(t, "http://127.0.0.1:9/").Handler())
	defer server.Close()
	const tool = "query-catalog-entities"
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `",
		"arguments":{"query":{"kind":"component","relations.ownedBy":"group:depot/night-shift"},"fields":["metadata.name"]},
		"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/mcp/"+ours, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
	} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Result struct {
			IsError           bool
			StructuredContent any
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"hasMoreEntities": false, "totalItems": 1.0, "items": []any{map[string]any{"metadata": map[string]any{"name": "lantern"}}}}
	if diff := cmp.Diff(want, answer.Result.StructuredContent); diff != "" || answer.Result.IsError {
		t.Errorf("HTTP %d, want (-), got (+):\n%s", resp.StatusCode, diff)
	}
}

// TestBuiltInCatalogAnswersAsBackstage: an agent that knows the one finds its
// way in the other.
func TestBuiltInCatalogAnswersAsBackstage(t *testing.T) {
	g := catalogs(t, "http://127.0.0.1:9/")
	for _, r := range readings {
		t.Run(r.action+" "+r.arguments, func(t *testing.T) {
			want := normal(call(t, g, ours, r.action, r.arguments))
			got := normal(call(t, g, embedded, r.action, r.arguments))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Backstage (-), built-in catalog (+):\n%s", diff)
			}
		})
	}
}

// normal takes out what differs from one catalog to the next by nature:
// generated ids and names, where the files are, the text of a cursor, the order
// of references within a spec (Backstage sorts them) and of entities with the
// same name, and the words of faults.
func normal(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
		if !slices.ContainsFunc(v, func(item any) bool { _, ok := item.(string); return !ok }) {
			sortByText(v)
		}
	case map[string]any:
		for k, member := range v {
			switch k {
			case "uid", "etag", "nextPageCursor", "location", "backstage.io/managed-by-location", "backstage.io/managed-by-origin-location":
				v[k] = "…"
			case "message":
				v[k], _, _ = strings.Cut(fmt.Sprint(member), ":") // "HTTP 404 Not Found: …"
			case "errors":
				if list, _ := member.([]any); len(list) > 0 {
					v[k] = "…"
				}
			default:
				v[k] = normal(member)
			}
		}
		if entities, ok := v["entities"].([]any); ok {
			sortByText(entities)
		}
	case string:
		if strings.HasPrefix(v, "location:default/generated-") {
			return "location:default/generated-…"
		}
	}
	return v
}

func sortByText(list []any) {
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

// TestPages walks a query's pages by cursor.
func TestPages(t *testing.T) {
	g := catalogs(t, "http://127.0.0.1:9/")
	walk := func(plugin string) (names []string) {
		arguments := `{"query":{"$not":{"kind":"location"}},"fields":["metadata.name"],"limit":7,"orderFields":[{"field":"metadata.name","order":"asc"}]}`
		for range 20 {
			r, err := g.Call(t.Context(), plugin+":query-catalog-entities", json.RawMessage(arguments))
			if err != nil {
				t.Fatal(err)
			}
			var page struct {
				Items          []struct{ Metadata struct{ Name string } }
				TotalItems     int
				NextPageCursor string
			}
			if err := json.Unmarshal(r.JSON, &page); err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				names = append(names, item.Metadata.Name)
			}
			if page.NextPageCursor == "" {
				if len(names) != page.TotalItems {
					t.Errorf("%s: %d names, totalItems %d", plugin, len(names), page.TotalItems)
				}
				return names
			}
			arguments = fmt.Sprintf(`{"cursor":%q,"limit":7,"fields":["metadata.name"]}`, page.NextPageCursor)
		}
		t.Fatalf("%s: no last page", plugin)
		return nil
	}
	want := walk(ours)
	for _, plugin := range []string{theirs, embedded} {
		if diff := cmp.Diff(want, walk(plugin)); diff != "" {
			t.Errorf("ours (-), %s (+):\n%s", plugin, diff)
		}
	}
}

// TestRegisterRefreshUnregister takes an entity through its life on each of
// the three.
func TestRegisterRefreshUnregister(t *testing.T) {
	var description atomic.Value
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plugin := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), ".yaml")
		if !slices.Contains([]string{ours, theirs, embedded}, plugin) {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "apiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: from-%s, description: %s}\nspec: {type: queue, owner: payments}\n",
			plugin, description.Load())
	}))
	defer files.Close()
	g := catalogs(t, files.URL+"/")
	for _, plugin := range []string{ours, theirs, embedded} {
		t.Run(plugin, func(t *testing.T) {
			description.Store("first")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			do := func(action, arguments string) (map[string]any, error) {
				r, err := g.Call(ctx, plugin+":"+action, json.RawMessage(arguments))
				if err != nil {
					return nil, err
				}
				result, ok := decode(t, r.JSON).(map[string]any)
				if !ok {
					t.Fatalf("%s: %s", action, r.JSON)
				}
				return result, nil
			}
			target := files.URL + "/" + plugin + ".yaml"
			result, err := do("register-entity", `{"locationUrl":"`+target+`"}`)
			if err != nil {
				t.Fatal(err)
			}
			id, _ := result["locationId"].(string)
			if id == "" {
				t.Fatalf("register-entity: %v", result)
			}
			if _, err := do("register-entity", `{"locationUrl":"`+target+`"}`); err == nil || !strings.Contains(err.Error(), "409") {
				t.Errorf("registered twice: %v", err)
			}
			result, err = do("list-catalog-locations", `{}`)
			if err != nil {
				t.Fatal(err)
			}
			listed := fmt.Sprint(result)
			if !strings.Contains(listed, "id:"+id) || !strings.Contains(listed, "target:"+target) {
				t.Errorf("list-catalog-locations: %v", result)
			}

			described := func() string {
				entity, err := do("get-catalog-entity", `{"name":"from-`+plugin+`"}`)
				if err != nil {
					return err.Error()
				}
				metadata, _ := entity["metadata"].(map[string]any)
				text, _ := metadata["description"].(string)
				return text
			}
			eventually(t, "first", described)
			description.Store("second")
			result, err = do("refresh-catalog-entity", `{"kind":"Resource","name":"from-`+plugin+`"}`)
			if err != nil || result["entityRef"] != "resource:default/from-"+plugin {
				t.Errorf("refresh-catalog-entity: %v, %v", result, err)
			}
			eventually(t, "second", described)

			result, err = do("unregister-entity", `{"type":{"locationId":"`+id+`"}}`)
			if err != nil || len(result) != 0 {
				t.Errorf("unregister-entity: %v, %v", result, err)
			}
			eventually(t, `No entity is named "from-`+plugin+`"`, described)
			for action, arguments := range map[string]string{
				"unregister-entity":      `{"type":{"locationId":"` + id + `"}}`,
				"refresh-catalog-entity": `{"kind":"Resource","name":"from-` + plugin + `"}`,
			} {
				if result, err = do(action, arguments); err == nil || !strings.Contains(err.Error(), "404") {
					t.Errorf("%s of what is gone: %v, %v", action, result, err)
				}
			}
		})
	}
}

func eventually(t *testing.T, want string, get func() string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if got = get(); strings.Contains(got, want) {
			return
		}
	}
	t.Fatalf("got %q, want %q", got, want)
}
