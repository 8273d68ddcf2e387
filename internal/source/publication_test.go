package source_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// What was stored reads as it did, after all its files are gone.
func TestStoredReadsTheSame(t *testing.T) {
	dir := t.TempDir()
	entry := filepath.Join(dir, "api.yaml")
	for name, text := range map[string]string{
		entry: `openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets: {get: {x-action: true, operationId: list, parameters: [{$ref: "parts/limit.yaml#/limit"}], responses: {"200": {description: ok}}}}
`,
		filepath.Join(dir, "parts", "limit.yaml"): "limit: {name: limit, in: query, schema: {$ref: ../schema.yaml}}\n",
		filepath.Join(dir, "schema.yaml"):         "type: integer\nmaximum: 7\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	document, err := source.File(entry)
	if err != nil {
		t.Fatal(err)
	}
	files := source.NewFiles(t.Context(), source.Local, entry, document, nil)
	fresh := source.NewPublication([]openapi.Source{document}, files)
	read := func(p *source.Publication) *openapi.Document {
		return openapi.Read(p.Documents[0], openapi.Options{Opener: p.Opener(0)})
	}
	want := read(fresh)
	if len(want.Actions) != 1 || len(fresh.Content().Files) != 2 {
		t.Fatalf("%d actions, %d files", len(want.Actions), len(fresh.Content().Files))
	}
	content := fresh.Content()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	stored := source.Stored(content)
	got := read(stored)
	if diff := cmp.Diff(string(want.Actions[0].InputSchema), string(got.Actions[0].InputSchema)); diff != "" {
		t.Error(diff)
	}
	if a, b := content.Hash(), stored.Content().Hash(); a != b {
		t.Errorf("hash %s is %s when stored", a, b)
	}
}

// The same holds for what came from a server that is down since.
func TestStoredReadsTheSameWithoutServer(t *testing.T) {
	mux := http.NewServeMux()
	for path, text := range map[string]string{
		"/api/openapi.yaml": `openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets: {get: {x-action: true, operationId: list, parameters: [{$ref: "../parts/limit.yaml?v=1#/limit"}], responses: {"200": {description: ok}}}}
`,
		"/parts/limit.yaml":  "limit: {name: limit, in: query, schema: {$ref: schema.json}}\n",
		"/parts/schema.json": `{"type":"integer","maximum":7}`,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	fresh, err := source.FromURL(source.URLOptions{BaseURL: server.URL + "/api", Refs: source.Origin}).Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	read := func(p *source.Publication) *openapi.Document {
		return openapi.Read(p.Documents[0], openapi.Options{Opener: p.Opener(0)})
	}
	want := read(fresh)
	server.Close()
	stored := source.Stored(fresh.Content())
	if got := read(stored); len(want.Actions) != 1 || len(fresh.Content().Files) != 2 || len(got.Actions) != 1 {
		t.Fatalf("%d actions of %d files are %d when stored", len(want.Actions), len(fresh.Content().Files), len(got.Actions))
	} else if diff := cmp.Diff(string(want.Actions[0].InputSchema), string(got.Actions[0].InputSchema)); diff != "" {
		t.Error(diff)
	}
	if a, b := fresh.Content().Hash(), stored.Content().Hash(); a != b {
		t.Errorf("hash %s is %s when stored", a, b)
	}
}
