package config

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	yaml "go.yaml.in/yaml/v3"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is YAML as an editor's validator sees it.
func asJSON(t *testing.T, data string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(data), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(stringKeys(v))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func stringKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = stringKeys(v[k])
		}
	case map[any]any:
		out := map[string]any{}
		for k, item := range v {
			out[strings.Trim(string(must(json.Marshal(k))), `"`)] = stringKeys(item)
		}
		return out
	case []any:
		for i := range v {
			v[i] = stringKeys(v[i])
		}
	}
	return v
}

func must(b []byte, err error) []byte {
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

func TestSchemaAcceptsGoodConfigs(t *testing.T) {
	s := compiledSchema(t)
	archives, _ := filepath.Glob("testdata/good-*.txtar")
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asJSON(t, fileOf(archive, "config.yaml"))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRejectsBadStructure(t *testing.T) {
	s := compiledSchema(t)
	for _, name := range []string{
		"unknown-field", "unknown-field-top", "unknown-field-hides-what-follows", "wrong-type-scalar", "wrong-type-sections",
		"wrong-type-plugins", "wrong-type-servers", "wrong-type-list", "wrong-type-rule", "enum", "names", "secret-types", "long-value",
		"misspelled-servers", "many-at-once",
	} {
		archive, err := txtar.ParseFile("testdata/" + name + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asJSON(t, fileOf(archive, "config.yaml"))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSchemaAgreesWithLoad tries values one at a time, so that one fault does
// not cover for another.
func TestSchemaAgreesWithLoad(t *testing.T) {
	s := compiledSchema(t)
	const rest = "\nservers: {sales: {actions: {include: [x]}}}\n"
	for _, line := range []string{
		"listen: localhost:1", "listen: 5", "listen: [a]", "listen: ", "listen: true",
		"log: {level: info}", "log: {level: loud}", "log: {level: }", `log: {level: "${LEVEL}"}`, "log: {levle: info}", "log: 5", "log: ",
		"limits: {requestBody: 5}", "limits: {requestBody: 5MiB}", "limits: {requestBody: 5MB}", "limits: {requestBody: -5}", "limits: {requestBody: 5.5}", `limits: {requestBody: "${N}"}`,
		"limits: {sessionTTL: 5}", "limits: {sessionTTL: 5s}", "limits: {sessionTTL: 5 s}", "limits: {sessionTTL: 1h2m3s}", "limits: {sessionTTL: 1.5h}", "limits: {sessionTTL: s}",
		"allowedOrigins: [https://a.b]", "allowedOrigins: https://a.b", "allowedOrigins: [5]", "allowedOrigins: [null]", "allowedOrigins: ",
		"database: {url: postgres://x}", "database: {url: {env: N}}", "database: {url: {env: N, file: x}}", "database: {url: {}}", "database: {url: 5}", `database: {url: ""}`, "database: {url: }", "database: {url: {env: 5}}",
		"plugins: {a: {spec: x, attributes: {x: {readOnly: true}}}}", "plugins: {a: {spec: x, attributes: {x: {readOnly: yes please}}}}",
		"plugins: {A: {spec: x}}", "plugins: {a-: {spec: x}}", "plugins: {-a: {spec: x}}", "plugins: {" + strings.Repeat("a", 63) + ": {spec: x}}", "plugins: {" + strings.Repeat("a", 64) + ": {spec: x}}",
		"plugins: {a: {spec: x, refresh: 0}}", "plugins: {a: {spec: x, refresh: 1}}",
		"limits: {requestBody: 0}", "limits: {requestBody: 0 MiB}", "limits: {requestBody: 10B}", "streams: {replay: 0}", "streams: {replay: 0m0s}", "streams: {replay: 0.5s}",
		"database: {wait: 0}", "shutdown: {timeout: 0s}", "shutdown: {delay: 0s}", "plugins: {a: {spec: x, maxResponse: 0}}",
	} {
		_, issues := loadString(t, line+rest, "LEVEL=info", "N=5")
		err := s.Validate(asJSON(t, line+rest))
		if (err == nil) != (len(issues) == 0) {
			t.Errorf("%s:\nschema says %v\nloader says %v", line, err, issues)
		}
	}
}

func TestSchemaDescribesEveryField(t *testing.T) {
	if n := bytes.Count(JSONSchema(), []byte(`"description"`)); n < 50 {
		t.Errorf("expected at least 50 descriptions, got %d", n)
	}
	if !bytes.Equal(JSONSchema(), JSONSchema()) {
		t.Error("two runs differ")
	}
}
