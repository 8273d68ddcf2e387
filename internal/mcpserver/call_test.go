package mcpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// toolResult is a result of tools/call taken apart.
type toolResult struct {
	ResultType        string
	Content           []struct{ Type, Text string }
	StructuredContent json.RawMessage
	IsError           bool
}

func callTool(t *testing.T, h *Handler, e era, session, tool, arguments string) (toolResult, answer) {
	t.Helper()
	hs, body := headers{"Mcp-Session-Id": session}, callBody("1", tool, arguments)
	if e == modern {
		hs, body = modernHeaders("tools/call", tool), modernCall("1", tool, arguments)
	}
	w := serve(h, "POST", "/mcp/catalog", hs, body)
	a := decode(t, w.Body)
	var result toolResult
	if a.Result != nil {
		if err := json.Unmarshal(a.Result, &result); err != nil {
			t.Fatal(err)
		}
	}
	return result, a
}

func TestResults(t *testing.T) {
	h := newTestHandler(t, Options{})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	for _, test := range []struct{ tool, legacy, modern, text string }{
		{"fake_echo", `{"you":"","said":{"a":1}}`, `{"you":"","said":{"a":1}}`, ""},
		{"fake_owners", `{"result":["ada","grace \"g\" 日本"]}`, `["ada","grace \"g\" 日本"]`, ""},
		{"fake_maybe", `{"result":{"name":"x"}}`, `{"name":"x"}`, ""}, // the schema's root is not an object, the value is
		{"fake_typednote", `{"result":"words"}`, `"words"`, "words"},
		{"fake_note", ``, ``, "line 1\nline 2 <&> \x00 \ufffd end"},
	} {
		for e, want := range []string{test.legacy, test.modern} {
			got, a := callTool(t, h, era(e), s, test.tool, `{"a":1}`)
			if string(got.StructuredContent) != want || got.IsError {
				t.Errorf("%s, era %d: %s, want %s", test.tool, e, a.Result, want)
			}
			text := test.text
			if text == "" {
				text = want
			}
			if len(got.Content) != 1 || got.Content[0].Type != "text" || got.Content[0].Text != text {
				t.Errorf("%s, era %d: content %q, want %q", test.tool, e, got.Content, text)
			}
			if (got.ResultType == "complete") != (era(e) == modern) {
				t.Errorf("%s, era %d: resultType %q", test.tool, e, got.ResultType)
			}
		}
	}
}

