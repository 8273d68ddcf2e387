// Package session has the words that the transport and the database share
// about MCP sessions and what hangs on them, so that neither has to import the
// other.
package session

import (
	"encoding/json"
	"errors"
	"time"
)

// ErrNotFound says that nothing has the id: it was never issued, ended, or was
// purged.
var ErrNotFound = errors.New("session not found")

// Session is an MCP session of a protocol revision up to 2025-11-25. It
// belongs to one server and one principal for life.
type Session struct {
	ID              string
	Server          string
	Principal       string // its key, see principal.Principal.Key; empty for the anonymous one
	ProtocolVersion string // empty: not initialized yet
	ClientInfo      json.RawMessage
	Capabilities    json.RawMessage
	// LogLevel is the least severe level that the client wants to be told, by
	// logging/setLevel; empty: it never said.
	LogLevel string
	Created  time.Time
	Seen     time.Time
}

// ErrTooMany says that there is as much of something as there may be.
var ErrTooMany = errors.New("there are too many")
