// Package session has the words that the transport and the database share
// about MCP sessions, so that neither has to import the other.
package session

import (
	"encoding/json"
	"errors"
	"time"
)

// ErrNotFound says that no session has the id: it was never issued, ended, or
// was purged.
var ErrNotFound = errors.New("session not found")

// Session is an MCP session of a protocol revision up to 2025-11-25. It
// belongs to one server and one principal for life.
type Session struct {
	ID              string
	Server          string
	Principal       string // the principal's subject, empty for anonymous
	ProtocolVersion string
	ClientInfo      json.RawMessage
	Capabilities    json.RawMessage
	Created         time.Time
	Seen            time.Time
}
