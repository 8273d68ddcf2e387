// Package audit keeps what was called, and what was refused: by whom, by which
// way in, what was decided by which rule, and what came of it. Each call is a
// line of the log and, where the operator wants it, a row of the database. It
// keeps no answers, and of arguments only what the operator allows.
package audit

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// Face is the protocol that a call came by.
type Face string

// The faces.
const (
	MCP        Face = "mcp" // over HTTP
	Stdio      Face = "stdio"
	ActionsAPI Face = "actions-api"
	Registry   Face = "registry" // plugins that register themselves
)

// Decision is whether a call was let through to what it asks for.
type Decision string

// The decisions.
const (
	Allowed           Decision = "allowed"
	Denied            Decision = "denied" // by a rule, or for the lack of one
	Unknown           Decision = "unknown"
	Invalid           Decision = "invalid"
	InsufficientScope Decision = "insufficient_scope"
	RateLimited       Decision = "rate_limited"
	Unauthenticated   Decision = "unauthenticated"
)

// Decisions are all of them.
func Decisions() []Decision {
	return []Decision{Allowed, Denied, Unknown, Invalid, InsufficientScope, RateLimited, Unauthenticated}
}

// Outcomes of what never reached a plugin; the faces name the rest.
const (
	outcomeUnknownTool   = "unknown_tool"
	outcomeUnknownAction = "unknown_action"
	outcomeInvalid       = "invalid_request"
)

// Call is a call, or a request that was turned away, as a face tells of it.
type Call struct {
	Face Face
	// Door is the named server, "actions-api" or "registry".
	Door string
	Ref  string // ties the record to what the caller was told
	// Principal is who calls; nil where nobody found out.
	Principal *principal.Principal
	Client    []byte // MCP's clientInfo, a JSON object; nil: not said
	// Method is what was asked for: "tools/call", "resources/read", "invoke", or
	// HTTP's where nothing was read but the head.
	Method string
	// Tool is what the caller named: a tool, a resource, an action or a plugin.
	Tool string
	// Action is the id "plugin:name" of what it stands for; "": there is none.
	Action string
	Plugin string
	Rule   string // path of the rule that decided; "": none did
	Schema []byte // of Arguments, a JSON Schema
	// Arguments are a JSON object; nil: they were not read.
	Arguments []byte
	Outcome   string // "ok", a kind of invoke.Error, or a word of the face
	Status    int    // of the plugin's answer, or of the refusal; 0: there was none
	Duration  time.Duration
	Err       error // cause, for the log alone: it may name inner hosts
}

// Turned is the call that a request would have been which a gate turned away.
func Turned(face Face, door, ref, method string, why *principal.Refusal) Call {
	c := Call{Face: face, Door: door, Ref: ref, Method: method, Status: why.Status, Err: why}
	switch why.Status {
	case http.StatusForbidden:
		c.Outcome = string(Denied)
	case http.StatusTooManyRequests:
		c.Outcome = string(RateLimited)
	default: // who sends a token that cannot be read, or be looked up, is nobody
		c.Outcome = string(Unauthenticated)
	}
	return c
}

// Decision tells whether the call was let through.
func (c *Call) Decision() Decision {
	switch c.Outcome {
	case outcomeUnknownTool, outcomeUnknownAction:
		if c.Action != "" { // it is there, and this caller may not know
			return Denied
		}
		return Unknown
	case outcomeInvalid, string(invoke.InvalidArguments):
		return Invalid
	case string(Denied), string(InsufficientScope), string(RateLimited), string(Unauthenticated):
		return Decision(c.Outcome)
	}
	return Allowed
}

// Trail takes calls. It is safe for concurrent use.
type Trail struct {
	log *slog.Logger
}

// New makes a trail into the log.
func New(log *slog.Logger) *Trail { return &Trail{log: log} }

// Record writes the call down, and waits for nothing.
func (t *Trail) Record(ctx context.Context, c Call) {
	t.write(ctx, &c)
}

// write writes the call's line.
func (t *Trail) write(ctx context.Context, c *Call) {
	level := invoke.Level(c.Outcome)
	if !t.log.Enabled(ctx, level) {
		return
	}
	who := c.Principal
	if who == nil {
		who = &principal.Principal{}
	}
	line := slog.NewRecord(time.Now(), level, "call", 0)
	line.AddAttrs(
		slog.String("face", string(c.Face)), slog.String("server", c.Door), slog.String("method", c.Method),
		slog.String("tool", short(c.Tool)), slog.String("principal", who.Subject), slog.String("decision", string(c.Decision())),
		slog.String("outcome", c.Outcome), slog.Duration("duration", c.Duration), slog.String("ref", c.Ref),
	)
	for _, a := range [...]slog.Attr{
		slog.String("plugin", c.Plugin), slog.String("action", c.Action), slog.String("rule", c.Rule),
	} {
		if a.Value.String() != "" {
			line.AddAttrs(a)
		}
	}
	if c.Err != nil {
		line.AddAttrs(slog.String("error", c.Err.Error()))
	}
	_ = t.log.Handler().Handle(ctx, line)
}

// maxName bounds what of a caller's own words is kept.
const maxName = 128

func short(s string) string {
	if len(s) > maxName {
		return strings.ToValidUTF8(s[:maxName], "") + "…"
	}
	return s
}
