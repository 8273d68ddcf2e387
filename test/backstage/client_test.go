package backstage_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/specs"
)

// client calls the tools of one named server over MCP, holds each result to
// its tool's output schema, and remembers what was called.
type client struct {
	t       *testing.T
	send    func(tool, arguments string) toolResult
	outputs map[string]*jsonschema.Schema // by tool
	called  map[string]bool
}

// toolResult is what tools/call gives.
type toolResult struct {
	IsError           bool
	StructuredContent any
	Content           []struct{ Text string }
}

// result is what a tool's call comes to.
type result struct {
	value any    // structuredContent
	fault string // the text, where isError
}

func newClient(t *testing.T, g *gateway.Gateway, server string) *client {
	t.Helper()
	list, err := g.ToolsList(server, "")
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(g.Handler())
	t.Cleanup(h.Close)
	return newClientOf(t, byName(t, list), func(tool, arguments string) toolResult { return callModern(t, h.URL+"/mcp/"+server, tool, arguments) })
}

func newClientOf(t *testing.T, tools map[string]any, send func(tool, arguments string) toolResult) *client {
	t.Helper()
	c := &client{t: t, send: send, outputs: map[string]*jsonschema.Schema{}, called: map[string]bool{}}
	for name, tool := range tools {
		schema := tool.(map[string]any)["outputSchema"]
		if schema == nil {
			t.Errorf("%s has no output schema", name)
			continue
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("mem:///"+name, schema); err != nil {
			t.Fatal(err)
		}
		compiled, err := compiler.Compile("mem:///" + name)
		if err != nil {
			t.Fatal(err)
		}
		c.outputs[name] = compiled
	}
	return c
}

func (c *client) call(tool, arguments string) result {
	c.t.Helper()
	c.called[tool] = true
	r := c.send(tool, arguments)
	if r.IsError {
		return result{fault: r.Content[0].Text}
	}
	if schema := c.outputs[tool]; schema == nil {
		c.t.Errorf("%s is not among the server's tools", tool)
	} else if err := schema.Validate(r.StructuredContent); err != nil {
		c.t.Errorf("%s %s: its result does not fit its schema: %v\n%v", tool, arguments, err, r.StructuredContent)
	}
	return result{value: r.StructuredContent}
}

// callModern calls a tool in revision 2026-07-28, which has no sessions.
func callModern(t *testing.T, url, tool, arguments string) toolResult {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s,
		"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`, tool, arguments)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
	} {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Result *toolResult }
	text := lastMessage(t, resp)
	if err := json.Unmarshal(text, &answer); err != nil || answer.Result == nil {
		t.Fatalf("%s %s: HTTP %d: %s", tool, arguments, resp.StatusCode, text)
	}
	return *answer.Result
}

// lastMessage is the body, or of a stream the data of its last event.
func lastMessage(t *testing.T, resp *http.Response) (text []byte) {
	t.Helper()
	stream := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data, isData := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !stream {
			text = append(text, lines.Bytes()...)
		} else if isData && len(bytes.TrimSpace(data)) > 0 {
			text = bytes.Clone(data)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return text
}

// check calls a tool and looks at the result with jq. A fault is {"fault":
// text}.
func (c *client) check(tool, arguments, expression, want string) {
	c.t.Helper()
	r := c.call(tool, arguments)
	value := r.value
	if r.fault != "" {
		value = map[string]any{"fault": r.fault}
	}
	if got := look(c.t, expression, value); got != want {
		c.t.Errorf("%s %s: %s: got %s, want %s\n%v", tool, arguments, expression, got, want, value)
	}
}

// text calls a tool and gives a text in its result, "" where it is not there.
func (c *client) text(tool, arguments, expression string) string {
	c.t.Helper()
	r := c.call(tool, arguments)
	if r.fault != "" {
		return "fault: " + r.fault
	}
	var text string
	if err := json.Unmarshal([]byte(look(c.t, "("+expression+`) // "" | tostring`, r.value)), &text); err != nil {
		c.t.Fatal(err)
	}
	return text
}

// allCalled fails for each tool of the server that was not called.
func (c *client) allCalled() {
	c.t.Helper()
	if len(c.outputs) == 0 {
		c.t.Error("the server has no tools")
	}
	for _, name := range slices.Sorted(maps.Keys(c.outputs)) {
		if !c.called[name] {
			c.t.Errorf("%s was not called", name)
		}
	}
}

// withOverlay is a plugin of Backstage's, read from the document that it
// serves, with our overlay.
func withOverlay(t *testing.T, name string, token gateway.Secret) gateway.Plugin {
	t.Helper()
	url, _ := backstage(t)
	overlay, err := specs.Overlay("backstage-" + name)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	p := gateway.DefaultPlugin()
	p.Spec, p.Overlays = url+"/api/"+name+"/openapi.json", []string{file} // its paths count from the host
	p.Auth.Bearer, p.OutputSchemas = token, "strict"
	return p
}
