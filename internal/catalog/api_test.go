package catalog

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestErrorsHaveBackstagesForm(t *testing.T) {
	c := newExample(t)
	for _, q := range []struct {
		method, path string
		status       int
		name         string
	}{
		{"GET", "/entities/by-name/component/default/none?x=1", 404, "NotFoundError"},
		{"GET", "/entities/by-uid/none", 404, "NotFoundError"},
		{"GET", "/nowhere", 404, "NotFoundError"},
		{"PUT", "/entities/by-query", 405, "NotAllowedError"},
		{"GET", "/entities/by-query?limit=x", 400, "InputError"},
		{"DELETE", "/locations/none", 404, "NotFoundError"},
		{"GET", "/entities/by-name/a/b/c/d", 404, "NotFoundError"},
		{"GET", "/entities/by-name/component/default/..%2f..%2fx/ancestry", 404, "NotFoundError"},
	} {
		status, answer := call(t, c, q.method, q.path, "")
		m := answer.(map[string]any)
		if text(object(m, "error"), "message") == "" {
			t.Errorf("%s: no message", q.path)
		}
		delete(object(m, "error"), "message")
		want := map[string]any{
			"error":    map[string]any{"name": q.name},
			"request":  map[string]any{"method": q.method, "url": q.path},
			"response": map[string]any{"statusCode": float64(q.status)},
		}
		if diff := cmp.Diff(want, m); diff != "" || status != q.status {
			t.Errorf("%s %s: %d %s", q.method, q.path, status, diff)
		}
	}
}

func TestBodies(t *testing.T) {
	c := newExample(t)
	big := `{"entityRefs":["` + strings.Repeat("a", maxBodyBytes) + `"]}`
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	for path, body := range map[string]string{"/entities/by-query": big, "/entities/by-refs": big, "/entity-facets": big, "/locations": big, "/refresh": big} {
		refused(t, c, "POST", path, body, 413)
		refused(t, c, "POST", path, deep, 400)
		refused(t, c, "POST", path, "\xff\xfe", 400)
		refused(t, c, "POST", path, `"text"`, 400)
		r := httptest.NewRequest("POST", path, strings.NewReader("a=b"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%s: a form gives %d", path, w.Code)
		}
	}
}

func TestByRefs(t *testing.T) {
	c := newExample(t)
	got := ok(t, c, "POST", "/entities/by-refs", `{"entityRefs":["group:default/payments","component:none","API:Stock","component:ledger","x",":"],"fields":["kind","metadata.name"]}`)
	if diff := cmp.Diff([]string{"group:payments", "null", "api:stock", "component:ledger", "null", "null"}, names(got)); diff != "" {
		t.Error(diff)
	}
	got = ok(t, c, "POST", "/entities/by-refs?filter=kind=group", `{"entityRefs":["group:payments","api:stock"]}`)
	if diff := cmp.Diff([]string{"group:payments", "null"}, names(got)); diff != "" {
		t.Error(diff)
	}
	got = ok(t, c, "POST", "/entities/by-refs", `{"entityRefs":["group:payments","api:stock"],"query":{"kind":"api"}}`)
	if diff := cmp.Diff([]string{"null", "api:stock"}, names(got)); diff != "" {
		t.Error(diff)
	}
	many, _ := json.Marshal(map[string]any{"entityRefs": make([]string, maxRefs+1)})
	for _, body := range []string{``, `{}`, `{"entityRefs":[1]}`, string(many)} {
		refused(t, c, "POST", "/entities/by-refs", body, 400)
	}
}

func TestAncestry(t *testing.T) {
	c := newExample(t)
	got := ok(t, c, "GET", "/entities/by-name/component/default/ledger/ancestry", "")
	var lines []string
	for _, v := range got["items"].([]any) {
		item := v.(map[string]any)
		parents, _ := json.Marshal(item["parentEntityRefs"])
		lines = append(lines, refOf(item["entity"].(map[string]any)).String()+" from "+string(parents))
	}
	root := generatedRef("embedded", "example")
	want := []string{`component:default/ledger from ["location:default/larkspur"]`, `location:default/larkspur from ["` + root + `"]`, root + ` from []`}
	if diff := cmp.Diff(want, lines); diff != "" || got["rootEntityRef"] != "component:default/ledger" {
		t.Errorf("%v: %s", got["rootEntityRef"], diff)
	}
}

func TestValidateEntityEndpoint(t *testing.T) {
	c := newExample(t)
	const location = `"location":"url:https://git.example.com/catalog-info.yaml"`
	valid := `{"apiVersion":"backstage.io/v1alpha1","kind":"API","metadata":{"name":"a"},"spec":{"type":"openapi","lifecycle":"x","owner":"o","definition":{"$text":"./o.yaml"}}}`
	if status, answer := call(t, c, "POST", "/validate-entity", `{"entity":`+valid+`,`+location+`}`); status != 200 || answer != nil {
		t.Errorf("valid: %d %v", status, answer)
	}
	for body, want := range map[string]string{
		`{` + location + `}`:                               "an entity must be an object",
		`{"entity":"text",` + location + `}`:               "an entity must be an object",
		`{"entity":{"kind":"Component"},` + location + `}`: "apiVersion is missing",
		`{"entity":` + valid + `}`:                         "location: expected",
		`{"entity":` + valid + `,"location":"file:/x"}`:    "location: expected",
		`{"entity":` + valid + `,"location":"url:x"}`:      "is not a URL",
		`{"entity":` + strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200) + `,` + location + `}`: "nested deeper",
		`{}`: "location: expected",
	} {
		status, answer := call(t, c, "POST", "/validate-entity", body)
		m, _ := answer.(map[string]any)
		list, _ := m["errors"].([]any)
		if status != 400 || len(list) == 0 {
			t.Errorf("%.80s: %d %v", body, status, answer)
			continue
		}
		if first := list[0].(map[string]any); first["name"] != "InputError" || !strings.Contains(text(first, "message"), want) {
			t.Errorf("%.80s: %v, want %s", body, first, want)
		}
	}
	refused(t, c, "POST", "/validate-entity", `{`, 400)
	refused(t, c, "POST", "/validate-entity", `{"entity":"`+strings.Repeat("x", maxEntityBytes)+`"}`, 413)
}

