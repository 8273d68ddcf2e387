package registry

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// Registry is the actions registry: the current snapshot, and the one way to
// call an action.
type Registry struct {
	current atomic.Pointer[Snapshot]
	outputs *Outputs // nil: nobody checks them
}

// Call is somebody calling an action by some door.
type Call struct {
	Principal principal.Principal
	Door      *Door // nil: nothing is allowed
	Action    *Action
	Arguments json.RawMessage
}

// New makes a registry of one snapshot.
func New(s *Snapshot) *Registry {
	r := &Registry{}
	r.current.Store(s)
	return r
}

// CheckOutputs lets answers be checked, from before the first call on.
func (r *Registry) CheckOutputs(o *Outputs) { r.outputs = o }

// Snapshot is what the registry holds now. Calls that began with an older one
// finish on it.
func (r *Registry) Snapshot() *Snapshot { return r.current.Load() }

// Swap replaces the snapshot at once and whole.
func (r *Registry) Swap(s *Snapshot) { r.current.Store(s) }

// Invoke makes a call: policy, validation, request, result. MCP, HTTP API and
// command line all come through here. The error is always an *invoke.Error.
func (r *Registry) Invoke(ctx context.Context, c Call) (*invoke.Result, error) {
	arguments, err := c.admit()
	if err != nil {
		return nil, err
	}
	result, err := c.Action.client.Invoke(c.known(ctx), &c.Action.Action, arguments)
	if err == nil && result.Cut == nil {
		r.outputs.offer(c.Action, result.Structured())
	}
	return result, err
}

// known notes who calls, for credentials that depend on it.
func (c *Call) known(ctx context.Context) context.Context {
	if c.Door == Unguarded && c.Principal.IsAnonymous() {
		return ctx
	}
	return principal.WithCaller(ctx, &principal.Caller{Principal: c.Principal, Door: c.Door.Name})
}

// Admit tells whether Invoke would call the plugin, with the error that it would
// give; for those who ask a user first.
func (r *Registry) Admit(c Call) error {
	_, err := c.admit()
	return err
}

// Preview gives the request that Invoke would send, with credentials masked,
// and sends nothing.
func (r *Registry) Preview(ctx context.Context, c Call) (*http.Request, error) {
	arguments, err := c.admit()
	if err != nil {
		return nil, err
	}
	req, err := c.Action.client.Request(ctx, &c.Action.Action, arguments)
	if err != nil {
		return nil, err
	}
	c.Action.client.Masked(&c.Action.Action, req)
	return req, nil
}

// admit is the gate of every call: who may call what, and with what.
func (c *Call) admit() (map[string]any, error) {
	if c.Door == nil {
		return nil, denied("you may not use this action")
	}
	made := c.Door.Decide(c.Principal, c.Action)
	if !made.Allowed {
		return nil, denied("you may not use this action")
	}
	if len(made.Missing) > 0 {
		return nil, denied("your token lacks the scopes for this action: " + strings.Join(made.Missing, ", "))
	}
	arguments, err := c.Action.decodeArguments(c.Arguments)
	if err != nil {
		return nil, &invoke.Error{Kind: invoke.InvalidArguments, Message: err.Error()}
	}
	return arguments, c.Action.fill(arguments, &c.Principal)
}

func denied(message string) error { return &invoke.Error{Kind: invoke.Denied, Message: message} }
