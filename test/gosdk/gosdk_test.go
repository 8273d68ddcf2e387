// Package gosdk_test drives a gateway that has the conformance plugin behind it
// with the client of MCP's official Go SDK, in every revision and over every
// transport:
//
//	conformance -gateway bin/stagedoor go test -C test/gosdk -count=1 ./...
package gosdk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// connection is a connected client, and what it was told.
type connection struct {
	*mcp.ClientSession
	t *testing.T

	mu       sync.Mutex
	progress map[any][]float64 // by token
	logged   []string
	changes  chan string
}

func variable(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run this beside a gateway, with test/conformance", name)
	}
	return value
}

func transport(t *testing.T, name string) mcp.Transport {
	t.Helper()
	endpoint := variable(t, "GATEWAY_URL") + "/mcp/everything"
	switch name {
	case "http":
		return &mcp.StreamableClientTransport{Endpoint: endpoint}
	case "sse":
		return &mcp.SSEClientTransport{Endpoint: endpoint + "/sse"}
	}
	config := variable(t, "GATEWAY_CONFIG")
	cmd := exec.CommandContext(t.Context(), variable(t, "GATEWAY"), "serve", "--config", config, "--stdio", "everything")
	cmd.Dir = filepath.Dir(config)
	return &mcp.CommandTransport{Command: cmd}
}

// connect gives a client that can be asked when it is able.
func connect(t *testing.T, over, version string, able bool) *connection {
	t.Helper()
	c := &connection{t: t, progress: map[any][]float64{}, changes: make(chan string, 100)}
	options := &mcp.ClientOptions{
		Capabilities:               &mcp.ClientCapabilities{},
		ToolListChangedHandler:     func(context.Context, *mcp.ToolListChangedRequest) { c.changes <- "tools" },
		PromptListChangedHandler:   func(context.Context, *mcp.PromptListChangedRequest) { c.changes <- "prompts" },
		ResourceListChangedHandler: func(context.Context, *mcp.ResourceListChangedRequest) { c.changes <- "resources" },
		LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.logged = append(c.logged, fmt.Sprint(r.Params.Data))
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.progress[r.Params.ProgressToken] = append(c.progress[r.Params.ProgressToken], r.Params.Progress)
		},
	}
	if able {
		options.Capabilities.RootsV2 = &mcp.RootCapabilities{}
		options.ElicitationHandler = func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"username": "ada", "email": "ada@example.org", "name": "ada", "color": "blue"}}, nil
		}
		options.CreateMessageHandler = func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Role: "assistant", Model: "none", Content: &mcp.TextContent{Text: "Paris"}}, nil
		}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "stagedoor-test", Version: "1.0.0"}, options)
	if able {
		client.AddRoots(&mcp.Root{URI: "file:///work", Name: "work"})
	}
	session, err := client.Connect(t.Context(), transport(t, over), &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	c.ClientSession = session
	if got := session.InitializeResult(); got.ProtocolVersion != version || got.Instructions == "" {
		t.Fatalf("asked for %s, got %s with instructions %q", version, got.ProtocolVersion, got.Instructions)
	}
	return c
}

func (c *connection) call(name string, arguments map[string]any) string {
	c.t.Helper()
	result, err := c.CallTool(c.t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		c.t.Errorf("%s: %v", name, err)
		return ""
	}
	return text(result)
}

func text(result *mcp.CallToolResult) string {
	if len(result.Content) == 0 {
		return ""
	}
	if t, ok := result.Content[0].(*mcp.TextContent); ok {
		return t.Text
	}
	return fmt.Sprintf("%T", result.Content[0])
}

func code(err error) int64 {
	var fault *jsonrpc.Error
	if errors.As(err, &fault) {
		return fault.Code
	}
	return 0
}