// Over a real socket, as a client that is not ours sees it.
func TestOverASocket(t *testing.T) {
	server := httptest.NewServer(newExample(t))
	defer server.Close()
	response, err := http.Get(server.URL + "/entities/by-query?filter=kind%3Dcomponent%2Cspec.type%3Dservice&fields=metadata.name&limit=2&orderField=metadata.name%2Casc")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	start := `{"items":[{"metadata":{"name":"checkout-service"}},{"metadata":{"name":"identity-service"}}],"pageInfo":{"nextCursor":"`
	if !strings.HasPrefix(string(body), start) || !strings.HasSuffix(string(body), `"},"totalItems":10}`) {
		t.Errorf("body: %s", body)
	}
	raw, err := http.Get(server.URL + "/entities/by-name/Component/DEFAULT/checkout%2Dservice")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Body.Close() }()
	if raw.StatusCode != 200 {
		t.Errorf("encoded name in another case: %d", raw.StatusCode)
	}
}

// The example organisation is complete: nothing in it refers to nothing.
func TestExampleOrganisation(t *testing.T) {
	c := newExample(t)
	ix, err := c.index(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(ix.items); n < 40 {
		t.Errorf("%d entities", n)
	}
	kinds := map[string]int{}
	for _, it := range ix.items {
		kinds[it.row.Kind]++
		relations := it.entity["relations"].([]any)
		if len(relations) == 0 && it.row.Kind != "Location" {
			t.Errorf("%s stands alone", it.ref)
		}
		for _, v := range relations {
			if target := v.(map[string]any)["targetRef"].(string); ix.byRef[target] == nil {
				t.Errorf("%s refers to %s, which is not there", it.ref, target)
			}
		}
		if it.row.Kind != "User" && it.row.Kind != "Location" && text(object(it.entity, "metadata"), "description") == "" {
			t.Errorf("%s has no description", it.ref)
		}
	}
	for _, kind := range []string{"Component", "API", "Resource", "System", "Domain", "Group", "User", "Location"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s", kind)
		}
	}
}

func BenchmarkQuery(b *testing.B) {
	c, _ := numbered(b, 10_000)
	ok(b, c, "GET", "/entities/by-query", "") // builds the index
	for _, path := range []string{"/entities/by-query?filter=kind=component,metadata.name=c5000", "/entities/by-query?filter=kind=component&orderField=metadata.name"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				ok(b, c, "GET", path, "")
			}
		})
	}
}
