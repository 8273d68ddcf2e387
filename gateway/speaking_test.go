package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

const speakingDocument = `
openapi: 3.1.0
info: {title: Jobs, version: "1"}
paths:
  /jobs/{region}:
    post:
      operationId: run
      description: Runs a job.
      x-action: {output: {mode: mcp}}
      parameters:
        - {name: region, in: path, required: true, schema: {type: string}, x-mcp-header: Region}
      responses: {'200': {description: Done., content: {application/x-ndjson: {}}}}
  /exports:
    get:
      operationId: export
      description: Exports.
      x-action: {output: {progress: true, select: .file}}
      responses: {'200': {description: Done., content: {application/x-ndjson: {}}}}
`

// TestPluginsThatSpeakMCP: what a plugin tells while it works, and its result,
// go through the whole gateway, and so does a header that repeats an argument.
func TestPluginsThatSpeakMCP(t *testing.T) {
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		if r.URL.Path == "/exports" {
			fmt.Fprint(w, `{"progress":1,"total":2}`+"\n"+`{"file":"orders.csv"}`)
			return
		}
		fmt.Fprintf(w, `{"method":"notifications/progress","params":{"progress":0.50,"message":"in %s"}}`+"\n", r.URL.Path)
		fmt.Fprint(w, `{"content":[{"type":"image","data":"","mimeType":"image/png"}],"structuredContent":[1],"_meta":{"trace":"x"}}`)
	}))
	defer plugin.Close()
	p, s := gateway.DefaultPlugin(), gateway.DefaultServer()
	p.Document, p.BaseURL = []byte(speakingDocument), plugin.URL
	s.Actions.Include = []gateway.Rule{{ID: "*"}}
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + t.TempDir() + "/test.db")
	cfg.Plugins, cfg.Servers = map[string]gateway.Plugin{"p": p}, map[string]gateway.Server{"s": s}
	g := start(t, cfg)
	served := httptest.NewServer(g.Handler())
	defer served.Close()

	call := func(tool, arguments, region string) (int, string) {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `,"_meta":{"progressToken":"t",` +
			`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, served.URL+"/mcp/s", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]string{
			"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
			"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
		} {
			req.Header.Set(k, v)
		}
		if region != "" {
			req.Header.Set("Mcp-Param-Region", region)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for _, tt := range []struct {
		tool, arguments, region string
		status                  int
		want                    []string // in this order
	}{
		{"p_run", `{"region":"eu"}`, "eu", 200, []string{
			`"params":{"progressToken":"t","progress":0.50,"message":"in /jobs/eu"}}`, `"trace":"x"`,
			`"content":[{"type":"image","data":"","mimeType":"image/png"}],"structuredContent":[1]`,
		}},
		{"p_run", `{"region":"eu"}`, "us", 400, []string{`-32020`}},
		{"p_run", `{"region":"eu"}`, "", 400, []string{`-32020`}},
		{"p_export", `{}`, "", 200, []string{`"params":{"progressToken":"t","progress":1,"total":2}}`, `"structuredContent":"orders.csv"`}},
	} {
		status, body := call(tt.tool, tt.arguments, tt.region)
		rest := body
		for _, part := range tt.want {
			_, after, found := strings.Cut(rest, part)
			if rest = after; status != tt.status || !found {
				t.Errorf("%s %q: %d %s\nwant %d %s", tt.tool, tt.region, status, body, tt.status, part)
			}
		}
	}
	result, err := g.Call(t.Context(), "p:run", []byte(`{"region":"eu"}`))
	if err != nil || string(result.JSON) != "[1]" {
		t.Errorf("without MCP: %+v %v", result, err)
	}
}
