package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

// now is the database's clock in milliseconds: replicas' own ones may differ.
func (d *DB) now() string {
	if d.postgres == nil {
		return `CAST(unixepoch('subsec') * 1000 AS INTEGER)`
	}
	return `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`
}

// Beat notes that a replica lives, and what it serves. When that was is told by
// the database's clock; r.Seen is not used.
func (d *DB) Beat(ctx context.Context, r session.Replica) error {
	statement := fmt.Sprintf(`INSERT INTO replicas (id, generation, started_at, seen_at) VALUES (?, ?, ?, %s) ON CONFLICT (id)
		DO UPDATE SET generation = excluded.generation, started_at = excluded.started_at, seen_at = excluded.seen_at`, d.now())
	_, err := d.exec(ctx, "replica", callBound, statement, r.ID, r.Generation, r.Started.UnixMilli())
	return err
}

// Leave notes that a replica is gone; one that is not there is no error.
func (d *DB) Leave(ctx context.Context, id string) error {
	_, err := d.exec(ctx, "replica", callBound, `DELETE FROM replicas WHERE id = ?`, id)
	return err
}

// Replicas gives all that have not left, in the order of their ids. Those that
// died without a word are among them, until [DB.Purge].
func (d *DB) Replicas(ctx context.Context) ([]session.Replica, error) {
	var rows []struct {
		ID, Generation string
		Started        int64 `db:"started_at"`
		Seen           int64 `db:"seen_at"`
	}
	err := d.do(ctx, "replicas", callBound, func(ctx context.Context) error {
		return d.db.SelectContext(ctx, &rows, `SELECT id, generation, started_at, seen_at FROM replicas ORDER BY id`)
	})
	if err != nil {
		return nil, err
	}
	replicas := make([]session.Replica, 0, len(rows))
	for _, r := range rows {
		replicas = append(replicas, session.Replica{
			ID: r.ID, Generation: r.Generation, Started: time.UnixMilli(r.Started), Seen: time.UnixMilli(r.Seen),
		})
	}
	return replicas, nil
}

// Alive tells whether the replica was heard of within the duration, by the
// database's clock.
func (d *DB) Alive(ctx context.Context, id string, within time.Duration) (alive bool, err error) {
	err = d.do(ctx, "replica", callBound, func(ctx context.Context) error {
		query := fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM replicas WHERE id = ? AND seen_at >= %s - ?)`, d.now())
		return d.db.GetContext(ctx, &alive, d.db.Rebind(query), id, within.Milliseconds())
	})
	return alive, err
}
