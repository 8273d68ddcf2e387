package invoke

import (
	"encoding/json"
	"fmt"
	"time"
)

// Result is what an action gave back. Exactly one of JSON, Text, Binary and MCP
// is set; an empty answer is the JSON {}.
type Result struct {
	Status int
	JSON   json.RawMessage // compact
	Text   string
	Binary *Binary
	MCP    *MCP // of an action whose plugin answers with MCP results
	// Headers are those of the answer that a caller can act on.
	Headers []Header
	Cut     *Cut // nil: this is all that the plugin had

	empty bool // there was no body
}

// Structured is what of the result its action's output schema describes, nil
// where there is no such thing.
func (r *Result) Structured() json.RawMessage {
	switch {
	case r.MCP == nil:
		return r.JSON
	case r.MCP.IsError:
		return nil
	}
	return r.MCP.Structured
}

// Binary is an answer that is no text: an image, a sound, a file.
type Binary struct {
	MediaType string // without parameters, "image/png"
	Data      []byte
}

// Kind classifies why a call gave no result.
type Kind string

// Each kind is a tool result with isError in MCP, never a protocol error.
const (
	// InvalidArguments: the arguments break the input schema; Message tells a model how to mend them.
	InvalidArguments Kind = "invalid_arguments"
	// Denied: the principal may not use the action.
	Denied Kind = "denied"
	// Rejected: the plugin answered 4xx; Message has what it said.
	Rejected Kind = "rejected"
	// Unavailable: the plugin could not be reached, answered 5xx, or with broken JSON.
	Unavailable Kind = "unavailable"
	// Timeout: the plugin did not answer in time.
	Timeout Kind = "timeout"
	// Cancelled: the caller gave the call up.
	Cancelled Kind = "cancelled"
	// TooLarge: the answer was over the size cap, and makes no sense when it is cut.
	TooLarge Kind = "too_large"
	// Internal: a fault of the gateway.
	Internal Kind = "internal"
)

// Error is the only error of a call. Message is written for the caller and
// holds no inner host, secret or stack; Err is for the log alone.
type Error struct {
	Kind    Kind
	Status  int // the plugin's HTTP status, 0 when there was none
	Message string
	// Headers are those of the answer, as in [Result]; of a call that was not made,
	// retry-after alone.
	Headers []Header
	Err     error

	verdict verdict       // on the plugin
	reason  string        // of a verdict that it is down
	lost    bool          // it was the connection, which no other operation would have got either
	passing bool          // the same call may have better luck,
	wait    time.Duration // not before that
}

// verdict is what a call that failed says of its plugin.
type verdict int

const (
	there   verdict = iota // it answered, whatever it said
	down                   // it did not, or had somebody before it say so
	unknown                // the caller gave up
)

// Error gives the log's view: kind, message and cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Kind, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Kind, e.Message, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
