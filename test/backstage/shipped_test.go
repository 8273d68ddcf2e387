package backstage_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/gateway"
)

// allShipped serves the actions of Backstage's own plugins: all of them as the
// gateway's service, on the server "service", and what only a user can do as the
// guest, on the server "guest".
func allShipped(t *testing.T) *httptest.Server {
	t.Helper()
	url, token := backstage(t)
	cfg := testConfig(t)
	add := func(name, plugin, token string) {
		p := gateway.DefaultPlugin()
		p.Backstage = gateway.BackstageSource{BaseURL: url, Plugin: plugin}
		p.Auth.Bearer = gateway.SecretValue(token)
		cfg.Plugins[name] = p
	}
	service, guest := gateway.DefaultServer(), gateway.DefaultServer()
	for _, name := range append([]string{"depot"}, shipped...) {
		add(name, name, token)
		if name != "depot" {
			service.Actions.Include = append(service.Actions.Include, gateway.Rule{ID: name + ":*"})
		}
	}
	user := guestToken(t)
	add("me", "auth", user)
	add("inbox", "notifications", user)
	add("portal", "scaffolder", user)
	guest.Actions.Include = []gateway.Rule{{ID: "me:*"}, {ID: "inbox:*"}, {ID: "portal:{execute-template,list-scaffolder-tasks}"}}
	cfg.Servers = map[string]gateway.Server{"service": service, "guest": guest}
	return serve(t, cfg)
}

// TestEveryShippedAction: the 17 actions that Backstage's plugins have, called by
// MCP's official client on a named server whose allowlist has them and no others.
func TestEveryShippedAction(t *testing.T) {
	catalogs(t, "http://127.0.0.1:9/") // waits for the entities
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "apiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: buoy}\nspec: {type: part, owner: payments}\n")
	}))
	defer files.Close()
	gate := allShipped(t)
	c := newOfficialClient(t, gate.URL+"/mcp/service")
	if len(c.outputs) != 17 {
		t.Errorf("tools %v, want 17", slices.Sorted(maps.Keys(c.outputs)))
	}
	for _, check := range []struct{ tool, arguments, look, want string }{
		{"auth_who-am-i", `{}`, `.fault | contains("NotAllowedError: ")`, `true`},
		{"catalog_get-catalog-entity", `{"name":"checkout-service"}`, `.spec.owner`, `"payments"`},
		{"catalog_get-catalog-entity", `{"name":"nothing"}`, `.fault`, `"HTTP 400 Bad Request: InputError: No entity found with name \"nothing\""`},
		{"catalog_get-catalog-entity", `{"name":"lantern"}`, `.fault | contains("ConflictError: ")`, `true`},
		{"catalog_get-catalog-model-description", `{}`, `.description | contains("Component")`, `true`},
		{"catalog_query-catalog-entities", `{"query":{"kind":"domain"},"fields":["metadata.name"],"limit":1}`, `[.totalItems, .hasMoreEntities]`, `[3,true]`},
		{"catalog_validate-entity", `{"entity":"kind: Component\n"}`, `[.isValid, .isValidYaml]`, `[false,true]`},
		{"catalog_refresh-catalog-entity", `{"kind":"Component","name":"checkout-service"}`, `.entityRef`, `"component:default/checkout-service"`},
		{"kubernetes_get-kubernetes-clusters", `{}`, `.`, `{"clusters":[{"name":"harbour","title":"The harbour"}]}`},
		{"kubernetes_get-kubernetes-resources-for-entity", `{"name":"nothing"}`, `.fault | contains("NotFoundError: Entity \"component:default/nothing\" not found")`, `true`},
		{"kubernetes_get-kubernetes-resources-for-entity", `{"name":"checkout-service"}`, `[.items[] | .cluster.name, (.errors | length > 0)]`, `["harbour",true]`},
		{"notifications_get-notifications", `{}`, `.fault | contains("NotAllowedError: ")`, `true`},
		{"scaffolder_list-scaffolder-actions", `{}`, `[.actions[].id] | contains(["debug:log", "catalog:register-entity"])`, `true`},
		{"scaffolder_dry-run-template", `{"templateYaml":"apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: a}\nspec: {type: service, steps: [{id: log, action: 'debug:log', input: {message: ahoy}}]}\n"}`, `[.valid, .steps[0].action]`, `[true,"debug:log"]`},
		{"scaffolder_list-scaffolder-tasks", `{"limit":1}`, `.totalTasks >= 0`, `true`},
		{"search_query", `{"term":"checkout","pageLimit":3}`, `.results | type`, `"array"`},
	} {
		c.check(check.tool, check.arguments, check.look, check.want)
	}
	location := files.URL + "/buoy.yaml"
	c.check("catalog_register-entity", fmt.Sprintf(`{"locationUrl":%q}`, location), `.locationId | length > 10`, `true`)
	eventually(t, "part", func() string { return c.text("catalog_get-catalog-entity", `{"name":"buoy"}`, `.spec.type`) })
	c.check("catalog_unregister-entity", fmt.Sprintf(`{"type":{"locationUrl":%q}}`, location), `.`, `{}`)

	task := fmt.Sprintf(`{"taskId":%q}`, c.text("scaffolder_execute-template", `{"templateRef":"template:default/keep-a-note","values":{"note":"mend the net"}}`, `.taskId`))
	eventually(t, "status: completed", func() string {
		return c.text("scaffolder_get-scaffolder-task-logs", task, `[.events[].body.message] | join(" ")`)
	})
	c.allCalled()

	user := newOfficialClient(t, gate.URL+"/mcp/guest")
	if diff := cmp.Diff([]string{"inbox_get-notifications", "me_who-am-i", "portal_execute-template", "portal_list-scaffolder-tasks"}, slices.Sorted(maps.Keys(user.outputs))); diff != "" {
		t.Errorf("tools of the guest (-want +got)\n%s", diff)
	}
	user.check("me_who-am-i", `{}`, `.userInfo.userEntityRef`, `"user:default/guest"`)
	user.check("inbox_get-notifications", `{"view":"all","limit":1}`, `.totalCount >= 0`, `true`)
	user.check("portal_execute-template", `{"templateRef":"template:default/keep-a-note","values":{"note":"haul it in"}}`, `keys`, `["taskId"]`)
	user.check("portal_list-scaffolder-tasks", `{"owned":true}`, `any(.tasks[]; .spec.parameters.note == "haul it in")`, `true`)
}
