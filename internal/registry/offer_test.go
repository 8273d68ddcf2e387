package registry

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

const readDocument = `
openapi: 3.1.0
info: {title: T, version: "1"}
components: {schemas: {Color: {type: string, enum: [red, green]}, Level: {type: integer, enum: [1, 2]}}}
paths:
  /things/{id}:
    get:
      operationId: get-thing
      parameters:
        - {name: id, in: path, required: true, schema: {type: integer}}
        - {name: text, in: query, schema: {type: string}}
        - {name: either, in: query, schema: {type: [string, integer]}}
        - {name: flag, in: query, schema: {type: boolean}}
        - {name: ids, in: query, schema: {type: array, items: {type: integer}}}
        - {name: color, in: query, schema: {$ref: "#/components/schemas/Color"}}
        - {name: bare, in: query, schema: {enum: [1, 2, "2", true]}}
        - {name: level, in: query, schema: {anyOf: [{$ref: "#/components/schemas/Level"}, {type: "null"}]}}
      responses: {}
  /mcp/{id}:
    get:
      operationId: get-mcp
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      x-action: {output: {mode: mcp}}
      responses: {}
  /other/{id}:
    delete: {operationId: delete-thing, parameters: [{name: id, in: path, required: true, schema: {type: integer}}], responses: {}}
`

func readPlugin(t *testing.T) Plugin {
	t.Helper()
	p := plugin(t, "a", nil)
	p.Actions = openapi.Read(openapi.Source{Name: "a.yaml", Data: []byte(readDocument)}, openapi.Options{Mode: openapi.All}).Actions
	if len(p.Actions) != 3 {
		t.Fatal("actions", p.Actions)
	}
	return p
}

