package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

// ruled is the action of an input schema as argument rules leave it.
func ruled(t *testing.T, a openapi.Action, rules ...ArgumentRule) (*Action, []Fault) {
	t.Helper()
	a.Name = "do"
	for i := range rules {
		rules[i].Path = fmt.Sprintf("arguments[%d]", i)
	}
	s, faults := snapshot([]Plugin{{Name: "p", Actions: []openapi.Action{a}}},
		[]ServerSpec{{Name: "s", Include: []Rule{{ID: "p:*"}}, Arguments: rules, Resources: nil}}, Options{})
	if len(faults) > 0 {
		return nil, faults
	}
	return s.servers[0].Tools[0].Action, nil
}

func bind(pairs ...string) ArgumentRule {
	r := ArgumentRule{Bind: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		r.Bind[pairs[i]] = pairs[i+1]
	}
	return r
}

func limit(name string, l Limit) ArgumentRule {
	return ArgumentRule{Limit: map[string]Limit{name: l}}
}

// TestRuledSchema: what a model is shown of bound and narrowed arguments, and
// what is a fault because it cannot be shown.
func TestRuledSchema(t *testing.T) {
	const two = `{"type":"object","properties":{"tenant":{"type":"string"},"n":{"type":"integer","maximum":50}},"required":["tenant","n"],"additionalProperties":false}`
	for name, c := range map[string]struct {
		schema, want, fault string
		rules               []ArgumentRule
	}{
		"bound": {
			two, `{"type":"object","properties":{"n":{"type":"integer","maximum":50}},"required":["n"],"additionalProperties":false}`, "",
			[]ArgumentRule{bind("tenant", "a")},
		},
		"all bound": {two, `{"type":"object","properties":{},"additionalProperties":false}`, "", []ArgumentRule{bind("tenant", "a", "n", "5")}},
		"narrowed": {
			two, `{"type":"object","properties":{"tenant":{"type":"string"},"n":{"type":"integer","maximum":10,"minimum":1}},"required":["tenant","n"],"additionalProperties":false}`, "",
			[]ArgumentRule{limit("n", Limit{Minimum: "1", Maximum: "10"})},
		},
		"never wider": {two, two, "", []ArgumentRule{limit("n", Limit{Maximum: "100"})}},
		"narrowed twice": {
			`{"type":"object","properties":{"n":{"type":"number"}}}`, `{"type":"object","properties":{"n":{"type":"number","maximum":5}}}`, "",
			[]ArgumentRule{limit("n", Limit{Maximum: "5"}), limit("n", Limit{Maximum: "7"})},
		},
		"what is not said to be a number has to be one": {
			`{"type":"object","properties":{"n":{"description":"n"}}}`, `{"type":"object","properties":{"n":{"description":"n","type":["number","null"],"maximum":5}}}`, "",
			[]ArgumentRule{limit("n", Limit{Maximum: "5"})},
		},
		"what may be a text as well has to be a number": {
			`{"type":"object","properties":{"n":{"type":["string","integer","null"]}}}`, `{"type":"object","properties":{"n":{"type":["integer","null"],"maximum":5}}}`, "",
			[]ArgumentRule{limit("n", Limit{Maximum: "5"})},
		},
		"anything at all": {
			`{"type":"object","properties":{"n":true}}`, `{"type":"object","properties":{"n":{"type":["string","null"],"maxLength":5}}}`, "",
			[]ArgumentRule{limit("n", Limit{MaxLength: 5})},
		},
		"enum": {
			`{"type":"object","properties":{"n":{"enum":[1,2,3]},"c":{"$ref":"#/$defs/c"}},"$defs":{"c":{"enum":["a<","b"]}}}`,
			`{"type":"object","properties":{"n":{"enum":[1,3]},"c":{"$ref":"#/$defs/c","enum":["a<"]}},"$defs":{"c":{"enum":["a<","b"]}}}`, "",
			[]ArgumentRule{limit("n", Limit{Enum: []string{"1", "3"}}), limit("c", Limit{Enum: []string{"a<"}})},
		},
		"pattern beside a pattern": {
			`{"type":"object","properties":{"n":{"type":"string","pattern":"^a","allOf":[{"minLength":1}]}}}`,
			`{"type":"object","properties":{"n":{"type":"string","pattern":"^a","allOf":[{"minLength":1},{"pattern":"z$"}]}}}`, "",
			[]ArgumentRule{limit("n", Limit{Pattern: "z$"})},
		},
		"items": {
			`{"type":"object","properties":{"n":{"type":"array","maxItems":9}}}`, `{"type":"object","properties":{"n":{"type":"array","maxItems":2}}}`, "",
			[]ArgumentRule{limit("n", Limit{MaxItems: 2})},
		},
		"a default over the limit": {
			`{"type":"object","properties":{"n":{"type":"integer","default":500,"examples":[7,900]}}}`,
			`{"type":"object","properties":{"n":{"type":"integer","examples":[7],"maximum":100}},"required":["n"]}`, "",
			[]ArgumentRule{limit("n", Limit{Maximum: "100"})},
		},
		"a default within": {
			`{"type":"object","properties":{"n":{"type":"integer","default":50}}}`, `{"type":"object","properties":{"n":{"type":"integer","default":50,"maximum":100}}}`, "",
			[]ArgumentRule{limit("n", Limit{Maximum: "100"})},
		},
		"what needs it": {
			`{"type":"object","properties":{"a":{},"b":{},"c":{}},"dependentRequired":{"a":["b"],"b":["c"],"c":["a"]}}`,
			`{"type":"object","properties":{"b":{},"c":{}},"dependentRequired":{"b":["c"]},"required":["b"]}`, "",
			[]ArgumentRule{bind("a", "1")},
		},
		"definitions of its own": {
			`{"type":"object","properties":{"a":{"$ref":"#/$defs/A"},"b":{"$ref":"#/$defs/B"}},"$defs":{"A":{"$ref":"#/$defs/C"},"B":{"$ref":"#/$defs/D"},"C":{},"D":{"items":{"$ref":"#/$defs/B"}}}}`,
			`{"type":"object","properties":{"b":{"$ref":"#/$defs/B"}},"$defs":{"B":{"$ref":"#/$defs/D"},"D":{"items":{"$ref":"#/$defs/B"}}}}`, "",
			[]ArgumentRule{bind("a", "1")},
		},
		"alternatives that do not name it": {
			`{"type":"object","properties":{"a":{},"b":{},"c":{}},"oneOf":[{"required":["b"]},{"required":["c"]}]}`,
			`{"type":"object","properties":{"b":{},"c":{}},"oneOf":[{"required":["b"]},{"required":["c"]}]}`, "",
			[]ArgumentRule{bind("a", "1")},
		},
		"one of many":            {`{"type":"object","properties":{"a":{},"b":{}},"oneOf":[{"required":["a"]},{"required":["b"]}]}`, "", "below oneOf", []ArgumentRule{bind("a", "1")}},
		"not with":               {`{"type":"object","properties":{"a":{},"b":{}},"not":{"required":["a","b"]}}`, "", "below not", []ArgumentRule{bind("a", "1")}},
		"if":                     {`{"type":"object","properties":{"a":{},"b":{}},"if":{"properties":{"a":{"const":1}}},"then":{"required":["b"]}}`, "", "below if", []ArgumentRule{bind("a", "1")}},
		"behind a reference":     {`{"type":"object","properties":{"a":{}},"allOf":[{"$ref":"#/$defs/x"}],"$defs":{"x":{"anyOf":[{"required":["a"]}]}}}`, "", "below allOf", []ArgumentRule{bind("a", "1")}},
		"dependentSchemas":       {`{"type":"object","properties":{"a":{},"b":{}},"dependentSchemas":{"a":{"required":["b"]}}}`, "", "dependentSchemas", []ArgumentRule{bind("a", "1")}},
		"within dependentSchema": {`{"type":"object","properties":{"a":{},"b":{}},"dependentSchemas":{"b":{"required":["a"]}}}`, "", "dependentSchemas", []ArgumentRule{bind("a", "1")}},
		"counted":                {`{"type":"object","properties":{"a":{}},"minProperties":2}`, "", "minProperties", []ArgumentRule{bind("a", "1")}},
		"counted below":          {`{"type":"object","properties":{"a":{}},"anyOf":[{"maxProperties":2}]}`, "", "below anyOf", []ArgumentRule{bind("a", "1")}},
		"referred to":            {`{"type":"object","properties":{"a":{},"b":{"$ref":"#/properties/a"}}}`, "", "refers to its own #/properties/a", []ArgumentRule{bind("a", "1")}},
		"narrowed, referred to":  {`{"type":"object","properties":{"a":{},"b":{"$ref":"#/properties/a"}}}`, "", "refers to its own #/properties/a", []ArgumentRule{limit("a", Limit{Maximum: "1"})}},
		"recursive":              {`{"type":"object","properties":{"a":{},"b":{"$ref":"#"}}}`, "", "refers to its own #", []ArgumentRule{bind("a", "1")}},
		"no such argument":       {two, "", `no action that the rule is about has an argument "tenat" (did you mean "tenant"?)`, []ArgumentRule{bind("tenat", "a")}},
		"no such, limited":       {two, "", `no action that the rule is about has an argument "m"`, []ArgumentRule{limit("m", Limit{Maximum: "1"})}},
		"of the named action":    {two, "", `action "p:do" has no argument "m"`, []ArgumentRule{{Actions: []Rule{{ID: "p:do"}}, Bind: map[string]string{"m": "1"}}}},
		"no such action":         {two, "", `unknown action "p:du" (did you mean "p:do"?)`, []ArgumentRule{{Actions: []Rule{{ID: "p:du"}}, Bind: map[string]string{"tenant": "1"}}}},
		"matches none":           {two, "", "rule matches no action", []ArgumentRule{{Actions: []Rule{{ID: "p:x*"}}, Bind: map[string]string{"tenant": "1"}}}},
		"bound twice":            {two, "", "bound or narrowed by another rule already", []ArgumentRule{bind("tenant", "a"), bind("tenant", "a")}},
		"bound and narrowed":     {two, "", "bound already", []ArgumentRule{bind("n", "1"), limit("n", Limit{Maximum: "10"})}},
		"narrowed and bound":     {two, "", "bound or narrowed by another rule already", []ArgumentRule{limit("n", Limit{Maximum: "10"}), bind("n", "1")}},
		"value of another type":  {two, "", `invalid arguments: n: got string, want integer`, []ArgumentRule{bind("n", "many")}},
		"value out of bounds":    {two, "", `n: has to be at most 50, and is 51`, []ArgumentRule{bind("n", "51")}},
		"text for a number":      {two, "", "is no text", []ArgumentRule{bind("n", "1{claims.n}")}},
		"no such name":           {two, "", "begins no {name}", []ArgumentRule{bind("tenant", "{org}")}},
		"limit of another type":  {two, "", `argument "tenant" is not a number`, []ArgumentRule{limit("tenant", Limit{Maximum: "3"})}},
		"limit of a text":        {two, "", `argument "n" is not a text`, []ArgumentRule{limit("n", Limit{MaxLength: 3})}},
		"enum of another type":   {two, "", `"x" is no value of argument "n"`, []ArgumentRule{limit("n", Limit{Enum: []string{"x"}})}},
		"enum out of bounds":     {two, "", `"60" is no value of argument "n"`, []ArgumentRule{limit("n", Limit{Enum: []string{"60"}})}},
		"nothing is left":        {two, "", "leave argument \"n\" no value", []ArgumentRule{limit("n", Limit{Minimum: "51"})}},
		"no enum is left":        {two, "", "no value left", []ArgumentRule{limit("n", Limit{Enum: []string{"1"}}), limit("n", Limit{Enum: []string{"2"}})}},
		"false":                  {`{"type":"object","properties":{"n":false}}`, "", "can have no value", []ArgumentRule{limit("n", Limit{Maximum: "1"})}},
	} {
		a, faults := ruled(t, openapi.Action{InputSchema: json.RawMessage(c.schema)}, c.rules...)
		switch {
		case c.fault != "":
			if len(faults) != 1 || !strings.Contains(faults[0].Message+" ("+faults[0].Hint+")", c.fault) || !strings.HasPrefix(faults[0].Path, "arguments[") && !faults[0].Soft {
				t.Errorf("%s: faults %+v", name, faults)
			}
		case len(faults) > 0:
			t.Errorf("%s: faults %+v", name, faults)
		case string(a.InputSchema) != c.want:
			t.Errorf("%s: got\n%s\nwant\n%s", name, a.InputSchema, c.want)
		}
	}
}

