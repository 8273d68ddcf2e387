package specs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/itchyny/gojq"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/speakeasy-api/jsonpath/pkg/jsonpath"
	"go.yaml.in/yaml/v3"
	jsonpathyaml "gopkg.in/yaml.v3" // the nodes that jsonpath takes

	"github.com/stagedoor/stagedoor/specs"
)

var update = flag.Bool("update", false, "write the overlay anew from catalog.yaml")

// annotated is an operation with its x-action objects.
type annotated struct {
	path, method string
	node         *yaml.Node // of x-action
	actions      []map[string]any
}

func annotations(t *testing.T, document []byte) []annotated {
	t.Helper()
	var doc struct {
		Paths yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	var found []annotated
	for i := 0; i < len(doc.Paths.Content); i += 2 {
		path, item := doc.Paths.Content[i].Value, doc.Paths.Content[i+1]
		for j := 0; j < len(item.Content); j += 2 {
			method, operation := item.Content[j].Value, item.Content[j+1]
			for k := 0; operation.Kind == yaml.MappingNode && k < len(operation.Content); k += 2 {
				if operation.Content[k].Value == "x-action" {
					node := operation.Content[k+1]
					found = append(found, annotated{path, method, node, actionObjects(t, node)})
				}
			}
		}
	}
	return found
}

func actionObjects(t *testing.T, node *yaml.Node) []map[string]any {
	t.Helper()
	var one map[string]any
	if node.Kind == yaml.SequenceNode {
		var list []map[string]any
		if err := node.Decode(&list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if err := node.Decode(&one); err != nil {
		t.Fatal(err)
	}
	return []map[string]any{one}
}

func allActions(t *testing.T) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, a := range annotations(t, specs.Catalog()) {
		for _, action := range a.actions {
			name := action["name"].(string)
			if all[name] != nil {
				t.Errorf("%s: two actions have that name", name)
			}
			all[name] = action
		}
	}
	return all
}

// Backstage's names of the operations that we annotate. The overlay finds them
// by these, because their paths carry a prefix where a backend serves them.
func target(t *testing.T, a annotated) string {
	t.Helper()
	id := map[string]string{
		"get /entities/by-query":  "GetEntitiesByQuery",
		"post /entities/by-query": "QueryEntitiesByPredicate",
		"post /entities/by-refs":  "GetEntitiesByRefs",
		"post /entity-facets":     "QueryEntityFacetsByPredicate",
		"get /locations":          "GetLocations",
		"post /locations":         "CreateLocation",
		"delete /locations/{id}":  "DeleteLocation",
		"post /refresh":           "RefreshEntity",
		"post /validate-entity":   "ValidateEntity",
		"get /entities/by-name/{kind}/{namespace}/{name}/ancestry": "GetEntityAncestryByName",
	}[a.method+" "+a.path]
	if id == "" {
		t.Fatalf("%s %s: what does Backstage call this operation?", a.method, a.path)
	}
	return fmt.Sprintf("$.paths.*[?@.operationId == '%s']", id)
}

func TestOverlaySaysTheSameAsTheDocument(t *testing.T) {
	const file = "overlays/backstage-catalog.yaml"
	want := annotations(t, specs.Catalog())
	if *update {
		writeOverlay(t, file, want)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct {
		Overlay string
		Actions []struct {
			Target string
			Update map[string]yaml.Node
		}
	}
	if err := yaml.Unmarshal(text, &overlay); err != nil {
		t.Fatal(err)
	}
	if overlay.Overlay != "1.0.0" {
		t.Errorf("overlay: %q", overlay.Overlay)
	}
	if len(overlay.Actions) != len(want) {
		t.Fatalf("overlay has %d actions, document annotates %d operations; run go test ./specs -update", len(overlay.Actions), len(want))
	}
	for i, a := range overlay.Actions {
		if a.Target != target(t, want[i]) {
			t.Errorf("action %d: target %s, want %s", i, a.Target, target(t, want[i]))
		}
		node := a.Update["x-action"]
		if diff := cmp.Diff(want[i].actions, actionObjects(t, &node)); diff != "" {
			t.Errorf("%s differs from catalog.yaml (run go test ./specs -update):\n%s", a.Target, diff)
		}
	}
}

// The targets find each operation once, with and without a prefix.
func TestOverlayTargets(t *testing.T) {
	for _, prefix := range []string{"", "/api/catalog"} {
		var doc strings.Builder
		doc.WriteString("paths:\n")
		operations := annotations(t, specs.Catalog())
		for i, o := range operations {
			if i == 0 || operations[i-1].path != o.path {
				fmt.Fprintf(&doc, "  %s%s:\n    parameters: [{name: a}]\n", prefix, o.path)
			}
			id := target(t, o)
			id = id[strings.Index(id, "'")+1 : strings.LastIndex(id, "'")]
			fmt.Fprintf(&doc, "    %s: {operationId: %s}\n", o.method, id)
		}
		var root jsonpathyaml.Node
		if err := jsonpathyaml.Unmarshal([]byte(doc.String()), &root); err != nil {
			t.Fatal(err)
		}
		for _, o := range operations {
			path, err := jsonpath.NewPath(target(t, o))
			if err != nil {
				t.Fatal(err)
			}
			if found := path.Query(&root); len(found) != 1 {
				t.Errorf("%s finds %d operations", target(t, o), len(found))
			}
		}
	}
}

func writeOverlay(t *testing.T, file string, operations []annotated) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(`# Annotates Backstage's own catalog document (plugin-catalog-backend 4, also as
# GET /api/catalog/openapi.json serves it without the prefix) with the same
# actions as ../catalog.yaml. Written from it by: go test ./specs -update
overlay: 1.0.0
info:
  title: Actions of the Backstage software catalog
  version: 1.0.0
actions:
`)
	for _, o := range operations {
		var block bytes.Buffer
		e := yaml.NewEncoder(&block)
		e.SetIndent(2)
		if err := e.Encode(map[string]*yaml.Node{"x-action": o.node}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  - target: %s\n    update:\n", target(t, o))
		for line := range strings.Lines(block.String()) {
			if strings.TrimSpace(line) == "" {
				b.WriteString("\n")
				continue
			}
			b.WriteString("      " + line)
		}
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compileSchema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("mem:///schema.json", value); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:///schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON passes a YAML value through JSON, so that it has JSON's types.
func asJSON(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestActionsFitTheSchema(t *testing.T) {
	schema := compileSchema(t, specs.ActionSchema())
	for _, a := range annotations(t, specs.Catalog()) {
		var value any
		if err := a.node.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(asJSON(t, value)); err != nil {
			t.Errorf("%s %s: %v", a.method, a.path, err)
		}
	}
}

func TestActionSchemaRefuses(t *testing.T) {
	schema := compileSchema(t, specs.ActionSchema())
	for name, text := range map[string]string{
		"text":              `"get-entity"`,
		"empty list":        `[]`,
		"list with true":    `[true]`,
		"unknown key":       `{"nme": "x"}`,
		"upper-case name":   `{"name": "GetEntity"}`,
		"unknown attribute": `{"attributes": {"readonly": true}}`,
		"unknown target":    `{"fixed": {"form.a": 1}}`,
		"no member":         `{"fixed": {"body.": 1}}`,
		"secret in a path":  `{"secrets": {"path.id": "token"}}`,
		"secret's value":    `{"secrets": {"body.token": {"env": "TOKEN"}}}`,
		"jq not text":       `{"request": {"query.a": 1}}`,
		"argument text":     `{"input": {"a": "query.a"}}`,
		"argument key":      `{"input": {"a": {"from": "query.a"}}}`,
		"status":            `{"output": {"success": [20]}}`,
		"timeout":           `{"timeout": "soon"}`,
		"example":           `{"examples": [{"input": {}}]}`,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(value) == nil {
			t.Errorf("%s: %s is accepted", name, text)
		}
	}
	for _, text := range []string{`true`, `{}`, `[{"name": "a"}, {"name": "b"}]`, `{"timeout": "1m30s", "fixed": {"body": {}, "header.X-A": "b", "body.a.b": null}, "secrets": {"body.token": "token"}}`} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEveryActionIsComplete(t *testing.T) {
	for name, a := range allActions(t) {
		attributes, _ := a["attributes"].(map[string]any)
		if len(attributes) != 4 {
			t.Errorf("%s: attributes %v, want all four", name, attributes)
		}
		output, _ := a["output"].(map[string]any)
		schema, _ := output["schema"].(map[string]any)
		if schema["type"] != "object" {
			t.Errorf("%s: its output is not said to be an object", name)
		}
		compileSchema(t, mustJSON(t, schema))
		input, _ := a["input"].(map[string]any)
		only, _ := a["only"].([]any)
		if len(only) != len(input) {
			t.Errorf("%s: only %v, but input describes %d", name, only, len(input))
		}
		arguments := inputSchema(t, a)
		compiled := compileSchema(t, mustJSON(t, arguments))
		examples, _ := a["examples"].([]any)
		for _, example := range examples {
			if err := compiled.Validate(asJSON(t, example.(map[string]any)["input"])); err != nil {
				t.Errorf("%s: example: %v", name, err)
			}
		}
	}
}

// inputSchema is the tool's input schema, roughly as the gateway publishes it:
// every argument of ours carries its schema.
func inputSchema(t *testing.T, action map[string]any) map[string]any {
	t.Helper()
	properties, required := map[string]any{}, []string{}
	input, _ := action["input"].(map[string]any)
	for name, v := range input {
		argument := v.(map[string]any)
		schema, _ := argument["schema"].(map[string]any)
		if schema == nil {
			t.Errorf("%s: %s has no schema of its own", action["name"], name)
		}
		property := map[string]any{}
		for k, v := range schema {
			property[k] = v
		}
		property["description"] = argument["description"]
		if d, ok := argument["default"]; ok {
			property["default"] = d
		}
		properties[name] = property
		target, _ := argument["for"].(string)
		if argument["required"] == true || strings.HasPrefix(target, "path.") && argument["required"] != false {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func mustJSON(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What a model pays for the whole catalog before it has asked anything.
func TestToolsStaySmall(t *testing.T) {
	total := 0
	for name, a := range allActions(t) {
		tool := map[string]any{
			"name": "catalog_" + name, "title": a["title"], "description": a["description"],
			"inputSchema": inputSchema(t, a), "outputSchema": a["output"].(map[string]any)["schema"],
			"annotations": map[string]bool{"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false},
		}
		size := len(mustJSON(t, tool))
		t.Logf("%6d %s", size, name)
		total += size
	}
	if total >= 16<<10 {
		t.Errorf("tools/list is %d bytes, want less than 16 KiB", total)
	}
}

func TestExampleFilesAreThere(t *testing.T) {
	files, err := fs.Glob(specs.Example(), "*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("example files %v, %v", files, err)
	}
	if _, err := fs.Stat(specs.Example(), "catalog-info.yaml"); err != nil {
		t.Error(err)
	}
	for _, name := range specs.Overlays() {
		if _, err := specs.Overlay(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := specs.Overlay("none"); err == nil {
		t.Error("an overlay that is not there is found")
	}
}

// run evaluates one of an action's jq programs as the gateway does.
func run(program string, input any, status int, arguments any) (any, error) {
	query, err := gojq.Parse(program)
	if err != nil {
		return nil, err
	}
	code, err := gojq.Compile(query, gojq.WithVariables([]string{"$status", "$arguments"}),
		gojq.WithFunction("fromyaml", 0, 0, func(v any, _ []any) any {
			var out any
			text, ok := v.(string)
			if !ok {
				return errors.New("fromyaml: not a string")
			}
			if err := yaml.Unmarshal([]byte(text), &out); err != nil {
				return fmt.Errorf("not YAML: %w", err)
			}
			return out
		}))
	if err != nil {
		return nil, err
	}
	value, ok := code.Run(input, status, arguments).Next()
	if !ok {
		return nil, nil
	}
	if err, ok := value.(error); ok {
		return nil, err
	}
	return value, nil
}

// plain is a JSON text as gojq wants values.
func plain(t *testing.T, text string) any {
	t.Helper()
	if text == "" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestRequestPrograms(t *testing.T) {
	for _, c := range []struct{ action, target, arguments, want string }{
		{"get-catalog-entity", "query.filter", `{"name":"a"}`, `["metadata.name=a"]`},
		{"get-catalog-entity", "query.filter", `{"name":"a","kind":"API","namespace":"x"}`, `["kind=API,metadata.namespace=x,metadata.name=a"]`},
		{"get-catalog-entity", "query.filter", `{"name":"a,kind=user"}`, `error: name must not contain "," or "=": a,kind=user`},
		{"get-catalog-entity", "query.filter", `{"name":"a","kind":"x=y"}`, `error: kind must not contain "," or "=": x=y`},
		{"query-catalog-entities", "body.limit", `{}`, ``},
		{"query-catalog-entities", "body.limit", `{"limit":"25"}`, `25`},
		{"query-catalog-entities", "body.limit", `{"limit":25}`, `25`},
		{"query-catalog-entities", "body.offset", `{"offset":"0"}`, `0`},
		{"query-catalog-entities", "body.offset", `{"offset":0}`, `0`},
		{"query-catalog-entities", "body.offset", `{"offset":5,"cursor":"c"}`, ``},
		{"query-catalog-entities", "body.orderBy", `{}`, ``},
		{"query-catalog-entities", "body.orderBy", `{"orderFields":{"field":"kind","order":"asc"}}`, `[{"field":"kind","order":"asc"}]`},
		{"query-catalog-entities", "body.orderBy", `{"orderFields":[{"field":"kind","order":"asc"}]}`, `[{"field":"kind","order":"asc"}]`},
		{"get-catalog-related-entities", "body.query", `{"entityRef":"Component:Checkout","relation":"dependsOn"}`, `{"relations.dependencyof":"component:default/checkout"}`},
		{"get-catalog-related-entities", "body.query", `{"entityRef":"group:a/b","relation":"ownerOf"}`, `{"relations.ownedby":"group:a/b"}`},
		{"unregister-entity", "path.id", `{"type":{"locationId":"7"}}`, `"7"`},
		{"refresh-catalog-entity", "body.entityRef", `{"kind":"API","name":"X","namespace":"default"}`, `"api:default/x"`},
		{"validate-entity", "body.entity", `{"entity":"kind: A"}`, `{"kind":"A"}`},
		{"validate-entity", "body.entity", `{"entity":"a: [b"}`, ``},
		{"validate-entity", "body.location", `{"entity":"a"}`, `"url:https://validate.example.com/catalog-info.yaml"`},
		{"validate-entity", "body.location", `{"entity":"a","location":"https://x.example.com/y"}`, `"url:https://x.example.com/y"`},
	} {
		program := allActions(t)[c.action]["request"].(map[string]any)[c.target].(string)
		arguments := plain(t, c.arguments)
		checkRun(t, c.action+" "+c.target+" "+c.arguments, program, arguments, 0, arguments, c.want)
	}
}

func checkRun(t *testing.T, name, program string, input any, status int, arguments any, want string) {
	t.Helper()
	value, err := run(program, input, status, arguments)
	if message, ok := strings.CutPrefix(want, "error: "); ok {
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: got %v, %v; want the error %s", name, value, err, message)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if diff := cmp.Diff(string(mustJSON(t, plain(t, want))), string(mustJSON(t, value))); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

func TestSelectPrograms(t *testing.T) {
	for _, c := range []struct {
		action, body string
		status       int
		arguments    string
		want         string
	}{
		{"get-catalog-entity", `{"items":[{"kind":"API"}]}`, 200, `{"name":"a"}`, `{"kind":"API"}`},
		{"get-catalog-entity", `{"items":[]}`, 200, `{"name":"a"}`, `error: No entity is named "a". Look`},
		{"get-catalog-entity", `{"items":[]}`, 200, `{"name":"a","kind":"api"}`, `error: No entity is named "a" with kind api.`},
		{"get-catalog-entity", `{"items":[{"kind":"API","metadata":{"name":"a"}},{"kind":"Group","metadata":{"name":"a","namespace":"x"}}]}`, 200, `{"name":"a"}`,
			`error: "a" is the name of several entities, give kind and namespace of one of: api:default/a, group:x/a`},
		{"query-catalog-entities", `{"items":[],"totalItems":0,"pageInfo":{}}`, 200, `{}`, `{"hasMoreEntities":false,"items":[],"totalItems":0}`},
		{"query-catalog-entities", `{"items":[1],"totalItems":2,"pageInfo":{"nextCursor":"n"}}`, 200, `{}`, `{"hasMoreEntities":true,"items":[1],"nextPageCursor":"n","totalItems":2}`},
		{"get-catalog-related-entities", `{"items":[{"kind":"User","metadata":{"name":"n"},"spec":{"profile":{"displayName":"N N","email":"n@example.com"}}}],"pageInfo":{}}`, 200, `{}`,
			`{"entities":[{"email":"n@example.com","entityRef":"user:default/n","title":"N N"}],"hasMore":false}`},
		{"get-catalog-entities-by-refs", `{"items":[null]}`, 200, `{}`, `{"items":[null]}`},
		{"get-catalog-entity-ancestry", `{"rootEntityRef":"api:default/a","items":[{"entity":{"kind":"API","metadata":{"name":"a","annotations":{"backstage.io/managed-by-location":"url:https://x"}}},"parentEntityRefs":["location:default/l"]}]}`, 200, `{}`,
			`{"items":[{"entityRef":"api:default/a","location":"url:https://x","parentEntityRefs":["location:default/l"]}],"rootEntityRef":"api:default/a"}`},
		{"get-catalog-facets", `{"facets":{"kind":[{"value":"API","count":1},{"value":"User","count":2}]}}`, 200, `{}`, `{"facets":{"kind":[{"count":2,"value":"User"},{"count":1,"value":"API"}]}}`},
		{"list-catalog-locations", `[{"data":{"id":"1","type":"url","target":"https://x","entityRef":"location:default/g"}},{"data":{"id":"2","type":"file","target":"y"}}]`, 200, `{}`,
			`{"locations":[{"entityRef":"location:default/g","id":"1","target":"https://x","type":"url"},{"id":"2","target":"y","type":"file"}]}`},
		{"register-entity", `{"location":{"id":"1"},"entities":[]}`, 201, `{}`, `{"locationId":"1"}`},
		{"unregister-entity", ``, 204, `{}`, `{}`},
		{"refresh-catalog-entity", ``, 200, `{"kind":"API","name":"A","namespace":"default"}`, `{"entityRef":"api:default/a"}`},
		{"validate-entity", ``, 200, `{"entity":"kind: A"}`, `{"entity":{"kind":"A"},"errors":[],"isValid":true,"isValidYaml":true}`},
		{"validate-entity", `{"errors":[{"name":"E","message":"no name"}]}`, 400, `{"entity":"kind: A"}`, `{"errors":["no name"],"isValid":false,"isValidYaml":true}`},
		{"validate-entity", `{"error":{"name":"E","message":"odd"}}`, 400, `{"entity":"kind: A"}`, `{"errors":["odd"],"isValid":false,"isValidYaml":true}`},
		{"validate-entity", `{"errors":[{"name":"E","message":"no entity"}]}`, 400, `{"entity":"a: [b"}`, `{"errors":["not YAML: yaml: line 1: did not find expected ',' or ']'"],"isValid":false,"isValidYaml":false}`},
	} {
		action := allActions(t)[c.action]
		output := action["output"].(map[string]any)
		checkRun(t, c.action+" "+c.body, output["select"].(string), plain(t, c.body), c.status, plain(t, c.arguments), c.want)
		if strings.HasPrefix(c.want, "error: ") || c.action == "get-catalog-entity" || strings.Contains(c.want, "[1]") {
			continue
		}
		if err := compileSchema(t, mustJSON(t, output["schema"])).Validate(asJSON(t, plain(t, c.want))); err != nil {
			t.Errorf("%s: its result does not fit its schema: %v", c.action, err)
		}
	}
}
