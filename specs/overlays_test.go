package specs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/specs"
)

// The plugins of Backstage whose documents have an overlay that is written by
// hand. testdata has of each what a document must have for it.
var overlaid = []string{"notifications", "scaffolder", "search"}

func overlayOf(t *testing.T, plugin string) []byte {
	t.Helper()
	text, err := specs.Overlay("backstage-" + plugin)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// skeleton is testdata's document as JSON.
func skeleton(t *testing.T, plugin string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", plugin+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return mustJSON(t, doc)
}

// overlayActions are the x-action objects of an overlay, by name.
func overlayActions(t *testing.T, plugin string) map[string]map[string]any {
	t.Helper()
	var overlay struct {
		Actions []struct{ Update map[string]yaml.Node }
	}
	if err := yaml.Unmarshal(overlayOf(t, plugin), &overlay); err != nil {
		t.Fatal(err)
	}
	schema, all := compileSchema(t, specs.ActionSchema()), map[string]map[string]any{}
	for _, a := range overlay.Actions {
		node := a.Update["x-action"]
		var value any
		if err := node.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(asJSON(t, value)); err != nil {
			t.Errorf("%s: %v", plugin, err)
		}
		for _, action := range actionObjects(t, &node) {
			name := action["name"].(string)
			if all[name] != nil {
				t.Errorf("%s: two actions are called %s", plugin, name)
			}
			all[name] = action
		}
	}
	return all
}

// TestOverlaysAreComplete: nothing that a model sees is left to a document that
// is not ours.
func TestOverlaysAreComplete(t *testing.T) {
	for _, plugin := range overlaid {
		for name, a := range overlayActions(t, plugin) {
			name = plugin + ":" + name
			for _, key := range []string{"title", "description", "tags", "only"} {
				if a[key] == nil {
					t.Errorf("%s has no %s", name, key)
				}
			}
			if attributes, _ := a["attributes"].(map[string]any); len(attributes) != 4 {
				t.Errorf("%s: attributes %v, want all four", name, attributes)
			}
			if schema, _ := a["output"].(map[string]any)["schema"].(map[string]any); schema["type"] != "object" {
				t.Errorf("%s: its output is not said to be an object", name)
			}
			input, _ := a["input"].(map[string]any)
			for _, argument := range a["only"].([]any) {
				said, _ := input[argument.(string)].(map[string]any)
				if said["schema"] == nil || said["description"] == nil {
					t.Errorf("%s: argument %v has no schema or no description of its own", name, argument)
				}
			}
		}
	}
}

// TestOverlayTools: what a model sees is what testdata/tools has, and does not
// depend on the prefix with which Backstage serves its documents.
func TestOverlayTools(t *testing.T) {
	for _, plugin := range overlaid {
		actions := overlaidActions(t, plugin, skeleton(t, plugin))
		goldenTools(t, plugin, actions)
		prefix := "/api/" + plugin
		compareAll(t, actions, overlaidActions(t, plugin, withPrefix(t, skeleton(t, plugin), prefix)), prefix)
	}
}

// TestOverlaysOnBackstagesDocuments: the documents that Backstage has, bare and
// as it serves them, give the tools that testdata's give.
func TestOverlaysOnBackstagesDocuments(t *testing.T) {
	for _, plugin := range overlaid {
		t.Run(plugin, func(t *testing.T) {
			_, document := backstageDocument(t, plugin)
			want := overlaidActions(t, plugin, skeleton(t, plugin))
			for _, prefix := range []string{"", "/api/" + plugin} {
				compareAll(t, want, overlaidActions(t, plugin, withPrefix(t, document, prefix)), prefix)
			}
		})
	}
}

// overlaidActions reads a document with its overlay as the gateway does.
func overlaidActions(t *testing.T, plugin string, document []byte) map[string]openapi.Action {
	t.Helper()
	read := openapi.Read(openapi.Source{Name: plugin + ".json", Data: document}, openapi.Options{
		Mode: openapi.Annotated, Overlays: []openapi.Source{{Name: "backstage-" + plugin + ".yaml", Data: overlayOf(t, plugin)}},
	})
	for _, f := range read.Findings {
		if f.Severity != openapi.SeverityInfo {
			t.Error(f)
		}
	}
	all := map[string]openapi.Action{}
	for _, a := range read.Actions {
		all[a.Name] = a
		compiled := compileSchema(t, a.InputSchema)
		compileSchema(t, a.OutputSchema)
		for _, e := range a.Examples {
			if err := compiled.Validate(asJSON(t, e.Input)); err != nil {
				t.Errorf("%s: example %q: %v", a.Name, e.Title, err)
			}
		}
	}
	return all
}

func compareAll(t *testing.T, want, got map[string]openapi.Action, prefix string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d actions, want %d", len(got), len(want))
	}
	for name, w := range want {
		compareActions(t, w, got[name], prefix)
	}
}