// TestRuledCall: what a call is made with, and which calls are not made.
func TestRuledCall(t *testing.T) {
	const schema = `{"type":"object","required":["org","q"],"properties":{
		"org":{"type":"string","minLength":2},"q":{"type":"string"},"n":{"type":"integer","maximum":50},"on":{"type":"boolean"},
		"list":{"type":"array","items":{"type":"string"}},"any":{}}%s}`
	deep := ada
	deep.Claims = map[string]any{
		"org": "acme", "num": json.Number("12345678901234567890"), "n": json.Number("7"), "text": "7", "yes": "true", "list": []any{"a", "b"}, "empty": "",
		"null": nil, "object": map[string]any{"a": json.Number("1")}, "short": "x", "json": `["a"]`, "realm": map[string]any{"org": "deep"}, "evil": `x","admin":"`,
	}
	const q = `{"q":"x"}`
	for name, c := range map[string]struct {
		more      string
		bind      []string
		p         principal.Principal
		arguments string
		want      string // the arguments as they are sent, or the message of an error
	}{
		"literal":                  {"", []string{"org", "acme"}, principal.Principal{}, q, `{"org":"acme","q":"x"}`},
		"literal with braces":      {"", []string{"org", "{{x}}"}, ada, q, `{"org":"{x}","q":"x"}`},
		"claim":                    {"", []string{"org", "{claims.org}"}, deep, q, `{"org":"acme","q":"x"}`},
		"claim of a path":          {"", []string{"org", "{claims.realm.org}"}, deep, q, `{"org":"deep","q":"x"}`},
		"subject":                  {"", []string{"org", "{subject}"}, deep, q, `{"org":"user:default/ada","q":"x"}`},
		"within a text":            {"", []string{"org", "{issuer}/{client}/{claims.n}"}, deep, q, `{"org":"https://idp/cli/7","q":"x"}`},
		"a text is only a text":    {"", []string{"org", "{claims.evil}", "any", "{{\"a\":\"{claims.evil}\"}}"}, deep, q, `{"any":"{\"a\":\"x\",\"admin\":\"\"}","org":"x\",\"admin\":\"","q":"x"}`},
		"number as a text":         {"", []string{"org", "{claims.num}"}, deep, q, `{"org":"12345678901234567890","q":"x"}`},
		"number":                   {"", []string{"org", "aa", "n", "{claims.n}"}, deep, q, `{"n":7,"org":"aa","q":"x"}`},
		"text as a number":         {"", []string{"org", "aa", "n", "{claims.text}"}, deep, q, `{"n":7,"org":"aa","q":"x"}`},
		"text as a boolean":        {"", []string{"org", "aa", "on", "{claims.yes}"}, deep, q, `{"on":true,"org":"aa","q":"x"}`},
		"list":                     {"", []string{"org", "aa", "list", "{claims.list}"}, deep, q, `{"list":["a","b"],"org":"aa","q":"x"}`},
		"literal list":             {"", []string{"org", "aa", "list", `["c"]`}, deep, q, `{"list":["c"],"org":"aa","q":"x"}`},
		"text is no list":          {"", []string{"org", "aa", "list", "{claims.json}"}, deep, q, `claim "json" of your token is nothing that this action takes`},
		"list is no text":          {"", []string{"org", "{claims.list}"}, deep, q, `claim "list" of your token is nothing that this action takes`},
		"list within a text":       {"", []string{"org", "x{claims.list}"}, deep, q, `claim "list" of your token is more than one value, of which this action takes one`},
		"number out of bounds":     {"", []string{"org", "aa", "n", "{claims.num}"}, deep, q, `claim "num" of your token is nothing that this action takes`},
		"claim that is too short":  {"", []string{"org", "{claims.short}"}, deep, q, `claim "short" of your token is nothing that this action takes`},
		"no such claim":            {"", []string{"org", "{claims.none}"}, deep, q, `claim "none" of your token is missing, which this action takes`},
		"no such claim, in a text": {"", []string{"org", "org-{claims.none}"}, deep, q, `claim "none" of your token is missing, which this action takes`},
		"empty claim":              {"", []string{"org", "x-{claims.empty}"}, deep, q, `claim "empty" of your token is missing, which this action takes`},
		"null claim":               {"", []string{"any", "{claims.null}", "org", "aa"}, deep, q, `claim "null" of your token is missing, which this action takes`},
		"no client":                {"", []string{"org", "{client}"}, principal.Principal{Kind: principal.User, Subject: "a"}, q, `client of your token is missing, which this action takes`},
		"anonymous":                {"", []string{"org", "{subject}"}, principal.Principal{}, q, `subject of your token is missing, which this action takes`},
		"given by the model":       {`,"additionalProperties":false`, []string{"org", "{claims.org}"}, deep, `{"q":"x","org":"evil"}`, `invalid arguments: org is not known here (did you mean "on"?)`},
		"given, of an open schema": {"", []string{"org", "{claims.org}"}, deep, `{"q":"x","org":"evil"}`, `invalid arguments: org is not known here`},
		"given the same value":     {`,"additionalProperties":true`, []string{"org", "acme"}, deep, `{"q":"x","org":"acme"}`, `invalid arguments: org is not known here`},
		"given in other letters":   {"", []string{"org", "acme"}, deep, `{"q":"x","\u006frg":"evil"}`, `invalid arguments: org is not known here`},
		"given as a pattern":       {`,"patternProperties":{"^o":{"type":"string"}},"additionalProperties":false`, []string{"org", "acme"}, deep, `{"q":"x","org":"evil"}`, `invalid arguments: org is not known here`},
		"given twice":              {"", []string{"org", "acme"}, deep, `{"q":"x","org":"a","org":"b"}`, `invalid arguments: a name is given twice in one object`},
		"others are held to":       {"", []string{"org", "acme"}, deep, `{"n":51}`, `invalid arguments: n: has to be at most 50, and is 51; q is missing`},
		"open arguments stay":      {"", []string{"org", "acme"}, deep, `{"q":"x","other":1}`, `{"org":"acme","other":1,"q":"x"}`},
		"they go together":         {`,"if":{"required":["n"],"properties":{"q":{"const":"y"}}},"then":{"required":["on"]}`, []string{"org", "acme"}, deep, `{"q":"y","n":1}`, `invalid arguments: on is missing`},
	} {
		a, faults := ruled(t, openapi.Action{InputSchema: fmt.Appendf(nil, schema, c.more)}, bind(c.bind...))
		if len(faults) > 0 {
			t.Errorf("%s: %+v", name, faults)
			continue
		}
		arguments, err := (&Call{Principal: c.p, Door: &Door{}, Action: a, Arguments: json.RawMessage(c.arguments)}).admit()
		got, _ := json.Marshal(arguments)
		var e *invoke.Error
		if errors.As(err, &e) {
			got = []byte(e.Message)
		}
		if string(got) != c.want {
			t.Errorf("%s: got  %s\nwant %s", name, got, c.want)
		}
		if e != nil && (e.Kind == invoke.Denied) == strings.HasPrefix(c.want, "invalid arguments") {
			t.Errorf("%s: kind %s", name, e.Kind)
		}
	}
}

