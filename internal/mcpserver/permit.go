package mcpserver

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/quota"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// Outcomes of calls that are refused before anything is called.
const (
	outcomeScope = "insufficient_scope"
	outcomeLimit = "rate_limited"
)

// permit makes sure that the caller's token has all the scopes that the messages
// need together (2026-07-28, basic/authorization, "Scope Challenge Handling"),
// and that what they call is within the caller's limits. It comes before
// anything is done or said. What the caller may not know of is nobody's
// concern here: it is unknown, later. Once the answer was given, let go.
func (h *Handler) permit(x *exchange, messages ...*envelope) *rpcError {
	var space [1]*registry.Action
	actions := space[:0]
	for _, m := range messages {
		actions = x.calls(actions, m)
	}
	if fault := h.permitCalls(x, actions); fault != nil {
		for _, m := range messages {
			if called := x.calls(nil, m); len(called) > 0 {
				h.refusedCall(x, m, fault)
			}
		}
		return fault
	}
	return nil
}

// permitCalls is permit for calls of actions.
func (h *Handler) permitCalls(x *exchange, actions []*registry.Action) *rpcError {
	door := x.server.door
	lacks := func(a *registry.Action) bool { return len(door.Missing(x.principal, a)) > 0 }
	if slices.ContainsFunc(actions, lacks) {
		var needed, missing []string
		for _, a := range actions {
			made := door.Decide(x.principal, a)
			needed, missing = appendNew(needed, made.Needed), appendNew(missing, made.Missing)
		}
		why := refused(door.Gate.StepUp(x.principal, needed, missing))
		return &rpcError{code: mcp.INVALID_REQUEST, message: why.message, status: why.status, header: why.header, outcome: outcomeScope}
	}
	limits := quota.Limits(door.Limits)
	if limits == (quota.Limits{}) || len(actions) == 0 {
		return nil
	}
	release, retryAfter, ok := h.quota.Take(door.Name, x.key, len(actions), limits)
	if !ok {
		return tooMany(len(actions), limits, retryAfter)
	}
	x.held = release
	return nil
}

func appendNew(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// tooMany is of calls beyond the caller's limits.
func tooMany(calls int, l quota.Limits, retryAfter time.Duration) *rpcError {
	later := seconds(retryAfter)
	message := "you have made too many calls: try again in " + later + " s"
	if l.CallsPerMinute > 0 && calls > l.Burst {
		message = "the message makes " + strconv.Itoa(calls) + " calls, and " + strconv.Itoa(l.Burst) + " may come at once: send fewer"
	}
	return &rpcError{
		code: mcp.INVALID_REQUEST, message: message, status: http.StatusTooManyRequests,
		header: [2]string{"Retry-After", later}, outcome: outcomeLimit,
	}
}

// seconds is a time for Retry-After, which has no fractions.
func seconds(d time.Duration) string { return strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))) }

// letGo gives back what the message's calls took of the caller's limits, unless
// a task goes on with it.
func (x *exchange) letGo() {
	if x.held != nil {
		x.held()
		x.held = nil
	}
}

// calls adds the actions that a message calls, as far as its sender may know
// of them.
func (x *exchange) calls(actions []*registry.Action, m *envelope) []*registry.Action {
	if m.id == nil || m.response {
		return actions
	}
	switch mcp.MCPMethod(m.method) {
	case mcp.MethodToolsCall:
		if t := x.server.tools[m.name]; t != nil && x.server.sees(x.principal, t.action) {
			return append(actions, t.action)
		}
	case mcp.MethodResourcesRead:
		return x.reads(actions, m.uri)
	case mcp.MethodPromptsGet:
		p := x.server.prompts[m.name]
		if p == nil {
			return actions
		}
		if values, fault := p.values(m.arguments); fault == nil && len(p.missing(values)) == 0 {
			return x.fills(actions, p, values)
		}
	}
	return actions
}

// reads adds the action that is called for what is at a URI.
func (x *exchange) reads(actions []*registry.Action, uri string) []*registry.Action {
	if _, r, _ := x.server.findResource(x.principal, uri); r != nil {
		return append(actions, r.Action)
	}
	return actions
}

// fills adds the actions that are called for what a prompt embeds.
func (x *exchange) fills(actions []*registry.Action, p *prompt, values map[string]string) []*registry.Action {
	for _, message := range p.Messages {
		if message.Resource != nil {
			actions = x.reads(actions, message.Resource.FillURI(values))
		}
	}
	return actions
}

// refusedCall is told of each message whose calls are refused before anything
// is called.
func (h *Handler) refusedCall(x *exchange, m *envelope, why *rpcError) {
	x.client = m.client
	ctx, c := x.r.Context(), audit.Call{Method: m.method, Outcome: why.outcome, Status: why.status, Err: why}
	if m.method == string(mcp.MethodToolsCall) {
		c.Arguments, _ = argumentsOf(m.arguments)
		h.observe(ctx, x, x.server.tools[m.name], c)
		return
	}
	if c.Tool = m.uri; c.Tool == "" {
		c.Tool = m.name
	}
	h.record(ctx, x, nil, c)
}
