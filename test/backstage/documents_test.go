package backstage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/itchyny/gojq"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/specs"
)

// documents is a gateway of all five documents that Backstage serves, every
// operation an action. Notifications belong to a user, so that plugin gets the
// guest's token.
func documents(t *testing.T) *gateway.Gateway {
	t.Helper()
	url, token := backstage(t)
	plugins := map[string]gateway.Plugin{}
	for _, name := range []string{"catalog", "events", "notifications", "scaffolder", "search"} {
		p := gateway.DefaultPlugin()
		p.Spec, p.BaseURL, p.Actions = url+"/api/"+name+"/openapi.json", url, "all"
		p.Auth.Bearer = gateway.SecretValue(token)
		plugins[name] = p
	}
	guest := plugins["notifications"]
	guest.Auth.Bearer = gateway.SecretValue(guestToken(t))
	plugins["notifications-of-guest"] = guest
	return newGateway(t, plugins)
}

// guestToken is the token of a user.
func guestToken(t *testing.T) string {
	t.Helper()
	url, _ := backstage(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/auth/guest/refresh", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Requested-With", "XMLHttpRequest")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		BackstageIdentity struct{ Token string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.BackstageIdentity.Token == "" {
		t.Fatalf("guest: HTTP %d, %v", resp.StatusCode, err)
	}
	return answer.BackstageIdentity.Token
}

// TestEveryOperationIsAnAction counts them, so that a document that loses some
// is seen.
func TestEveryOperationIsAnAction(t *testing.T) {
	g := documents(t)
	count := map[string]int{}
	for _, a := range g.Actions() {
		count[a.Plugin]++
	}
	want := map[string]int{"catalog": 20, "events": 3, "notifications": 12, "notifications-of-guest": 12, "scaffolder": 11, "search": 1}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", count, want)
	}
}