// TestRuledExamples: examples do not show what is bound, and none shows what is
// over a limit.
func TestRuledExamples(t *testing.T) {
	a, faults := ruled(t, openapi.Action{
		InputSchema: json.RawMessage(`{"type":"object","properties":{"org":{"type":"string"},"n":{"type":"integer"}},"additionalProperties":false}`),
		Examples: []openapi.Example{
			{Title: "both", Input: json.RawMessage(`{"org":"secret","n":3}`)}, {Title: "over", Input: json.RawMessage(`{"org":"x","n":300}`)},
			{Title: "none"}, {Title: "no object", Input: json.RawMessage(`"secret"`)},
		},
	}, bind("org", "{subject}"), limit("n", Limit{Maximum: "10"}))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := fmt.Sprintf("%s", a.Examples); got != `[{both  {"n":3} } {none   }]` {
		t.Errorf("got %s", got)
	}
}

// tenants is a plugin that tells what it was asked, with an action that a
// resource reads.
const tenants = `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /orgs/{org}/things/{id}:
    parameters:
      - {name: org, in: path, required: true, schema: {type: string}}
      - {name: id, in: path, required: true, schema: {type: string, enum: [a, b, c]}}
    get: {operationId: get-thing, responses: {}}
  /free: {get: {operationId: free, responses: {}}}
`

