package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/stagedoor/stagedoor/internal/session"
)

// maxMailBytes bounds what waits at one address, which perhaps nobody reads.
const maxMailBytes = 64 << 20

// PutMail leaves messages at an address, and signals [session.SignalMail] with
// the address as key and no replica. An address is a signal's key: see [DB.Signal].
// [session.ErrTooMany] where more than most messages, or 64 MiB of them, would
// wait there; of several replicas that write at once, each may be let in.
func (d *DB) PutMail(ctx context.Context, address string, most int, bodies ...[]byte) error {
	signals := []session.Signal{{Topic: session.SignalMail, Key: address}}
	payloads, err := encodeSignals(signals)
	if err != nil || len(bodies) == 0 {
		return err
	}
	now := time.Now().UnixMilli()
	var rows [][]any
	size := 0
	for _, body := range bodies {
		size += len(body)
		rows = append(rows, []any{address, notNull(body), now})
	}
	err = d.tx(ctx, "mail", batchBound(len(bodies)), func(ctx context.Context, tx *sqlx.Tx) error {
		var waiting struct{ Messages, Bytes int }
		query := `SELECT COUNT(*) AS messages, COALESCE(SUM(LENGTH(body)), 0) AS bytes FROM mail WHERE address = ?`
		if err := tx.GetContext(ctx, &waiting, tx.Rebind(query), address); err != nil {
			return err
		}
		if waiting.Messages+len(bodies) > most || waiting.Bytes+size > maxMailBytes {
			return fmt.Errorf("%w messages", session.ErrTooMany)
		}
		if err := rowsInto(ctx, tx, `INSERT INTO mail (address, body, put_at) VALUES %s`, `(?, ?, ?)`, rows, nil); err != nil {
			return err
		}
		if d.postgres == nil {
			return nil
		}
		_, err := tx.ExecContext(ctx, notify, payloads) // it goes out with the commit
		return err
	})
	if err == nil && d.postgres == nil {
		d.hub.send(signals)
	}
	return err
}

// TakeMail removes the messages of an address and gives them in the order in
// which they were left. Each is given once only, to whoever comes first; it is
// lost where the connection to the database breaks just then.
func (d *DB) TakeMail(ctx context.Context, address string) ([][]byte, error) {
	number := "number"
	if d.postgres == nil {
		number = "rowid"
	}
	type message struct {
		Number int64
		Body   []byte
	}
	var mail []message
	err := d.do(ctx, "mail", callBound, func(ctx context.Context) error {
		query := `DELETE FROM mail WHERE address = ? RETURNING ` + number + ` AS number, body`
		return d.db.SelectContext(ctx, &mail, d.db.Rebind(query), address)
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(mail, func(a, b message) int { return cmp.Compare(a.Number, b.Number) })
	var bodies [][]byte
	for _, m := range mail {
		bodies = append(bodies, m.Body)
	}
	return bodies, nil
}
