package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/stagedoor/stagedoor/openapi"
)

// sift decides what an item of a stream is: it tells of what is for the caller
// at once, and gives what belongs to the result, nil for nothing.
type sift func(item json.RawMessage) (kept json.RawMessage, err error)

// sift gives an action's: where nothing else is said, each item is both
// progress and part of the result.
func (c *Client) sift(ctx context.Context, a *openapi.Action, in *answer) sift {
	progress := c.teller(ctx)
	switch {
	case a.Response.MCP:
		notes := &notes{in: in, progress: progress, log: LogOf(ctx)}
		return notes.sift
	case a.Response.Progress != nil:
		arguments := withDefaults(in.arguments, a.Request.Defaults)
		return func(item json.RawMessage) (json.RawMessage, error) {
			p, ok, err := progressOf(ctx, a, in.status, arguments, item)
			if err != nil || !ok {
				return item, err
			}
			progress.told(p)
			return nil, nil
		}
	}
	return func(item json.RawMessage) (json.RawMessage, error) {
		if progress.before != nil {
			progress.told(Progress{Message: progressText(item)})
		}
		return item, nil
	}
}

// progressOf runs output.progress over an item; not ok: it is no progress.
func progressOf(ctx context.Context, a *openapi.Action, status int, arguments map[string]any, item json.RawMessage) (p Progress, ok bool, err error) {
	input, err := unmarshal(item)
	if err != nil {
		return p, false, internal(err)
	}
	out, err := runQuery(ctx, a.Response.Progress, input, arguments, status)
	var said *openapi.QueryError
	switch {
	case errors.As(err, &said):
		return p, false, &Error{Kind: Rejected, Status: status, Message: said.Message}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return p, false, queryTimeout(err)
	case err != nil:
		out = nil // the program did not expect such an item
	}
	switch out := out.(type) {
	case string:
		return Progress{Message: out}, true, nil
	case map[string]any:
		p.Message, _ = out["message"].(string)
		p.Total = numberOf(out["total"])
		p.Value = numberOf(out["progress"])
		return p, p.Value != "" || p.Message != "", nil
	}
	p.Value = numberOf(out)
	return p, p.Value != "", nil
}

// numberOf is a number that jq gave, with its digits; "" for anything else.
func numberOf(v any) json.Number {
	text, err := marshal(v)
	if err != nil || typeOf(text) != '0' {
		return ""
	}
	return json.Number(text)
}

// notes are what a plugin that speaks MCP tells before its result.
type notes struct {
	in       *answer
	progress *teller
	log      func(Log) // nil: nobody wants to know
}

// sift takes notifications/progress and notifications/message out; other
// notifications are nobody's.
func (n *notes) sift(item json.RawMessage) (json.RawMessage, error) {
	if n.in.media.essence == eventStream {
		if item = (&checker{}).object("event", item).members["data"]; string(item) == `""` { // an event without data says nothing
			return nil, nil
		}
	}
	message := (&checker{}).object("message", item)
	if message.members["method"] == nil {
		return item, nil // the result, or what is wrong with it is told when there is no more
	}
	o := &checker{}
	if message.members["id"] != nil {
		o.fault("message", "is a request; what the client is to be asked goes into inputRequests")
	}
	params := func() shape { return o.object("params", message.members["params"]) }
	switch o.word(message, "method", true) {
	case "notifications/progress":
		n.told(o, params())
	case "notifications/message":
		n.logged(o, params())
	}
	if o.err != nil {
		return nil, notMCP(n.in, o.err)
	}
	return nil, nil
}

func (n *notes) told(o *checker, params shape) {
	p := Progress{
		Value: json.Number(o.member(params, "progress", '0', true)), Total: json.Number(o.member(params, "total", '0', false)),
		Message: o.word(params, "message", false),
	}
	if o.err == nil {
		n.progress.told(p)
	}
}

// Severity ranks the levels of RFC 5424 §6.2.1, as MCP names them, from "debug",
// 0, to "emergency"; -1: it is none (2025-11-25, server/utilities/logging).
func Severity(level string) int {
	return slices.Index([]string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}, level)
}

func (n *notes) logged(o *checker, params shape) {
	l := Log{Level: o.word(params, "level", true), Logger: o.word(params, "logger", false), Data: params.members["data"]}
	if Severity(l.Level) < 0 {
		o.fault("params.level", "is none of the eight")
	}
	if l.Data == nil {
		o.fault("params", "has no data")
	}
	if o.err != nil || n.log == nil {
		return
	}
	l.Logger = n.progress.client.discreet(l.Logger)
	if data := json.RawMessage(n.progress.client.discreet(string(l.Data))); json.Valid(data) {
		l.Data = data
		n.log(l)
	}
}
