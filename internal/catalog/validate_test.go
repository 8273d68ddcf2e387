package catalog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parseOne(t *testing.T, yaml string) any {
	t.Helper()
	documents, err := decode([]byte(yaml))
	if err != nil || len(documents) != 1 || documents[0].err != nil {
		t.Fatalf("%s: %d documents, %v", yaml, len(documents), err)
	}
	return documents[0].value
}

func TestValidate(t *testing.T) {
	head := func(kind string) string {
		return "apiVersion: backstage.io/v1alpha1\nkind: " + kind + "\nmetadata: {name: a}\n"
	}
	valid := "spec: {type: service, lifecycle: production, owner: team}\n"
	meta := func(m string) string {
		return "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: " + m + "\n" + valid
	}
	for name, c := range map[string]struct{ yaml, want string }{
		"component":       {head("Component") + valid, ""},
		"v1beta1":         {strings.Replace(head("Component"), "v1alpha1", "v1beta1", 1) + valid, ""},
		"extra spec":      {head("Component") + "spec: {type: a, lifecycle: b, owner: c, anything: {x: 1}}", ""},
		"api":             {head("API") + "spec: {type: grpc, lifecycle: b, owner: c, definition: x}", ""},
		"system":          {head("System") + "spec: {owner: c, domain: d}", ""},
		"domain":          {head("Domain") + "spec: {owner: c, subdomainOf: d}", ""},
		"resource":        {head("Resource") + "spec: {type: db, owner: c, dependsOn: ['component:x']}", ""},
		"group":           {head("Group") + "spec: {type: team, children: []}", ""},
		"user and more":   {head("User") + "spec: {memberOf: [a], profile: {displayName: A}}", ""},
		"user of none":    {head("User") + "spec: {memberOf: []}", ""},
		"user":            {head("User") + "spec: {}", "spec.memberOf is missing"},
		"location":        {head("Location") + "spec: {targets: [./a.yaml]}", ""},
		"template":        {"apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: a}\nspec: {type: service, steps: []}", ""},
		"everything":      {meta("{name: a-b_c.D, namespace: n-1, title: T, description: '', labels: {x.example.com/y: v, z: ''}, annotations: {a.b/c: 'any thing'}, tags: [go, a-1, c++, 'c#', 'a:b'], links: [{url: 'https://x.example.com', title: X, icon: web}]}"), ""},
		"list":            {"[1]", "an entity must be an object"},
		"text":            {"hello", "an entity must be an object"},
		"nothing":         {"{}", `apiVersion is missing: expected a version such as backstage.io/v1alpha1|kind is missing|metadata must be an object`},
		"no name":         {meta("{}"), "metadata.name is missing"},
		"name number":     {meta("{name: 1}"), "metadata.name must be text, not a number"},
		"name space":      {meta("{name: 'a b'}"), `metadata.name is not valid: expected letters and digits`},
		"name dash end":   {meta("{name: a-}"), "metadata.name is not valid"},
		"name long":       {meta("{name: " + strings.Repeat("a", 64) + "}"), "metadata.name is not valid"},
		"namespace":       {meta("{name: a, namespace: A}"), "metadata.namespace is not valid: expected lower-case"},
		"namespace dash":  {meta("{name: a, namespace: a-}"), "metadata.namespace is not valid"},
		"two dashes":      {meta("{name: a--b, namespace: a--b}"), ""},
		"title":           {meta("{name: a, title: 1}"), "metadata.title must be text"},
		"title empty":     {meta("{name: a, title: ''}"), "metadata.title is not valid: expected some text"},
		"icon":            {meta("{name: a, links: [{url: 'https://x.example.com', icon: 'a b'}]}"), ""},
		"label key":       {meta("{name: a, labels: {'a/b/c': d}}"), `metadata.labels: the key "a/b/c" is not valid`},
		"label value":     {meta("{name: a, labels: {a: 'b c'}}"), "metadata.labels.a is not valid"},
		"labels list":     {meta("{name: a, labels: [a]}"), "metadata.labels must be an object, not a list"},
		"annotation":      {meta("{name: a, annotations: {a: 1}}"), "metadata.annotations.a must be text, not a number"},
		"annotation key":  {meta("{name: a, annotations: {'-x': b}}"), "the key \"-x\" is not valid"},
		"tag":             {meta("{name: a, tags: [Go]}"), "metadata.tags.0 is not valid"},
		"tag dashes":      {meta("{name: a, tags: [a--b]}"), "metadata.tags.0 is not valid"},
		"tags text":       {meta("{name: a, tags: go}"), "metadata.tags must be a list, not text"},
		"link":            {meta("{name: a, links: [{title: x}]}"), "metadata.links.0.url is missing"},
		"link text":       {meta("{name: a, links: [x]}"), "metadata.links.0 must be an object"},
		"link relative":   {meta("{name: a, links: [{url: /x}]}"), "metadata.links.0.url is not valid: expected a URL"},
		"foreign root":    {head("Component") + valid + "specs: {}\n", "specs is not a field of entities"},
		"output fields":   {head("Component") + valid + "relations: []\nstatus: {}\n", "relations is not a field of entities|status is not a field"},
		"kind unknown":    {head("Service") + valid, `kind "Service" is not known: expected one of Component, API`},
		"kind case":       {head("component") + valid, `kind "component" is not known`},
		"kind bad":        {head("'1x'") + valid, "kind is not valid"},
		"version unknown": {strings.Replace(head("Component"), "backstage.io", "example.com", 1) + valid, `apiVersion "example.com/v1alpha1" is not known for kind Component: expected backstage.io/v1alpha1`},
		"version bad":     {strings.Replace(head("Component"), "backstage.io/", "a/b/", 1) + valid, "apiVersion is not valid"},
		"no spec":         {head("Component"), "spec must be an object"},
		"all missing":     {head("Component") + "spec: {}", "spec.type is missing|spec.lifecycle is missing|spec.owner is missing"},
		"owner empty":     {head("System") + "spec: {owner: ''}", "spec.owner must not be empty"},
		"owner list":      {head("System") + "spec: {owner: [a]}", "spec.owner must be text, not a list"},
		"owner ref":       {head("System") + "spec: {owner: 'a:'}", "spec.owner: entity reference"},
		"children":        {head("Group") + "spec: {type: team}", "spec.children is missing"},
		"refs text":       {head("Component") + "spec: {type: a, lifecycle: b, owner: c, dependsOn: x}", "spec.dependsOn must be a list, not text"},
		"refs item":       {head("Component") + "spec: {type: a, lifecycle: b, owner: c, dependsOn: [1]}", "spec.dependsOn.0 must be text"},
		"refs no kind":    {head("Component") + "spec: {type: a, lifecycle: b, owner: c, dependsOn: [x]}", `spec.dependsOn.0: entity reference "x" has no kind`},
		"definition":      {head("API") + "spec: {type: a, lifecycle: b, owner: c, definition: {a: 1}}", "spec.definition must be text, not an object"},
		"presence":        {head("Location") + "spec: {presence: maybe}", "spec.presence must be"},
		"profile":         {head("User") + "spec: {memberOf: [], profile: {email: ' '}}", "spec.profile.email is not valid"},
		"case twins":      {head("System") + "spec: {owner: a, foo: 1, Foo: 2}", "fields differ only in case: Foo and foo"},
	} {
		got := validate(parseOne(t, c.yaml))
		want := strings.Split(c.want, "|")
		if c.want == "" {
			want = nil
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", name, got, want)
			continue
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: %q, want %q", name, got[i], want[i])
			}
		}
	}
}

