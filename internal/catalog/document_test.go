package catalog

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/specs"
)

// openDocument is the document that describes this API, as JSON.
func openDocument(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := yaml.Unmarshal(specs.Catalog(), &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc.(map[string]any)
}

func TestTheDocumentNamesEveryRoute(t *testing.T) {
	var documented, served []string
	for path, item := range object(openDocument(t), "paths") {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				documented = append(documented, strings.ToUpper(method)+" "+path)
			}
		}
	}
	router := newExample(t).handler.(*mux.Router)
	err := router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		served = append(served, methods[0]+" "+path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(documented)
	slices.Sort(served)
	if diff := cmp.Diff(documented, served); diff != "" {
		t.Error(diff)
	}
}

// responseSchema compiles what the document says an operation answers.
func responseSchema(t *testing.T, doc map[string]any, method, path string, status int) *jsonschema.Schema {
	t.Helper()
	pointer := "#/paths/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path) + "/" + strings.ToLower(method) + "/responses/"
	responses := object(object(object(object(doc, "paths"), path), strings.ToLower(method)), "responses")
	key := strconv.Itoa(status)
	if responses[key] == nil {
		key = "default"
	}
	response := object(responses, key)
	if ref := text(response, "$ref"); ref != "" {
		pointer = ref
		response = object(object(object(doc, "components"), "responses"), ref[strings.LastIndex(ref, "/")+1:])
	} else {
		pointer += key
	}
	if response["content"] == nil {
		return nil
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("mem:///catalog.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:///catalog.json" + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(pointer) + "/content/application~1json/schema")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnswersFitTheDocument(t *testing.T) {
	doc := openDocument(t)
	h := newHosted(t, component("mine"))
	c := newTest(t, Options{Locations: []string{"embedded:example"}, AllowedURLs: []string{h.URL}})
	made := ok(t, c, "POST", "/locations", post(h.URL))
	id := text(object(made, "location"), "id")
	uid := text(object(ok(t, c, "GET", "/entities/by-name/component/default/mine", ""), "metadata"), "uid")
	const named = "/entities/by-name/{kind}/{namespace}/{name}"
	for _, q := range []struct {
		method, path, url, body string
		status                  int
	}{
		{"GET", "/entities", "/entities?limit=3", "", 200},
		{"GET", "/entities/by-query", "/entities/by-query", "", 200},
		{"GET", "/entities/by-query", "/entities/by-query?cursor=x", "", 400},
		{"POST", "/entities/by-query", "/entities/by-query", `{}`, 200},
		{"POST", "/entities/by-refs", "/entities/by-refs", `{"entityRefs":["component:mine","component:none"]}`, 200},
		{"GET", "/entities/by-uid/{uid}", "/entities/by-uid/" + uid, "", 200},
		{"GET", named, "/entities/by-name/api/default/stock", "", 200},
		{"GET", named, "/entities/by-name/api/default/none", "", 404},
		{"GET", named + "/ancestry", "/entities/by-name/api/default/stock/ancestry", "", 200},
		{"GET", "/entity-facets", "/entity-facets?facet=kind", "", 200},
		{"POST", "/entity-facets", "/entity-facets", `{"facets":["kind"]}`, 200},
		{"GET", "/locations", "/locations", "", 200},
		{"POST", "/locations", "/locations?dryRun=true", post(h.URL + "/other"), 201},
		{"GET", "/locations/{id}", "/locations/" + id, "", 200},
		{"GET", "/locations/by-entity/{kind}/{namespace}/{name}", "/locations/by-entity/component/default/mine", "", 200},
		{"POST", "/refresh", "/refresh", `{"entityRef":"component:default/mine"}`, 200},
		{"POST", "/validate-entity", "/validate-entity", `{"entity":{},"location":"url:https://example.com/x"}`, 400},
		{"DELETE", "/entities/by-uid/{uid}", "/entities/by-uid/" + uid, "", 204},
		{"DELETE", "/locations/{id}", "/locations/" + id, "", 204},
	} {
		r := httptest.NewRequestWithContext(t.Context(), q.method, q.url, strings.NewReader(q.body))
		if q.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != q.status {
			t.Errorf("%s %s: %d, want %d: %s", q.method, q.url, w.Code, q.status, w.Body)
			continue
		}
		schema := responseSchema(t, doc, q.method, q.path, q.status)
		if schema == nil {
			if w.Body.Len() > 0 || w.Code == http.StatusOK && q.path != "/refresh" {
				t.Errorf("%s %s: an answer that the document does not know: %s", q.method, q.url, w.Body)
			}
			continue
		}
		answer, err := jsonschema.UnmarshalJSON(w.Body)
		if err != nil {
			t.Errorf("%s %s: %v", q.method, q.url, err)
			continue
		}
		if err := schema.Validate(answer); err != nil {
			t.Errorf("%s %s: %v", q.method, q.url, err)
		}
	}
}
