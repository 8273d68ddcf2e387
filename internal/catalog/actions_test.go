package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/itchyny/gojq"
	"go.yaml.in/yaml/v3"
)

// tool is one x-action of the document with its operation: enough of an
// interpreter to see that the actions work on this API, no more.
type tool struct {
	method, path string
	operation    map[string]any
	action       map[string]any
}

func tools(t *testing.T) map[string]tool {
	t.Helper()
	all := map[string]tool{}
	for path, item := range object(openDocument(t), "paths") {
		for method, v := range item.(map[string]any) {
			operation, _ := v.(map[string]any)
			list, many := operation["x-action"].([]any)
			if one, is := operation["x-action"].(map[string]any); is && !many {
				list = []any{one}
			}
			for _, a := range list {
				action := a.(map[string]any)
				all[text(action, "name")] = tool{strings.ToUpper(method), path, operation, action}
			}
		}
	}
	return all
}

// jq runs a program over a JSON value.
func jq(program string, input any, status int, arguments any) (any, error) {
	query, err := gojq.Parse(program)
	if err != nil {
		return nil, err
	}
	code, err := gojq.Compile(query, gojq.WithVariables([]string{"$status", "$arguments"}),
		gojq.WithFunction("fromyaml", 0, 0, func(v any, _ []any) any {
			var out any
			if err := yaml.Unmarshal([]byte(fmt.Sprint(v)), &out); err != nil {
				return err
			}
			return out
		}))
	if err != nil {
		return nil, err
	}
	v, _ := code.Run(input, status, arguments).Next()
	if err, is := v.(error); is {
		return nil, err
	}
	return v, nil
}

// targets are what the arguments fill in the request.
func (tl tool) targets(arguments map[string]any) (map[string]any, error) {
	filled := map[string]any{}
	input := object(tl.action, "input")
	for name, v := range input {
		declared := v.(map[string]any)
		if _, given := arguments[name]; !given && declared["default"] != nil {
			arguments[name] = declared["default"]
		}
		target := text(declared, "for")
		if target == "" {
			target = "body." + name // the only arguments without for that no program makes
		}
		if value, given := arguments[name]; given {
			filled[target] = value
		}
	}
	maps.Copy(filled, object(tl.action, "fixed"))
	for target, program := range object(tl.action, "request") {
		delete(filled, target)
		v, err := jq(program.(string), any(arguments), 0, any(arguments))
		if err != nil {
			return nil, err
		}
		if v != nil {
			filled[target] = v
		}
	}
	return filled, nil
}

// run calls the action on the catalog.
func (tl tool) run(t *testing.T, c http.Handler, input string) (any, error) {
	t.Helper()
	var arguments map[string]any
	if err := json.Unmarshal([]byte(input), &arguments); err != nil {
		t.Fatal(err)
	}
	filled, err := tl.targets(arguments)
	if err != nil {
		return nil, err
	}
	path, params, body := tl.path, url.Values{}, map[string]any{}
	for target, v := range filled {
		place, name, _ := strings.Cut(target, ".")
		switch list, many := v.([]any); {
		case place == "path":
			path = strings.Replace(path, "{"+name+"}", url.PathEscape(fmt.Sprint(v)), 1)
		case place == "query" && many:
			for _, item := range list {
				params.Add(name, fmt.Sprint(item))
			}
		case place == "query":
			params.Set(name, fmt.Sprint(v))
		case object(object(object(object(tl.operation, "requestBody"), "content"), "application/json"), "schema") != nil:
			if object(tl.action, "request")["body."+name] != nil || known(tl.operation, name) {
				body[name] = v
			}
		}
	}
	text, _ := json.Marshal(body)
	r := httptest.NewRequestWithContext(t.Context(), tl.method, path+"?"+params.Encode(), strings.NewReader(string(text)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return tl.result(w, arguments)
}

// known says whether the operation's body has such a member: other arguments
// are for the programs.
func known(operation map[string]any, name string) bool {
	schema := object(object(object(object(operation, "requestBody"), "content"), "application/json"), "schema")
	return object(schema, "properties")[name] != nil
}

func (tl tool) result(w *httptest.ResponseRecorder, arguments map[string]any) (any, error) {
	output := object(tl.action, "output")
	success, _ := output["success"].([]any)
	fine := w.Code < 300 || slices.ContainsFunc(success, func(s any) bool { return fmt.Sprint(s) == fmt.Sprint(w.Code) })
	if !fine {
		return nil, fmt.Errorf("%d: %s", w.Code, w.Body)
	}
	var answer any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			return nil, err
		}
	}
	return jq(text(output, "select"), answer, w.Code, any(arguments))
}

