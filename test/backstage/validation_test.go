package backstage_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestValidationAgrees: what the one catalog takes the other takes too. (Of
// a Location Backstage also reads the targets.)
func TestValidationAgrees(t *testing.T) {
	g := catalogs(t, "http://127.0.0.1:9/")
	for _, entity := range entities {
		t.Run(entity, func(t *testing.T) {
			arguments, err := json.Marshal(map[string]string{"entity": entity})
			if err != nil {
				t.Fatal(err)
			}
			want, _ := call(t, g, ours, "validate-entity", string(arguments)).(map[string]any)
			got, _ := call(t, g, embedded, "validate-entity", string(arguments)).(map[string]any)
			if want["isValid"] == nil || want["isValid"] != got["isValid"] || want["isValidYaml"] != got["isValidYaml"] {
				t.Errorf("Backstage: %v\nbuilt-in catalog: %v", want, got)
			}
		})
	}
}

const (
	component = "apiVersion: backstage.io/v1alpha1\nkind: Component\nspec: {type: service, lifecycle: production, owner: payments}\nmetadata: "
	named     = "apiVersion: backstage.io/v1alpha1\nmetadata: {name: a}\nkind: "
)

var entities = []string{
	component + "{name: a-b_c.D, namespace: a--b}",
	component + "{name: a, namespace: A}",
	component + "{name: a-}",
	component + "{name: a..b}",
	component + "{name: " + strings.Repeat("a", 64) + "}",
	component + "{name: 1}",
	component + "{name: '1'}",
	component + "{}",
	component + "{name: a, title: ''}",
	component + "{name: a, title: 1}",
	component + "{name: a, title: null}",
	component + "{name: a, description: ''}",
	component + "{name: a, tags: [go, c++, 'c#', 'a:b', a-b]}",
	component + "{name: a, tags: [a--b]}",
	component + "{name: a, tags: [Go]}",
	component + "{name: a, tags: ['']}",
	component + "{name: a, tags: go}",
	component + "{name: a, tags: null}",
	component + "{name: a, labels: {a: ''}}",
	component + "{name: a, labels: {a: 'b c'}}",
	component + "{name: a, labels: {a: 1}}",
	component + "{name: a, labels: {A.example.com/b: c}}",
	component + "{name: a, labels: {a/b/c: d}}",
	component + "{name: a, annotations: {example.com/b: 'any, thing'}}",
	component + "{name: a, annotations: {a: true}}",
	component + "{name: a, annotations: {-x: b}}",
	component + "{name: a, links: [{url: 'https://x.example.com', title: X, icon: web, type: t}]}",
	component + "{name: a, links: [{url: '/x'}]}",
	component + "{name: a, links: [{url: 'mailto:a@example.com'}]}",
	component + "{name: a, links: [{url: 'https://x.example.com', title: ''}]}",
	component + "{name: a, links: [{url: 'https://x.example.com', icon: 'a b'}]}",
	component + "{name: a, links: [{title: x}]}",
	component + "{name: a, more: 1}",
	component + "{name: a}\nstatus: {}",
	component + "{name: a}\nrelations: []",
	component + "{name: a}\nmore: 1",
	named + "Component\nspec: {type: '', lifecycle: b, owner: c}",
	named + "Component\nspec: {type: a, lifecycle: b, owner: 'group:x/y', more: 1}",
	named + "Component\nspec: {type: a, lifecycle: b, owner: 'a:'}",
	named + "Component\nspec: {type: a, lifecycle: b, owner: c, dependsOn: [1]}",
	named + "Component\nspec: {type: a, lifecycle: b, owner: c, dependsOn: x}",
	named + "Component\nspec: {type: a, lifecycle: b, owner: c, dependsOn: [x]}",
	named + "Component\nspec: {type: a, lifecycle: b, owner: c, system: ''}",
	named + "component\nspec: {type: a, lifecycle: b, owner: c}",
	named + "API\nspec: {type: a, lifecycle: b, owner: c, definition: x}",
	named + "API\nspec: {type: a, lifecycle: b, owner: c, definition: {a: 1}}",
	named + "API\nspec: {type: a, lifecycle: b, owner: c}",
	named + "Resource\nspec: {type: a, owner: c, dependsOn: ['component:x']}",
	named + "Resource\nspec: {type: a}",
	named + "System\nspec: {owner: c, domain: d, type: t}",
	named + "System\nspec: {}",
	named + "Domain\nspec: {owner: c, subdomainOf: d}",
	named + "Group\nspec: {type: team, children: []}",
	named + "Group\nspec: {type: team}",
	named + "Group\nspec: {type: team, children: [], profile: {email: ''}}",
	named + "User\nspec: {memberOf: [a], profile: {displayName: A}}",
	named + "User\nspec: {memberOf: []}",
	named + "User\nspec: {}",
	named + "User",
	named + "Component\nspec: {type: a, lifecycle: b, owner: c, dependencyOf: ['component:x']}",
	named + "Location\nspec: {target: ./a.yaml, presence: maybe}",
	named + "Location\nspec: {}",
	named + "Location",
	named + "'1x'\nspec: {}",
	"apiVersion: backstage.io/v1beta1\nkind: Component\nmetadata: {name: a}\nspec: {type: a, lifecycle: b, owner: c}",
	"apiVersion: example.com/v1\nkind: Component\nmetadata: {name: a}\nspec: {type: a, lifecycle: b, owner: c}",
	"{}",
	"null",
	"a: 1\n---\nb: 2",
	"a: 1\na: 2",
	"\ta: 1",
}
