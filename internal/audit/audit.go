// Package audit keeps what was called, and what was refused: by whom, by which
// way in, what was decided by which rule, and what came of it. Each call is a
// line of the log and, where the operator wants it, a row of the database. It
// keeps no answers, and of arguments only what the operator allows.
package audit

import (
	"net/http"
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
	Client    string // name and version of the program, as it says itself; "": it does not
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

// Record is what is kept of a call, or of several requests that were turned
// away for the same reason. It has no secret and no inner host.
type Record struct {
	ID          string        `json:"-" db:"id"`
	Time        time.Time     `json:"time" db:"-"`
	Ref         string        `json:"ref,omitempty" db:"ref"`
	Face        Face          `json:"face" db:"face"`
	Server      string        `json:"server" db:"server"` // or "actions-api", "registry"
	Method      string        `json:"method" db:"method"`
	Kind        string        `json:"kind,omitempty" db:"kind"` // of the principal, as those below; "": anonymous
	Subject     string        `json:"subject,omitempty" db:"subject"`
	Issuer      string        `json:"issuer,omitempty" db:"issuer"`
	OAuthClient string        `json:"oauthClient,omitempty" db:"oauth_client"`
	Actor       string        `json:"actor,omitempty" db:"actor"`
	Client      string        `json:"client,omitempty" db:"client"`
	Tool        string        `json:"tool,omitempty" db:"tool"`
	Action      string        `json:"action,omitempty" db:"action"`
	Plugin      string        `json:"plugin,omitempty" db:"plugin"`
	Decision    Decision      `json:"decision" db:"decision"`
	Rule        string        `json:"rule,omitempty" db:"rule"`
	Arguments   string        `json:"arguments,omitempty" db:"arguments"` // fingerprint, or JSON
	Outcome     string        `json:"outcome" db:"outcome"`
	Status      int           `json:"status,omitempty" db:"status"`
	Duration    time.Duration `json:"durationNs" db:"duration"`
	// Count is how many requests it is about; more than 1 only where they were
	// turned away, in the minute before Time.
	Count int `json:"count" db:"count"`
}

// Query picks records: those of which all is true that it says.
type Query struct {
	Since, Until                    time.Time // Until is left out itself; zero: there is no bound
	Subject, Server, Action, Plugin string
	Decisions                       []Decision // one of them; none: whatever was decided
	Limit                           int        // the newest of them
}
