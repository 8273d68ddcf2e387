package oracle_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/test/draw"
)

// corpus lists the real documents below STAGEDOOR_CORPUS; none: it is not set.
func corpus(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, dir := range filepath.SplitList(os.Getenv("STAGEDOOR_CORPUS")) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(path)) {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// tree reads a document as plain values, by another way than package openapi;
// nil when it is no document of OpenAPI.
func tree(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var root any
	if err := yaml.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plain(root))
	if err != nil {
		t.Fatal(err)
	}
	doc, _ := decoded(t, text).(map[string]any)
	if doc["openapi"] == nil && doc["swagger"] == nil {
		return nil
	}
	return doc
}

// plain makes the keys of all objects strings.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			v[k] = plain(member)
		}
	case map[any]any:
		out := map[string]any{}
		for k, member := range v {
			text, err := yaml.Marshal(k)
			if err == nil {
				out[strings.TrimSpace(string(text))] = plain(member)
			}
		}
		return out
	case []any:
		for i, item := range v {
			v[i] = plain(item)
		}
	}
	return v
}

// alone gives a document with one operation of doc, called "operation", with
// the references resolved that a client has to follow to build its requests.
func alone(doc map[string]any, path, method string) map[string]any {
	d := draw.Drawer{Root: doc}
	follow := func(v any) map[string]any {
		object, _ := v.(map[string]any)
		for range 20 {
			ref, ok := object["$ref"].(string)
			if !ok {
				break
			}
			object, _ = d.Resolve(ref).(map[string]any)
		}
		return object
	}
	paths, _ := doc["paths"].(map[string]any)
	item := follow(paths[path])
	source, _ := item[method].(map[string]any)
	operation := map[string]any{"operationId": "operation"}
	var parameters []any
	seen := map[string]bool{}
	for _, listed := range []any{source["parameters"], item["parameters"]} {
		list, _ := listed.([]any)
		for _, p := range list {
			p := follow(p)
			name, _ := p["name"].(string)
			in, _ := p["in"].(string)
			if seen[in+"."+name] {
				continue
			}
			seen[in+"."+name] = true
			out := map[string]any{}
			for k, v := range p {
				out[k] = v
			}
			if schema, ok := p["schema"]; ok {
				out["schema"] = map[string]any{"type": follow(schema)["type"]}
				if follow(schema)["type"] == nil {
					out["schema"] = map[string]any{}
				}
			}
			parameters = append(parameters, out)
		}
	}
	operation["parameters"] = parameters
	if body := follow(source["requestBody"]); body != nil {
		content, _ := body["content"].(map[string]any)
		media := map[string]any{}
		for name, m := range content {
			m, _ := m.(map[string]any)
			media[name] = map[string]any{}
			if m["encoding"] != nil {
				media[name] = map[string]any{"encoding": m["encoding"]}
			}
		}
		operation["requestBody"] = map[string]any{"content": media}
	}
	out := map[string]any{"openapi": doc["openapi"], "paths": map[string]any{path: map[string]any{method: operation}}}
	if doc["swagger"] != nil {
		delete(out, "openapi")
		out["swagger"] = "2.0"
		for _, consumes := range []any{doc["consumes"], source["consumes"]} {
			if consumes != nil {
				operation["consumes"] = consumes
			}
		}
	}
	return out
}
