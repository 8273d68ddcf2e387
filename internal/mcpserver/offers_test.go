package mcpserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/openapi"
)

func TestReadResource(t *testing.T) {
	invoker := &fakeInvoker{}
	h := newTestHandler(t, Options{Invoker: invoker})
	note := `"text":"line 1\nline 2 <&> \u0000 ` + "\ufffd" + ` end"`
	eachEra(t, func(t *testing.T, e era) {
		a := newAsker(t, h, "/mcp/offers", e, "ada")
		missing := []int{legacy: -32002, modern: -32602}[e]
		for uri, want := range map[string]any{
			"docs://note":  `{"uri":"docs://note","mimeType":"text/plain",` + note + `}`,
			"docs://html":  `{"uri":"docs://html","mimeType":"text/html",` + note + `}`,
			"docs://image": `{"uri":"docs://image","mimeType":"image/png","blob":"iVBORwA="}`,
			"docs://cut": `{"uri":"docs://cut","mimeType":"application/json","text":"{\"items\":[1,2]}","_meta":{"io.github.stagedoor/http":` +
				`{"status":200,"truncated":{"reason":"size","path":"items","items":2}}}}`,
			"things://echo/red":                 echoed("things://echo/red", `{"a":"red","z":7}`),
			"things://echo/a%2Fb%20c":           echoed("things://echo/a%2Fb%20c", `{"a":"a/b c","z":7}`),
			"numbers://42":                      echoed("numbers://42", `{"z":42}`),
			"numbers://4x":                      echoed("numbers://4x", `{"z":"4x"}`), // the plugin's schema refuses it
			"things://echo/":                    missing,
			"things://echo/a/b":                 missing,
			"things://echo/a?b":                 missing,
			"things://echo/%zz":                 missing,
			"docs://nope":                       missing,
			"stagedoor://actions/x:y":           missing,
			"stagedoor://actions/%zz":           missing,
			"stagedoor://actions/":              missing,
			"stagedoor://actions":               missing,
			"fails://gone":                      missing, // HTTP 404
			"fails://timeout":                   -32603,
			"fails://rejected":                  -32603, // before the template
			"fails://odd":                       -32603,
			"fails://panic":                     -32603,
			"fails://arguments":                 -32602,
			"stagedoor://actions/fake:rejected": missing, // another server's
		} {
			got := a.ask("resources/read", `"uri":`+string(appendString(nil, uri)))
			if code, ok := want.(int); ok {
				if got.code() != code || strings.Contains(got.Error.Message, "hunter2") || strings.Contains(got.Error.Message, "internal:") {
					t.Errorf("%s: %s %+v", uri, got.Result, got.Error)
				}
				if code == missing && uri != "fails://arguments" && !strings.Contains(string(got.Error.Data), `{"uri":`) {
					t.Errorf("%s: data %s", uri, got.Error.Data)
				}
				continue
			}
			if got.Error != nil {
				t.Errorf("%s: %+v", uri, got.Error)
				continue
			}
			var result map[string]json.RawMessage
			if err := json.Unmarshal(got.Result, &result); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(normal(t, []byte("["+want.(string)+"]")), normal(t, result["contents"])); diff != "" {
				t.Errorf("%s: %s", uri, diff)
			}
			if (e == modern) != (string(result["ttlMs"]) == "0" && string(result["resultType"]) == `"complete"` && result["_meta"] != nil) {
				t.Errorf("%s: %s", uri, got.Result)
			}
		}
		document := a.ask("resources/read", `"uri":"stagedoor://actions/fake%3Anote"`)
		if !strings.Contains(string(document.Result), "# The note") || (e == modern) != strings.Contains(string(document.Result), `"ttlMs":60000`) {
			t.Errorf("%s", document.Result)
		}
		for _, params := range []string{``, `"uri":7`, `"uri":""`, `"uri":null`} {
			if got := a.ask("resources/read", params); got.Error == nil {
				t.Errorf("%s: %s", params, got.Result)
			}
		}
	})
}

