package openapi

import (
	"bytes"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestCorpus reads every real document below STAGEDOOR_CORPUS (.ci/run sets
// it): none panics, each operation is an action or named by an error, all
// schemas compile, and the time is in proportion to the size.
func TestCorpus(t *testing.T) {
	dirs := os.Getenv("STAGEDOOR_CORPUS")
	if dirs == "" {
		t.Skip("STAGEDOOR_CORPUS is not set")
	}
	for _, dir := range filepath.SplitList(dirs) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !isDocument(t, path) {
				return err
			}
			t.Run(filepath.Base(path), func(t *testing.T) { checkDocument(t, path) })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func isDocument(t *testing.T, path string) bool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := data[:min(len(data), 20_000)]
	return bytes.Contains(head, []byte(`openapi`)) && slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(path))
}

func checkDocument(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	doc := Read(Source{path, data}, Options{Mode: All})
	took := time.Since(start)
	if limit := 2*time.Second*time.Duration(len(data))/1_000_000 + 200*time.Millisecond; took > slower*limit {
		t.Errorf("took %v, over the limit of %v", took, limit)
	}
	refused := map[string]bool{}
	for _, f := range doc.Findings {
		if f.Severity == SeverityError {
			if f.Operation != "" {
				refused[f.Operation] = true
			}
			t.Log(f)
		}
	}
	if len(doc.Actions)+len(refused) != doc.Operations {
		t.Errorf("%d operations, but %d actions and %d refused", doc.Operations, len(doc.Actions), len(refused))
	}
	bytes := 0
	for _, a := range doc.Actions {
		bytes += len(a.InputSchema) + len(a.OutputSchema)
		mustCompile(t, a.Name+" input", a.InputSchema)
		if a.OutputSchema != nil {
			mustCompile(t, a.Name+" output", a.OutputSchema)
		}
	}
	t.Logf("%d bytes, %v: %d operations, %d actions, %d findings, %d bytes of schemas", len(data), took, doc.Operations, len(doc.Actions), len(doc.Findings), bytes)
}

// mustCompile compiles a schema as 2020-12 with a loader that fetches nothing.
func mustCompile(t *testing.T, name string, schema []byte) *jsonschema.Schema {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, schema)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(refuse{})
	if err := c.AddResource("mem:///"+url.PathEscape(name), v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	s, err := c.Compile("mem:///" + url.PathEscape(name))
	if err != nil {
		t.Errorf("%s: %v\n%.2000s", name, err, schema)
	}
	return s
}

type refuse struct{}

func (refuse) Load(string) (any, error) { return nil, os.ErrPermission }