func TestResourceArguments(t *testing.T) {
	s, faults := snapshot([]Plugin{readPlugin(t)}, []ServerSpec{{Name: "s", Include: []Rule{{ID: "a:get-*"}}, Resources: []ResourceSpec{
		{Path: "r", URITemplate: "things://{id}/{color}/{level}", Name: "x", Action: "a:get-thing", Arguments: map[string]string{
			"id": "{id}", "text": "5", "either": "5", "flag": "true", "ids": "[1, 2]", "color": "{color}", "level": "{level}", "bare": "1",
		}},
		{Path: "q", URI: "things:5", Name: "y", Action: "a:get-thing", Arguments: map[string]string{"id": "5", "text": "{not} a variable"}},
	}}}, Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	template, fixed := &s.Servers()[0].Resources[0], &s.Servers()[0].Resources[1]
	variables, ok := template.Match("things://9007199254740993/red/2")
	want := `{"bare":1,"color":"red","either":"5","flag":true,"id":9007199254740993,"ids":[1,2],"level":2,"text":"5"}`
	if got := string(template.Call(variables)); !ok || got != want {
		t.Errorf("got %s", got)
	}
	if got := string(template.Call(map[string]string{"id": "x1", "color": `"`, "level": "[1]"})); !strings.Contains(got, `"id":"x1"`) || !strings.Contains(got, `"color":"\""`) || !strings.Contains(got, `"level":"[1]"`) {
		t.Errorf("got %s", got)
	}
	if got := string(fixed.Call(nil)); got != `{"id":5,"text":"{not} a variable"}` {
		t.Errorf("got %s", got)
	}
	for variable, want := range map[string]string{"color": "red green", "level": "1 2", "id": "", "nope": ""} {
		if got := strings.Join(template.Values(variable), " "); got != want {
			t.Errorf("%s: values %q", variable, got)
		}
	}
}

func TestOfferFaults(t *testing.T) {
	text := func(s string) *Text {
		parsed, err := ParseText(s)
		if err != nil {
			t.Fatal(err)
		}
		return &parsed
	}
	good := ResourceSpec{Path: "r", URITemplate: "things://{id}", Name: "x", Action: "a:get-thing", Arguments: map[string]string{"id": "{id}"}}
	for name, tt := range map[string]struct {
		change func(*ResourceSpec)
		path   string
		want   string // "" is no fault
	}{
		"good":                {func(*ResourceSpec) {}, "", ""},
		"unknown action":      {func(r *ResourceSpec) { r.Action = "a:get-thign" }, "r.action", `did you mean "a:get-thing"?`},
		"not included":        {func(r *ResourceSpec) { r.Action = "b:get-thing" }, "r.action", "is not one of the server's"},
		"excluded":            {func(r *ResourceSpec) { r.Action = "c:get-thing" }, "r.action", "is not one of the server's"},
		"not only reading":    {func(r *ResourceSpec) { r.Action = "a:delete-thing" }, "r.action", "does not only read"},
		"MCP results":         {func(r *ResourceSpec) { r.Action = "a:get-mcp" }, "r.action", "answers with MCP results"},
		"unknown argument":    {func(r *ResourceSpec) { r.Arguments["colour"] = "red" }, "r.arguments.colour", `did you mean "color"?`},
		"unknown variable":    {func(r *ResourceSpec) { r.Arguments["text"] = "{idd}" }, "r.arguments.text", `no variable "idd" (did you mean "id"?)`},
		"unused variable":     {func(r *ResourceSpec) { r.URITemplate = "things://{id}/{x}" }, "r.uriTemplate", `variable "x" is no argument`},
		"argument missing":    {func(r *ResourceSpec) { r.Arguments = map[string]string{"text": "{id}"} }, "r.arguments", `argument "id" of action "a:get-thing" is missing`},
		"bad template":        {func(r *ResourceSpec) { r.URITemplate = "things" }, "r.uriTemplate", "has no {variable}"},
		"fixed, wrong type":   {func(r *ResourceSpec) { r.URITemplate, r.URI, r.Arguments["id"] = "", "x:y", "five" }, "r.arguments", "id: got string, want integer"},
		"fixed, missing":      {func(r *ResourceSpec) { r.URITemplate, r.URI, r.Arguments = "", "x:y", nil }, "r.arguments", "id is missing"},
		"fixed in template":   {func(r *ResourceSpec) { r.Arguments["flag"] = "maybe" }, "r.arguments.flag", "flag: got string, want boolean"},
		"item in template":    {func(r *ResourceSpec) { r.Arguments["ids"] = `[1, "x"]` }, "r.arguments.ids", "ids[1]: got string, want integer"},
		"enum in template":    {func(r *ResourceSpec) { r.Arguments["color"] = "blue" }, "r.arguments.color", "color: value must be one of 'red', 'green'"},
		"number in template":  {func(r *ResourceSpec) { r.Arguments["level"] = "1e-999" }, "r.arguments.level", "number is out of range"},
		"right in template":   {func(r *ResourceSpec) { r.Arguments["bare"], r.Arguments["text"] = "2", "{not} it" }, "", ""},
		"fixed with variable": {func(r *ResourceSpec) { r.URITemplate, r.URI = "", "x:y" }, "r.arguments.id", "no variable"},
	} {
		spec := good
		spec.Arguments = map[string]string{"id": "{id}"}
		tt.change(&spec)
		plugins := []Plugin{readPlugin(t), plugin(t, "b", nil), plugin(t, "c", nil)}
		_, faults := snapshot(plugins, []ServerSpec{{
			Name: "s", Include: []Rule{{ID: "a:*"}, {ID: "c:*"}}, Exclude: []Rule{{ID: "c:*"}}, Resources: []ResourceSpec{spec},
		}}, Options{})
		switch {
		case tt.want == "":
			if len(faults) > 0 {
				t.Errorf("%s: %v", name, faults)
			}
		case len(faults) != 1 || faults[0].Path != tt.path || !strings.Contains(faults[0].Message+" ("+faults[0].Hint+")", tt.want):
			t.Errorf("%s: %+v", name, faults)
		}
	}
	for uri, want := range map[string]string{
		"stagedoor://actions/a:get-thing": "", "things://5": "", "{anything}": "",
		"stagedoor://actions/a:get-thign": `did you mean "stagedoor://actions/a:get-thing"?`, "docs://x": "has no resource",
		"things://{pet}": "", "things://a{pet}b": "", "{scheme}://5": "", "things:{rest}": `has no resource "things:{rest}"`, "things://{pet}/more": "has no resource",
		"docs://{x}": "has no resource", "stagedoor://actions/{id}": "", "stagedoor://actions/a%3Aget-{id}": "", "stagedoor://actions/b:{id}": "has no resource",
	} {
		prompt := Prompt{Path: "p", Name: "p", Messages: []PromptMessage{{Text: text("x")}, {Resource: text(uri)}}}
		_, faults := snapshot([]Plugin{readPlugin(t)}, []ServerSpec{{
			Name: "s", Include: []Rule{{ID: "a:get-*"}}, Resources: []ResourceSpec{good}, Prompts: []Prompt{prompt},
		}}, Options{})
		if (want == "") != (len(faults) == 0) || want != "" && (faults[0].Path != "p.messages[1].resource" || !strings.Contains(faults[0].Message+faults[0].Hint, want)) {
			t.Errorf("%s: %+v", uri, faults)
		}
	}
}

// TestMeets: two templates can mean the same URI or they cannot.
func TestMeets(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"x://{a}-y", "x://a{b}", true},
		{"x://{a}", "x://b", true},
		{"x://{a}", "x://", true},
		{"x://", "x://{b}", false},
		{"x://{a}", "x://{b}", true},
		{"x://{a}{b}", "x://{c}/d", false},
		{"x://{a}/{b}", "x://{c}/d", true},
		{"x://a{b}", "x://b{c}", false},
		{"x://{a}c{a}", "x://abc", true},
		{"x://{a}?q={b}", "x://{c}", false},
		{"x://y", "x://y{b}", false},
	} {
		a, err := ParseText(tt.a)
		b, also := ParseText(tt.b)
		if err != nil || also != nil || a.meets(b) != tt.want {
			t.Errorf("%s and %s: %v, %v, %v", tt.a, tt.b, !tt.want, err, also)
		}
	}
}