func TestRelationsGoBothWays(t *testing.T) {
	dir := write(t, map[string]string{"all.yaml": `
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: c, namespace: n}
spec:
  type: service
  lifecycle: production
  owner: g
  system: s
  subcomponentOf: parent
  providesApis: [a]
  consumesApis: [default/b]
  dependsOn: ["resource:r", "component:default/d"]
  dependencyOf: ["component:above"]
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: a, namespace: n}
spec: {type: grpc, lifecycle: x, owner: "user:u", system: s, definition: d}
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: r, namespace: n}
spec: {type: db, owner: g, system: s, dependencyOf: ["component:other"]}
---
apiVersion: backstage.io/v1alpha1
kind: System
metadata: {name: s, namespace: n}
spec: {owner: g, domain: d}
---
apiVersion: backstage.io/v1alpha1
kind: Domain
metadata: {name: d, namespace: n}
spec: {owner: g, subdomainOf: top}
---
apiVersion: backstage.io/v1alpha1
kind: Domain
metadata: {name: top, namespace: n}
spec: {owner: g}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: g, namespace: n}
spec: {type: team, parent: up, children: [down], members: [m]}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: down, namespace: n}
spec: {type: team, parent: g, children: []}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: u, namespace: n}
spec: {memberOf: [g]}
`})
	c := newTest(t, Options{BaseDir: dir, Locations: []string{"all.yaml"}})
	for entity, want := range map[string][]string{
		"component/n/c": {"consumesApi api:default/b", "dependencyOf component:n/above", "dependsOn component:default/d", "dependsOn resource:n/r",
			"ownedBy group:n/g", "partOf component:n/parent", "partOf system:n/s", "providesApi api:n/a"},
		"api/n/a":      {"apiProvidedBy component:n/c", "ownedBy user:n/u", "partOf system:n/s"},
		"resource/n/r": {"dependencyOf component:n/c", "dependencyOf component:n/other", "ownedBy group:n/g", "partOf system:n/s"},
		"system/n/s":   {"hasPart api:n/a", "hasPart component:n/c", "hasPart resource:n/r", "ownedBy group:n/g", "partOf domain:n/d"},
		"domain/n/d":   {"hasPart system:n/s", "ownedBy group:n/g", "partOf domain:n/top"},
		"domain/n/top": {"hasPart domain:n/d", "ownedBy group:n/g"},
		"group/n/g": {"childOf group:n/up", "hasMember user:n/m", "hasMember user:n/u", "ownerOf component:n/c", "ownerOf domain:n/d", "ownerOf domain:n/top",
			"ownerOf resource:n/r", "ownerOf system:n/s", "parentOf group:n/down"},
		"group/n/down": {"childOf group:n/g"},
		"user/n/u":     {"memberOf group:n/g", "ownerOf api:n/a"},
	} {
		answer := ok(t, c, "GET", "/entities/by-name/"+entity, "")
		var got []string
		for _, v := range answer["relations"].([]any) {
			r := v.(map[string]any)
			if len(r) != 2 {
				t.Errorf("%s: relation %v has more than type and targetRef", entity, r)
			}
			got = append(got, text(r, "type")+" "+text(r, "targetRef"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", entity, diff)
		}
	}
}
