package catalog

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// little is a catalog of which every entity is known to the test.
func little(t testing.TB) *Catalog {
	dir := write(t, map[string]string{"all.yaml": `
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: alpha
  title: First Letter
  description: ` + strings.Repeat("long ", 60) + `needle
  tags: [go, web]
  annotations: {example.com/on-call: "Yes", example.com/a.b: x}
spec: {type: service, lifecycle: production, owner: one, dependsOn: ["resource:db"], size: 7, live: true, none: null, list: [{d: 1}, {d: 2}, e]}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: beta, tags: [go]}
spec: {type: website, lifecycle: experimental, owner: two}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: gamma, namespace: other, annotations: {example.com/on-call: "no"}}
spec: {type: grpc, lifecycle: production, owner: default/one, definition: d}
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: db}
spec: {type: database, owner: one}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: one}
spec: {type: team, children: []}
`})
	return newTest(t, Options{BaseDir: dir, Locations: []string{"all.yaml"}})
}

func TestFilter(t *testing.T) {
	c := little(t)
	for _, q := range []struct {
		filters []string
		want    string
	}{
		{[]string{"kind=component"}, "component:alpha component:beta"},
		{[]string{"KIND=Component"}, "component:alpha component:beta"},
		{[]string{"kind=component,spec.type=service"}, "component:alpha"},
		{[]string{"kind=component,kind=group"}, "component:alpha component:beta group:one"},
		{[]string{"kind=group", "kind=resource"}, "group:one resource:db"},
		{[]string{"kind=component,spec.type=grpc", "kind=group"}, "group:one"},
		{[]string{" kind = component , , spec.type = website "}, "component:beta"},
		{[]string{"metadata.tags.go"}, "component:alpha component:beta"},
		{[]string{"metadata.tags.go=true,metadata.tags.web=true"}, "component:alpha"},
		{[]string{"metadata.tags=web"}, "component:alpha"},
		{[]string{"metadata.annotations.example.com/on-call"}, "api:other/gamma component:alpha"},
		{[]string{"metadata.annotations.example.com/on-call=YES"}, "component:alpha"},
		{[]string{"metadata.annotations.example.com/a.b=x"}, "component:alpha"},
		{[]string{"metadata.namespace=other"}, "api:other/gamma"},
		{[]string{"metadata.namespace=default,kind=api"}, ""},
		{[]string{"relations.ownedBy=group:default/one"}, "api:other/gamma component:alpha resource:db"},
		{[]string{"relations.dependencyof"}, "resource:db"},
		{[]string{"spec.size=7"}, "component:alpha"},
		{[]string{"spec.live=true"}, "component:alpha"},
		{[]string{"spec.none"}, "component:alpha"},
		{[]string{"spec.none="}, ""},
		{[]string{"spec.list.d=2"}, "component:alpha"},
		{[]string{"spec.list.e"}, "component:alpha"},
		{[]string{"metadata.description"}, "component:alpha"},
		{[]string{"spec.owner=one,spec.owner"}, "component:alpha resource:db"},
		{[]string{"", ","}, "api:other/gamma component:alpha component:beta group:one resource:db"},
		{nil, "api:other/gamma component:alpha component:beta group:one resource:db"},
	} {
		params := url.Values{"filter": q.filters, "order": {"asc:kind", "asc:metadata.name"}}
		_, answer := call(t, c, "GET", "/entities?"+params.Encode(), "")
		got := slices.DeleteFunc(names(answer), func(n string) bool { return strings.HasPrefix(n, "location:") })
		if diff := cmp.Diff(q.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q:\n%s", q.filters, diff)
		}
	}
	for _, bad := range []string{"=x", "kind=a,=b", strings.Repeat("a,b", 6000)} {
		refused(t, c, "GET", "/entities/by-query?filter="+url.QueryEscape(bad), "", 400)
	}
	refused(t, c, "GET", "/entities/by-query?"+strings.Repeat("filter=a&", maxFilterSets+1), "", 400)
}

