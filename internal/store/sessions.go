package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// Session is an MCP session as a row.
type Session = session.Session

// touchBatch bounds how long one transaction of TouchSessions holds its locks.
const touchBatch = 500

// CreateSession keeps a new session.
func (d *DB) CreateSession(ctx context.Context, s Session) error {
	const query = `INSERT INTO sessions
		(id, server, principal, protocol_version, client_info, capabilities, created_at, seen_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	_, err := d.db.ExecContext(ctx, d.db.Rebind(query), s.ID, s.Server, s.Principal, s.ProtocolVersion,
		text(s.ClientInfo), text(s.Capabilities), s.Created.UnixMilli(), s.Seen.UnixMilli())
	if err != nil {
		return fmt.Errorf("session insert: %w", err)
	}
	return nil
}

// Session gives the session with the id; [ErrNotFound] and
// [session.ErrNotFound] where there is none.
func (d *DB) Session(ctx context.Context, id string) (Session, error) {
	s := Session{ID: id}
	var clientInfo, capabilities string
	var created, seen int64
	row := d.lookup.QueryRowContext(ctx, id)
	err := row.Scan(&s.Server, &s.Principal, &s.ProtocolVersion, &clientInfo, &capabilities, &created, &seen)
	if err = notFound(err); errors.Is(err, ErrNotFound) {
		return Session{}, fmt.Errorf("%w: %w", session.ErrNotFound, err)
	}
	if err != nil {
		return Session{}, fmt.Errorf("session lookup: %w", err)
	}
	s.ClientInfo, s.Capabilities = json.RawMessage(clientInfo), json.RawMessage(capabilities)
	s.Created, s.Seen = time.UnixMilli(created), time.UnixMilli(seen)
	return s, nil
}

// TouchSessions records when each session was last seen. A time never moves
// backwards, so replicas may report in any order.
func (d *DB) TouchSessions(ctx context.Context, seen map[string]time.Time) error {
	// All replicas lock rows in the same order, so that two of them never
	// wait for each other.
	ids := slices.SortedFunc(maps.Keys(seen), cmp.Compare[string])
	for batch := range slices.Chunk(ids, touchBatch) {
		if err := d.touch(ctx, batch, seen); err != nil {
			return fmt.Errorf("session touch: %w", err)
		}
	}
	return nil
}

func (d *DB) touch(ctx context.Context, ids []string, seen map[string]time.Time) (err error) {
	tx, err := d.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	update, err := tx.PreparexContext(ctx, d.db.Rebind(`UPDATE sessions SET seen_at = ? WHERE id = ? AND seen_at < ?`))
	if err != nil {
		return err
	}
	for _, id := range ids {
		at := seen[id].UnixMilli()
		if _, err := update.ExecContext(ctx, at, id, at); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// DeleteSession ends a session; [ErrNotFound] where there is none.
func (d *DB) DeleteSession(ctx context.Context, id string) error {
	n, err := d.deleteSessions(ctx, `DELETE FROM sessions WHERE id = ?`, id)
	if err == nil && n == 0 {
		return fmt.Errorf("%w: %w", session.ErrNotFound, ErrNotFound)
	}
	return err
}

// DeleteSessionsBefore ends the sessions that were last seen before the time
// and tells how many.
func (d *DB) DeleteSessionsBefore(ctx context.Context, before time.Time) (int, error) {
	return d.deleteSessions(ctx, `DELETE FROM sessions WHERE seen_at < ?`, before.UnixMilli())
}

func (d *DB) deleteSessions(ctx context.Context, query string, args ...any) (int, error) {
	result, err := d.db.ExecContext(ctx, d.db.Rebind(query), args...)
	if err != nil {
		return 0, fmt.Errorf("session delete: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("session delete: %w", err)
	}
	return int(n), nil
}

// text is what a JSON column gets for a value that is not there.
func text(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	return string(raw)
}
