package clients_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/bridge"
	"github.com/stagedoor/stagedoor/internal/config"
	"github.com/stagedoor/stagedoor/test/conformance/plugin"
)

// everything is a gateway with the conformance plugin behind it, on real
// sockets. It reloads when the plugin edits its files.
func everything(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var g *gateway.Gateway
	var environ []string
	load := func() (gateway.Config, error) {
		file, err := config.Load(filepath.Join(dir, "config.yaml"), environ)
		if err != nil {
			return gateway.Config{}, err
		}
		return file.Config, nil
	}
	service, err := plugin.New(dir, func() error {
		cfg, err := load()
		if err != nil {
			return err
		}
		return g.Reload(t.Context(), cfg)
	})
	if err != nil {
		t.Fatal(err)
	}
	behind := httptest.NewServer(service)
	t.Cleanup(behind.Close)
	environ = []string{"CONFORMANCE_PLUGIN=" + behind.URL}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	g, err = gateway.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		front.CloseClientConnections() // streams stand open
		front.Close()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return front.URL + "/mcp/everything"
}

// open connects a client in one revision.
func open(t *testing.T, url, over, version string, options ...client.ClientOption) (session, <-chan mcp.JSONRPCNotification) {
	t.Helper()
	var to transport.Interface
	var err error
	switch {
	case over == "sse":
		to, err = transport.NewSSE(url + "/sse")
	case over == "connect":
		to = bridged(t, url)
	case version == "2026-07-28":
		to, err = transport.NewStreamableHTTP(url)
	default:
		to, err = transport.NewStreamableHTTP(url, transport.WithContinuousListening()) //nolint:staticcheck // the revisions with sessions have it
	}
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewClient(to, options...)
	told := make(chan mcp.JSONRPCNotification, 1000)
	c.OnNotification(func(n mcp.JSONRPCNotification) { told <- n })
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	hello := mcp.InitializeRequest{}
	hello.Params.ProtocolVersion = version
	hello.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	result, err := c.Initialize(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	if result.ProtocolVersion != version {
		t.Fatalf("asked for %s, got %s", version, result.ProtocolVersion)
	}
	return session{c, t}, told
}

// bridged is a client on the standard input and output of a bridge to the server.
func bridged(t *testing.T, url string) transport.Interface {
	in, write := io.Pipe()
	read, out := io.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- bridge.Run(ctx, in, out, bridge.Options{URL: url, Log: t.Output()})
		out.Close()
	}()
	t.Cleanup(func() {
		stop()
		in.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return transport.NewIO(read, write, io.NopCloser(strings.NewReader("")))
}

// text calls a tool, and gives its first text.
func (s session) text(name string, arguments map[string]any) string {
	s.t.Helper()
	req := mcp.CallToolRequest{}
	req.Params.Name, req.Params.Arguments = name, arguments
	result, err := s.CallTool(s.t.Context(), req)
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
		return ""
	}
	text, _ := result.Content[0].(mcp.TextContent)
	return text.Text
}

type revision struct{ over, version string }

func revisions() []revision {
	return []revision{
		{"http", "2024-11-05"}, {"http", "2025-03-26"}, {"http", "2025-06-18"}, {"http", "2025-11-25"}, {"http", "2026-07-28"},
		{"sse", "2024-11-05"}, {"sse", "2025-11-25"},
		{"connect", "2024-11-05"}, {"connect", "2025-03-26"}, {"connect", "2025-06-18"}, {"connect", "2025-11-25"}, {"connect", "2026-07-28"},
	}
}

func TestEverythingWithMCPGo(t *testing.T) {
	url := everything(t)
	for _, test := range revisions() {
		t.Run(test.over+" "+test.version, func(t *testing.T) {
			s, told := open(t, url, test.over, test.version)
			s.answers()
			s.progress(told)
			s.changes(told, test.over, test.version)
		})
	}
}

func (s session) answers() {
	ctx := s.t.Context()
	if got := s.text("greet", map[string]any{"name": "Ada"}); got != "Hello, Ada!" {
		s.t.Errorf("greet: %q", got)
	}
	if !slices.Contains(s.tools(), "test_mirrored_header") {
		s.t.Error("test_mirrored_header is not listed")
	}
	if got := s.text("test_mirrored_header", map[string]any{"region": "süd 1"}); got != "süd 1" {
		s.t.Errorf("test_mirrored_header: %q", got)
	}
	prompts, err := s.ListPrompts(ctx, mcp.ListPromptsRequest{})
	if err != nil || len(prompts.Prompts) != 6 {
		s.t.Errorf("prompts: %v, %v", prompts, err)
	}
	ask := mcp.GetPromptRequest{}
	ask.Params.Name, ask.Params.Arguments = "test_prompt_with_arguments", map[string]string{"arg1": "paris", "arg2": "b"}
	prompt, err := s.GetPrompt(ctx, ask)
	if err != nil || !strings.Contains(fmt.Sprint(prompt.Messages), "arg1='paris', arg2='b'") {
		s.t.Errorf("prompt: %v, %v", prompt, err)
	}
	read := mcp.ReadResourceRequest{}
	read.Params.URI = "test://template/7/data"
	resource, err := s.ReadResource(ctx, read)
	if err != nil || !strings.Contains(fmt.Sprint(resource.Contents), `"id":"7"`) {
		s.t.Errorf("resource: %v, %v", resource, err)
	}
	complete := mcp.CompleteRequest{}
	complete.Params.Ref = mcp.PromptReference{Type: "ref/prompt", Name: "test_prompt_with_arguments"}
	complete.Params.Argument.Name, complete.Params.Argument.Value = "arg1", "par"
	completed, err := s.Complete(ctx, complete)
	if err != nil || !slices.Equal(completed.Completion.Values, []string{"paris", "park", "party"}) {
		s.t.Errorf("complete: %v, %v", completed, err)
	}
}

func (s session) progress(told <-chan mcp.JSONRPCNotification) {
	req := mcp.CallToolRequest{}
	req.Params.Name, req.Params.Meta = "test_tool_with_progress", &mcp.Meta{ProgressToken: "mine"}
	if _, err := s.CallTool(s.t.Context(), req); err != nil {
		s.t.Error(err)
	}
	for _, want := range []float64{0, 50, 100} {
		n := s.hear(told, "notifications/progress")
		if n.Params.AdditionalFields["progressToken"] != "mine" || n.Params.AdditionalFields["progress"] != want {
			s.t.Errorf("progress %v: %v", want, n.Params.AdditionalFields)
		}
	}
}

func (s session) changes(told <-chan mcp.JSONRPCNotification, over, version string) {
	const changed = "notifications/tools/list_changed"
	if version == "2026-07-28" {
		stop, err := s.ListenAsync(s.t.Context(), mcp.SubscriptionFilter{ToolsListChanged: true}, func(err error) { s.t.Error(err) })
		if err != nil {
			s.t.Fatal(err)
		}
		defer stop()
		s.hear(told, "notifications/subscriptions/acknowledged")
	} else if over != "sse" { // the client opens its stream beside, and does not say when it stands
		for heard := false; !heard; {
			s.text("test_trigger_tool_change", nil)
			select {
			case n := <-told:
				heard = n.Method == changed
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	for range 2 { // there and back
		before := slices.Contains(s.tools(), "test_added_tool")
		s.text("test_trigger_tool_change", nil)
		s.hear(told, changed)
		if slices.Contains(s.tools(), "test_added_tool") == before {
			s.t.Errorf("test_added_tool is listed: %v", before)
		}
	}
}

// hear waits for a notification.
func (s session) hear(told <-chan mcp.JSONRPCNotification, method string) mcp.JSONRPCNotification {
	s.t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case n := <-told:
			if n.Method == method {
				return n
			}
		case <-late:
			s.t.Fatalf("no %s", method)
		}
	}
}
