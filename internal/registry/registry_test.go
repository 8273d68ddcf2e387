package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/openapi"
)

const document = `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /things/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string, minLength: 2}}]
    get: {operationId: get-thing, tags: [read], responses: {}}
    delete: {operationId: delete-thing, tags: [write, danger], responses: {}}
    put:
      operationId: put-thing
      tags: [write]
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [size]
              properties:
                size: {type: integer, maximum: 9}
                color: {enum: [red, green]}
                parts: {type: array, items: {type: object, required: [name], properties: {name: {type: string}}, additionalProperties: false}}
                either: {anyOf: [{type: string}, {type: integer}]}
      responses: {}
`

// plugin is a plugin of the document, served by h.
func plugin(t *testing.T, name string, h http.Handler) Plugin {
	t.Helper()
	doc := openapi.Read(openapi.Source{Name: name + ".yaml", Data: []byte(document)}, openapi.Options{Mode: openapi.All})
	if h == nil {
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, "%q", r.Method+" "+r.URL.Path)
		})
	}
	client, err := invoke.New(invoke.Options{BaseURL: "http://plugin.invalid", Transport: invoke.InProcess(h, 1<<20)})
	if err != nil {
		t.Fatal(err)
	}
	return Plugin{Name: name, Actions: doc.Actions, Client: client}
}

