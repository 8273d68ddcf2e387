package backstage_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/test/draw"
)

// compiled is a schema as validators take it.
func compiled(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///schema", tree(t, schema)); err != nil {
		t.Fatal(err)
	}
	out, err := c.Compile("mem:///schema")
	if err != nil {
		t.Fatalf("%v\n%s", err, schema)
	}
	return out
}

func tree(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// TestArgumentsRoundTrip: what Backstage's schema admits is what a model can
// give, and what it gives is what Backstage gets.
func TestArgumentsRoundTrip(t *testing.T) {
	for _, name := range []string{"actions", "secrets"} {
		archive, err := txtar.ParseFile(filepath.Join("testdata/document", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, archive.Files[0].Data, "depot", "token", "other")
	}
}

// TestShippedActions takes the actions that Backstage ships: the list below
// STAGEDOOR_CORPUS (backstage-actions-list.json, folders parted by colons).
func TestShippedActions(t *testing.T) {
	if os.Getenv("STAGEDOOR_CORPUS") == "" {
		t.Skip("STAGEDOOR_CORPUS is not set")
	}
	var list []byte
	for _, dir := range filepath.SplitList(os.Getenv("STAGEDOOR_CORPUS")) {
		if data, err := os.ReadFile(filepath.Join(dir, "backstage-actions-list.json")); err == nil {
			list = data
		}
	}
	if list == nil {
		t.Skip("no backstage-actions-list.json in STAGEDOOR_CORPUS")
	}
	count := 0
	for _, plugin := range []string{"auth", "catalog", "kubernetes", "notifications", "scaffolder", "search"} {
		_, doc, _ := read(t, list, plugin)
		for _, f := range doc.Findings {
			t.Errorf("%s: %v", plugin, f)
		}
		count += len(doc.Actions)
		roundTrip(t, list, plugin)
	}
	if count != 17 {
		t.Errorf("%d actions, want 17", count)
	}
}

func roundTrip(t *testing.T, list []byte, plugin string, secrets ...string) {
	t.Helper()
	_, doc, _ := read(t, list, plugin, secrets...)
	var listed struct {
		Actions []struct {
			ID     string
			Schema struct{ Input json.RawMessage }
		}
	}
	if err := json.Unmarshal(list, &listed); err != nil {
		t.Fatal(err)
	}
	for i := range doc.Actions {
		a := &doc.Actions[i]
		for _, entry := range listed.Actions {
			if strings.Contains(a.Operation, "/"+strings.ReplaceAll(entry.ID, ":", "%3A")+"/") {
				t.Run(entry.ID, func(t *testing.T) { sendAll(t, a, entry.Schema.Input) })
			}
		}
	}
}

// sendAll draws values from the schema that the list has and from the one that
// a model sees.
func sendAll(t *testing.T, a *openapi.Action, input json.RawMessage) {
	theirs, ours := compiled(t, input), compiled(t, a.InputSchema)
	client, err := invoke.New(invoke.Options{BaseURL: "http://127.0.0.1:9/api/x"})
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.Contains(a.InputSchema, []byte(`"properties":{"input":{`)) // the input is one argument
	renamed := strings.Contains(string(input), "not exact!")
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		theirDrawer := draw.Drawer{Rand: random, Root: tree(t, input), Optional: 0.5, Text: anyText}
		v, ok := theirDrawer.Value(theirDrawer.Root)
		if object, isObject := v.(map[string]any); ok && isObject && !renamed && theirs.Validate(v) == nil {
			if whole {
				object = map[string]any{"input": v}
			}
			if err := ours.Validate(object); err != nil {
				t.Errorf("%v is refused: %v", v, err)
			}
			if diff := cmp.Diff(v, sent(t, client, a, object)); diff != "" {
				t.Errorf("given (-), sent (+):\n%s", diff)
			}
		}
		ourDrawer := draw.Drawer{Rand: random, Root: tree(t, a.InputSchema), Optional: 0.5, Text: anyText}
		if v, ok := ourDrawer.Value(ourDrawer.Root); ok && ours.Validate(v) == nil {
			object, _ := v.(map[string]any)
			if err := theirs.Validate(sent(t, client, a, object)); err != nil {
				t.Errorf("%v is admitted: %v", v, err)
			}
		}
	}
}

func anyText(r *rand.Rand) string {
	return []string{"", "a", "0", "a/b?c#d", "é\u2028\"\\", "null", "http://x.example/y"}[r.IntN(7)]
}

// sent is the input as it reaches Backstage.
func sent(t *testing.T, client *invoke.Client, a *openapi.Action, arguments map[string]any) any {
	t.Helper()
	req, err := client.Request(t.Context(), a, arguments)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	v := tree(t, body)
	if !strings.Contains(req.URL.Path, "/v2/") {
		return v
	}
	wrapped, _ := v.(map[string]any)
	for name, secret := range wrapped["secrets"].(map[string]any) {
		if secret != "[redacted]" {
			t.Errorf("a preview shows the secret %s", name)
		}
	}
	if len(wrapped) != 2 {
		t.Error(fmt.Sprint("sent ", wrapped))
	}
	return wrapped["input"]
}
