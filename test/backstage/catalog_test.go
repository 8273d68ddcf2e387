package backstage_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestEveryCatalogOperation calls each tool that specs/catalog.yaml makes, over
// MCP, on Backstage's catalog.
func TestEveryCatalogOperation(t *testing.T) {
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "apiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: wick}\nspec: {type: part, owner: payments}\n")
	}))
	defer files.Close()
	c := newClient(t, catalogs(t, files.URL+"/"), ours)
	for _, check := range []struct{ tool, arguments, look, want string }{
		{"get-catalog-entity", `{"kind":"component","name":"checkout-service"}`,
			`[.kind, .spec.owner, any(.relations[]; .type == "ownedBy" and .targetRef == "group:default/payments")]`, `["Component","payments",true]`},
		{"get-catalog-entity", `{"name":"lantern"}`, `.fault | contains("api:depot/lantern, component:depot/lantern")`, `true`},
		{"query-catalog-entities", `{"query":{"kind":"component","relations.ownedby":"group:depot/night-shift"},"fields":["metadata.name"]}`,
			`.`, `{"hasMoreEntities":false,"items":[{"metadata":{"name":"lantern"}}],"totalItems":1}`},
		{"get-catalog-related-entities", `{"entityRef":"component:checkout-service","relation":"ownedBy"}`, `[.entities[].entityRef]`, `["group:default/payments"]`},
		{"get-catalog-entities-by-refs", `{"entityRefs":["group:default/payments","api:default/nothing"],"fields":["kind"]}`, `.items`, `[{"kind":"Group"},null]`},
		{"get-catalog-facets", `{"facets":["kind"],"query":{"kind":"domain"}}`, `.facets.kind`, `[{"count":3,"value":"Domain"}]`},
		{"get-catalog-entity-ancestry", `{"kind":"component","namespace":"depot","name":"lantern"}`, `[.rootEntityRef, (.items | length > 1)]`, `["component:depot/lantern",true]`},
		{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata: {name: a}\nspec: {}\n"}`, `[.isValid, .isValidYaml, (.errors[0] | contains("owner"))]`, `[false,true,true]`},
	} {
		c.check(check.tool, check.arguments, check.look, check.want)
	}
	location := c.text("register-entity", fmt.Sprintf(`{"locationUrl":"%s/wick.yaml"}`, files.URL), `.locationId`)
	eventually(t, "part", func() string { return c.text("get-catalog-entity", `{"kind":"resource","name":"wick"}`, `.spec.type`) })
	c.check("list-catalog-locations", `{}`, fmt.Sprintf(`.locations[] | select(.id == %q) | .type`, location), `"url"`)
	c.check("refresh-catalog-entity", `{"kind":"resource","name":"wick"}`, `.entityRef`, `"resource:default/wick"`)
	c.check("unregister-entity", fmt.Sprintf(`{"type":{"locationId":%q}}`, location), `.`, `{}`)
	eventually(t, "fault", func() string { return c.text("get-catalog-entity", `{"kind":"resource","name":"wick"}`, `.spec.type`) })
	c.allCalled()
}