// snapshot compiles the plugins and builds a snapshot of them.
func snapshot(plugins []Plugin, specs []ServerSpec, o Options) (*Snapshot, []Fault) {
	var parts []*Part
	var faults []Fault
	for _, p := range plugins {
		part, more := Compile(p)
		parts, faults = append(parts, part), append(faults, more...)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return Build(parts, specs, o)
}

func build(t *testing.T, specs ...ServerSpec) *Snapshot {
	t.Helper()
	s, faults := snapshot([]Plugin{plugin(t, "b", nil), plugin(t, "a", nil)}, specs, Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return s
}

func ptr(b bool) *bool { return &b }

func TestAllowlist(t *testing.T) {
	destructive := AttributeSet{Destructive: ptr(true)}
	for name, tt := range map[string]struct {
		include, exclude []Rule
		template         string
		want             string
	}{
		"glob":               {[]Rule{{ID: "a:*"}}, nil, "", "a_delete-thing a_get-thing a_put-thing"},
		"one":                {[]Rule{{ID: "b:get-thing"}}, nil, "", "b_get-thing"},
		"plugin":             {[]Rule{{Plugin: "b"}}, nil, "{plugin}.{action}", "b.delete-thing b.get-thing b.put-thing"},
		"tag":                {[]Rule{{Tags: []string{"write", "danger"}}}, nil, "", "a_delete-thing b_delete-thing"},
		"attribute":          {[]Rule{{Attributes: AttributeSet{ReadOnly: ptr(true)}}}, nil, "", "a_get-thing b_get-thing"},
		"exclude wins":       {[]Rule{{ID: "a:*"}, {ID: "a:delete-thing"}}, []Rule{{Attributes: destructive}}, "", "a_get-thing"},
		"and":                {[]Rule{{ID: "*:*-thing", Plugin: "a", Tags: []string{"write"}, Attributes: destructive}}, nil, "", "a_delete-thing a_put-thing"},
		"braces":             {[]Rule{{ID: "{a,b}:get-*"}}, nil, "", "a_get-thing b_get-thing"},
		"exclude by pattern": {[]Rule{{ID: "a:get-thing"}}, []Rule{{ID: "zzz:*"}}, "", "a_get-thing"},
		"not everything":     {[]Rule{{ID: "a:get-thing"}}, []Rule{{ID: "a:*"}}, "", ""},
	} {
		s := build(t, ServerSpec{Name: "s", Include: tt.include, Exclude: tt.exclude, ToolNames: tt.template})
		var got []string
		for _, tool := range s.Servers()[0].Tools {
			got = append(got, tool.Name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %v, want %s", name, got, tt.want)
		}
	}
}

func TestLongToolNames(t *testing.T) {
	long := strings.Repeat("x", 70)
	got := shorten(long)
	if len(got) != 64 || got != shorten(long) || got == shorten(long+"y") || !toolName.MatchString(got) {
		t.Errorf("got %q and %q", got, shorten(long+"y"))
	}
}

func TestOperatorAttributes(t *testing.T) {
	p := plugin(t, "a", nil)
	p.Attributes = []AttributeRule{
		{Path: "x", Actions: "put-*", Attributes: AttributeSet{ReadOnly: ptr(true), OpenWorld: ptr(false)}},
		{Path: "y", Actions: "get-thing", Attributes: AttributeSet{Destructive: ptr(true)}},
	}
	s, faults := snapshot([]Plugin{p}, nil, Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	put, _ := s.Action("a:put-thing")
	get, _ := s.Action("a:get-thing")
	if want := (openapi.Attributes{ReadOnly: true, Idempotent: true}); put.Attributes != want {
		t.Errorf("put: %+v", put.Attributes)
	}
	if want := (openapi.Attributes{Destructive: true, Idempotent: true, OpenWorld: true}); get.Attributes != want {
		t.Errorf("get: %+v", get.Attributes)
	}
	p.Attributes = []AttributeRule{{Path: "plugins.a.attributes.put-thign", Actions: "put-thign"}}
	if _, faults = snapshot([]Plugin{p}, nil, Options{}); len(faults) != 1 || !strings.Contains(faults[0].Hint, "put-thing") || faults[0].Path != p.Attributes[0].Path {
		t.Errorf("got %v", faults)
	}
}

func TestInvoke(t *testing.T) {
	s := build(t)
	r := New(s)
	a, err := s.Action("a:put-thing")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ arguments, want string }{
		{`{"id":"xy","size":1}`, `"PUT /things/xy"`},
		{` null `, "invalid arguments: id is missing; size is missing"},
		{``, "invalid arguments: id is missing; size is missing"},
		{`{"id":"x","size":"big"}`, "invalid arguments: id: minLength: got 1, want 2; size: got string, want integer"},
		{`{"id":"xy","size":10,"color":"blue"}`, "invalid arguments: color: value must be one of 'red', 'green'; size: has to be at most 9, and is 10"},
		{`{"id":"xy","size":1,"colour":"red"}`, `invalid arguments: colour is not known here (did you mean "color"?)`},
		{`{"id":"xy","size":1,"parts":[{"name":"a"},{"nmae":"b"}]}`, "invalid arguments: parts[1].name is missing; parts[1].nmae is not known here"},
		{`{"id":"xy","size":1,"either":true}`, "invalid arguments: either: got boolean, want string; either: got boolean, want integer"},
		{`{"id":"xy","size":1e999999}`, "invalid arguments: size: number is out of range"},
		{`{"id":"xy","size":1,"parts":[{"name":1e-9999999999}]}`, "invalid arguments: parts[0].name: number is out of range"},
		{`{"id":"xy","size":1` + strings.Repeat("0", 500) + `}`, "invalid arguments: size: number is out of range"},
		{`{"id":"xy","size":1,"color":"` + strings.Repeat("x", 1000) + `"}`, "color: value must be one of"},
		{`[]`, "arguments have to be an object"},
		{`{"id":"xy","size":1,"id":"zz"}`, "invalid arguments: a name is given twice in one object"},
		{`{"id":"xy","size":1,"\u0069d":"zz"}`, "invalid arguments: a name is given twice in one object"},
		{`{"id":"x:\"y","size":1}`, `"PUT /things/x:\"y"`},
		{`{"id":"xy","size":1,"parts":[{"name":"a","name":"b"}]}`, "invalid arguments: a name is given twice in one object"},
		{`{"id":`, "arguments are not JSON"},
		{`{"id":"..","size":1}`, "an argument would change the path"},
	} {
		result, err := r.Invoke(context.Background(), Call{Door: Unguarded, Action: a, Arguments: json.RawMessage(tt.arguments)})
		if admitted := r.Admit(Call{Door: Unguarded, Action: a, Arguments: json.RawMessage(tt.arguments)}); err == nil && admitted != nil {
			t.Errorf("%s: called, and not admitted: %v", tt.arguments, admitted)
		}
		if err == nil {
			if string(result.JSON) != tt.want {
				t.Errorf("%s: got %s, want %s", tt.arguments, result.JSON, tt.want)
			}
			continue
		}
		var e *invoke.Error
		if !errors.As(err, &e) || e.Kind != invoke.InvalidArguments || !strings.Contains(sorted(e.Message), sorted(tt.want)) {
			t.Errorf("%s: got %v, want %s", tt.arguments, err, tt.want)
		}
	}
}

// sorted puts a message's complaints in order: the validator gives them in the
// order of a map.
func sorted(message string) string {
	head, tail, ok := strings.Cut(message, ": ")
	if !ok {
		return message
	}
	parts := strings.Split(tail, "; ")
	for i := range parts {
		for j := i + 1; j < len(parts); j++ {
			if parts[j] < parts[i] {
				parts[i], parts[j] = parts[j], parts[i]
			}
		}
	}
	return head + ": " + strings.Join(parts, "; ")
}

func TestComplaintsAreBounded(t *testing.T) {
	s := build(t)
	a, _ := s.Action("a:put-thing")
	parts := strings.TrimSuffix(strings.Repeat(`{},`, 100), ",")
	_, err := New(s).Invoke(context.Background(), Call{Door: Unguarded, Action: a, Arguments: json.RawMessage(`{"id":"xy","size":1,"parts":[` + parts + `]}`)})
	if err == nil || !strings.Contains(err.Error(), "and 92 more") || len(err.Error()) > 1000 {
		t.Errorf("got %v", err)
	}
}

func TestUnknownAction(t *testing.T) {
	_, err := build(t).Action("a:get-thign")
	if err == nil || err.Error() != `unknown action "a:get-thign" (did you mean "a:get-thing"?)` {
		t.Errorf("got %v", err)
	}
}

func TestTwoActionsOfOneID(t *testing.T) {
	p := plugin(t, "a", nil)
	p.Actions = append(p.Actions, p.Actions[0])
	_, faults := snapshot([]Plugin{p}, nil, Options{})
	if len(faults) != 1 || !strings.Contains(faults[0].Message, `two actions are called "a:get-thing"`) {
		t.Errorf("got %v", faults)
	}
}

// TestSchemasLoadNothing: a schema that points outside does not compile, and
// opens nothing.
func TestSchemasLoadNothing(t *testing.T) {
	for _, ref := range []string{"file:///etc/passwd", "http://169.254.169.254/", "other.json"} {
		if _, err := compile(json.RawMessage(`{"$ref":"` + ref + `"}`)); err == nil || !strings.Contains(err.Error(), "is not loaded") {
			t.Errorf("%s: got %v", ref, err)
		}
	}
}

func TestPreviewSendsNothing(t *testing.T) {
	called := false
	s, faults := snapshot([]Plugin{plugin(t, "a", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))}, nil, Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	a, _ := s.Action("a:get-thing")
	req, err := New(s).Preview(context.Background(), Call{Door: Unguarded, Action: a, Arguments: json.RawMessage(`{"id":"xy"}`)})
	if err != nil || req.URL.Path != "/things/xy" || called {
		t.Errorf("got %v %v, called %v", req, err, called)
	}
	if _, err = New(s).Preview(context.Background(), Call{Door: Unguarded, Action: a, Arguments: json.RawMessage(`{}`)}); err == nil {
		t.Error("invalid arguments were taken")
	}
}

// TestAbsentPlugins: a plugin that could not be read is one fault, not one more
// for each rule that names it.
func TestAbsentPlugins(t *testing.T) {
	rules := func(ids ...string) (out []Rule) {
		for _, id := range ids {
			out = append(out, Rule{Path: id, ID: id})
		}
		return out
	}
	_, faults := snapshot([]Plugin{plugin(t, "a", nil)}, []ServerSpec{{Name: "s", Include: append(rules("gone:x", "gone:*", "*:zzz", "a:zzz", "b:x"), Rule{Path: "tags", Tags: []string{"zzz"}}, Rule{Path: "plugin", Plugin: "gone"})}}, Options{Absent: []string{"gone"}})
	var got []string
	for _, f := range faults {
		got = append(got, f.Path)
	}
	if strings.Join(got, " ") != "a:zzz b:x" {
		t.Errorf("got %v", faults)
	}
}
