package backstage_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
	"github.com/stagedoor/stagedoor/specs"
)

// documentedConfig writes the nth config of docs/backstage.md that has plugins
// and servers, as it stands there but for the URL of Backstage, with the
// overlays beside it. It gives the file and the page.
func documentedConfig(t *testing.T, n int, url string) (path string, page []byte) {
	t.Helper()
	page, err := os.ReadFile("../../docs/backstage.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(plugins:\n.*?\nservers:\n.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) <= n {
		t.Fatalf("docs/backstage.md has %d configs with plugins and servers", len(blocks))
	}
	dir := t.TempDir()
	for _, name := range specs.Overlays() {
		overlay, err := specs.Overlay(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), overlay, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(dir, "config.yaml")
	text := strings.ReplaceAll(string(blocks[n][1]), "https://backstage.example.com", url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, page
}

// TestDocumentedConfig runs the config of docs/backstage.md as it stands there,
// with the URL of the running Backstage.
func TestDocumentedConfig(t *testing.T) {
	url, token := backstage(t)
	path, page := documentedConfig(t, 0, url)
	file, err := config.Load(path, []string{"BACKSTAGE_TOKEN=" + token})
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(t.Context(), file.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	if found := g.Findings(); len(found) > 0 {
		t.Errorf("findings: %v", found)
	}
	c := newClient(t, g, "portal")
	documented := regexp.MustCompile("(?m)^\\| (\\w+) \\| .*`.*$").FindAllString(string(page), -1)
	var want []string
	for _, line := range documented {
		plugin, tools, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		for _, tool := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(tools, -1) {
			id := plugin + "_" + tool[1]
			if plugin != "notifications" && id != "catalog_register-entity" && id != "catalog_unregister-entity" || id == "notifications_send-notification" {
				want = append(want, id)
			}
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(c.outputs))); diff != "" {
		t.Errorf("tools of docs/backstage.md (-), tools of the server portal (+):\n%s", diff)
	}
	c.check("catalog_get-catalog-entity", `{"kind":"template","name":"keep-a-note"}`, `.spec.type`, `"note"`)
	c.check("search_query", `{"term":"checkout","pageLimit":1}`, `.results | length <= 1`, `true`)
}
