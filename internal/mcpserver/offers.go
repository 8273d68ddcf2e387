package mcpserver

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// offer answers a request with a result or a fault.
type offer = func(ctx context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError)

// offer gives who answers a method about what a server has beside tools; nil:
// it is another method. mcp-go knows them, too, but its pages name what is on
// them, its templates match in no order, and its completion can only fail as an
// internal error.
func (h *Handler) offer(method string) offer {
	switch mcp.MCPMethod(method) {
	case mcp.MethodPromptsList:
		return offerList(func(s *server) *listing { return s.lists.prompts })
	case mcp.MethodPromptsGet:
		return h.getPrompt
	case mcp.MethodResourcesList:
		return offerList(func(s *server) *listing { return s.lists.resources })
	case mcp.MethodResourcesTemplatesList:
		return offerList(func(s *server) *listing { return s.lists.templates })
	case mcp.MethodResourcesRead:
		return h.readResource
	case mcp.MethodCompletionComplete:
		return h.complete
	}
	return nil
}

func offerList(of func(*server) *listing) offer {
	return func(_ context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError) {
		return of(x.server).page(e, m.cursor, x.seen())
	}
}