func TestPredicate(t *testing.T) {
	c := little(t)
	for query, want := range map[string]string{
		`{"kind":"Component"}`:                                                     "alpha beta",
		`{"kind":"component","spec.type":"service"}`:                               "alpha",
		`{"spec.size":7}`:                                                          "alpha",
		`{"spec.live":true}`:                                                       "alpha",
		`{"kind":{"$in":["group","RESOURCE"]}}`:                                    "db one",
		`{"kind":{"$in":[]}}`:                                                      "",
		`{"metadata.tags":{"$contains":"WEB"}}`:                                    "alpha",
		`{"metadata.tags":{"$exists":true}}`:                                       "alpha beta",
		`{"metadata.tags":{"$exists":false},"kind":"component"}`:                   "",
		`{"metadata.name":{"$hasPrefix":"AL"}}`:                                    "alpha",
		`{"metadata.annotations.example.com/on-call":{"$exists":true}}`:            "alpha gamma",
		`{"$all":[{"kind":"component"},{"spec.lifecycle":"production"}]}`:          "alpha",
		`{"$all":[{"kind":"api"},{"$all":[]}]}`:                                    "gamma",
		`{"$any":[]}`:                                                              "",
		`{"$any":[{"kind":"api"},{"spec.type":"website"}]}`:                        "beta gamma",
		`{"$not":{"$any":[{"kind":"component"},{"kind":"location"}]}}`:             "db gamma one",
		`{"relations.ownedby":"group:default/one"}`:                                "alpha db gamma",
		`{"relations":{"$contains":{"type":"dependsOn"}}}`:                         "alpha",
		`{"relations":{"$contains":{"type":"x"}}}`:                                 "",
		`{"spec.list":{"$contains":{"d":{"$in":[2,3]}}}}`:                          "alpha",
		`{"$all":[{"$not":{"kind":"location"}},{"metadata.namespace":"default"}]}`: "alpha beta db one",
	} {
		answer := ok(t, c, "POST", "/entities/by-query", `{"orderBy":[{"field":"metadata.name","order":"asc"}],"query":`+query+`}`)
		var got []string
		for _, v := range answer["items"].([]any) {
			got = append(got, refOf(v.(map[string]any)).Name)
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s:\n%s", query, diff)
		}
	}
	all := ok(t, c, "POST", "/entities/by-query", "")
	if all["totalItems"].(float64) != 6 { // five and the location
		t.Errorf("no body: %v", all["totalItems"])
	}
	for query, want := range map[string]string{
		`"component"`:                                "expected an object",
		`[]`:                                         "expected an object",
		`{"kind":null}`:                              "expected a value or exactly one of",
		`{"kind":["a"]}`:                             "expected a value or exactly one of",
		`{"kind":{}}`:                                "expected a value or exactly one of",
		`{"kind":{"$in":"a"}}`:                       "$in takes a list",
		`{"kind":{"$in":[{}]}}`:                      "$in takes a list of texts",
		`{"kind":{"$exists":"yes"}}`:                 "$exists takes true or false",
		`{"kind":{"$hasPrefix":1}}`:                  "$hasPrefix takes text",
		`{"kind":{"$regex":"a"}}`:                    "operator $regex is not known",
		`{"kind":{"$in":["a"],"$exists":true}}`:      "exactly one of",
		`{"kind":{"$contains":[1]}}`:                 "expected an object",
		`{"$all":{"kind":"a"}}`:                      "$all takes a list",
		`{"$not":"a"}`:                               "expected an object",
		`{"$or":[]}`:                                 "operator $or is not known",
		`{"$all":[],"kind":"a"}`:                     "$all must stand alone",
		`{"a":"` + strings.Repeat("x", 1<<15) + `"}`: "longer than",
		strings.Repeat(`{"$not":`, 30) + `{"a":1}` + strings.Repeat("}", 30):     "nested deeper than 20",
		strings.Repeat(`{"$not":`, 5000) + `{"a":1}` + strings.Repeat("}", 5000): "longer than",
	} {
		for _, path := range []string{"/entities/by-query", "/entity-facets", "/entities/by-refs"} {
			got := refused(t, c, "POST", path, `{"facets":["kind"],"entityRefs":[],"query":`+query+`}`, 400)
			if !strings.Contains(got, want) {
				t.Errorf("%s %.80s: %q, want %q", path, query, got, want)
			}
		}
	}
}