func echoed(uri, arguments string) string {
	text := `{"you":"ada","said":` + arguments + `}`
	return `{"uri":"` + uri + `","mimeType":"application/json","text":` + string(appendString(nil, text)) + `}`
}

// Whoever only posts, without an id, gets nothing read.
func TestNotificationsReadNothing(t *testing.T) {
	invoker := &fakeInvoker{}
	h := newTestHandler(t, Options{Invoker: invoker})
	session := startSession(t, h, "/mcp/offers", "2025-11-25", "")
	w := serve(h, "POST", "/mcp/offers", headers{"Mcp-Session-Id": session}, `{"jsonrpc":"2.0","method":"resources/read","params":{"uri":"docs://note"}}`)
	if w.Code != 202 || len(invoker.seen) != 0 {
		t.Errorf("%d %s, %q", w.Code, w.Body, invoker.seen)
	}
}

func TestDocument(t *testing.T) {
	a := &registry.Action{ID: "shop:get-thing", Plugin: "shop", Action: openapi.Action{
		Name: "get-thing", Title: "Get a thing", Description: "Cut …", FullDescription: "All of it.\n\nEven ``` this.",
		Attributes: openapi.Attributes{ReadOnly: true, Idempotent: true}, Tags: []string{"read", "shop"}, Scopes: []string{"shop.read"},
		Deprecated: true, Operation: "GET /things/{id}",
		InputSchema:  json.RawMessage(`{"type":"object","properties":{"id":{"type":"integer","maximum":9007199254740993}}}`),
		OutputSchema: json.RawMessage(`{"type":"string"}`),
		Examples:     []openapi.Example{{Title: "One", Description: "The first.", Input: json.RawMessage(`{"id":1}`), Output: json.RawMessage(`"x"`)}, {Input: json.RawMessage(`{}`)}},
	}}
	built, err := newTool(registry.Tool{Name: "shop_get-thing", Action: a}, false)
	if err != nil {
		t.Fatal(err)
	}
	fence := "```"
	want := `# Get a thing

Tool ` + "`shop_get-thing`, action `shop:get-thing`: `GET /things/{id}`" + `

All of it.

Even ` + fence + ` this.

- attributes: only reads, idempotent
- tags: read, shop
- scopes: shop.read
- deprecated

## Input schema

` + fence + `json
{
  "type": "object",
  "properties": {
    "id": {
      "type": "integer",
      "maximum": 9007199254740993
    }
  }
}
` + fence + `

## Output schema

` + fence + `json
{
  "type": "string"
}
` + fence + `

## Example: One

The first.

Input:

` + fence + `json
{
  "id": 1
}
` + fence + `

Output:

` + fence + `json
"x"
` + fence + `

## Example: a call

Input:

` + fence + `json
{}
` + fence + `
`
	if diff := cmp.Diff(want, built.document()); diff != "" {
		t.Error(diff)
	}
}