func TestClient(t *testing.T) {
	for _, test := range []struct{ over, version string }{
		{"http", "2024-11-05"},
		{"http", "2025-03-26"},
		{"http", "2025-06-18"},
		{"http", "2025-11-25"},
		{"http", "2026-07-28"},
		{"sse", "2024-11-05"},
		{"sse", "2025-11-25"},
		{"stdio", "2025-11-25"},
		{"stdio", "2026-07-28"},
	} {
		t.Run(test.over+" "+test.version, func(t *testing.T) {
			c := connect(t, test.over, test.version, true)
			c.lists()
			c.results(test.version)
			c.told(test.version)
			c.cancels()
			c.asked(test.version)
			c.hearsOfChanges()
			unable(connect(t, test.over, test.version, false), test.version)
		})
	}
}

func (c *connection) lists() {
	var tools, prompts, resources, templates []string
	for tool, err := range c.Tools(c.t.Context(), nil) {
		if err != nil {
			c.t.Fatal(err)
		}
		tools = append(tools, tool.Name)
	}
	for prompt, err := range c.Prompts(c.t.Context(), nil) {
		if err != nil {
			c.t.Fatal(err)
		}
		prompts = append(prompts, prompt.Name)
	}
	for resource, err := range c.Resources(c.t.Context(), nil) {
		if err != nil {
			c.t.Fatal(err)
		}
		resources = append(resources, resource.URI)
	}
	for template, err := range c.ResourceTemplates(c.t.Context(), nil) {
		if err != nil {
			c.t.Fatal(err)
		}
		templates = append(templates, template.URITemplate)
	}
	if !slices.Contains(tools, "greet") || !slices.Contains(prompts, "test_simple_prompt") ||
		!slices.Contains(resources, "test://static-text") || !slices.Contains(templates, "test://template/{id}/data") {
		c.t.Errorf("lists: %q %q %q %q", tools, prompts, resources, templates)
	}
}

func (c *connection) results(version string) {
	ctx := c.t.Context()
	if got := c.call("greet", map[string]any{"name": "Ada"}); got != "Hello, Ada!" {
		c.t.Errorf("greet: %q", got)
	}
	if got := c.call("test_mirrored_header", map[string]any{"region": "süd 1"}); got != "süd 1" {
		c.t.Errorf("test_mirrored_header: %q", got)
	}
	if got := c.call("test_image_content", nil); got != "*mcp.ImageContent" {
		c.t.Errorf("test_image_content: %q", got)
	}
	if _, err := c.CallTool(ctx, &mcp.CallToolParams{Name: "no_such_tool"}); code(err) != jsonrpc.CodeInvalidParams {
		c.t.Errorf("an unknown tool: %v", err)
	}
	read, err := c.ReadResource(ctx, &mcp.ReadResourceParams{URI: "test://template/7/data"})
	if err != nil || !strings.Contains(read.Contents[0].Text, `"id":"7"`) {
		c.t.Errorf("read: %v, %v", read, err)
	}
	prompt, err := c.GetPrompt(ctx, &mcp.GetPromptParams{Name: "test_prompt_with_arguments", Arguments: map[string]string{"arg1": "paris", "arg2": "b"}})
	if err != nil || !strings.Contains(prompt.Messages[0].Content.(*mcp.TextContent).Text, "arg1='paris', arg2='b'") {
		c.t.Errorf("prompt: %v, %v", prompt, err)
	}
	if version == "2024-11-05" {
		return // it has no completions capability, and the SDK asks for one
	}
	completed, err := c.Complete(ctx, &mcp.CompleteParams{
		Ref:      &mcp.CompleteReference{Type: "ref/prompt", Name: "test_prompt_with_arguments"},
		Argument: mcp.CompleteParamsArgument{Name: "arg1", Value: "par"},
	})
	if err != nil || !slices.Equal(completed.Completion.Values, []string{"paris", "park", "party"}) {
		c.t.Errorf("complete: %v, %v", completed, err)
	}
}

