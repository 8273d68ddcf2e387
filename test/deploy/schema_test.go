// Package deploy_test holds the manifests below deploy/ to what Kubernetes
// takes, to the letter, and the config in them to what the gateway takes.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	yaml "go.yaml.in/yaml/v3"
)

// schemas writes testdata/kubernetes.json anew from Kubernetes's own document,
// which the Go module proxy has.
var schemas = flag.Bool("schemas", false, "write testdata/kubernetes.json from the module k8s.io/kubernetes")

// kubernetes is where the schemas come from.
const kubernetes = "k8s.io/kubernetes@v1.37.2"

// kinds are those that the manifests use, by their definitions.
func kinds() map[string]string {
	return map[string]string{
		"apps/v1 Deployment":                     "io.k8s.api.apps.v1.Deployment",
		"autoscaling/v2 HorizontalPodAutoscaler": "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
		"networking.k8s.io/v1 Ingress":           "io.k8s.api.networking.v1.Ingress",
		"networking.k8s.io/v1 NetworkPolicy":     "io.k8s.api.networking.v1.NetworkPolicy",
		"policy/v1 PodDisruptionBudget":          "io.k8s.api.policy.v1.PodDisruptionBudget",
		"v1 Namespace":                           "io.k8s.api.core.v1.Namespace",
		"v1 Secret":                              "io.k8s.api.core.v1.Secret",
		"v1 Service":                             "io.k8s.api.core.v1.Service",
	}
}

const schemaFile = "testdata/kubernetes.json"

// TestSchemas: the definitions that the kinds need are there. With -schemas they
// are those of the module, without descriptions and closed to fields that they
// do not have.
func TestSchemas(t *testing.T) {
	if *schemas {
		writeSchemas(t)
	}
	if n := len(newValidator(t).schemas); n != len(kinds()) {
		t.Errorf("%d schemas", n)
	}
}

func writeSchemas(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", kubernetes).Output()
	if err != nil {
		t.Fatal(err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(module.Dir, "api", "openapi-spec", "swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Definitions map[string]any }
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	kept := map[string]any{}
	for _, name := range kinds() {
		keep(document.Definitions, name, kept)
	}
	var b bytes.Buffer
	b.WriteString("{\n\"definitions\": {\n")
	lines := make([]string, 0, len(kept))
	for name, definition := range kept {
		text, err := json.Marshal(definition)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%q: %s", name, text))
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ",\n"))
	b.WriteString("\n}\n}\n")
	if err := os.WriteFile(schemaFile, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// keep takes a definition over with all that it refers to.
func keep(all map[string]any, name string, kept map[string]any) {
	if _, done := kept[name]; done {
		return
	}
	definition := all[name].(map[string]any)
	kept[name] = definition
	if _, object := definition["properties"]; object {
		definition["additionalProperties"] = false
	}
	if strings.HasSuffix(name, ".IntOrString") || strings.HasSuffix(name, ".Quantity") { // the document says string
		definition["type"] = []string{"string", "integer", "number"}
	}
	clean(definition, func(ref string) { keep(all, strings.TrimPrefix(ref, "#/definitions/"), kept) })
}

// clean takes descriptions and Kubernetes's own keywords out of a schema, and
// tells of its references.
func clean(v any, refers func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			text, isText := inner.(string)
			switch {
			case key == "description" && isText, strings.HasPrefix(key, "x-kubernetes-"):
				delete(v, key)
			case key == "$ref" && isText:
				refers(text)
			default:
				clean(inner, refers)
			}
		}
	case []any:
		for _, inner := range v {
			clean(inner, refers)
		}
	}
}

// validator checks objects strictly: a field that Kubernetes does not know is
// an error, where the server would only warn.
type validator struct {
	schemas map[string]*jsonschema.Schema
}

func newValidator(t *testing.T) *validator {
	t.Helper()
	file, err := os.Open(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	if err := compiler.AddResource("kubernetes.json", document); err != nil {
		t.Fatal(err)
	}
	v := &validator{schemas: map[string]*jsonschema.Schema{}}
	for kind, name := range kinds() {
		if v.schemas[kind], err = compiler.Compile("kubernetes.json#/definitions/" + name); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// dns1123 is what names of objects are (RFC 1123).
var dns1123 = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// check validates one object of a manifest.
func (v *validator) check(object map[string]any) error {
	kind := fmt.Sprint(object["apiVersion"], " ", object["kind"])
	schema := v.schemas[kind]
	if schema == nil {
		return fmt.Errorf("kind %s is none that the manifests use", kind)
	}
	// Schemas are about JSON: what YAML says goes through it.
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	metadata, _ := object["metadata"].(map[string]any)
	if name := fmt.Sprint(metadata["name"]); !dns1123.MatchString(name) {
		return fmt.Errorf("name %q is no name of an object", name)
	}
	return schema.Validate(value)
}

// objects reads all objects of a manifest. A key that stands twice is an error.
func objects(data []byte) ([]map[string]any, error) {
	var all []map[string]any
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var object map[string]any
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if object == nil {
			return nil, errors.New("document is empty")
		}
		all = append(all, object)
	}
}
