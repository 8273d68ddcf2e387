package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/stagedoor/stagedoor/internal/session"
)

// Session is an MCP session as a row.
type Session = session.Session

const (
	// touchBatch bounds how long one transaction of TouchSessions holds its locks.
	touchBatch       = 500
	maxSubscriptions = 1000
)

// CreateSession keeps a new session.
func (d *DB) CreateSession(ctx context.Context, s Session) error {
	_, err := d.exec(ctx, "session insert", callBound, `INSERT INTO sessions
		(id, server, principal, protocol_version, client_info, capabilities, log_level, created_at, seen_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, s.ID, s.Server, s.Principal, s.ProtocolVersion,
		text(s.ClientInfo), text(s.Capabilities), s.LogLevel, s.Created.UnixMilli(), s.Seen.UnixMilli())
	return err
}

// Session gives the session with the id; [ErrNotFound] and
// [session.ErrNotFound] where there is none.
func (d *DB) Session(ctx context.Context, id string) (Session, error) {
	s := Session{ID: id}
	var clientInfo, capabilities string
	var created, seen int64
	err := d.do(ctx, "session lookup", callBound, func(ctx context.Context) error {
		row := d.lookup.QueryRowContext(ctx, id)
		return notFound(row.Scan(&s.Server, &s.Principal, &s.ProtocolVersion, &clientInfo, &capabilities, &s.LogLevel, &created, &seen))
	})
	if err != nil {
		return Session{}, err
	}
	s.ClientInfo, s.Capabilities = json.RawMessage(clientInfo), json.RawMessage(capabilities)
	s.Created, s.Seen = time.UnixMilli(created), time.UnixMilli(seen)
	return s, nil
}

// UpdateSession writes what a client said of itself: protocol version, client
// info, capabilities and log level. Whose session it is and when it was made
// and seen stays as it was. [session.ErrNotFound] where there is none.
func (d *DB) UpdateSession(ctx context.Context, s Session) error {
	n, err := d.exec(ctx, "session update", callBound,
		`UPDATE sessions SET protocol_version = ?, client_info = ?, capabilities = ?, log_level = ? WHERE id = ?`,
		s.ProtocolVersion, text(s.ClientInfo), text(s.Capabilities), s.LogLevel, s.ID)
	return one(n, err)
}

// SetLogLevel writes the least severe level that the client wants to be told.
// [session.ErrNotFound] where there is no such session.
func (d *DB) SetLogLevel(ctx context.Context, id, level string) error {
	n, err := d.exec(ctx, "session log level", callBound, `UPDATE sessions SET log_level = ? WHERE id = ?`, level, id)
	return one(n, err)
}

// TouchSessions records when each session was last seen. A time never moves
// backwards, so replicas may report in any order.
func (d *DB) TouchSessions(ctx context.Context, seen map[string]time.Time) error {
	// All replicas lock rows in the same order, so that two of them never
	// wait for each other.
	ids := slices.SortedFunc(maps.Keys(seen), cmp.Compare[string])
	for batch := range slices.Chunk(ids, touchBatch) {
		err := d.tx(ctx, "session touch", bulkBound, func(ctx context.Context, tx *sqlx.Tx) error {
			return touch(ctx, tx, batch, seen)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func touch(ctx context.Context, tx *sqlx.Tx, ids []string, seen map[string]time.Time) error {
	update, err := tx.PreparexContext(ctx, tx.Rebind(`UPDATE sessions SET seen_at = ? WHERE id = ? AND seen_at < ?`))
	if err != nil {
		return err
	}
	for _, id := range ids {
		at := seen[id].UnixMilli()
		if _, err := update.ExecContext(ctx, at, id, at); err != nil {
			return err
		}
	}
	return nil
}

// DeleteSession ends a session, with its subscriptions and streams;
// [ErrNotFound] where there is none.
func (d *DB) DeleteSession(ctx context.Context, id string) error {
	n, err := d.exec(ctx, "session delete", callBound, `DELETE FROM sessions WHERE id = ?`, id)
	return one(n, err)
}

// OtherSessions gives the ids of sessions that the session's principal has at
// its server beside it, without the keep last used ones; at most limit.
func (d *DB) OtherSessions(ctx context.Context, s Session, keep, limit int) (ids []string, err error) {
	err = d.do(ctx, "session owner", callBound, func(ctx context.Context) error {
		query := `SELECT id FROM sessions WHERE server = ? AND principal = ? AND id <> ? ORDER BY seen_at DESC, id DESC LIMIT ? OFFSET ?`
		return d.db.SelectContext(ctx, &ids, d.db.Rebind(query), s.Server, s.Principal, s.ID, limit, keep)
	})
	return ids, err
}

// DeleteSessionsBefore ends the sessions that were last seen before the time
// and tells how many.
func (d *DB) DeleteSessionsBefore(ctx context.Context, before time.Time) (int, error) {
	return d.exec(ctx, "session delete", bulkBound, `DELETE FROM sessions WHERE seen_at < ?`, before.UnixMilli())
}

// DeleteServerSessions ends all sessions of a server and tells how many.
func (d *DB) DeleteServerSessions(ctx context.Context, server string) (int, error) {
	return d.exec(ctx, "session delete", bulkBound, `DELETE FROM sessions WHERE server = ?`, server)
}

// Subscribe notes that the session wants to be told of changes of the
// resource; a second time changes nothing. [session.ErrTooMany] beyond 1,000 of them,
// [session.ErrNotFound] where there is no such session.
func (d *DB) Subscribe(ctx context.Context, sessionID, uri string) error {
	return d.tx(ctx, "subscription", callBound, func(ctx context.Context, tx *sqlx.Tx) error {
		var found []string
		// Subscriptions of one session take turns, so that the count holds.
		query := `SELECT id FROM sessions WHERE id = ?` + d.locking("UPDATE")
		if err := tx.SelectContext(ctx, &found, tx.Rebind(query), sessionID); err != nil {
			return notFound(err)
		}
		if len(found) == 0 {
			return notFound(sql.ErrNoRows)
		}
		var others int
		query = `SELECT COUNT(*) FROM session_subscriptions WHERE session_id = ? AND uri <> ?`
		if err := tx.GetContext(ctx, &others, tx.Rebind(query), sessionID, uri); err != nil {
			return err
		}
		if others >= maxSubscriptions {
			return fmt.Errorf("%w subscriptions", session.ErrTooMany)
		}
		query = `INSERT INTO session_subscriptions (session_id, uri) VALUES (?, ?) ON CONFLICT DO NOTHING`
		_, err := tx.ExecContext(ctx, tx.Rebind(query), sessionID, uri)
		return err
	})
}

// Unsubscribe takes a subscription back; one that is not there is no error.
func (d *DB) Unsubscribe(ctx context.Context, sessionID, uri string) error {
	_, err := d.exec(ctx, "subscription", callBound, `DELETE FROM session_subscriptions WHERE session_id = ? AND uri = ?`, sessionID, uri)
	return err
}

// Subscriptions gives the URIs that the session subscribed to, in their order.
func (d *DB) Subscriptions(ctx context.Context, sessionID string) (uris []string, err error) {
	err = d.do(ctx, "subscriptions", callBound, func(ctx context.Context) error {
		query := `SELECT uri FROM session_subscriptions WHERE session_id = ? ORDER BY uri`
		return d.db.SelectContext(ctx, &uris, d.db.Rebind(query), sessionID)
	})
	return uris, err
}

// one makes a statement's error of a row that was not there.
func one(n int, err error) error {
	if err == nil && n == 0 {
		err = sql.ErrNoRows
	}
	return notFound(err)
}

// text is what a JSON column gets for a value that is not there.
func text(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	return string(raw)
}