func goldenTools(t *testing.T, plugin string, actions map[string]openapi.Action) {
	t.Helper()
	tools := map[string]any{}
	for name, a := range actions {
		tools[name] = map[string]any{
			"title": a.Title, "description": a.Description, "attributes": a.Attributes, "operation": a.Operation,
			"inputSchema": a.InputSchema, "outputSchema": a.OutputSchema,
		}
	}
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(tools); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "tools", plugin+".json")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-), what a model sees (+); go test ./specs -update writes it:\n%s", file, diff)
	}
}

// TestOverlayCalls: what a call of a tool sends to Backstage, and what becomes
// of the answer, through the whole gateway. An answer is a status and a body.
func TestOverlayCalls(t *testing.T) {
	var sent, answer string
	backstage := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
		var status int
		_, text, _ := strings.Cut(answer, " ")
		if _, err := fmt.Sscan(answer, &status); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
	g := overlaidGateway(t, backstage)
	schemas := map[string]json.RawMessage{}
	for _, plugin := range overlaid {
		for name, a := range overlaidActions(t, plugin, skeleton(t, plugin)) {
			schemas[plugin+":"+name] = a.OutputSchema
		}
	}
	called := map[string]bool{}
	for _, c := range overlayCalls {
		called[c.id] = true
		t.Run(c.id+" "+c.arguments, func(t *testing.T) {
			sent, answer = "", c.answer
			r, err := g.Call(t.Context(), c.id, json.RawMessage(c.arguments))
			if sent != c.sent {
				t.Errorf("sent %s\nwant %s", sent, c.sent)
			}
			if message, isFault := strings.CutPrefix(c.want, "fault: "); isFault {
				if err == nil || !strings.Contains(err.Error(), message) {
					t.Errorf("got %v, %v; want the fault %s", r, err, message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plain(t, c.want), plain(t, string(r.JSON))); diff != "" {
				t.Errorf("want (-), got (+): %s", diff)
			}
			if err := compileSchema(t, schemas[c.id]).Validate(asJSON(t, r.JSON)); err != nil {
				t.Errorf("the result does not fit its schema: %v", err)
			}
		})
	}
	for id := range schemas {
		if !called[id] {
			t.Errorf("%s is not called", id)
		}
	}
}

func overlaidGateway(t *testing.T, backstage http.Handler) *gateway.Gateway {
	t.Helper()
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "gateway.db"))
	cfg.Plugins = map[string]gateway.Plugin{}
	for _, plugin := range overlaid {
		p := gateway.DefaultPlugin()
		p.Document, p.Handler = skeleton(t, plugin), backstage
		p.Overlays = []string{filepath.Join("overlays", "backstage-"+plugin+".yaml")}
		cfg.Plugins[plugin] = p
	}
	server := gateway.DefaultServer()
	server.Actions.Include = []gateway.Rule{{ID: "*"}}
	cfg.Servers = map[string]gateway.Server{"all": server}
	g, err := gateway.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}
