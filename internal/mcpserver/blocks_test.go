package mcpserver

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// speaker answers as plugins do that speak MCP.
type speaker map[string]invoke.Result

func (s speaker) Invoke(_ context.Context, call registry.Call) (*invoke.Result, error) {
	a := call.Action
	r := s[a.Name]
	return &r, nil
}

const (
	saidText  = `{"type":"text","text":"hi \u00e9","annotations":{"priority":1}}`
	saidLink  = `{"type":"resource_link","uri":"file:///a.rs","name":"a.rs","description":"Main"}`
	saidSound = `{"type":"audio","data":"T2dnUwA=","mimeType":"audio/ogg"}`
	saidImage = `{"type":"image","data":"iVBORwA=","mimeType":"image/png"}`
	linkText  = `{"type":"text","text":"a.rs: file:///a.rs\nMain"}`
	soundFile = `{"type":"resource","resource":{"uri":"stagedoor:///fake/all/b18baaed604af83a","mimeType":"audio/ogg","blob":"T2dnUwA="}}`
)

func speakers() (speaker, []*registry.Server) {
	said := speaker{
		"all": {Status: 200, MCP: &invoke.MCP{Content: json.RawMessage("[" + saidText + "," + saidImage + "," + saidSound + "," + saidLink + "]")}},
		"meta": {Status: 200, MCP: &invoke.MCP{
			Content: json.RawMessage(`[]`), Structured: json.RawMessage(`{"n":9007199254740993}`), Meta: json.RawMessage(`{"example.com/a":[1],"trace":"x"}`),
		}, Headers: []invoke.Header{{Name: "etag", Value: "7"}}},
		"own":    {Status: 200, MCP: &invoke.MCP{Content: json.RawMessage(`[]`), Meta: json.RawMessage(`{"trace":"x"}`)}},
		"list":   {Status: 200, MCP: &invoke.MCP{Structured: json.RawMessage(`[1,2]`)}},
		"null":   {Status: 200, MCP: &invoke.MCP{Structured: json.RawMessage(`null`)}},
		"failed": {Status: 200, MCP: &invoke.MCP{Content: json.RawMessage("[" + saidText + "]"), IsError: true}},
		"typed":  {Status: 200, MCP: &invoke.MCP{Content: json.RawMessage("[" + saidText + "," + saidImage + "," + saidText + "]")}},
		"asks":   {Status: 200, MCP: &invoke.MCP{Asks: &invoke.InputRequired{State: "s"}}},
	}
	s := &registry.Server{Door: testDoor, Name: "catalog", Version: "1"}
	for _, name := range []string{"all", "meta", "own", "list", "null", "failed", "typed", "asks"} {
		output := ""
		if name == "typed" {
			output = `{"type":"string"}`
		}
		s.Tools = append(s.Tools, registry.Tool{Name: name, Action: action(name, output)})
	}
	return said, []*registry.Server{s}
}

// TestPluginsThatSpeakMCP: what they say reaches clients of each revision in a
// form that the revision has.
func TestPluginsThatSpeakMCP(t *testing.T) {
	said, servers := speakers()
	h := newTestHandler(t, Options{Invoker: said})
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	const meta, ask = `"io.modelcontextprotocol/serverInfo":{"name":"catalog","version":"1"}`, `{"content":[{"type":"text","text":"` + invoke.CannotAsk + `"}],"isError":true}`
	newest := `{"content":[` + saidText + `,` + saidImage + `,` + saidSound + `,` + saidLink + `]}`
	for _, test := range []struct{ version, tool, want string }{
		{"2025-11-25", "all", newest},
		{"2025-06-18", "all", newest},
		{"2025-03-26", "all", `{"content":[` + saidText + `,` + saidImage + `,` + saidSound + `,` + linkText + `]}`},
		{"2024-11-05", "all", `{"content":[` + saidText + `,` + saidImage + `,` + soundFile + `,` + linkText + `]}`},
		{"", "all", `{"resultType":"complete","_meta":{` + meta + `},` + newest[1:]},
		{"2025-11-25", "meta", `{"_meta":{"io.github.stagedoor/http":{"status":200,"headers":{"etag":"7"}},"example.com/a":[1],"trace":"x"},"content":[],"structuredContent":{"n":9007199254740993}}`},
		{"", "own", `{"resultType":"complete","_meta":{` + meta + `,"trace":"x"},"content":[]}`},
		{"2025-11-25", "own", `{"_meta":{"trace":"x"},"content":[]}`},
		{"2025-11-25", "list", `{"content":[{"type":"text","text":"{\"result\":[1,2]}"}],"structuredContent":{"result":[1,2]}}`},
		{"", "list", `{"resultType":"complete","_meta":{` + meta + `},"content":[{"type":"text","text":"[1,2]"}],"structuredContent":[1,2]}`},
		{"", "null", `{"resultType":"complete","_meta":{` + meta + `},"content":[{"type":"text","text":"null"}],"structuredContent":null}`},
		{"2025-11-25", "failed", `{"content":[` + saidText + `],"isError":true}`},
		{"2025-11-25", "typed", `{"content":[` + saidText + `,` + saidImage + `,` + saidText + `],"structuredContent":{"result":"hi é\nhi é"}}`},
		{"2025-11-25", "asks", ask},
		{"", "asks", `{"resultType":"complete","_meta":{` + meta + `},` + ask[1:]},
	} {
		e, session := modern, ""
		if test.version != "" {
			e, session = legacy, startSession(t, h, "/mcp/catalog", test.version, "")
		}
		if _, a := callTool(t, h, e, session, test.tool, "{}"); string(a.Result) != test.want {
			t.Errorf("%s %s\ngot  %s\nwant %s", test.version, test.tool, a.Result, test.want)
		}
	}
}

// TestSpeakersAreMCPGos: mcp-go writes the same of such results.
func TestSpeakersAreMCPGos(t *testing.T) {
	said, servers := speakers()
	h := newTestHandler(t, Options{Invoker: said})
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	catalog := (*h.servers.Load())["catalog"]
	for name := range said {
		for e, meta := range []string{legacy: "", modern: "," + modernMeta} {
			m, fault := parseEnvelope([]byte(`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"` + name + `"` + meta + `}}`))
			if fault != nil {
				t.Fatal(fault.message)
			}
			x := &exchange{r: newRequest("POST", "/mcp/catalog", nil, ""), server: catalog, ref: "abcdefghjk"}
			if diff := cmp.Diff(unworded(t, stockAnswer(t, h, x, era(e), &m)), unworded(t, straightAnswer(h, x, era(e), &m))); diff != "" {
				t.Errorf("era %d, %s: mcp-go - straight +\n%s", e, name, diff)
			}
		}
	}
}
