package invoke

import (
	"context"
	"encoding/json"
	"strings"
)

// MCP is the answer of a plugin that speaks MCP (x-action output.mode: mcp):
// the parts of a CallToolResult (2026-07-28, schema, "CallToolResult"), or what
// the plugin has to ask the client first. All of it is checked.
type MCP struct {
	// Content is a list of content blocks, compact. It is nil where the plugin
	// gave structured content alone, and where it asks.
	Content json.RawMessage
	// Structured is structuredContent, any JSON value; nil: there is none.
	Structured json.RawMessage
	IsError    bool
	// Meta is _meta, an object without the names that are the protocol's or the
	// gateway's; nil: there is none.
	Meta json.RawMessage
	// Asks is set where the plugin needs input before it can go on; nothing else
	// but Meta is then.
	Asks *InputRequired
}

// InputRequired is what a plugin asks for (2026-07-28, basic/patterns/mrtr,
// "InputRequiredResult"). At least one of its fields is set.
type InputRequired struct {
	// Requests is an object of requests by the plugin's own ids, each
	// {"method", "params"} with the method elicitation/create,
	// sampling/createMessage or roots/list; nil: there are none.
	Requests json.RawMessage
	// State is the plugin's own, to be given back with the answers.
	State string
}

// Input is what a caller knows beside the arguments, for actions whose
// x-action says where in the request it goes. What is not set is not sent.
type Input struct {
	// Responses are the client's answers, an object by the ids of
	// [InputRequired].Requests.
	Responses json.RawMessage
	// State is [InputRequired].State of the answer before.
	State string
	// Capabilities are those that the client declared, an object.
	Capabilities json.RawMessage
}

// Plain is the result for callers that do not speak MCP: structured content, else
// the text where all content is text, else the list of content. What the plugin
// calls an error is one (Rejected), and so is a question (Unavailable).
func (r *Result) Plain() (*Result, error) {
	m := r.MCP
	if m == nil {
		return r, nil
	}
	plain := *r
	plain.MCP, plain.JSON = nil, m.Structured
	o, isText := &checker{}, true
	var texts []string
	for _, raw := range o.list("content", m.Content) {
		block := o.object("block", raw)
		if o.word(block, "type", true) == "text" {
			texts = append(texts, o.word(block, "text", true))
		} else {
			isText = false
		}
	}
	text := strings.Join(texts, "\n")
	switch {
	case m.Asks != nil:
		return nil, &Error{Kind: Unavailable, Status: r.Status, Headers: r.Headers, Message: CannotAsk}
	case m.IsError:
		return nil, &Error{Kind: Rejected, Status: r.Status, Headers: r.Headers, Message: text}
	case plain.JSON == nil && isText:
		plain.Text = text
	case plain.JSON == nil:
		plain.JSON = m.Content
	}
	return &plain, nil
}

// CannotAsk is what a caller reads who cannot be asked what the plugin asks.
const CannotAsk = "the action has to ask for more before it can go on, and this caller cannot be asked"

type inputKey struct{}

// WithInput gives the calls of a context their input.
func WithInput(ctx context.Context, in Input) context.Context {
	return context.WithValue(ctx, inputKey{}, in)
}

// InputOf gives what WithInput put there.
func InputOf(ctx context.Context) Input {
	in, _ := ctx.Value(inputKey{}).(Input)
	return in
}

// Log is a plugin's notifications/message (2025-11-25, server/utilities/logging).
type Log struct {
	Level  string          // one of RFC 5424's eight, "debug" … "emergency"
	Logger string          // "" where the plugin names none
	Data   json.RawMessage // any JSON value
}

type logKey struct{}

// WithLog lets the calls of a context tell what a plugin that speaks MCP logs
// while it works. The function is called by the goroutine that called
// [Client.Invoke], before it returns.
func WithLog(ctx context.Context, f func(Log)) context.Context {
	return context.WithValue(ctx, logKey{}, f)
}

// LogOf gives the function that WithLog put there, nil where nobody asked.
func LogOf(ctx context.Context) func(Log) {
	f, _ := ctx.Value(logKey{}).(func(Log))
	return f
}
