package specs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/specs"
)

// TestBackstageDocumentGivesTheSameTools reads Backstage's own catalog
// document, in one of the folders of STAGEDOOR_CORPUS, with our overlay, bare
// and with the path prefix under which a backend serves it: a model sees the
// same tools as with catalog.yaml, and they call the same paths.
func TestBackstageDocumentGivesTheSameTools(t *testing.T) {
	name, document := backstageDocument(t, "catalog")
	overlay, err := specs.Overlay("backstage-catalog")
	if err != nil {
		t.Fatal(err)
	}
	want := readActions(t, openapi.Source{Name: "catalog.yaml", Data: specs.Catalog()})
	if len(want) == 0 {
		t.Fatal("catalog.yaml has no action")
	}
	for _, prefix := range []string{"", "/api/catalog"} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			src := openapi.Source{Name: name, Data: withPrefix(t, document, prefix)}
			got := readActions(t, src, openapi.Source{Name: "overlay", Data: overlay})
			for action := range want {
				if _, ok := got[action]; !ok {
					t.Errorf("%s: Backstage's document does not give it", action)
				}
			}
			for action, g := range got {
				w, ok := want[action]
				if !ok {
					t.Errorf("%s: catalog.yaml does not give it", action)
					continue
				}
				compareActions(t, w, g, prefix)
			}
		})
	}
}

// backstageDocument finds the newest document of a plugin in the corpus.
func backstageDocument(t *testing.T, plugin string) (string, []byte) {
	t.Helper()
	dirs := os.Getenv("STAGEDOOR_CORPUS")
	if dirs == "" {
		t.Skip("STAGEDOOR_CORPUS is not set")
	}
	var found []string
	for _, dir := range filepath.SplitList(dirs) {
		files, err := filepath.Glob(filepath.Join(dir, "plugin-"+plugin+"-backend-*.openapi.json"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, files...)
	}
	if len(found) == 0 {
		t.Skipf("no plugin-%s-backend-*.openapi.json in %s", plugin, dirs)
	}
	slices.Sort(found)
	file := found[len(found)-1]
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(file), data
}

// withPrefix puts a prefix before each path, as a backend does that serves the
// document.
func withPrefix(t *testing.T, document []byte, prefix string) []byte {
	t.Helper()
	if prefix == "" {
		return document
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	var paths, prefixed map[string]json.RawMessage
	if err := json.Unmarshal(doc["paths"], &paths); err != nil {
		t.Fatal(err)
	}
	prefixed = map[string]json.RawMessage{}
	for path, item := range paths {
		prefixed[prefix+path] = item
	}
	var err error
	if doc["paths"], err = json.Marshal(prefixed); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readActions(t *testing.T, src openapi.Source, overlays ...openapi.Source) map[string]openapi.Action {
	t.Helper()
	doc := openapi.Read(src, openapi.Options{Overlays: overlays, TrustAttributes: true})
	for _, f := range doc.Findings {
		if f.Severity == openapi.SeverityError || f.Code == "overlay-no-target" {
			t.Error(f)
		}
	}
	byName := map[string]openapi.Action{}
	for _, a := range doc.Actions {
		byName[a.Name] = a
	}
	return byName
}

// compareActions compares what a model sees byte by byte, and the request.
func compareActions(t *testing.T, want, got openapi.Action, prefix string) {
	t.Helper()
	path := func(o string) string {
		method, path, _ := strings.Cut(o, " ")
		return method + " " + strings.TrimPrefix(path, prefix)
	}
	if w, g := want.Operation, path(got.Operation); w != g {
		t.Errorf("%s: %s, want %s", want.Name, g, w)
	}
	visible := func(a openapi.Action) map[string]any {
		return map[string]any{
			"title": a.Title, "description": a.Description, "attributes": a.Attributes,
			"tags": a.Tags, "scopes": a.Scopes, "timeout": a.Timeout, "deprecated": a.Deprecated,
			"inputSchema": indented(t, a.InputSchema), "outputSchema": indented(t, a.OutputSchema),
			"examples": examples(t, a.Examples), "success": a.Response.Success,
		}
	}
	if diff := cmp.Diff(visible(want), visible(got)); diff != "" {
		t.Errorf("%s: catalog.yaml (-), Backstage's document (+):\n%s", want.Name, diff)
	}
	if !bytes.Equal(want.InputSchema, got.InputSchema) || !bytes.Equal(want.OutputSchema, got.OutputSchema) {
		t.Errorf("%s: the schemas are not the same byte for byte", want.Name)
	}
	if diff := cmp.Diff(request(t, want), request(t, got)); diff != "" {
		t.Errorf("%s: request of catalog.yaml (-), of Backstage's document (+):\n%s", want.Name, diff)
	}
}

func indented(t *testing.T, text []byte) string {
	t.Helper()
	if text == nil {
		return ""
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func examples(t *testing.T, list []openapi.Example) []string {
	t.Helper()
	var out []string
	for _, e := range list {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return out
}

// request is what of a plan decides the bytes on the wire, in words.
func request(t *testing.T, a openapi.Action) map[string]any {
	t.Helper()
	value := func(v openapi.Value) string {
		switch {
		case v.Query != nil:
			return "computed"
		case v.Fixed != nil:
			return "fixed " + string(v.Fixed)
		}
		return "argument " + v.Argument
	}
	out := map[string]any{"method": a.Request.Method, "defaults": a.Request.Defaults}
	parameter := func(p openapi.Parameter) {
		out[string(p.In)+"."+p.Name] = []any{p.Style, p.Explode, p.ContentType, p.Required, value(p.Value)}
	}
	for _, p := range a.Request.Parameters {
		parameter(p)
	}
	for _, p := range a.Request.Path {
		if p.Parameter != nil {
			parameter(*p.Parameter)
		}
	}
	if b := a.Request.Body; b != nil {
		out["body"] = b.Contents[0].MediaType
		if b.Whole != nil {
			out["body whole"] = value(*b.Whole)
		}
		for _, m := range b.Members {
			out["body."+strings.Join(m.Path, ".")] = value(m.Value)
		}
	}
	return out
}