func tenant(t *testing.T, previous *Part) *Part {
	t.Helper()
	doc := openapi.Read(openapi.Source{Name: "t.yaml", Data: []byte(tenants)}, openapi.Options{Mode: openapi.All})
	client, err := invoke.New(invoke.Options{BaseURL: "http://plugin.invalid", Transport: invoke.InProcess(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}), 1<<20)})
	if err != nil {
		t.Fatal(err)
	}
	if previous != nil {
		client = previous.plugin.Client
	}
	part, faults := Compile(Plugin{Name: "t", Actions: doc.Actions, Client: client, Previous: previous})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return part
}

// TestVariantOfOneServer: a binding holds for its server's tools and resources,
// and for nobody else's; and it costs nothing where nothing changed.
func TestVariantOfOneServer(t *testing.T) {
	spec := ServerSpec{
		Name: "bound", Include: []Rule{{ID: "*"}}, Arguments: []ArgumentRule{{
			Path: "arguments[0]", Bind: map[string]string{"org": "{claims.org}"}, Limit: map[string]Limit{"id": {Enum: []string{"a", "b"}}},
		}},
		Resources: []ResourceSpec{{Path: "resources[0]", URITemplate: "things://{id}", Name: "things", Action: "t:get-thing", Arguments: map[string]string{"id": "{id}"}}},
	}
	free := ServerSpec{Name: "free", Include: []Rule{{ID: "*"}}}
	part := tenant(t, nil)
	s, faults := Build([]*Part{part}, []ServerSpec{spec, free}, Options{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	server := s.servers[0]
	thing := server.Tools[1].Action
	if plain, _ := s.Action("t:get-thing"); plain == thing || s.servers[1].Tools[1].Action != plain || s.servers[1].Tools[0].Action != server.Tools[0].Action {
		t.Error("the binding holds for others, or for actions that it is not about")
	}
	if got := server.Resources[0].Values("id"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("completions %q", got)
	}
	if server.Resources[0].Action != thing {
		t.Error("the resource's action is another one than the tool's")
	}
	result, err := New(s).Invoke(t.Context(), Call{Principal: ada, Door: server.Door, Action: thing, Arguments: server.Resources[0].Call(map[string]string{"id": "b"})})
	if err != nil || result.Text != "/orgs/acme/things/b" {
		t.Errorf("got %v, %v", result, err)
	}
	if err := New(s).Admit(Call{Principal: ada, Door: server.Door, Action: thing, Arguments: json.RawMessage(`{"id":"c"}`)}); err == nil {
		t.Error("c is over the limit")
	}
	if err := New(s).Admit(Call{Principal: ada, Door: server.Door, Action: thing, Arguments: json.RawMessage(`{"id":"a","org":"evil"}`)}); err == nil {
		t.Error("a bound argument was given")
	}

	again, faults := Build([]*Part{tenant(t, part)}, []ServerSpec{spec, free}, Options{Previous: s})
	if len(faults) > 0 || again.servers[0] != server || again.servers[1] != s.servers[1] {
		t.Errorf("the servers are made again for nothing: %+v", faults)
	}
	spec.Arguments = []ArgumentRule{{Path: "arguments[0]", Bind: map[string]string{"org": "other"}}}
	spec.Resources[0].Arguments = map[string]string{"id": "{id}"}
	again, faults = Build([]*Part{part}, []ServerSpec{spec, free}, Options{Previous: s})
	if len(faults) > 0 || again.servers[0] == server || again.servers[0].Resources[0].Action != again.servers[0].Tools[1].Action {
		t.Errorf("the server is not made again: %+v", faults)
	}
	if got := again.servers[0].Tools[1].Action.Bindings(principal.Principal{}); string(got[0].Value) != `"other"` {
		t.Errorf("got %+v", got)
	}

	spec.Resources[0].Arguments = map[string]string{"id": "{id}", "org": "mine"}
	if _, faults = Build([]*Part{part}, []ServerSpec{spec}, Options{}); len(faults) != 1 || !strings.Contains(faults[0].Message, `has no argument "org"`) {
		t.Errorf("a resource gives what is bound: %+v", faults)
	}
	spec.Resources, spec.Exclude = nil, []Rule{{ID: "t:get-thing"}}
	spec.Arguments[0].Actions = []Rule{{ID: "t:get-thing"}}
	if _, faults = Build([]*Part{part}, []ServerSpec{spec}, Options{}); len(faults) != 1 || faults[0].Message != `action "t:get-thing" is not one of the server's` {
		t.Errorf("got %+v", faults)
	}
}

// FuzzNarrow: whatever rules leave of a schema admits nothing that the schema
// itself refuses, and nothing that is over a limit; and with a value of each
// bound argument beside it everything that the schema admits.
func FuzzNarrow(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		l := lottery{rand.New(rand.NewPCG(seed, 1))}
		property := func() string {
			return one(l, `{"type":"integer"}`, `{"type":["integer","string"],"maximum":3}`, `{}`, `{"type":"integer","default":9}`, `{"$ref":"#/$defs/d"}`, `{"type":"string"}`, `{"enum":[1,2,"x"]}`)
		}
		more := one(l, "", `,"additionalProperties":false`, `,"dependentRequired":{"a":["b"],"b":["c"]}`, `,"anyOf":[{"required":["c"]},{"required":["b"]}]`)
		schema := fmt.Sprintf(`{"type":"object","properties":{"a":%s,"b":%s,"c":%s},"required":%s,"$defs":{"d":{"type":"integer","minimum":1}}%s}`,
			property(), property(), property(), one(l, `["a"]`, `["a","b"]`, `[]`), more)
		rules := []ArgumentRule{bind("a", one(l, "1", "2", "x")), limit(one(l, "b", "c"), Limit{Maximum: "4", Minimum: one(l, "", "1")})}
		a, faults := ruled(t, openapi.Action{InputSchema: json.RawMessage(schema)}, rules...)
		if len(faults) > 0 {
			return
		}
		limited := a.Limited()[0]
		for range 30 {
			given := map[string]any{}
			for _, name := range []string{"b", "c"} {
				if l.IntN(3) > 0 {
					given[name] = one[any](l, 1, 2, 4, 5, "x", nil)
				}
			}
			raw, _ := json.Marshal(given)
			_, err := (&Call{Principal: ada, Door: &Door{}, Action: a, Arguments: raw}).admit()
			given["a"] = a.Bindings(ada)[0].Value
			whole, _ := json.Marshal(given)
			_, plain := a.ruled.plain.decodeArguments(whole)
			n, isNumber := given[limited].(int)
			value, isGiven := given[limited]
			within := !isGiven || value == nil || isNumber && n <= 4
			if err == nil && (plain != nil || !within) {
				t.Fatalf("%s admits %s of %s", a.InputSchema, raw, schema)
			}
			if err != nil && plain == nil && within && isGiven {
				t.Fatalf("%s refuses %s of %s: %v", a.InputSchema, raw, schema, err)
			}
		}
	})
}
