package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/stagedoor/stagedoor/internal/session"
)

// OpenStreams keeps new streams, all in one transaction. A stream whose session
// is gone is skipped, as is one that is there already.
func (d *DB) OpenStreams(ctx context.Context, streams []session.Stream) error {
	if len(streams) == 0 {
		return nil
	}
	var owners []string
	for _, s := range streams {
		owners = append(owners, s.Session)
	}
	return d.tx(ctx, "stream insert", batchBound(len(streams)), func(ctx context.Context, tx *sqlx.Tx) error {
		var found []string
		// Who ends one of the sessions waits, and then ends the streams too.
		query := `SELECT id FROM sessions WHERE id IN (%s)` + d.locking("KEY SHARE")
		if err := rowsInto(ctx, tx, query, `?`, column(owners), &found); err != nil {
			return err
		}
		known := set(found)
		var rows [][]any
		for _, s := range streams {
			if known[s.Session] {
				rows = append(rows, []any{s.ID, s.Session, s.Replica, []byte(s.Request), s.Closed, 0})
			}
		}
		return rowsInto(ctx, tx, `INSERT INTO streams (id, session_id, replica, request, closed, bytes, written_at) VALUES %s
			ON CONFLICT (id) DO NOTHING`, `(?, ?, ?, ?, ?, ?, `+d.now()+`)`, rows, nil)
	})
}

// AppendEvents adds events of any number of streams, all in one transaction.
// Events of streams that are not there are skipped, and so are events that
// are there already: who does not know whether a call succeeded may repeat it.
// A last event closes its stream.
func (d *DB) AppendEvents(ctx context.Context, events []session.Event) error {
	if len(events) == 0 {
		return nil
	}
	return d.tx(ctx, "stream events", batchBound(len(events)), func(ctx context.Context, tx *sqlx.Tx) error {
		known, err := d.grow(ctx, tx, events)
		if err != nil {
			return err
		}
		rows := make([][]any, 0, len(events))
		for _, e := range events {
			if known[e.Stream] {
				rows = append(rows, []any{e.Stream, e.Sequence, notNull(e.Data), e.Last})
			}
		}
		return rowsInto(ctx, tx, `INSERT INTO stream_events (stream_id, sequence, data, last) VALUES %s
			ON CONFLICT DO NOTHING`, `(?, ?, ?, ?)`, rows, nil)
	})
}

// grow writes on the streams' rows what the events add, which locks them, and
// tells which of the streams are there.
func (d *DB) grow(ctx context.Context, tx *sqlx.Tx, events []session.Event) (known map[string]bool, err error) {
	type growth struct {
		bytes  int
		closed bool
	}
	grown := map[string]growth{}
	for _, e := range events {
		g := grown[e.Stream]
		grown[e.Stream] = growth{g.bytes + len(e.Data), g.closed || e.Last}
	}
	rows := make([][]any, 0, len(grown))
	for _, id := range slices.Sorted(maps.Keys(grown)) {
		rows = append(rows, []any{id, grown[id].bytes, grown[id].closed})
	}
	var ids []string
	err = rowsInto(ctx, tx, `UPDATE streams
		SET bytes = bytes + v.column2, closed = closed OR v.column3, written_at = `+d.now()+`
		FROM (VALUES %s) AS v WHERE id = v.column1 RETURNING id`,
		`(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BOOLEAN))`, rows, &ids)
	return set(ids), err
}

// ReadStream gives the stream as it is now with at most limit of its events
// after the sequence number. [session.ErrNotFound] where that session has no
// such stream.
func (d *DB) ReadStream(ctx context.Context, sessionID, stream string, after int64, limit int) (session.Stream, []session.Event, error) {
	s := session.Stream{ID: stream, Session: sessionID}
	var events []session.Event
	err := d.do(ctx, "stream", callBound, func(ctx context.Context) error {
		return d.transact(ctx, d.reading(), func(ctx context.Context, tx *sqlx.Tx) error {
			row := tx.QueryRowxContext(ctx, tx.Rebind(`SELECT replica, request, closed FROM streams WHERE id = ? AND session_id = ?`), stream, sessionID)
			if err := row.Scan(&s.Replica, (*[]byte)(&s.Request), &s.Closed); err != nil {
				return notFound(err)
			}
			return tx.SelectContext(ctx, &events, tx.Rebind(`SELECT stream_id AS stream, sequence, data, last FROM stream_events
				WHERE stream_id = ? AND sequence > ? ORDER BY sequence LIMIT ?`), stream, after, limit)
		})
	})
	if err != nil {
		return session.Stream{}, nil, err
	}
	return s, events, nil
}

// PurgeStreams removes the streams, with their events, that were not written for
// so long, by the database's clock, and tells how many. Streams that are not
// closed may be quiet for longer.
func (d *DB) PurgeStreams(ctx context.Context, closed, open time.Duration) (int, error) {
	query := fmt.Sprintf(`DELETE FROM streams WHERE closed AND written_at < %[1]s - ? OR written_at < %[1]s - ?`, d.now())
	return d.exec(ctx, "stream purge", bulkBound, query, closed.Milliseconds(), open.Milliseconds())
}

// TrimStreams removes closed streams of sessions whose events are larger than
// maxBytes, the oldest first, until the others fit. It tells how many. Streams
// that are not closed stay.
func (d *DB) TrimStreams(ctx context.Context, maxBytes int64) (int, error) {
	return d.exec(ctx, "stream trim", bulkBound, `DELETE FROM streams WHERE id IN (
		SELECT id FROM (
			SELECT id, closed, SUM(bytes) OVER (PARTITION BY session_id) AS total,
				SUM(CASE WHEN closed THEN bytes ELSE 0 END) OVER (PARTITION BY session_id
					ORDER BY written_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS freed
			FROM streams WHERE session_id IN (SELECT session_id FROM streams GROUP BY session_id HAVING SUM(bytes) > ?)
		) AS s
		WHERE closed AND total - COALESCE(freed, 0) > ?)`, maxBytes, maxBytes)
}

// batchBound is a bound for calls that write many rows while somebody waits.
func batchBound(rows int) time.Duration {
	return callBound + time.Duration(rows)*time.Millisecond
}

// column makes rows of one value each, every value once.
func column(values []string) [][]any {
	var rows [][]any
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		rows = append(rows, []any{v})
	}
	return rows
}

func set(values []string) map[string]bool {
	s := make(map[string]bool, len(values))
	for _, v := range values {
		s[v] = true
	}
	return s
}

// notNull is data for a column that must have some.
func notNull(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