func TestGetPrompt(t *testing.T) {
	h := newTestHandler(t, Options{})
	eachEra(t, func(t *testing.T, e era) {
		a := newAsker(t, h, "/mcp/offers", e, "ada")
		missing := []int{legacy: -32002, modern: -32602}[e]
		for params, want := range map[string]any{
			`"name":"review","arguments":{"thing":"a {tone}+b","tone":"harsh"}`: `{"description":"Reviews a thing.","messages":[
				{"role":"user","content":{"type":"text","text":"Review a {tone}+b in {braces}, harsh: a {tone}+b"}},
				{"role":"assistant","content":{"type":"image","mimeType":"image/png","data":"iVBORw=="}},
				{"role":"user","content":{"type":"resource","resource":` + echoed("things://echo/a%20%7Btone%7D%2Bb", `{"a":"a {tone}+b","z":7}`) + `}}]}`,
			`"name":"embed","arguments":{"uri":"numbers://5"}`: `{"messages":[
				{"role":"user","content":{"type":"resource","resource":` + echoed("numbers://5", `{"z":5}`) + `}},
				{"role":"assistant","content":{"type":"text","text":"Read."}}]}`,
			`"name":"embed","arguments":{"uri":"docs://nope"}`: missing,
			`"name":"embed","arguments":{"uri":"fails://odd"}`: -32603,
			`"name":"embed"`:                                               -32602,
			`"name":"embed","arguments":{"uri":""}`:                        -32602,
			`"name":"embed","arguments":{"uri":7}`:                         -32602,
			`"name":"embed","arguments":[]`:                                -32602,
			`"name":"embed","arguments":{"uri":"docs://note","more":"x"}`:  -32602,
			`"name":"review","arguments":{"thing":"x","tone":"sarcastic"}`: -32602,
			`"name":"nope"`:                                                -32602,
		} {
			got := a.ask("prompts/get", params)
			if code, ok := want.(int); ok {
				if got.code() != code {
					t.Errorf("%s: %s %+v", params, got.Result, got.Error)
				}
				continue
			}
			if got.Error != nil {
				t.Errorf("%s: %+v", params, got.Error)
				continue
			}
			var result map[string]json.RawMessage
			if err := json.Unmarshal(got.Result, &result); err != nil {
				t.Fatal(err)
			}
			if e == modern && (string(result["resultType"]) != `"complete"` || result["_meta"] == nil) {
				t.Errorf("%s: %s", params, got.Result)
			}
			delete(result, "resultType")
			delete(result, "_meta")
			raw, _ := json.Marshal(result)
			if diff := cmp.Diff(normal(t, []byte(want.(string))), normal(t, raw)); diff != "" {
				t.Errorf("%s: %s", params, diff)
			}
		}
	})
}

func TestQuestion(t *testing.T) {
	p := &prompt{testPrompts()[0]}
	schema, ok := question(p.missing(map[string]string{}))
	want := `{"type":"object","properties":{"team":{"type":"string","title":"Team","description":"Whose?","enum":["blue","red"]},` +
		`"why":{"type":"string","minLength":1}},"required":["team","why"]}`
	if string(schema) != want || !ok {
		t.Errorf("%s, %v", schema, ok)
	}
	if schema, ok := question(p.missing(map[string]string{"team": "red"})); !ok || strings.Contains(string(schema), "team") {
		t.Errorf("%s, %v", schema, ok)
	}
	if _, ok := question(p.missing(map[string]string{"team": "red", "why": "x"})); ok {
		t.Error("nothing is missing, and yet there is a question")
	}
	if _, ok := question((&prompt{testPrompts()[1]}).missing(nil)); ok {
		t.Error("what nobody may ask for is asked for")
	}
}

