package mcpserver

import (
	"context"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// Store is what all replicas share. Lookups of what is not there give an error
// that is [session.ErrNotFound].
type Store interface {
	SessionStore
	StreamStore
	Mailbox
	TaskStore
	// Signal tells all replicas where to look, this one too. What they are told
	// is what [Handler.Heard] wants to hear.
	Signal(ctx context.Context, signals ...session.Signal) error
	// Spend notes that the nonce was used, and tells whether this is the first
	// time at any replica. It is remembered until the time at least.
	Spend(ctx context.Context, nonce string, until time.Time) (first bool, err error)
	// Alive tells whether a replica was heard of within the time.
	Alive(ctx context.Context, replica string, within time.Duration) (bool, error)
}

// SessionStore keeps sessions.
type SessionStore interface {
	CreateSession(ctx context.Context, s session.Session) error
	Session(ctx context.Context, id string) (session.Session, error)
	// UpdateSession writes what initialize said.
	UpdateSession(ctx context.Context, s session.Session) error
	SetLogLevel(ctx context.Context, id, level string) error
	TouchSessions(ctx context.Context, seen map[string]time.Time) error
	DeleteSession(ctx context.Context, id string) error
	// OtherSessions gives the ids of sessions that the session's principal has at
	// its server beside it, without the keep last used ones; at most limit.
	OtherSessions(ctx context.Context, s session.Session, keep, limit int) ([]string, error)
	DeleteSessionsBefore(ctx context.Context, before time.Time) (int, error)
	DeleteServerSessions(ctx context.Context, server string) (int, error)
	Subscribe(ctx context.Context, id, uri string) error
	Unsubscribe(ctx context.Context, id, uri string) error
	Subscriptions(ctx context.Context, id string) ([]string, error)
}

// TaskStore keeps tasks.
type TaskStore interface {
	CreateTask(ctx context.Context, t session.Task) error
	Task(ctx context.Context, id string) (session.Task, error)
	// UpdateTask gives false where the task is over already: it never changes.
	UpdateTask(ctx context.Context, t session.Task) (changed bool, err error)
	Tasks(ctx context.Context, server, principal, sessionID, after string, limit int) ([]session.Task, error)
}

// StreamStore is the event log: what a client that comes back is given again.
type StreamStore interface {
	OpenStreams(ctx context.Context, streams []session.Stream) error
	AppendEvents(ctx context.Context, events []session.Event) error
	ReadStream(ctx context.Context, sessionID, stream string, after int64, limit int) (session.Stream, []session.Event, error)
	// PurgeStreams removes streams that were not written for so long; those that
	// are open may be quiet for longer.
	PurgeStreams(ctx context.Context, closed, open time.Duration) (int, error)
	TrimStreams(ctx context.Context, maxBytes int64) (int, error)
}

// Mailbox holds messages for whichever replica has the connection that they
// are for. Each is taken once. An address that has most messages takes no more
// ([session.ErrTooMany]).
type Mailbox interface {
	PutMail(ctx context.Context, address string, most int, bodies ...[]byte) error
	TakeMail(ctx context.Context, address string) ([][]byte, error)
}
