package mcpserver

import (
	"github.com/mark3labs/mcp-go/mcp"
	mcpgo "github.com/mark3labs/mcp-go/server"
)

// clientSession is what mcp-go sees of a client, for one request only: nothing
// of a session stays in memory between requests. Its id is unique among
// clients, also for modern requests, which have no session: mcp-go finds the
// request that a cancellation means by it.
type clientSession struct {
	id            string
	version       string
	initialized   bool
	level         mcp.LoggingLevel
	notifications chan mcp.JSONRPCNotification
}

var (
	_ mcpgo.SessionWithLogging         = (*clientSession)(nil)
	_ mcpgo.SessionWithProtocolVersion = (*clientSession)(nil)
)

func newClientSession(id, version string) *clientSession {
	return &clientSession{
		id: id, version: version, initialized: version != "",
		notifications: make(chan mcp.JSONRPCNotification, 1),
	}
}

func (s *clientSession) SessionID() string { return s.id }

func (s *clientSession) Initialize() { s.initialized = true }

func (s *clientSession) Initialized() bool { return s.initialized }

func (s *clientSession) NotificationChannel() chan<- mcp.JSONRPCNotification { return s.notifications }

func (s *clientSession) SetLogLevel(level mcp.LoggingLevel) { s.level = level }

func (s *clientSession) GetLogLevel() mcp.LoggingLevel { return s.level }

func (s *clientSession) ProtocolVersion() string { return s.version }

// SetProtocolVersion is how mcp-go tells what initialize negotiated.
func (s *clientSession) SetProtocolVersion(version string) { s.version = version }