// What may be of a plugin that could not be read is no further fault.
func TestOffersOfAbsentPlugins(t *testing.T) {
	uri, _ := ParseText("x:y")
	_, faults := snapshot(nil, []ServerSpec{{
		Name: "s", Include: []Rule{{ID: "gone:*"}}, Resources: []ResourceSpec{{Path: "r", URI: "x:y", Action: "gone:x"}},
		Prompts: []Prompt{{Path: "p", Messages: []PromptMessage{{Resource: &uri}}}},
	}}, Options{Absent: []string{"gone"}})
	if len(faults) > 0 {
		t.Error(faults)
	}
}

func TestDocumentID(t *testing.T) {
	for uri, want := range map[string]string{
		"stagedoor://actions/a:b": "a:b", "stagedoor://actions/a%3Ab": "a:b", "stagedoor://actions/": "",
		"stagedoor://actions/%zz": "!", "stagedoor://action/a:b": "!", "docs://a": "!",
	} {
		if got, ok := DocumentID(uri); ok != (want != "!") || ok && got != want {
			t.Errorf("%s: %q, %v", uri, got, ok)
		}
	}
}

// Whoever does not see an action cannot call it, by whatever way.
func TestVisibility(t *testing.T) {
	s := build(t)
	r := New(s)
	a, _ := s.Action("a:get-thing")
	if Unguarded.Restricts() || !Unguarded.Visible(principal.Principal{}, a) {
		t.Error("something is hidden without a rule")
	}
	door := &Door{Name: "s", Rules: []AccessRule{{Who: Who{Subject: "ada"}}, {Actions: []Rule{{ID: "b:*"}}}}}
	arguments := json.RawMessage(`{"id":"xy"}`)
	ada, eve := principal.Principal{Kind: principal.User, Subject: "ada"}, principal.Principal{Kind: principal.User, Subject: "eve"}
	if _, err := r.Invoke(t.Context(), Call{ada, door, a, arguments}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]Call{"a rule": {eve, door, a, arguments}, "no door": {Principal: ada, Action: a, Arguments: arguments}} {
		var e *invoke.Error
		if _, err := r.Invoke(t.Context(), c); !errors.As(err, &e) || e.Kind != invoke.Denied {
			t.Error(name, err)
		}
		if _, err := r.Preview(t.Context(), c); !errors.As(err, &e) || e.Kind != invoke.Denied {
			t.Error(name, err)
		}
	}
}
