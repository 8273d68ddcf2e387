package backstage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// imported are the actions of a plugin of the running Backstage.
type imported struct {
	*openapi.Document
	client *invoke.Client
}

const depotKey = "depot-key-123456"

// importPlugin goes the way of a plugin with "backstage" in its config.
func importPlugin(t *testing.T, plugin, token string) imported {
	t.Helper()
	url, _ := backstage(t)
	credentials := func(context.Context) (http.Header, error) {
		return http.Header{"Authorization": {"Bearer " + token}}, nil
	}
	secrets := []string{"depotKey"}
	p, err := source.FromBackstage(source.BackstageOptions{BaseURL: url, Plugin: plugin, Header: credentials, Secrets: secrets}).Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	doc := openapi.Read(p.Documents[0], openapi.Options{TrustAttributes: true, Secrets: secrets})
	for _, f := range slices.Concat(p.Findings, doc.Findings) {
		if f.Severity != openapi.SeverityInfo {
			t.Errorf("%s: %v", plugin, f)
		}
	}
	client, err := invoke.New(invoke.Options{
		BaseURL: p.BaseURL, Credentials: credential.Bearer(func() (string, error) { return token, nil }), Secrets: func() (map[string]string, error) { return map[string]string{"depotKey": depotKey}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return imported{doc, client}
}

func (i imported) call(t *testing.T, action, arguments string) (any, error) {
	t.Helper()
	n := slices.IndexFunc(i.Actions, func(a openapi.Action) bool { return a.Name == action })
	if n < 0 {
		t.Fatalf("no action %s", action)
	}
	object, _ := decode(t, []byte(arguments)).(map[string]any)
	r, err := i.client.Invoke(t.Context(), &i.Actions[n], object)
	if err != nil {
		return nil, err
	}
	return decode(t, r.JSON), nil
}

// shipped are the plugins of Backstage that have actions: 17 in all.
var shipped = []string{"auth", "catalog", "kubernetes", "notifications", "scaffolder", "search"}

// TestImportShippedActions: all actions that Backstage's plugins have are
// actions of ours, with the attributes that Backstage gives them.
func TestImportShippedActions(t *testing.T) {
	_, token := backstage(t)
	got := map[string]string{}
	for _, plugin := range shipped {
		for _, a := range importPlugin(t, plugin, token).Actions {
			words := fmt.Sprintf("readOnly %t destructive %t idempotent %t", a.Attributes.ReadOnly, a.Attributes.Destructive, a.Attributes.Idempotent)
			got[plugin+":"+a.Name] = words
			if a.OutputSchema == nil || a.Description == "" {
				t.Errorf("%s:%s has no output schema or description", plugin, a.Name)
			}
		}
	}
	const reads, writes = "readOnly true destructive false idempotent true", "readOnly false destructive false idempotent false"
	want := map[string]string{
		"auth:who-am-i":                                  reads,
		"catalog:get-catalog-entity":                     reads,
		"catalog:get-catalog-model-description":          reads,
		"catalog:query-catalog-entities":                 reads,
		"catalog:refresh-catalog-entity":                 "readOnly false destructive false idempotent true",
		"catalog:register-entity":                        writes,
		"catalog:unregister-entity":                      "readOnly false destructive true idempotent true",
		"catalog:validate-entity":                        reads,
		"kubernetes:get-kubernetes-clusters":             reads,
		"kubernetes:get-kubernetes-resources-for-entity": reads,
		"notifications:get-notifications":                reads,
		"scaffolder:dry-run-template":                    reads,
		"scaffolder:execute-template":                    "readOnly false destructive true idempotent false",
		"scaffolder:get-scaffolder-task-logs":            reads,
		"scaffolder:list-scaffolder-actions":             reads,
		"scaffolder:list-scaffolder-tasks":               reads,
		"search:query":                                   "readOnly true destructive false idempotent false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// TestCallShippedActions calls those of each plugin that need no template.
func TestCallShippedActions(t *testing.T) {
	catalogs(t, "http://127.0.0.1:9/") // waits for the entities
	_, token := backstage(t)
	user := guestToken(t)
	for _, tt := range []struct{ plugin, token, action, arguments, want string }{
		{"catalog", token, "get-catalog-entity", `{"name":"checkout-service"}`, "name:checkout-service"},
		{"catalog", token, "get-catalog-entity", `{"name":"nothing"}`, `HTTP 400 Bad Request: InputError: No entity found with name "nothing"`},
		{"catalog", token, "get-catalog-entity", `{"name":"lantern"}`, "HTTP 409 Conflict: ConflictError: "},
		{"catalog", token, "query-catalog-entities", `{"query":{"$all":[{"kind":"component"},{"$not":{"metadata.name":{"$in":["lantern"]}}}]},"fields":["metadata.name"],"limit":2}`, "hasMoreEntities:true"},
		{"catalog", token, "query-catalog-entities", `{"query":{"$all":[{"kind":"component"},{"$any":[{"metadata.name":"lantern"},{"metadata.name":{"$exists":false}}]}]}}`, "totalItems:1"},
		{"catalog", token, "validate-entity", `{"entity":"kind: Component\n"}`, "isValid:false"},
		{"catalog", token, "get-catalog-model-description", `{}`, "Component"},
		{"catalog", token, "refresh-catalog-entity", `{"name":"checkout-service","kind":"Component"}`, "entityRef:component:default/checkout-service"},
		{"scaffolder", token, "list-scaffolder-actions", `{}`, "catalog:fetch"},
		{"scaffolder", token, "list-scaffolder-tasks", `{"status":["open","failed"],"limit":5}`, "totalTasks:"},
		{"scaffolder", token, "get-scaffolder-task-logs", `{"taskId":"none"}`, "NotFoundError: "},
		{"scaffolder", token, "execute-template", `{"templateRef":"template:default/none","values":{}}`, "the plugin failed (HTTP 500)"},
		{"search", token, "query", `{"term":"x","filters":{"kind":["Component",null]}}`, "results:"},
		{"auth", user, "who-am-i", `{}`, "userEntityRef:user:default/guest"},
		{"auth", token, "who-am-i", `{}`, "HTTP 403 Forbidden: NotAllowedError: "},
		{"notifications", user, "get-notifications", `{"view":"all","limit":3}`, "totalCount:"},
	} {
		t.Run(tt.plugin+" "+tt.action+" "+tt.arguments, func(t *testing.T) {
			got, err := importPlugin(t, tt.plugin, tt.token).call(t, tt.action, tt.arguments)
			text := fmt.Sprint(got)
			var fault *invoke.Error
			if errors.As(err, &fault) {
				text = fault.Message
			}
			if !strings.Contains(text, tt.want) || strings.Contains(text, "node_modules") {
				t.Errorf("got %.600s\nwant %s", text, tt.want)
			}
		})
	}
}

// TestImportRegisterUnregister changes the catalog by Backstage's own actions.
func TestImportRegisterUnregister(t *testing.T) {
	_, token := backstage(t)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "apiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: imported}\nspec: {type: queue, owner: payments}\n")
	}))
	defer files.Close()
	plugin := importPlugin(t, "catalog", token)
	location := files.URL + "/imported.yaml"
	result, err := plugin.call(t, "register-entity", `{"locationUrl":"`+location+`"}`)
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := result.(map[string]any)["locationId"].(string); id == "" {
		t.Errorf("got %v", result)
	}
	eventually(t, "queue", func() string {
		entity, err := plugin.call(t, "get-catalog-entity", `{"name":"imported"}`)
		return fmt.Sprint(entity, err)
	})
	if result, err = plugin.call(t, "unregister-entity", `{"type":{"locationUrl":"`+location+`"}}`); err != nil || fmt.Sprint(result) != "map[]" {
		t.Errorf("got %v, %v", result, err)
	}
}

// TestImportOddActions: results that are no objects, secrets, and errors, of a
// plugin of the test's own (depot.js).
func TestImportOddActions(t *testing.T) {
	_, token := backstage(t)
	plugin := importPlugin(t, "depot", token)
	for _, tt := range []struct{ action, arguments, want string }{
		{"list-parcels", `{}`, `["a","b"]`},
		{"count-parcels", `{}`, `12`},
		{"leave", `{}`, `null`},
		{"weigh", `{"weight":1.5,"inside":[{"a":null},[]]}`, `{"inside":[{"a":null},[]],"weight":1.5}`},
		{"weigh", `{"weight":"much"}`, `HTTP 400 Bad Request: InputError: Invalid input to action "depot:weigh": invalid_type: Expected number, received string (path ["weight"])`},
		{"keep", `{"input":{"a":"b","c":{"d":1}}}`, `{"a":"b","c":{"d":1}}`},
		{"lose", `{}`, "HTTP 404 Not Found: NotFoundError: No parcel is called x"},
		{"burn", `{}`, "the plugin failed (HTTP 500)"},
		{"unlock", `{}`, `{"door":"front","key":"[redacted]"}`},
		{"unlock", `{"door":"back"}`, `{"door":"back","key":"[redacted]"}`},
	} {
		got, err := plugin.call(t, tt.action, tt.arguments)
		text, _ := json.Marshal(got)
		var fault *invoke.Error
		if errors.As(err, &fault) {
			text = []byte(fault.Message)
		}
		if string(text) != tt.want {
			t.Errorf("%s %s\ngot  %s\nwant %s", tt.action, tt.arguments, text, tt.want)
		}
	}
}
