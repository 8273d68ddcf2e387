package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// asked is what mcp-go is asked, and by whom; its handlers find it in the context.
type asked struct {
	x *exchange
	m *envelope
	// fault is a handler's: mcp-go would make an internal error of it.
	fault **rpcError
}

type askedKey struct{}

// newEngine makes the mcp-go server that answers everything but calls and what
// [Handler.offer] knows. tools/list and tools/call it answers too, and equally,
// for whoever speaks to it directly.
func (h *Handler) newEngine(s *registry.Server, built *server) *mcpgo.MCPServer {
	engine := mcpgo.NewMCPServer(s.Name, s.Version,
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
		mcpgo.WithToolFilter(built.toolsOf),
	)
	tools := make([]mcpgo.ServerTool, len(built.order))
	for i, t := range built.order {
		tools[i] = mcpgo.ServerTool{Tool: t.defined[legacy], Handler: h.engineCall(t)}
	}
	engine.SetTools(tools...)
	return engine
}

// toolsOf is mcp-go's tool filter: it puts the tools in the server's order and
// in the request's era, and leaves out what the caller does not see.
func (s *server) toolsOf(ctx context.Context, given []mcp.Tool) []mcp.Tool {
	e := legacy
	if mcpgo.IsModernRequest(ctx) {
		e = modern
	}
	q, ok := ctx.Value(askedKey{}).(asked)
	visible := func(t *tool) bool { return s.visible == nil || ok && s.sees(q.x.principal, t.action) }
	if len(given) == 1 { // also how mcp-go asks whether one tool may be called
		if t, ok := s.tools[given[0].Name]; ok && visible(t) {
			return []mcp.Tool{t.defined[e]}
		}
		return nil
	}
	all := make([]mcp.Tool, 0, len(s.order))
	for _, t := range s.order {
		if visible(t) {
			all = append(all, t.defined[e])
		}
	}
	return all
}

func (h *Handler) engineCall(t *tool) mcpgo.ToolHandlerFunc {
	return func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		q, ok := ctx.Value(askedKey{}).(asked)
		if !ok {
			return nil, fmt.Errorf("tool %q: called from outside an exchange", t.name)
		}
		arguments, fault := argumentsOf(q.m.arguments) // mcp-go's would have lost large integers
		if fault != nil {
			return nil, fmt.Errorf("tool %q: %s", t.name, fault.message)
		}
		e := legacy
		if mcpgo.IsModernRequest(ctx) {
			e = modern
		}
		o, err := h.answerCall(ctx, q.x, e, q.m, t, arguments)
		if err == nil {
			return o.result(t, e), nil
		}
		raw, fault := instead(err)
		if fault != nil {
			*q.fault = fault
			return nil, fault
		}
		result := &mcp.CallToolResult{}
		result.ResultType = mcp.ResultTypeInputRequired
		return result, json.Unmarshal(raw, &result.MultiRoundTripResult)
	}
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
	ctx = context.WithValue(x.server.engine.WithContext(ctx, s), askedKey{}, asked{x, m, &fault})
	switch answer := x.server.engine.HandleMessage(ctx, m.message()).(type) {
	case nil:
		return nil, nil
	case mcp.JSONRPCError:
		if fault != nil {
			return nil, fault
		}
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
