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
	current    atomic.Pointer[Snapshot]
	outputs    *Outputs   // nil: nobody checks them
	visibility Visibility // nil: everybody sees everything
}

// Visibility decides whether a principal may know of an action, and call it.
// It is asked for each action of a list, so it has to be fast, and must not
// change its mind between two requests with the same rights.
type Visibility func(Principal, *Action) bool

// New makes a registry of one snapshot.
func New(s *Snapshot) *Registry {
	r := &Registry{}
	r.current.Store(s)
	return r
}

// CheckOutputs lets answers be checked, from before the first call on.
func (r *Registry) CheckOutputs(o *Outputs) { r.outputs = o }

// Restrict sets who sees which actions, from before the first call on.
func (r *Registry) Restrict(v Visibility) { r.visibility = v }

// Visible is the one place that tells whether a principal may know of an
// action: to whom it is not visible, it does not exist.
func (r *Registry) Visible(p Principal, a *Action) bool {
	return r.visibility == nil || r.visibility(p, a)
}

// Visibility is what Restrict set; nil: everybody sees everything.
func (r *Registry) Visibility() Visibility { return r.visibility }

// Snapshot is what the registry holds now. Calls that began with an older one
// finish on it.
func (r *Registry) Snapshot() *Snapshot { return r.current.Load() }

// Swap replaces the snapshot at once and whole.
func (r *Registry) Swap(s *Snapshot) { r.current.Store(s) }

// Invoke calls an action for a principal: policy, validation, request, result.
// MCP, HTTP API and command line all come through here. The error is always an
// *invoke.Error.
func (r *Registry) Invoke(ctx context.Context, p Principal, a *Action, arguments json.RawMessage) (*invoke.Result, error) {
	decoded, err := r.admit(p, a, arguments)
	if err != nil {
		return nil, err
	}
	result, err := a.client.Invoke(ctx, &a.Action, decoded)
	if err == nil && result.Cut == nil {
		r.outputs.offer(a, result.Structured())
	}
	return result, err
}

// Admit tells whether Invoke would call the plugin, with the error that it would
// give; for those who ask a user first.
func (r *Registry) Admit(p Principal, a *Action, arguments json.RawMessage) error {
	_, err := r.admit(p, a, arguments)
	return err
}

// Preview gives the request that Invoke would send, with credentials masked,
// and sends nothing.
func (r *Registry) Preview(ctx context.Context, p Principal, a *Action, arguments json.RawMessage) (*http.Request, error) {
	decoded, err := r.admit(p, a, arguments)
	if err != nil {
		return nil, err
	}
	req, err := a.client.Request(ctx, &a.Action, decoded)
	if err != nil {
		return nil, err
	}
	a.client.Masked(&a.Action, req)
	return req, nil
}

// admit is the gate of every call. Who may call what is decided here, beside a
// server's allowlist.
func (r *Registry) admit(p Principal, a *Action, arguments json.RawMessage) (map[string]any, error) {
	if !r.Visible(p, a) {
		return nil, &invoke.Error{Kind: invoke.Denied, Message: "you may not use this action"}
	}
	decoded, err := a.decodeArguments(arguments)
	if err != nil {
		return nil, &invoke.Error{Kind: invoke.InvalidArguments, Message: err.Error()}
	}
	return decoded, nil
}