func TestFullText(t *testing.T) {
	c := little(t)
	for params, want := range map[string]string{
		"fullTextFilterTerm=LETTER":                           "component:alpha",
		"fullTextFilterTerm=needle":                           "component:alpha", // beyond what filters compare
		"fullTextFilterTerm=am":                               "api:other/gamma",
		"fullTextFilterTerm=a&fullTextFilterFields=spec.type": "resource:db group:one",
		"fullTextFilterTerm=a&fullTextFilterFields=spec.type,spec.lifecycle&filter=kind=api": "",
		"fullTextFilterTerm=letter&orderField=metadata.name":                                 "", // looks in the ordering field
		"fullTextFilterTerm=alph&orderField=metadata.name":                                   "component:alpha",
		"fullTextFilterTerm=%20%20&filter=kind=group":                                        "group:one",
	} {
		got := names(ok(t, c, "GET", "/entities/by-query?"+params, ""))
		slices.Sort(got)
		expected := strings.Fields(want)
		slices.Sort(expected)
		if diff := cmp.Diff(expected, got, cmp.Transformer("empty", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
			t.Errorf("%s:\n%s", params, diff)
		}
	}
	body := `{"fullTextFilter":{"term":"letter","fields":["metadata.title"]}}`
	if got := names(ok(t, c, "POST", "/entities/by-query", body)); len(got) != 1 {
		t.Errorf("%s: %v", body, got)
	}
}

func TestOrder(t *testing.T) {
	c := little(t)
	for params, want := range map[string]string{
		"orderField=metadata.name,asc":                            "component:alpha component:beta resource:db api:other/gamma group:one",
		"orderField=metadata.name":                                "component:alpha component:beta resource:db api:other/gamma group:one",
		"orderField=metadata.name,desc":                           "group:one api:other/gamma resource:db component:beta component:alpha",
		"orderField=kind,asc&orderField=METADATA.NAME,desc":       "api:other/gamma component:beta component:alpha group:one resource:db",
		"orderField=spec.lifecycle,asc&orderField=metadata.name":  "component:beta component:alpha api:other/gamma resource:db group:one", // none: last
		"orderField=spec.lifecycle,desc&orderField=metadata.name": "component:alpha api:other/gamma component:beta resource:db group:one",
	} {
		got := names(ok(t, c, "GET", "/entities/by-query?filter=kind=component&filter=kind=api&filter=kind=resource&filter=kind=group&"+params, ""))
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
			t.Errorf("%s:\n%s", params, diff)
		}
	}
	for _, bad := range []string{"orderField=,asc", "orderField=a,up", strings.Repeat("orderField=a&", maxOrders+1), "limit=-1", "limit=x", "limit=1.5", "offset=-3", "limit=99999999999", "fields=a[0]", "fields=" + strings.Repeat("a,", maxFields+1)} {
		refused(t, c, "GET", "/entities/by-query?"+bad, "", 400)
	}
	for _, bad := range []string{`{"limit":-1}`, `{"limit":1.5}`, `{"limit":"5"}`, `{"orderBy":[{"field":"a"}]}`, `{"orderBy":[{"field":"","order":"asc"}]}`, `{"fields":"a"}`, `[]`, `{`, `{"fields":["a[1]"]}`} {
		refused(t, c, "POST", "/entities/by-query", bad, 400)
	}
	for _, bad := range []string{"order=metadata.name", "order=up:metadata.name", "after=x"} {
		refused(t, c, "GET", "/entities?"+bad, "", 400)
	}
	_, listed := call(t, c, "GET", "/entities?order=desc:metadata.name&limit=2&offset=1&filter=kind=component&filter=kind=resource", "")
	if diff := cmp.Diff([]string{"component:beta", "component:alpha"}, names(listed)); diff != "" {
		t.Error(diff)
	}
}

