package mcpserver

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/invoke"
)

// maxRounds bounds how often a plugin may ask before it has a result.
const maxRounds = 8

// outcomeAsks is of calls to plugins that ask; their result comes with a later one.
const outcomeAsks = "input_required"

// rounds calls the tool's action, and again as long as the plugin asks the
// client for more. All calls of all transports come through here. The error is
// an *[otherResultError] or *[rpcError], to be answered with.
func (h *Handler) rounds(ctx context.Context, d *dialogue, t *tool, arguments json.RawMessage) (outcome, error) {
	confirmed, err := h.confirm(ctx, d, t, arguments)
	if err != nil {
		return h.stopped(ctx, d.x, t, arguments, err)
	}
	in := invoke.Input{Capabilities: d.capabilities}
	at := d.turn // the plugin's question that was put, or nothing
	if at != nil && at.About != turnPlugin {
		at = nil
	}
	for round := 0; ; {
		if at == nil {
			input := ctx
			if t.action.Response.MCP {
				input = invoke.WithInput(ctx, in)
			}
			o, asks := h.call(input, d.x, t, arguments)
			if asks == nil {
				return o, nil
			}
			at = &turn{
				About: turnPlugin, Round: round + 1, Asked: asks.Asks.Requests, State: asks.Asks.State, Meta: asks.Meta, Once: confirmed,
			}
		}
		if at.Round > maxRounds {
			return h.stopped(ctx, d.x, t, arguments, &invoke.Error{Kind: invoke.Unavailable, Message: "the plugin asks again and again"})
		}
		if in.Responses, err = d.ask(ctx, at); err != nil {
			return h.stopped(ctx, d.x, t, arguments, err)
		}
		in.State, round, at = at.State, at.Round, nil
	}
}

// stopped is a call that did not come to its end: it is answered with the error,
// or with an outcome that tells why.
func (h *Handler) stopped(ctx context.Context, x *exchange, t *tool, arguments json.RawMessage, err error) (outcome, error) {
	var told *invoke.Error
	if !errors.As(err, &told) {
		return outcome{}, err
	}
	o := outcomeOf(nil, err, x.ref)
	h.observe(ctx, x, t, audit.Call{Arguments: arguments, Outcome: o.label, Err: err})
	return o, nil
}
