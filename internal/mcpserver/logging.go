package mcpserver

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/session"
)

// defaultLogLevel is for sessions that did not say.
const defaultLogLevel = "info"

// reply is what a method that has little to say answers: nothing, or an error.
type reply struct{ fault *rpcError }

func (r reply) append(dst, id []byte) []byte {
	return appendAnswer(dst, id, json.RawMessage(`{}`), r.fault)
}

// setLogLevel is logging/setLevel: the level belongs to the session, at all
// replicas.
func (h *Handler) setLogLevel(ctx context.Context, x *exchange, m *envelope) reply {
	raw := m.param("level")
	if !isString(raw) || invoke.Severity(unquote(raw)) < 0 {
		return reply{invalidParams("level must be one of debug, info, notice, warning, error, critical, alert, emergency")}
	}
	level := unquote(raw)
	if err := h.options.Store.SetLogLevel(ctx, x.session.ID, level); err != nil {
		return reply{h.storeFault(ctx, x, err)}
	}
	x.session.LogLevel = level
	h.sessions.change(x.session.ID, func(s *session.Session) { s.LogLevel = level })
	return reply{}
}

// logLevelOf gives the least severe level that the client wants; empty: it wants
// none. In 2026-07-28 each request says it.
func (x *exchange) logLevelOf(e era, m *envelope) string {
	if e == legacy {
		if x.session.LogLevel == "" {
			return defaultLogLevel
		}
		return x.session.LogLevel
	}
	if raw := m.metadata(mcp.MetaKeyLogLevel); isString(raw) {
		return unquote(raw)
	}
	return ""
}

// logs gives the function that passes on what a plugin logs, nil where the
// client wants nothing or the plugin has no way to.
func (x *exchange) logs(t *tool, least string) func(invoke.Log) {
	from := invoke.Severity(least)
	if !t.action.Response.MCP || from < 0 {
		return nil
	}
	return func(said invoke.Log) {
		if invoke.Severity(said.Level) < from {
			return
		}
		note := appendString([]byte(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":`), said.Level)
		if said.Logger != "" {
			note = appendString(append(note, `,"logger":`...), said.Logger)
		}
		note = append(append(note, `,"data":`...), said.Data...)
		x.log(append(note, `}}`...))
	}
}

// subscribe is resources/subscribe and resources/unsubscribe.
func (h *Handler) subscribe(ctx context.Context, x *exchange, m *envelope) reply {
	if m.uri == "" {
		return reply{invalidParams("uri must be a resource's URI")}
	}
	var err error
	switch {
	case m.method == string(mcp.MethodResourcesUnsubscribe):
		err = h.options.Store.Unsubscribe(ctx, x.session.ID, m.uri)
	case !x.server.hasResource(x.principal, m.uri):
		return reply{noResource(legacy, m.uri)}
	default:
		err = h.options.Store.Subscribe(ctx, x.session.ID, m.uri)
	}
	if errors.Is(err, session.ErrTooMany) {
		return reply{invalidParams("session has too many subscriptions")}
	}
	if err != nil {
		return reply{h.storeFault(ctx, x, err)}
	}
	return reply{}
}