func TestFields(t *testing.T) {
	c := little(t)
	for fields, want := range map[string]string{
		"kind":                                 `{"kind":"Component"}`,
		"kind,metadata.name":                   `{"kind":"Component","metadata":{"name":"alpha"}}`,
		"metadata.annotations.example.com/a.b": `{"metadata":{"annotations":{"example.com/a.b":"x"}}}`,
		"relations.type":                       `{"relations":[{"type":"dependsOn"},{"type":"ownedBy"}]}`,
		"spec.list.d":                          `{"spec":{"list":[{"d":1},{"d":2}]}}`,
		"spec.size,spec":                       `all of spec`,
		"nothing":                              `{}`,
		"kind.deeper":                          `{}`,
		"Kind":                                 `{}`,
		"spec.owner.x, spec.type":              `{"spec":{"type":"service"}}`,
	} {
		answer := ok(t, c, "GET", "/entities/by-query?filter=metadata.name=alpha&fields="+url.QueryEscape(fields), "")
		got, _ := json.Marshal(answer["items"].([]any)[0])
		if want == "all of spec" {
			if !strings.Contains(string(got), `"list"`) || strings.Contains(string(got), "kind") {
				t.Errorf("%s: %s", fields, got)
			}
			continue
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s:\n%s", fields, diff)
		}
	}
}

func TestFacets(t *testing.T) {
	c := little(t)
	got := ok(t, c, "GET", "/entity-facets?facet=kind&facet=metadata.tags&facet=relations.ownedBy&facet=none&filter=kind=component", "")
	text, _ := json.Marshal(got)
	want := `{"facets":{"kind":[{"count":2,"value":"Component"}],"metadata.tags":[{"count":2,"value":"go"},{"count":1,"value":"web"}],"none":[],` +
		`"relations.ownedBy":[{"count":1,"value":"group:default/one"},{"count":1,"value":"group:default/two"}]}}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
	posted := ok(t, c, "POST", "/entity-facets", `{"facets":["kind"],"query":{"spec.type":"service"}}`)
	if diff := cmp.Diff(map[string]any{"facets": map[string]any{"kind": []any{map[string]any{"value": "Component", "count": 1.0}}}}, posted); diff != "" {
		t.Error(diff)
	}
	refused(t, c, "GET", "/entity-facets", "", 400)
	refused(t, c, "POST", "/entity-facets", `{}`, 400)
	refused(t, c, "GET", "/entity-facets?"+strings.Repeat("facet=a&", maxFacets+1), "", 400)
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{"kind=a,b", "a==,=", ",,,", "a=b=c", "\x00=\xff"} {
		f.Add(seed)
	}
	t := terms{"a": {{text: "B", norm: "b"}}}
	f.Fuzz(func(tt *testing.T, text string) {
		parsed, err := parseFilter([]string{text})
		if err != nil {
			return
		}
		parsed.match(t)
		for _, set := range parsed {
			for _, c := range set {
				if c.Key == "" || c.Key != strings.ToLower(c.Key) || strings.Contains(c.Key, ",") {
					tt.Errorf("%q: key %q", text, c.Key)
				}
			}
		}
	})
}

func FuzzParsePredicate(f *testing.F) {
	for _, seed := range []string{`{"kind":"a"}`, `{"$all":[{"a":{"$in":[1]}}]}`, `{"$not":{"a":{"$contains":{"b":1}}}}`, `{`, `null`, `{"a":{"$exists":true}}`} {
		f.Add([]byte(seed))
	}
	entity := map[string]any{"a": []any{map[string]any{"b": 1.0}, "c"}}
	it := &item{entity: entity, terms: termsOf(entity, nil)}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePredicate(text)
		if err != nil {
			return
		}
		yes := p(it)
		if len(text) > maxPredicateBytes-100 || !json.Valid(text) {
			return
		}
		if not, err := parsePredicate(json.RawMessage(fmt.Sprintf(`{"$not":%s}`, text))); err == nil && not(it) == yes {
			t.Errorf("%s: it and its negation are both %v", text, yes)
		}
	})
}