func TestFaultsAreToolResults(t *testing.T) {
	var log bytes.Buffer
	h := newTestHandler(t, Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	internal := "internal error (reference REF)"
	for tool, want := range map[string]string{
		"fake_invalid_arguments": "what the caller may know",
		"fake_rejected":          "what the caller may know",
		"fake_denied":            "what the caller may know",
		"fake_too_large":         "what the caller may know",
		"fake_timeout":           "what the caller may know (reference REF)",
		"fake_unavailable":       "what the caller may know (reference REF)",
		"fake_internal":          internal,
		"fake_panic":             internal,
		"fake_odd":               internal,
		"fake_nothing":           internal,
	} {
		for e := range eras {
			log.Reset()
			got, a := callTool(t, h, e, s, tool, "{}")
			if !got.IsError || len(got.Content) != 1 || maskRefs(got.Content[0].Text) != want || got.StructuredContent != nil {
				t.Errorf("%s: %s, want %s", tool, a.Result, want)
			}
			if strings.Contains(string(a.Result), "hunter2") || strings.Contains(string(a.Result), "db.internal") {
				t.Errorf("%s leaks: %s", tool, a.Result)
			}
			if tool == "fake_panic" && !strings.Contains(log.String(), "fixture_test.go") {
				t.Errorf("no stack in the log: %s", log.String())
			}
		}
	}
}

func TestOneLineACall(t *testing.T) {
	var log bytes.Buffer
	var observed []string
	trail := audit.New(audit.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	h := newTestHandler(t, Options{
		Record: func(ctx context.Context, c audit.Call) {
			observed = append(observed, fmt.Sprint(c.Door, " ", c.Tool, " ", c.Action, " ", c.Decision(), " ", c.Client))
			trail.Record(ctx, c)
		},
	})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "ada")
	for _, test := range []struct{ tool, arguments, action, outcome, decision, level string }{
		{"fake_echo", "{}", "fake:echo", "ok", "allowed", "INFO"},
		{"fake_echo", "[]", "fake:echo", "invalid_request", "invalid", "INFO"},
		{"fake_unavailable", "{}", "fake:unavailable", "unavailable", "allowed", "WARN"},
		{"fake_odd", "{}", "fake:odd", "internal", "allowed", "ERROR"},
		{"made_up_1", "{}", "", "unknown_tool", "unknown", "INFO"},
	} {
		log.Reset()
		observed = nil
		hs := headers{"Mcp-Session-Id": s, "X-User": "ada", "Authorization": "Bearer t0ken"}
		w := serve(h, "POST", "/mcp/catalog", hs, callBody("1", test.tool, test.arguments))
		var line map[string]any
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatalf("%s: not one line: %s", test.tool, log.String())
		}
		for key, want := range map[string]any{
			"level": test.level, "server": "catalog", "tool": test.tool, "principal": "ada", "msg": "call",
			"outcome": test.outcome, "decision": test.decision, "face": "mcp", "method": "tools/call", "ref": w.Header().Get("X-Request-Id"),
		} {
			if line[key] != want {
				t.Errorf("%s: %s is %v, want %v", test.tool, key, line[key], want)
			}
		}
		if want := []string{fmt.Sprint("catalog ", test.tool, " ", test.action, " ", test.decision, " ", "test/1")}; !slices.Equal(observed, want) {
			t.Errorf("observed %v, want %v", observed, want)
		}
		if strings.Contains(log.String(), "t0ken") || strings.Contains(log.String(), s) {
			t.Errorf("a credential is in the log: %s", log.String())
		}
	}
}

func TestArgumentsArriveUntouched(t *testing.T) {
	fake := &fakeInvoker{}
	h := newTestHandler(t, Options{Invoker: fake})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	for _, test := range []struct{ sent, want string }{
		{`{"big":9007199254740993,"f":1.0,"s":"\u003c","z":1,"a":2}`, `{"big":9007199254740993,"f":1.0,"s":"\u003c","z":1,"a":2}`},
		{`null`, `{}`},
	} {
		fake.seen = nil
		callTool(t, h, legacy, s, "fake_echo", test.sent)
		callTool(t, h, modern, s, "fake_echo", test.sent)
		if !slices.Equal(fake.seen, []string{test.want, test.want}) {
			t.Errorf("sent %s, arrived %s", test.sent, fake.seen)
		}
	}
	if _, a := callTool(t, h, legacy, s, "fake_echo", `"x"`); a.code() != -32602 {
		t.Errorf("arguments of another kind: %+v", a.Error)
	}
}

// A legacy call outlives its connection, a modern one ends with it.
func TestDisconnect(t *testing.T) {
	for e := range eras {
		synctest.Test(t, func(t *testing.T) {
			fake := &fakeInvoker{gate: make(chan struct{})}
			h := newTestHandler(t, Options{Invoker: fake, Store: newMemoryStore()})
			hs, body := headers{"Mcp-Session-Id": startSession(t, h, "/mcp/catalog", "2025-11-25", "")}, callBody("1", "fake_wait", "{}")
			if e == modern {
				hs, body = modernHeaders("tools/call", "fake_wait"), modernCall("1", "fake_wait", "{}")
			}
			ctx, disconnect := context.WithCancel(t.Context())
			done := make(chan string)
			go func() {
				done <- serveRequest(h, newRequest("POST", "/mcp/catalog", hs, body).WithContext(ctx)).Body.String()
			}()
			synctest.Wait()
			disconnect()
			synctest.Wait()
			select {
			case answer := <-done:
				if e == legacy || !strings.Contains(answer, "cancelled") {
					t.Errorf("era %d ended with its connection: %s", e, answer)
				}
			default:
				if e == modern {
					t.Error("a modern call goes on without its client")
				}
				close(fake.gate)
				if answer := <-done; !strings.Contains(answer, "waited") {
					t.Errorf("answer %s", answer)
				}
			}
		})
	}
}

func TestLegacyDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHandler(t, Options{Invoker: &fakeInvoker{}, Store: newMemoryStore(), CallTimeout: time.Minute, SlowCall: time.Hour})
		s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
		start := time.Now()
		if got, _ := callTool(t, h, legacy, s, "fake_wait", "{}"); !got.IsError || time.Since(start) != time.Minute {
			t.Errorf("%+v after %v", got, time.Since(start))
		}
	})
}

// A session cancels its own calls by id, and nobody else's.
func TestCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeInvoker{gate: make(chan struct{})}
		h := newTestHandler(t, Options{Invoker: fake, Store: newMemoryStore()})
		ada, eve := startSession(t, h, "/mcp/catalog", "2025-11-25", "ada"), startSession(t, h, "/mcp/catalog", "2025-11-25", "eve")
		answers := map[string]chan string{"legacy 1": make(chan string, 1), "legacy 2": make(chan string, 1), "modern 1": make(chan string, 1)}
		post := func(to string, hs headers, body string) {
			w := serve(h, "POST", "/mcp/catalog", hs, body)
			if answers[to] != nil {
				answers[to] <- w.Body.String()
			} else if w.Code/100 != 2 && w.Code != 404 {
				t.Errorf("%s: %d", to, w.Code)
			}
		}
		own := headers{"Mcp-Session-Id": ada, "X-User": "ada"}
		go post("legacy 1", own, callBody("1", "fake_wait", "{}"))
		go post("legacy 2", own, callBody("2", "fake_wait", "{}"))
		go post("modern 1", modernHeaders("tools/call", "fake_wait"), modernCall("1", "fake_wait", "{}"))
		synctest.Wait()
		cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
		post("eve", headers{"Mcp-Session-Id": eve, "X-User": "eve"}, cancel)
		post("eve as ada", headers{"Mcp-Session-Id": ada, "X-User": "eve"}, cancel)
		post("modern", modernHeaders("notifications/cancelled", ""), cancel)
		post("modern with meta", modernHeaders("notifications/cancelled", ""), strings.Replace(cancel, `{"requestId"`, `{`+modernMeta+`,"requestId"`, 1))
		synctest.Wait()
		for name, c := range answers {
			if len(c) > 0 {
				t.Errorf("%s was cancelled by another: %s", name, <-c)
			}
		}
		post("ada", own, cancel)
		synctest.Wait()
		if len(answers["legacy 1"]) != 1 || len(answers["legacy 2"])+len(answers["modern 1"]) != 0 {
			t.Error("cancelled: want exactly legacy 1")
		}
		close(fake.gate)
		for name, c := range answers {
			if got, want := strings.Contains(<-c, "waited"), name != "legacy 1"; got != want {
				t.Errorf("%s: finished %v, want %v", name, got, want)
			}
		}
		synctest.Wait()
		if n := len(h.inflight.calls); n != 0 {
			t.Errorf("%d calls are remembered for ever", n)
		}
	})
}

// A client that uses an id again while its call runs can still cancel the new one.
func TestReusedID(t *testing.T) {
	var f inflight
	_, firstDone := f.start(t.Context(), nil, inflightKey{"s", "1"})
	second, secondDone := f.start(t.Context(), nil, inflightKey{"s", "1"})
	firstDone()
	f.cancel("s", "1")
	if second.Err() == nil {
		t.Error("the second call is forgotten")
	}
	secondDone()
	if len(f.calls) > 0 {
		t.Error("the second call is remembered for ever")
	}
}