// told: many calls at once have each their own progress, and log messages come.
func (c *connection) told(version string) {
	var calls sync.WaitGroup
	for i := range 10 {
		calls.Go(func() {
			params := &mcp.CallToolParams{Name: "test_tool_with_progress"}
			params.SetProgressToken(fmt.Sprint("token ", i))
			if _, err := c.CallTool(c.t.Context(), params); err != nil {
				c.t.Error(err)
			}
		})
	}
	params := &mcp.CallToolParams{Name: "test_tool_with_logging", Meta: mcp.Meta{}}
	if version == "2026-07-28" {
		params.Meta[mcp.MetaKeyLogLevel] = "info"
	} else if err := c.SetLoggingLevel(c.t.Context(), &mcp.SetLoggingLevelParams{Level: "info"}); err != nil {
		c.t.Error(err)
	}
	if _, err := c.CallTool(c.t.Context(), params); err != nil {
		c.t.Error(err)
	}
	calls.Wait()
	// Notifications are handled beside the answers.
	for deadline := time.Now().Add(10 * time.Second); ; {
		c.mu.Lock()
		full := len(c.logged) == 3
		for i := range 10 {
			full = full && slices.Equal(c.progress[fmt.Sprint("token ", i)], []float64{0, 50, 100})
		}
		logged, progress := slices.Clone(c.logged), fmt.Sprint(c.progress)
		c.mu.Unlock()
		if full {
			return
		}
		if time.Now().After(deadline) {
			c.t.Errorf("logged %q, progress %s", logged, progress)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *connection) cancels() {
	before := c.call("count_computations", nil)
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := c.CallTool(ctx, &mcp.CallToolParams{Name: "slow_compute", Arguments: map[string]any{"seconds": 100}})
		ended <- err
	}()
	c.until("a computation runs", func() bool { return c.call("count_computations", nil) != before })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		c.t.Errorf("a cancelled call: %v", err)
	}
	c.until("the computation ends", func() bool { return c.call("count_computations", nil) == before })
}

func (c *connection) until(what string, good func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !good(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Errorf("not after ten seconds: %s", what)
			return
		}
	}
}

// asked: what a revision lets servers ask, reaches the client.
func (c *connection) asked(version string) {
	if got := c.call("test_sampling", map[string]any{"prompt": "What?"}); got != "LLM response: Paris" {
		c.t.Errorf("sampling: %q", got)
	}
	if got := c.call("test_input_required_result_list_roots", nil); !strings.Contains(got, "file:///work") {
		c.t.Errorf("roots: %q", got)
	}
	if version < "2025-06-18" {
		return // elicitation came then
	}
	if got := c.call("test_elicitation", map[string]any{"message": "Who?"}); !strings.Contains(got, `"username":"ada"`) {
		c.t.Errorf("elicitation: %q", got)
	}
	if got := c.call("test_input_required_result_multi_round", nil); got != "ada likes blue." {
		c.t.Errorf("two rounds: %q", got)
	}
}

func (c *connection) hearsOfChanges() {
	for range 2 { // there and back
		c.call("test_trigger_tool_change", nil)
		c.hears("tools")
	}
}

// hears waits for a change of a list. An action's document is a resource, so that
// a change of the tools is one of the resources, too.
func (c *connection) hears(list string) {
	c.t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case got := <-c.changes:
			if got == list {
				return
			}
			if got != "resources" {
				c.t.Errorf("%s changed", got)
			}
		case <-late:
			c.t.Errorf("no change of %s is told", list)
			return
		}
	}
}

// unable: a client that cannot be asked is told so.
func unable(c *connection, version string) {
	result, err := c.CallTool(c.t.Context(), &mcp.CallToolParams{Name: "test_elicitation", Arguments: map[string]any{"message": "Who?"}})
	switch {
	case version == "2026-07-28" && code(err) != mcp.CodeMissingRequiredClientCapabilities:
		c.t.Errorf("without capabilities: %v, %v", result, err)
	case version < "2026-07-28" && err == nil && !result.IsError:
		c.t.Errorf("without capabilities: %q", text(result))
	}
}
