package session

import "encoding/json"

// Stream is the answer to one request that became server-sent events. Its
// replica alone appends to it; any replica can read it again for a client that
// comes back with Last-Event-ID (2025-11-25, basic/transports, "Resumability
// and Redelivery").
type Stream struct {
	ID      string // unguessable
	Session string
	Replica string // who writes it
	Request json.RawMessage
	Closed  bool // the last event is there
}

// Event is one message of a stream. Sequence numbers of a stream begin at 1 and
// have no gaps.
type Event struct {
	Stream   string
	Sequence int64
	Data     []byte // one JSON-RPC message, without line breaks
	Last     bool   // no further event follows: the stream is closed with it
}
