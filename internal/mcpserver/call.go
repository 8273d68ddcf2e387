package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// appendCall answers tools/call on the straight path.
func (h *Handler) appendCall(ctx context.Context, x *exchange, dst []byte, e era, m *envelope) ([]byte, *rpcError) {
	if m.name == "" {
		h.observe(ctx, x, nil, audit.Call{Outcome: outcomeInvalid})
		return dst, invalidParams("params.name must be a tool's name")
	}
	t, ok := x.server.tools[m.name]
	if !ok || !x.server.sees(x.principal, t.action) {
		h.observe(ctx, x, t, audit.Call{Tool: m.name, Outcome: outcomeUnknown})
		return dst, unknownTool(m.name)
	}
	arguments, fault := argumentsOf(m.arguments)
	if fault != nil {
		h.observe(ctx, x, t, audit.Call{Outcome: outcomeInvalid})
		return dst, fault
	}
	if m.progress != nil && (x.stream.allowed || x.forwards()) {
		ctx = invoke.WithProgress(ctx, x.progress(m.progress))
	}
	if logs := x.logs(t, x.logLevelOf(e, m)); logs != nil {
		ctx = invoke.WithLog(ctx, logs)
	}
	o, err := h.callOrTask(ctx, x, e, m, t, arguments)
	dst = append(appendHead(dst, m.id), `,"result":`...)
	if err == nil {
		return append(o.append(dst, x.server, t, e), '}'), nil
	}
	result, fault := instead(err)
	return append(append(dst, result...), '}'), fault
}

// answerCall makes the call; both paths come through here. The errors are those
// of [Handler.rounds].
func (h *Handler) answerCall(
	ctx context.Context, x *exchange, e era, m *envelope, t *tool, arguments json.RawMessage,
) (outcome, error) {
	if !t.action.Response.MCP && !x.server.mustConfirm(t) { // nobody is asked
		o, _ := h.call(ctx, x, t, arguments)
		return o, nil
	}
	d, fault := h.newDialogue(x, e, m, arguments, t.name, t.meaning)
	if fault != nil {
		h.observe(ctx, x, t, audit.Call{Arguments: arguments, Outcome: outcomeInvalid})
		return outcome{}, fault
	}
	return h.rounds(ctx, d, t, arguments)
}

// call invokes the tool's action. What the plugin asks has to be asked before
// there is an outcome; the one that is given is for whoever cannot.
func (h *Handler) call(ctx context.Context, x *exchange, t *tool, arguments json.RawMessage) (outcome, *invoke.MCP) {
	start := time.Now()
	result, err := h.invoke(ctx, x.callOf(t, arguments))
	o := outcomeOf(result, err, x.ref)
	o.version = x.session.ProtocolVersion
	var asks *invoke.MCP
	if err == nil && result != nil && result.MCP != nil && result.MCP.Asks != nil {
		asks, o.label = result.MCP, outcomeAsks
	}
	h.observe(ctx, x, t, audit.Call{Arguments: arguments, Outcome: o.label, Status: o.status, Duration: time.Since(start), Err: err})
	return o, asks
}

// callOf is the call of a tool by whoever sent the request.
func (x *exchange) callOf(t *tool, arguments json.RawMessage) registry.Call {
	return registry.Call{Principal: x.principal, Door: x.server.door, Action: t.action, Arguments: arguments}
}

// invoke turns a panic below into an error: one call must not cost the others
// of its batch, nor the caller an answer.
func (h *Handler) invoke(ctx context.Context, c registry.Call) (result *invoke.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, &panicError{value: p, stack: debug.Stack()}
		}
	}()
	return h.options.Invoker.Invoke(ctx, c)
}

// panicError is a recovered panic, for the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// observe has a call of a tool written down; t is nil where there is none.
func (h *Handler) observe(ctx context.Context, x *exchange, t *tool, c audit.Call) {
	c.Method = string(mcp.MethodToolsCall)
	if t == nil {
		h.record(ctx, x, nil, c)
		return
	}
	c.Tool = t.name
	h.record(ctx, x, t.action, c)
}

// record adds who called what by which way.
func (h *Handler) record(ctx context.Context, x *exchange, a *registry.Action, c audit.Call) {
	c.Face, c.Door, c.Ref, c.Principal, c.Client = audit.MCP, x.server.name, x.ref, &x.principal, x.program()
	if x.server.door == registry.Unguarded {
		c.Face = audit.Stdio
	}
	if a != nil {
		c.Action, c.Plugin, c.Schema = a.ID, a.Plugin, a.InputSchema
		if door := x.server.door; door.Restricts() {
			c.Rule = door.Decide(x.principal, a).Rule
		}
	}
	h.options.Record(ctx, c)
}

// program is the client's name and version, as it says itself.
func (x *exchange) program() string {
	info := x.session.ClientInfo
	if x.client != nil {
		info = x.client
	}
	name, version := textOf(member(info, "name")), textOf(member(info, "version"))
	if name == "" || version == "" {
		return name
	}
	return name + "/" + version
}

// argumentsOf gives the arguments object; leaving it out means no arguments.
func argumentsOf(raw []byte) (json.RawMessage, *rpcError) {
	switch {
	case raw == nil, string(raw) == "null":
		return json.RawMessage(`{}`), nil
	case !isObject(raw):
		return nil, invalidParams("arguments must be an object")
	}
	return raw, nil
}

// unknownTool is a protocol error, not a tool's (2025-11-25, server/tools,
// "Error Handling").
func unknownTool(name string) *rpcError {
	return invalidParams("unknown tool: " + quoteShort(name))
}
