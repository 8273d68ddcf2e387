package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stagedoor/stagedoor/internal/session"
)

// How long a call may take before the database counts as away. SQLite is in
// the same process, and waits for its lock as sqliteDSN says.
const (
	callBound = 2 * time.Second  // somebody waits for the answer
	bulkBound = 30 * time.Second // of what concerns many rows
)

// do runs a call within the bound and says in its error what could not be
// done; [session.ErrAway] where the database does not answer.
func (d *DB) do(ctx context.Context, what string, bound time.Duration, call func(context.Context) error) error {
	bounded := ctx
	if d.postgres != nil {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	err := call(bounded)
	switch {
	case err == nil:
		return nil
	case !errors.Is(ctx.Err(), context.Canceled) && away(err):
		return fmt.Errorf("%s: %w: %w", what, session.ErrAway, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// tx is do in a transaction, which holds all that change did or nothing.
func (d *DB) tx(ctx context.Context, what string, bound time.Duration, change func(context.Context, *sqlx.Tx) error) error {
	return d.do(ctx, what, bound, func(ctx context.Context) error {
		err := d.transact(ctx, nil, change)
		if fault := new(pgconn.PgError); errors.As(err, &fault) && fault.Code == deadlock {
			return d.transact(ctx, nil, change) // the other one is through by now
		}
		return err
	})
}

func (d *DB) transact(ctx context.Context, options *sql.TxOptions, change func(context.Context, *sqlx.Tx) error) error {
	tx, err := d.db.BeginTxx(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := change(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// exec runs one statement and tells how many rows it changed.
func (d *DB) exec(ctx context.Context, what string, bound time.Duration, statement string, args ...any) (n int, err error) {
	err = d.do(ctx, what, bound, func(ctx context.Context) error {
		result, err := d.db.ExecContext(ctx, d.db.Rebind(statement), args...)
		if err != nil {
			return err
		}
		changed, err := result.RowsAffected()
		n = int(changed)
		return err
	})
	return n, err
}

// maxRows bounds one statement of rowsInto: SQLite takes 32,766 parameters.
const maxRows = 512

// rowsInto runs the statement, in which %s stands for the rows, with all of
// them. It takes powers of two at a time, so that there are few texts, which
// drivers keep prepared. row is one row's text, with placeholders. What the
// statement returns is added to returned where that is not nil.
func rowsInto(ctx context.Context, tx *sqlx.Tx, statement, row string, rows [][]any, returned *[]string) error {
	for size := maxRows; size > 0; size /= 2 {
		for ; len(rows) >= size; rows = rows[size:] {
			text := tx.Rebind(fmt.Sprintf(statement, strings.Repeat(row+", ", size-1)+row))
			args := slices.Concat(rows[:size]...)
			if returned == nil {
				if _, err := tx.ExecContext(ctx, text, args...); err != nil {
					return err
				}
				continue
			}
			var some []string
			if err := tx.SelectContext(ctx, &some, text, args...); err != nil {
				return err
			}
			*returned = append(*returned, some...)
		}
	}
	return nil
}

// away tells whether the error is about reaching the database, and not about
// what was asked of it.
func away(err error) bool {
	if fault := new(pgconn.PgError); errors.As(err, &fault) {
		// Connection exceptions, shutdowns, and no connection left.
		return strings.HasPrefix(fault.Code, "08") || strings.HasPrefix(fault.Code, "57P") || fault.Code == "53300"
	}
	if fault := new(sqlite.Error); errors.As(err, &fault) {
		return fault.Code()&0xff == sqlite3.SQLITE_BUSY
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// notFound turns the driver's "no rows" into ErrNotFound. Postgres finds a key
// that is no text unspeakable, which is as good as not there.
func notFound(err error) error {
	fault := new(pgconn.PgError)
	if errors.Is(err, sql.ErrNoRows) || errors.As(err, &fault) && fault.Code == notText {
		return fmt.Errorf("%w: %w", session.ErrNotFound, ErrNotFound)
	}
	return err
}

// Postgres's codes, as its manual has them in appendix A.
const (
	notText  = "22021" // character_not_in_repertoire: bytes that are no UTF-8
	deadlock = "40P01" // deadlock_detected
	noTable  = "42P01" // undefined_table
)

// locking is how a SELECT locks what it finds, for example FOR UPDATE. SQLite
// has one writer at a time and no need of it.
func (d *DB) locking(strength string) string {
	if d.postgres == nil {
		return ""
	}
	return " FOR " + strength
}
