package mcpserver

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// offer answers a request with a result or a fault.
type offer = func(h *Handler, ctx context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError)

// offers are the methods about what a server has beside tools. mcp-go knows
// them, too, but its pages name what is on them, its templates match in no
// order, and its completion can only fail as an internal error.
var offers = map[string]offer{
	string(mcp.MethodPromptsList):            offerList(func(s *server) *listing { return s.lists.prompts }),
	string(mcp.MethodPromptsGet):             (*Handler).getPrompt,
	string(mcp.MethodResourcesList):          offerList(func(s *server) *listing { return s.lists.resources }),
	string(mcp.MethodResourcesTemplatesList): offerList(func(s *server) *listing { return s.lists.templates }),
	string(mcp.MethodResourcesRead):          (*Handler).readResource,
	string(mcp.MethodCompletionComplete):     (*Handler).complete,
}

func offerList(of func(*server) *listing) offer {
	return func(_ *Handler, _ context.Context, x *exchange, e era, m *envelope) (json.RawMessage, *rpcError) {
		return of(x.server).page(e, m.cursor, x.seen())
	}
}