func TestSetServersIsAllOrNothing(t *testing.T) {
	h := newTestHandler(t, Options{})
	for name, servers := range map[string][]*registry.Server{
		"bad name":      {{Door: testDoor, Name: "new"}, {Door: testDoor, Name: "x", Tools: []registry.Tool{{Name: "a b", Action: action("echo", "")}}}},
		"long name":     {{Door: testDoor, Name: "x", Tools: []registry.Tool{{Name: strings.Repeat("a", 65), Action: action("echo", "")}}}},
		"no action":     {{Door: testDoor, Name: "x", Tools: []registry.Tool{{Name: "a"}}}},
		"name twice":    {{Door: testDoor, Name: "x", Tools: []registry.Tool{{Name: "a", Action: action("echo", "")}, {Name: "a", Action: action("note", "")}}}},
		"server twice":  {{Door: testDoor, Name: "x"}, {Door: testDoor, Name: "x"}},
		"output schema": {{Door: testDoor, Name: "x", Tools: []registry.Tool{{Name: "a", Action: action("echo", "{")}}}},
		"output true":   {{Door: testDoor, Name: "x", Tools: []registry.Tool{{Name: "a", Action: action("echo", "true")}}}},
	} {
		err := h.SetServers(servers)
		if err == nil || !strings.HasPrefix(err.Error(), `server "x": `) {
			t.Errorf("%s: %v", name, err)
		}
		if w := serve(h, "POST", "/mcp/new", nil, initializeBody("2025-11-25")); w.Code != 404 {
			t.Errorf("%s: half of it was taken", name)
		}
	}
	if err := h.SetServers([]*registry.Server{{Door: testDoor, Name: "new"}}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/mcp/new": 200, "/mcp/catalog": 404} {
		if w := serve(h, "POST", path, nil, initializeBody("2025-11-25")); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestToolsListIsWhatClientsGet(t *testing.T) {
	h := newTestHandler(t, Options{})
	for _, s := range testServers() {
		if s.ListPage > 0 {
			continue // see TestPages
		}
		id := startSession(t, h, "/mcp/"+s.Name, "2025-11-25", "")
		w := serve(h, "POST", "/mcp/"+s.Name, headers{"Mcp-Session-Id": id}, list)
		want, err := ToolsList(s, "2025-11-25")
		if got := decode(t, w.Body).Result; err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%s\n%s", s.Name, err, got, want)
		}
		hs := modernHeaders("tools/list", "")
		w = serve(h, "POST", "/mcp/"+s.Name, hs, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+modernMeta+`}}`)
		want, err = ToolsList(s, "2026-07-28")
		if got := decode(t, w.Body).Result; err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%s\n%s", s.Name, err, got, want)
		}
	}
	if _, err := ToolsList(&registry.Server{Door: testDoor, Name: "x", Tools: []registry.Tool{{}}}, ""); err == nil {
		t.Error("a tool without a name was listed")
	}
}

