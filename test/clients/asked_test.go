package clients_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
)

// person is who sits at the client.
type person struct{}

func (person) Elicit(context.Context, mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	result := &mcp.ElicitationResult{}
	result.Action = mcp.ElicitationResponseActionAccept
	result.Content = map[string]any{"username": "ada", "email": "ada@example.org", "name": "ada", "color": "blue"}
	return result, nil
}

func (person) CreateMessage(context.Context, mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	result := &mcp.CreateMessageResult{Model: "none"}
	result.Role, result.Content = mcp.RoleAssistant, mcp.NewTextContent("Paris")
	return result, nil
}

func (person) ListRoots(context.Context, mcp.ListRootsRequest) (*mcp.ListRootsResult, error) {
	return &mcp.ListRootsResult{Roots: []mcp.Root{{URI: "file:///work", Name: "work"}}}, nil
}

func TestAskedWithMCPGo(t *testing.T) {
	url := everything(t)
	for _, test := range revisions() {
		if test.over == "sse" {
			continue // mcp-go's client takes no requests there, though it says that it does
		}
		t.Run(test.over+" "+test.version, func(t *testing.T) {
			s, _ := open(t, url, test.over, test.version,
				client.WithElicitationHandler(person{}), client.WithSamplingHandler(person{}), client.WithRootsHandler(person{}))
			s.asked(test.version)
		})
	}
}

// asked: what a revision lets servers ask, reaches the client.
func (s session) asked(version string) {
	if got := s.text("test_sampling", map[string]any{"prompt": "What?"}); got != "LLM response: Paris" {
		s.t.Errorf("sampling: %q", got)
	}
	if got := s.text("test_input_required_result_list_roots", nil); !strings.Contains(got, "file:///work") {
		s.t.Errorf("roots: %q", got)
	}
	if version < "2025-06-18" {
		return // elicitation came then
	}
	if got := s.text("test_elicitation", map[string]any{"message": "Who?"}); !strings.Contains(got, `"username":"ada"`) {
		s.t.Errorf("elicitation: %q", got)
	}
	if got := s.text("test_input_required_result_multi_round", nil); got != "ada likes blue." {
		s.t.Errorf("two rounds: %q", got)
	}
}