func TestActionsAnswerQuestions(t *testing.T) {
	c := newExample(t)
	all := tools(t)
	for _, q := range []struct{ action, input, program, want string }{
		{"get-catalog-entity", `{"name":"checkout-service"}`, `.spec.owner`, `"payments"`},
		{"get-catalog-entity", `{"name":"payments","kind":"Group","namespace":"default"}`, `.kind`, `"Group"`},
		{"get-catalog-entity", `{"name":"payments"}`, ``, `several entities, give kind and namespace of one of: `},
		{"get-catalog-entity", `{"name":"nobody"}`, ``, `No entity is named "nobody"`},
		{"get-catalog-entity", `{"name":"a,b"}`, ``, `must not contain`},
		{"query-catalog-entities", `{"query":{"relations.ownedby":"group:default/delivery","kind":"component"},"fields":["metadata.name"],"orderFields":{"field":"metadata.name","order":"desc"},"limit":"1"}`,
			`[.items[0].metadata.name, .totalItems, .hasMoreEntities]`, `["route-planner",2,true]`},
		{"query-catalog-entities", `{"fullTextFilter":{"term":"postgres","fields":["metadata.tags"]},"limit":100}`, `[.totalItems, .hasMoreEntities, has("nextPageCursor")]`, `[6,false,false]`},
		{"get-catalog-related-entities", `{"entityRef":"component:default/checkout-service","relation":"ownedBy"}`, `.entities`,
			`[{"description":"Checkout, payments and the ledger. On call around the clock; changes need two reviewers.","email":"payments@larkspur.example.com","entityRef":"group:default/payments","title":"Payments","type":"team"}]`},
		{"get-catalog-related-entities", `{"entityRef":"Component:checkout-service","relation":"dependsOn"}`, `[.entities[].entityRef]`,
			`["resource:default/event-bus","component:default/identity-service","resource:default/orders-db","component:default/payment-service"]`},
		{"get-catalog-related-entities", `{"entityRef":"resource:postgres-cluster","relation":"dependencyOf"}`, `[.entities | length, .[0].owner]`, `[6,"engineering-platform"]`},
		{"get-catalog-related-entities", `{"entityRef":"api:none","relation":"ownedBy"}`, `.`, `{"entities":[],"hasMore":false}`},
		{"get-catalog-entities-by-refs", `{"entityRefs":["api:default/stock","api:default/none"],"fields":["kind"]}`, `.`, `{"items":[{"kind":"API"},null]}`},
		{"get-catalog-entity-ancestry", `{"kind":"api","name":"stock"}`, `.items[0].location`, `"embedded:example/fulfilment.yaml"`},
		{"get-catalog-facets", `{"facets":["spec.type"],"query":{"kind":"api"}}`, `.facets["spec.type"][0]`, `{"count":2,"value":"grpc"}`},
		{"list-catalog-locations", `{}`, `.`, `{"locations":[]}`},
		{"refresh-catalog-entity", `{"kind":"API","name":"Stock"}`, `.`, `{"entityRef":"api:default/stock"}`},
		{"refresh-catalog-entity", `{"kind":"api","name":"none"}`, ``, `no entity api:default/none`},
		{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata: {name: a}\nspec: {owner: b}"}`, `[.isValid, .isValidYaml, .errors, .entity.kind]`, `[true,true,[],"System"]`},
		{"validate-entity", `{"entity":"apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata: {name: a}\nspec: {}"}`, `.`, `{"errors":["spec.owner is missing"],"isValid":false,"isValidYaml":true}`},
		{"validate-entity", `{"entity":"a: ["}`, `[.isValid, .isValidYaml, (.errors | length)]`, `[false,false,1]`},
		{"validate-entity", `{"entity":"just text","location":"https://example.com/x.yaml"}`, `[.isValid, .isValidYaml]`, `[false,true]`},
		{"register-entity", `{"locationUrl":"http://127.0.0.1:1/x"}`, ``, `not a public one`},
		{"unregister-entity", `{"type":{"locationId":"none"}}`, ``, `no location with id none`},
	} {
		answer, err := all[q.action].run(t, c, q.input)
		if q.program == "" {
			if err == nil || !strings.Contains(err.Error(), q.want) {
				t.Errorf("%s %s: %v, %v; want %q", q.action, q.input, answer, err, q.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", q.action, q.input, err)
			continue
		}
		got, err := jq(q.program, answer, 0, nil)
		if err != nil {
			t.Errorf("%s %s: %v", q.action, q.input, err)
		}
		text, _ := json.Marshal(got)
		if diff := cmp.Diff(q.want, string(text)); diff != "" {
			t.Errorf("%s %s:\n%s", q.action, q.input, diff)
		}
	}
}

func TestActionsRegisterAndUnregister(t *testing.T) {
	h := newHosted(t, component("mine"))
	c := newTest(t, Options{AllowedURLs: []string{h.URL}})
	all := tools(t)
	made, err := all["register-entity"].run(t, c, fmt.Sprintf(`{"locationUrl":%q}`, h.URL+"/catalog-info.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	id := text(made.(map[string]any), "locationId")
	listed, err := all["list-catalog-locations"].run(t, c, `{}`)
	if err != nil || !strings.Contains(fmt.Sprint(listed), id) {
		t.Errorf("listed: %v, %v", listed, err)
	}
	if _, err := all["get-catalog-entity"].run(t, c, `{"name":"mine"}`); err != nil {
		t.Error(err)
	}
	gone, err := all["unregister-entity"].run(t, c, fmt.Sprintf(`{"type":{"locationId":%q}}`, id))
	if err != nil || len(gone.(map[string]any)) != 0 {
		t.Errorf("unregistered: %v, %v", gone, err)
	}
	if _, err := all["get-catalog-entity"].run(t, c, `{"name":"mine"}`); err == nil {
		t.Error("it is still there")
	}
}

func TestRelativeTargets(t *testing.T) {
	s := newSources(Options{})
	for _, c := range []struct {
		from        place
		typ, target string
		want        string // "" for refused
	}{
		{place{typeFile, "a/b.yaml", true}, "", "./c.yaml", "file:a/c.yaml true"},
		{place{typeFile, "a/b.yaml", true}, "file", "../c/*.yaml", "file:c/*.yaml true"},
		{place{typeFile, "a/b.yaml", true}, "url", "./c.yaml", "file:a/c.yaml true"},
		{place{typeFile, "a/b.yaml", true}, "", "/x/c.yaml", "file:/x/c.yaml true"},
		{place{typeFile, "a/b.yaml", false}, "", "c.yaml", "file:a/c.yaml false"},
		{place{typeFile, "a/b.yaml", true}, "url", "https://h.example.com/c", "url:https://h.example.com/c true"},
		{place{typeFile, "a/b.yaml", false}, "url", "https://h.example.com/c", "url:https://h.example.com/c false"},
		{place{typeURL, "https://h.example.com/a/b.yaml", true}, "", "./c.yaml", "url:https://h.example.com/a/c.yaml true"},
		{place{typeURL, "https://h.example.com/a/b.yaml", true}, "", "/c.yaml", "url:https://h.example.com/c.yaml true"},
		{place{typeURL, "https://h.example.com/a/b.yaml", true}, "", "https://i.example.com/c", "url:https://i.example.com/c false"},
		{place{typeURL, "https://h.example.com/a/b.yaml", true}, "", "http://h.example.com/c", "url:http://h.example.com/c false"},
		{place{typeURL, "https://h.example.com/a/b.yaml", true}, "", "//i.example.com/c", "url:https://i.example.com/c false"},
		{place{typeURL, "https://h.example.com/a/b.yaml", true}, "file", "/etc/passwd", ""},
		{place{typeURL, "https://h.example.com/a/b.yaml", true}, "", "file:///etc/passwd", ""},
		{place{typeEmbedded, "example/catalog-info.yaml", true}, "", "./x.yaml", "embedded:example/x.yaml true"},
	} {
		got := ""
		if p, err := s.relative(c.from, c.typ, c.target); err == nil {
			got = fmt.Sprint(p.String(), " ", p.trusted)
		}
		if got != c.want {
			t.Errorf("%s names %s %q: %q, want %q", c.from, c.typ, c.target, got, c.want)
		}
	}
}