func TestWrapSchema(t *testing.T) {
	for _, test := range []struct{ schema, want string }{
		{ownersSchema, `{"type":"object","properties":{"result":{"type":"array","items":{"$ref":"#/$defs/Name"}}},"required":["result"],"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"Name":{"type":"string"}}}`},
		{`{}`, `{"type":"object","properties":{"result":{}},"required":["result"]}`},
		{`{"type":"array","items":{"$ref":"#"}}`, `{"type":"object","properties":{"result":{"type":"array","items":{"$ref":"#/properties/result"}}},"required":["result"]}`},
		{`{"anyOf":[{"$ref":"#/$defs/A"}],"$defs":{"A":{"items":{"$ref":"#/anyOf/0"}}}}`, `{"type":"object","properties":{"result":{"anyOf":[{"$ref":"#/$defs/A"}]}},"required":["result"],"$defs":{"A":{"items":{"$ref":"#/properties/result/anyOf/0"}}}}`},
		{`{"description":"a \"$ref\":\"#\" in words"}`, `{"type":"object","properties":{"result":{"description":"a \"$ref\":\"#\" in words"}},"required":["result"]}`},
		{`{"$id":"urn:x","items":{"$ref":"#"},"$defs":{}}`, `{"type":"object","properties":{"result":{"$id":"urn:x","items":{"$ref":"#"},"$defs":{}}},"required":["result"]}`},
		{`{"$ref":"#node","$anchor":"x"}`, `{"type":"object","properties":{"result":{"$ref":"#node","$anchor":"x"}},"required":["result"]}`},
	} {
		if got := string(wrapSchema([]byte(test.schema))); got != test.want {
			t.Errorf("%s:\n%s, want\n%s", test.schema, got, test.want)
		}
	}
}

// TestOpenSchema: every result conforms, and what the document says is still
// there to read.
func TestOpenSchema(t *testing.T) {
	const rest = `},{"description":"or whatever else the plugin answers"}]`
	for _, test := range []struct{ schema, legacy, modern string }{
		{`{"type":"object","properties":{"id":{"type":"integer"}}}`,
			`{"type":"object","anyOf":[{"type":"object","properties":{"id":{"type":"integer"}}` + rest + `}`,
			`{"anyOf":[{"type":"object","properties":{"id":{"type":"integer"}}` + rest + `}`},
		{`{"type":"object","items":{"$ref":"#"},"$defs":{"A":{"pattern":"\\w"}}}`,
			`{"type":"object","anyOf":[{"type":"object","items":{"$ref":"#/anyOf/0"}` + rest + `,"$defs":{"A":{}}}`,
			`{"anyOf":[{"type":"object","items":{"$ref":"#/anyOf/0"}` + rest + `,"$defs":{"A":{}}}`},
		{`{"type":"array","items":{"$ref":"#"}}`,
			`{"type":"object","properties":{"result":{"anyOf":[{"type":"array","items":{"$ref":"#/properties/result/anyOf/0"}}` +
				`,{"description":"or whatever else the plugin answers"}]}},"required":["result"]}`,
			`{"anyOf":[{"type":"array","items":{"$ref":"#/anyOf/0"}` + rest + `}`},
		{`{"type":"object","properties":{"pattern":{"pattern":"x","title":"p"}},"patternProperties":{"^x":{}},"anyOf":[{"pattern":"x"},true],"not":{"pattern":"x"}}`,
			`{"type":"object","anyOf":[{"type":"object","properties":{"pattern":{"title":"p"}},"anyOf":[{},true]` + rest + `}`, ``},
	} {
		built, err := newTool(registry.Tool{Name: "x", Action: action("echo", test.schema)}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(built.defined[legacy].RawOutputSchema); got != test.legacy {
			t.Errorf("legacy\n%s, want\n%s", got, test.legacy)
		}
		if got := string(built.defined[modern].RawOutputSchema); test.modern != "" && got != test.modern {
			t.Errorf("modern\n%s, want\n%s", got, test.modern)
		}
		strict := action("echo", test.schema)
		strict.StrictOutput = true
		if built, err = newTool(registry.Tool{Name: "x", Action: strict}, false); err != nil || string(built.defined[modern].RawOutputSchema) != test.schema {
			t.Errorf("strict: %s %v", built.defined[modern].RawOutputSchema, err)
		}
	}
}

func TestAppendEscaped(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\\b\f\n\r\t\x00\x1f\x7f", "é 日本 \u2028 😀", "\xff\xfe a \xed\xa0\x80", "<&>", fmt.Sprint(ids(20))} {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); strings.Trim(got, "\ufffd") != strings.Trim(want, "\ufffd") && !strings.Contains(s, "\xed") {
			t.Errorf("%q became %q", s, got)
		}
	}
}
