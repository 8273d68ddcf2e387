package mcpserver

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// newEngine makes the mcp-go server that answers everything but what is about
// tools and what [Handler.offer] knows. It has no tools: it would read all of
// their schemas again, and nobody asks it.
func newEngine(s *registry.Server) *mcpgo.MCPServer {
	return mcpgo.NewMCPServer(s.Name, s.Version,
		mcpgo.WithTitle(s.Title),
		mcpgo.WithInstructions(s.Instructions),
		mcpgo.WithDescription(s.Description),
		mcpgo.WithWebsiteURL(s.WebsiteURL),
		mcpgo.WithIcons(icons(s.Icons)...),
		mcpgo.WithToolCapabilities(true),
		mcpgo.WithPromptCapabilities(true),
		mcpgo.WithResourceCapabilities(true, true),
		mcpgo.WithCompletions(),
		mcpgo.WithLogging(),
		mcpgo.WithCacheHints(listTTL.Milliseconds(), mcp.CacheScopePrivate),
	)
}

// ask answers what is no call: what we offer ourselves, and the rest of the
// protocol through mcp-go. The message is written anew from what was read of
// it, so that both read the same; the id stays as the client wrote it.
func (h *Handler) ask(ctx context.Context, x *exchange, s *clientSession, m *envelope) (result json.RawMessage, fault *rpcError) {
	defer func() {
		if p := recover(); p != nil {
			h.options.Logger.LogAttrs(ctx, slog.LevelError, "engine panic", slog.String("method", m.method),
				slog.String("ref", x.ref), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			result, fault = nil, internalError(x.ref)
		}
	}()
	if offer := h.taskMethod(x.server, s.version, m.method); offer != nil && !m.notification() {
		return offer(ctx, x, eraOf(s.version), m)
	}
	if offer := h.offer(m.method); offer != nil && !m.notification() {
		return offer(ctx, x, eraOf(s.version), m)
	}
	switch answer := x.server.engine.HandleMessage(x.server.engine.WithContext(ctx, s), m.message()).(type) {
	case nil:
		return nil, nil
	case mcp.JSONRPCError:
		if strings.Contains(answer.Error.Message, "json: ") { // Go's words, not the protocol's
			return nil, invalidParams("params are not what " + m.method + " takes")
		}
		fault := &rpcError{code: answer.Error.Code, message: answer.Error.Message}
		if answer.Error.Data != nil {
			fault.data, _ = json.Marshal(answer.Error.Data) // mcp-go's own types
		}
		return nil, fault
	case mcp.JSONRPCResponse:
		result, err := json.Marshal(answer.Result)
		if err != nil {
			h.options.Logger.ErrorContext(ctx, "engine result", "method", m.method, "ref", x.ref, "error", err)
			return nil, internalError(x.ref)
		}
		return x.server.withTasks(result, m.method, s.version), nil
	default:
		return nil, &rpcError{code: mcp.INTERNAL_ERROR, message: invoke.ToldInternal(x.ref), status: http.StatusInternalServerError}
	}
}

// message is the envelope as JSON-RPC again.
func (e *envelope) message() json.RawMessage {
	out := []byte(`{"jsonrpc":"2.0"`)
	if e.id != nil {
		out = append(append(out, `,"id":`...), e.id...)
	}
	out = appendString(append(out, `,"method":`...), e.method)
	if e.params != nil {
		out = append(append(out, `,"params":`...), e.params...)
	}
	return append(out, '}')
}

// appendAnswer writes what ask gave.
func appendAnswer(dst, id []byte, result json.RawMessage, fault *rpcError) []byte {
	if fault != nil {
		return fault.append(dst, id)
	}
	dst = append(appendHead(dst, id), `,"result":`...)
	dst = append(dst, result...)
	return append(dst, '}')
}
