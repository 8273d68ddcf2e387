package registry

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

// Registry is the actions registry: the current snapshot, and the one way to
// call an action.
type Registry struct {
	current atomic.Pointer[Snapshot]
	outputs *Outputs // nil: nobody checks them
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

// Invoke calls an action for a principal: policy, validation, request, result.
// MCP, HTTP API and command line all come through here. The error is always an
// *invoke.Error.
func (r *Registry) Invoke(ctx context.Context, p Principal, a *Action, arguments json.RawMessage) (*invoke.Result, error) {
	decoded, err := a.admit(p, arguments)
	if err != nil {
		return nil, err
	}
	result, err := a.client.Invoke(ctx, &a.Action, decoded)
	if err == nil && result.Cut == nil {
		r.outputs.offer(a, result.Structured())
	}
	return result, err
}

// Preview gives the request that Invoke would send, with credentials masked,
// and sends nothing.
func (r *Registry) Preview(ctx context.Context, p Principal, a *Action, arguments json.RawMessage) (*http.Request, error) {
	decoded, err := a.admit(p, arguments)
	if err != nil {
		return nil, err
	}
	req, err := a.client.Request(ctx, &a.Action, decoded)
	if err != nil {
		return nil, err
	}
	return req, a.client.Masked(req)
}

// admit is the gate of every call. Who may call what is decided here; so far a
// server's allowlist decides alone, and no principal is refused.
func (a *Action) admit(_ Principal, arguments json.RawMessage) (map[string]any, error) {
	decoded, err := a.decodeArguments(arguments)
	if err != nil {
		return nil, &invoke.Error{Kind: invoke.InvalidArguments, Message: err.Error()}
	}
	return decoded, nil
}
