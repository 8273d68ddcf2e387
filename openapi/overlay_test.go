package openapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// overlaid is a document after its overlays, as JSON values.
func overlaid(t *testing.T, document string, overlays ...string) (any, []Finding) {
	t.Helper()
	p := parse(Source{"openapi.yaml", []byte(document)}, defaultMaxBytes, true, 0)
	if p.root == nil {
		t.Fatal(p.findings)
	}
	r := &reader{entry: &file{name: "openapi.yaml", root: p.root}}
	for _, o := range overlays {
		if !r.overlay([]Source{{"overlay.yaml", []byte(o)}}) {
			return nil, r.findings
		}
	}
	return plain(t, string(rawJSON(value(r.entry.root)))), r.findings
}

func plain(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// TestOverlaySets runs the Overlay specification's compliant sets, folders of
// openapi.yaml, overlay.yaml and output.yaml, where STAGEDOOR_OVERLAY_SETS says
// that they are.
func TestOverlaySets(t *testing.T) {
	folder := os.Getenv("STAGEDOOR_OVERLAY_SETS")
	if folder == "" {
		t.Skip("STAGEDOOR_OVERLAY_SETS names no folder")
	}
	sets, err := filepath.Glob(filepath.Join(folder, "*", "output.yaml"))
	if err != nil || len(sets) == 0 {
		t.Fatal("no sets", err)
	}
	for _, output := range sets {
		dir := filepath.Dir(output)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var texts []string
			for _, name := range []string{"openapi.yaml", "overlay.yaml", "output.yaml"} {
				data, err := os.ReadFile(filepath.Join(dir, name))
				if os.IsNotExist(err) {
					t.Skip("it is not about OpenAPI")
				}
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, string(data))
			}
			got, findings := overlaid(t, texts[0], texts[1])
			want, _ := overlaid(t, texts[2])
			if !reflect.DeepEqual(got, want) || len(findings) > 0 {
				t.Errorf("%v\ngot  %v\nwant %v", findings, got, want)
			}
		})
	}
}

// TestOverlayVersions: what 1.0 and 1.1 say of lists, scalars and copies.
func TestOverlayVersions(t *testing.T) {
	const document = `{"openapi": "3.1.0", "info": {"title": "T", "old": [1]}, "tags": [{"name": "a"}, {"name": "b"}], "paths": {"/a": {"get": {"summary": "A"}}}}`
	for name, tt := range map[string]struct{ overlay, want string }{
		"an update is one entry of a list": {`{"overlay": "1.0.1", "actions": [{"target": "$.info.old", "update": [2]}]}`,
			`{"openapi": "3.1.0", "info": {"title": "T", "old": [1, [2]]}, "tags": [{"name": "a"}, {"name": "b"}], "paths": {"/a": {"get": {"summary": "A"}}}}`},
		"1.1 joins lists": {`{"overlay": "1.1.0", "actions": [{"target": "$.info.old", "update": [2, 3]}]}`,
			`{"openapi": "3.1.0", "info": {"title": "T", "old": [1, 2, 3]}, "tags": [{"name": "a"}, {"name": "b"}], "paths": {"/a": {"get": {"summary": "A"}}}}`},
		"1.1 replaces scalars": {`{"overlay": "1.1.0", "actions": [{"target": "$.tags[*].name", "update": "c"}, {"target": "$.tags[?@.name == 'c']", "update": {"kind": "d"}}]}`,
			`{"openapi": "3.1.0", "info": {"title": "T", "old": [1]}, "tags": [{"name": "c", "kind": "d"}, {"name": "c", "kind": "d"}], "paths": {"/a": {"get": {"summary": "A"}}}}`},
		"1.1 copies": {`{"overlay": "1.2.0", "$self": "https://x.example/o", "actions": [{"target": "$.paths", "update": {"/b": {}}}, {"target": "$.paths['/b']", "copy": "$.paths['/a']"}, {"target": "$.paths['/a'].get.summary", "remove": true}]}`,
			`{"openapi": "3.1.0", "info": {"title": "T", "old": [1]}, "tags": [{"name": "a"}, {"name": "b"}], "paths": {"/a": {"get": {}}, "/b": {"get": {"summary": "A"}}}}`},
		"1.0 replaces whatever there is": {`{"overlay": "1.0.0", "actions": [{"target": "$.info", "update": {"old": {"a": 1}}}]}`,
			`{"openapi": "3.1.0", "info": {"title": "T", "old": {"a": 1}}, "tags": [{"name": "a"}, {"name": "b"}], "paths": {"/a": {"get": {"summary": "A"}}}}`},
		"1.1 does not":             {`{"overlay": "1.1.0", "actions": [{"target": "$.info", "update": {"old": {"a": 1}}}]}`, ""},
		"1.0 has no copy":          {`{"overlay": "1.0.0", "actions": [{"target": "$.info", "copy": "$.tags[0]"}]}`, ""},
		"1.0 has no scalars":       {`{"overlay": "1.0.0", "actions": [{"target": "$.info.title", "update": "U"}]}`, ""},
		"a copy is of one":         {`{"overlay": "1.1.0", "actions": [{"target": "$.info", "copy": "$.tags[*]"}]}`, ""},
		"a copy of nothing":        {`{"overlay": "1.1.0", "actions": [{"target": "$.info", "copy": "$.none"}]}`, ""},
		"update and copy":          {`{"overlay": "1.1.0", "actions": [{"target": "$.info", "copy": "$.tags[0]", "update": {}}]}`, ""},
		"several kinds":            {`{"overlay": "1.1.0", "actions": [{"target": "$.info.*", "update": "x"}]}`, ""},
		"a scalar into an object":  {`{"overlay": "1.1.0", "actions": [{"target": "$.info", "update": "x"}]}`, ""},
		"reusable actions of 1.2":  {`{"overlay": "1.2.0", "components": {}, "actions": []}`, ""},
		"a version from elsewhere": {`{"overlay": "2.0.0", "actions": []}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, findings := overlaid(t, document, tt.overlay)
			if tt.want == "" {
				if got != nil || len(findings) == 0 || findings[0].Code != "overlay-invalid" || findings[0].Location.File != "overlay.yaml" {
					t.Errorf("got %v %v", got, findings)
				}
				return
			}
			if !reflect.DeepEqual(got, plain(t, tt.want)) || len(findings) > 0 {
				t.Errorf("%v\ngot  %v\nwant %v", findings, got, tt.want)
			}
		})
	}
}
