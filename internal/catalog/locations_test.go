package catalog

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hosted serves one file whose content can change.
type hosted struct {
	*httptest.Server
	mu      sync.Mutex
	content string
}

func newHosted(t *testing.T, content string) *hosted {
	h := &hosted{content: content}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.content == "" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(h.content))
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hosted) set(content string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.content = content
}

func TestRegisterAndUnregister(t *testing.T) {
	h := newHosted(t, component("a")+component("b"))
	c := newTest(t, Options{AllowedURLs: []string{h.URL}})
	target := h.URL + "/catalog-info.yaml"

	dry := ok(t, c, "POST", "/locations?dryRun=true", post(target))
	if diff := cmp.Diff("component:a component:b", strings.Join(names(dry["entities"])[1:], " ")); diff != "" || dry["exists"] != false {
		t.Errorf("dry run: %v %s", dry, diff)
	}
	if _, list := call(t, c, "GET", "/locations", ""); len(list.([]any)) != 0 {
		t.Errorf("a dry run kept %v", list)
	}

	made := ok(t, c, "POST", "/locations", post(target))
	location := made["location"].(map[string]any)
	id, entityRef := text(location, "id"), text(location, "entityRef")
	if location["type"] != "url" || location["target"] != target || id == "" || len(made["entities"].([]any)) != 0 {
		t.Errorf("registered: %v", made)
	}
	ok(t, c, "GET", "/entities/by-name/component/default/a", "")
	ok(t, c, "GET", "/entities/by-name/"+strings.NewReplacer(":", "/").Replace(entityRef), "")
	if _, list := call(t, c, "GET", "/locations", ""); len(list.([]any)) != 1 {
		t.Errorf("locations: %v", list)
	}
	if diff := cmp.Diff(location, ok(t, c, "GET", "/locations/"+id, "")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(location, ok(t, c, "GET", "/locations/by-entity/component/default/b", "")); diff != "" {
		t.Error(diff)
	}
	if message := refused(t, c, "POST", "/locations", post(target), 409); !strings.Contains(message, id) {
		t.Error(message)
	}
	refused(t, c, "POST", "/locations?onConflict=reject", post(target), 409)
	refused(t, c, "POST", "/locations?onConflict=other", post(target), 400)
	if again := ok(t, c, "POST", "/locations?dryRun=1", post(target)); again["exists"] != true {
		t.Errorf("dry run of one that is there: %v", again["exists"])
	}

	h.set(component("a") + component("c"))
	ok(t, c, "POST", "/locations?onConflict=refresh", post(target))
	refused(t, c, "GET", "/entities/by-name/component/default/b", "", 404)
	ok(t, c, "GET", "/entities/by-name/component/default/c", "")

	if status, _ := call(t, c, "DELETE", "/locations/"+id, ""); status != 204 {
		t.Errorf("delete: %d", status)
	}
	refused(t, c, "GET", "/entities/by-name/component/default/a", "", 404)
	refused(t, c, "GET", "/entities/by-name/"+strings.NewReplacer(":", "/").Replace(entityRef), "", 404)
	refused(t, c, "DELETE", "/locations/"+id, "", 404)
	refused(t, c, "GET", "/locations/"+id, "", 404)
}

func TestRegisterTellsWhatIsWrong(t *testing.T) {
	h := newHosted(t, "")
	c := newTest(t, Options{AllowedURLs: []string{h.URL}})
	for content, want := range map[string]string{
		"":                                 "answered 404",
		"a: [":                             "not YAML",
		"hello":                            "an entity must be an object",
		component("a") + component("a"):    "described twice",
		component("a") + component("b!"):   ":13: component:default/b!: metadata.name is not valid",
		locationTo("l", "./a", "https://"): "is not a URL",
		"<html></html>":                    "an entity must be an object",
		"\x00\x01":                         "binary",
	} {
		h.set(content)
		for _, query := range []string{"", "?dryRun=yes"} {
			if message := refused(t, c, "POST", "/locations"+query, post(h.URL), 400); !strings.Contains(message, want) {
				t.Errorf("%.20q: %s; want %s", content, message, want)
			}
		}
	}
	if got := ok(t, c, "GET", "/entities/by-query", "")["totalItems"]; got != 0.0 {
		t.Errorf("%v entities were kept", got)
	}
}

func TestConfiguredLocationsAreTheOperators(t *testing.T) {
	c := newExample(t)
	if _, list := call(t, c, "GET", "/locations", ""); len(list.([]any)) != 0 {
		t.Errorf("listed: %v", list)
	}
	refused(t, c, "DELETE", "/locations/"+generatedName("embedded", "example"), "", 403)
	refused(t, c, "GET", "/locations/by-entity/component/default/ledger", "", 404)
}

func TestDeletedEntitiesComeBack(t *testing.T) {
	c := newExample(t)
	uid := text(object(ok(t, c, "GET", "/entities/by-name/component/default/ledger", ""), "metadata"), "uid")
	if got := refOf(ok(t, c, "GET", "/entities/by-uid/"+uid, "")).Name; got != "ledger" {
		t.Errorf("by uid: %s", got)
	}
	if status, _ := call(t, c, "DELETE", "/entities/by-uid/"+uid, ""); status != 204 {
		t.Errorf("delete: %d", status)
	}
	if status, _ := call(t, c, "DELETE", "/entities/by-uid/"+uid, ""); status != 204 {
		t.Errorf("delete again: %d", status)
	}
	refused(t, c, "GET", "/entities/by-uid/"+uid, "", 404)
	refresh(t, c)
	ok(t, c, "GET", "/entities/by-name/component/default/ledger", "")
}