func TestComplete(t *testing.T) {
	servers := testServers()
	many := &registry.Prompt{Name: "zmany", Arguments: []registry.PromptArgument{{Name: "n"}}}
	for i := range 250 {
		many.Arguments[0].Enum = append(many.Arguments[0].Enum, fmt.Sprintf("N%03d", i))
	}
	servers[2].Prompts = append(servers[2].Prompts, *many)
	h := newTestHandler(t, Options{})
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	eachEra(t, func(t *testing.T, e era) {
		a := newAsker(t, h, "/mcp/offers", e, "ada")
		for _, tt := range []struct{ ref, argument, value, want string }{
			{`{"type":"ref/prompt","name":"review"}`, "tone", "KIND", `{"values":["Kind","kindest"],"total":2,"hasMore":false}`},
			{`{"type":"ref/prompt","name":"review"}`, "tone", "", `{"values":["Kind","kindest","harsh"],"total":3,"hasMore":false}`},
			{`{"type":"ref/prompt","name":"review"}`, "thing", "x", `{"values":[],"total":0,"hasMore":false}`},
			{`{"type":"ref/resource","uri":"things://echo/{thing}"}`, "thing", "r", `{"values":["red","rose"],"total":2,"hasMore":false}`},
			{`{"type":"ref/resource","uri":"numbers://{n}"}`, "n", "", `{"values":[],"total":0,"hasMore":false}`},
			{`{"type":"ref/resource","uri":"docs://note"}`, "n", "", `{"values":[],"total":0,"hasMore":false}`},
			{`{"type":"ref/resource","uri":"stagedoor://actions/{+id}"}`, "id", "FAKE:o", `{"values":["fake:owners"],"total":1,"hasMore":false}`},
		} {
			got := a.ask("completion/complete", `"ref":`+tt.ref+`,"argument":{"name":"`+tt.argument+`","value":"`+tt.value+`"}`)
			var result struct{ Completion json.RawMessage }
			if err := json.Unmarshal(got.Result, &result); err != nil || string(result.Completion) != tt.want {
				t.Errorf("%s %s: %s %+v", tt.ref, tt.value, got.Result, got.Error)
			}
		}
		var result struct {
			Completion struct {
				Values  []string
				Total   int
				HasMore bool
			}
		}
		got := a.ask("completion/complete", `"ref":{"type":"ref/prompt","name":"zmany"},"argument":{"name":"n","value":"n"}`)
		if err := json.Unmarshal(got.Result, &result); err != nil || len(result.Completion.Values) != 100 || result.Completion.Total != 250 || !result.Completion.HasMore {
			t.Errorf("%s", got.Result)
		}
		for _, params := range []string{
			``, `"ref":{},"argument":{"name":"a","value":""}`, `"ref":"x","argument":{"name":"a","value":""}`,
			`"ref":{"type":"ref/tool","name":"echo"},"argument":{"name":"a","value":""}`,
			`"ref":{"type":"ref/prompt","name":"nope"},"argument":{"name":"a","value":""}`,
			`"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"nope","value":""}`,
			`"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"tone"}`,
			`"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"tone","value":1}`,
			`"ref":{"type":"ref/prompt","name":"review"},"argument":[]`,
			`"ref":{"type":"ref/resource","uri":"nope://{x}"},"argument":{"name":"x","value":""}`,
			`"ref":{"type":"ref/resource","uri":"numbers://{n}"},"argument":{"name":"x","value":""}`,
		} {
			if got := a.ask("completion/complete", params); got.code() != -32602 {
				t.Errorf("%s: %s %+v", params, got.Result, got.Error)
			}
		}
	})
}

func TestHasResource(t *testing.T) {
	h := newTestHandlerBehind(t, hides("echo"), Options{})
	s := (*h.servers.Load())["offers"]
	for uri, want := range map[string]bool{
		"docs://note": true, "stagedoor://actions/fake:note": true, "stagedoor://actions/fake%3Anote": true, "fails://x": true,
		"things://echo/1": false, "stagedoor://actions/fake:echo": false, "docs://nope": false, "": false,
	} {
		if got := s.hasResource(principal.Principal{Kind: principal.User, Subject: "mallory"}, uri); got != want {
			t.Errorf("%q: %v", uri, got)
		}
	}
	if !s.hasResource(principal.Principal{}, "things://echo/1") {
		t.Error("everybody else sees it")
	}
}

// What a server says of itself is in initialize and server/discover; icons are
// beside tools.
func TestIdentity(t *testing.T) {
	h := newTestHandler(t, Options{})
	eachEra(t, func(t *testing.T, e era) {
		a := newAsker(t, h, "/mcp/offers", e, "")
		said := a.ask("server/discover", "").Result
		if e == legacy {
			said = decode(t, serve(h, "POST", "/mcp/offers", nil, initializeBody("2025-11-25")).Body).Result
		}
		for _, want := range []string{`"https://example.com/icon.svg"`, `"https://example.com/offers"`, `"Offers."`, `"theme":"dark"`} {
			if !strings.Contains(string(said), want) {
				t.Errorf("%s is missing: %s", want, said)
			}
		}
		tools := a.ask("tools/list", "").Result
		if !strings.Contains(string(tools), `"icons":[{"src":"data:image/png;base64,AA=="}]`) || strings.Contains(string(tools), "icon.svg") {
			t.Errorf("tools %s", tools)
		}
	})
}