// TestRealOperations: Backstage understands the requests that its documents
// come to: arrays exploded and not, reserved characters, empty bodies.
func TestRealOperations(t *testing.T) {
	waitForIndex(t)
	g := documents(t)
	eventually(t, `"lifecycle":"production"`, func() string { // the index is made in the background
		r, err := g.Call(t.Context(), "search:query", json.RawMessage(`{"term":"","filters":{"kind":["API"],"lifecycle":"production"}}`))
		if err != nil {
			return err.Error()
		}
		return string(r.JSON)
	})
	for _, c := range []struct{ id, arguments, look, want string }{
		{"catalog:get-entities", `{"filter":["kind=component,metadata.namespace=depot","kind=domain"],"fields":["kind","metadata.name"],"order":["asc:metadata.name"]}`,
			`[.[] | .metadata.name] | join(" ")`, `"commerce foundations fulfilment lantern"`},
		{"catalog:get-entities", `{"filter":["kind=api"],"fields":["metadata.name"],"order":["desc:metadata.name"],"limit":2,"offset":1}`,
			`[.[] | .metadata.name] | join(" ")`, `"products payment-gateway"`},
		{"catalog:get-entities", `{"filter":["metadata.tags=c++"]}`, `[.[].metadata.name]`, `["lantern"]`},
		{"catalog:get-entities", `{"filter":["metadata.tags=c#"]}`, `[.[].metadata.name]`, `["lantern"]`},
		// The document says allowReserved, which lets encoded triples through.
		{"catalog:get-entities", `{"filter":["metadata.tags=c%2B%2B"]}`, `[.[].metadata.name]`, `["lantern"]`},
		{"catalog:get-entities", `{"filter":["metadata.name=a&filter=kind=domain"]}`, `length`, `0`},
		{"catalog:get-entities", `{"filter":["metadata.annotations.larkspur.example.com/runbook=https://runbooks.example.com/checkout-service"]}`, `[.[].metadata.name]`, `["checkout-service"]`},
		{"catalog:get-entities", `{"filter":["metadata.namespace=depot,kind=component,spec.lit=true"],"fields":["metadata.title"]}`, `.[0].metadata.title`, `"Lantern, \"the\" lämp 灯"`},
		{"catalog:get-entities-by-query", `{"filter":["kind=component"],"orderField":["metadata.name,desc"],"fullTextFilterTerm":"lämp 灯","fullTextFilterFields":["metadata.name","metadata.title"],"fields":["metadata.name"]}`,
			`[.totalItems, .items[0].metadata.name]`, `[1,"lantern"]`},
		{"catalog:get-entities-by-query", `{"filter":["kind=component"],"limit":2,"totalItems":"exclude","orderField":["metadata.name,asc"]}`,
			`[(.items | length), .totalItems, (.pageInfo | has("nextCursor"))]`, `[2,0,true]`},
		{"catalog:get-entity-by-name", `{"kind":"resource","namespace":"depot","name":"Oil_Store.v2"}`, `.metadata.name`, `"Oil_Store.v2"`},
		{"catalog:get-entity-by-name", `{"kind":"resource","namespace":"depot","name":"a/b c?d#e"}`, `.fault`, `"HTTP 404 Not Found"`},
		{"catalog:get-entity-by-name", `{"kind":"resource","namespace":"depot","name":"a/../../x"}`, `.fault`, `"an argument would change the path"`},
		{"catalog:get-entity-ancestry-by-name", `{"kind":"component","namespace":"depot","name":"lantern"}`, `.rootEntityRef`, `"component:depot/lantern"`},
		{"catalog:get-entity-facets", `{"facet":["kind","spec.type"],"filter":["metadata.namespace=depot"]}`, `.facets | map_values(map(.value) | sort)`,
			`{"kind":["API","Component","Group","Resource"],"spec.type":["openapi","service","store","team"]}`},
		{"catalog:query-entity-facets-by-predicate", `{"facets":["kind"],"query":{"metadata.namespace":"depot"}}`, `.facets.kind | length`, `4`},
		{"catalog:get-entities-by-refs", `{"entityRefs":["component:depot/lantern","api:depot/nothing"],"filter":["kind=component"],"fields":["kind"]}`, `.items`, `[{"kind":"Component"},null]`},
		{"catalog:query-entities-by-predicate", `{"query":{"kind":"domain"},"orderBy":[{"field":"metadata.name","order":"desc"}],"fields":["metadata.name"],"limit":1}`, `[.items[0].metadata.name,.totalItems]`, `["fulfilment",3]`},
		{"catalog:query-entities-by-predicate", `{}`, `.totalItems > 40`, `true`},
		{"catalog:create-location", `{"type":"url","target":"http://127.0.0.1:9/x.yaml","dryRun":"true"}`, `.fault`, `"HTTP 400 Bad Request"`},
		{"catalog:get-locations-by-query", `{"limit":10}`, `.items | type`, `"array"`},
		{"catalog:get-location", `{"id":"00000000-0000-0000-0000-000000000000"}`, `.fault`, `"HTTP 404 Not Found"`},
		{"catalog:get-location-by-entity", `{"kind":"component","namespace":"default","name":"nothing"}`, `.fault`, `"HTTP 404 Not Found"`},
		{"catalog:validate-entity", `{"location":"url:https://x.example.com/a.yaml","entity":{"apiVersion":"backstage.io/v1alpha1","kind":"System","metadata":{"name":"a"},"spec":{"owner":"b"}}}`, `.`, `{}`},
		{"catalog:refresh-entity", `{"entityRef":"component:depot/lantern"}`, `.`, `{}`},

		{"events:put-subscription", `{"subscriptionId":"stagedoor","topics":["stagedoor.test"]}`, `.`, `{}`},
		{"events:post-event", `{"event":{"topic":"stagedoor.test","payload":{"a":[1,null,"é"]}}}`, `.`, `{}`},
		{"events:get-subscription-events", `{"subscriptionId":"stagedoor"}`, `.events[0]`, `{"payload":{"a":[1,null,"é"]},"topic":"stagedoor.test"}`},

		{"notifications:create-notifications", `{"recipients":{"type":"broadcast"},"payload":{"title":"Lamps & oil","severity":"high","topic":"depot"}}`, `.[0].payload.title`, `"Lamps & oil"`},
		{"notifications:list-notifications", `{}`, `.fault`, `"HTTP 403 Forbidden"`},
		{"notifications-of-guest:list-notifications", `{"search":"& oil","minimumSeverity":"high","orderField":["created,desc"],"createdAfter":"2020-01-01T00:00:00+02:00","limit":5}`, `[.totalCount > 0, .notifications[0].payload.topic]`, `[true,"depot"]`},
		{"notifications-of-guest:list-notifications", `{"orderField":"created,asc","read":"false"}`, `.totalCount > 0`, `true`},
		{"notifications-of-guest:get-status", `{}`, `.unread > 0`, `true`},
		{"notifications-of-guest:get-topics", `{}`, `.topics | contains(["depot"])`, `true`},

		{"scaffolder:list-actions", `{}`, `[.[].id] | contains(["debug:log"])`, `true`},
		{"scaffolder:list-tasks", `{"limit":5,"offset":0,"order":["desc:created_at"],"status":["failed","open"],"createdBy":["user:default/nobody"]}`, `.totalTasks`, `0`},
		{"scaffolder:list-templating-extensions", `{}`, `type`, `"object"`},
		{"scaffolder:get-task", `{"taskId":"nothing"}`, `.fault`, `"HTTP 404 Not Found"`},

		{"search:query", `{"term":"lamp & oil","pageLimit":10}`, `.results | length <= 10`, `true`},
		{"search:query", `{"term":"","filters":{"kind":["API"],"lifecycle":"production"},"pageLimit":100}`, `[.results[].document | .kind + " " + .lifecycle] | unique`, `["API production"]`},
	} {
		t.Run(c.id+" "+c.arguments, func(t *testing.T) {
			r, err := g.Call(t.Context(), c.id, json.RawMessage(c.arguments))
			var value any
			var fault *gateway.CallError
			switch {
			case errors.As(err, &fault):
				said, _, _ := strings.Cut(fault.Message, ":")
				value = map[string]any{"fault": said}
			case err != nil:
				t.Fatal(err)
			case r.JSON != nil:
				value = decode(t, r.JSON)
			case r.Text != "":
				value = r.Text
			}
			if got := look(t, c.look, value); got != c.want {
				t.Errorf("%s: got %s, want %s (%v, %v)", c.look, got, c.want, value, err)
			}
		})
	}
}

// TestWrongToken: whose fault it is can be told from the answer, which does not
// say the token.
func TestWrongToken(t *testing.T) {
	url, _ := backstage(t)
	p := gateway.DefaultPlugin()
	p.Document, p.BaseURL = specs.Catalog(), url+"/api/catalog"
	p.Auth.Bearer = gateway.SecretValue("not-the-right-token")
	g := newGateway(t, map[string]gateway.Plugin{"catalog": p})
	_, err := g.Call(t.Context(), "catalog:list-catalog-locations", json.RawMessage(`{}`))
	if err == nil || !strings.Contains(err.Error(), "does not accept the gateway's credentials") || strings.Contains(err.Error(), "not-the-right-token") {
		t.Errorf("got %v", err)
	}
}

// look runs jq and gives its first result as JSON.
func look(t *testing.T, expression string, value any) string {
	t.Helper()
	query, err := gojq.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	result, _ := query.Run(value).Next()
	if err, ok := result.(error); ok {
		return err.Error()
	}
	text, err := gojq.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
