package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/stagedoor/stagedoor/internal/publication"
)

// registrationRow is a registration with its times in milliseconds.
type registrationRow struct {
	Plugin, Publisher, Hash string
	BaseURL                 string `db:"base_url"`
	Created                 int64  `db:"created_at"`
	Until, Now              int64
}

func (r registrationRow) registration() publication.Registration {
	return publication.Registration{
		Plugin: r.Plugin, Publisher: r.Publisher, BaseURL: r.BaseURL, Hash: r.Hash,
		Created: time.UnixMilli(r.Created), Until: time.UnixMilli(r.Until), Now: time.UnixMilli(r.Now),
	}
}

// maxRegistered is how many plugins a publisher may have registered at once,
// those whose lease has lapsed included.
const maxRegistered = 200

// Register keeps the generation and notes that the plugin is registered with it
// for the time of the lease, both or nothing. The registration's hash and times
// are not used: they are those of g and of the database's clock.
// [publication.ErrHeld] while another publisher's lease of the plugin lasts,
// [publication.ErrTooMany] when the publisher has 200 others.
func (d *DB) Register(ctx context.Context, r publication.Registration, lease time.Duration, g publication.Generation) error {
	row, err := rowOfGeneration(g)
	if err != nil {
		return err
	}
	return d.tx(ctx, "registration of "+r.Plugin, callBound, func(ctx context.Context, tx *sqlx.Tx) error {
		others := 0
		if err := tx.GetContext(ctx, &others, tx.Rebind(`SELECT COUNT(*) FROM registrations WHERE publisher = ? AND plugin <> ?`), r.Publisher, r.Plugin); err != nil {
			return err
		}
		if others >= maxRegistered {
			return publication.ErrTooMany
		}
		statement := fmt.Sprintf(`INSERT INTO registrations (plugin, publisher, base_url, hash, created_at, until) VALUES (?, ?, ?, ?, %[1]s, %[1]s + ?)
			ON CONFLICT (plugin) DO UPDATE SET publisher = excluded.publisher, base_url = excluded.base_url, hash = excluded.hash, until = excluded.until,
				created_at = CASE WHEN registrations.publisher = excluded.publisher THEN registrations.created_at ELSE excluded.created_at END
			WHERE registrations.publisher = excluded.publisher OR registrations.until <= %[1]s`, d.now())
		result, err := tx.ExecContext(ctx, tx.Rebind(statement), r.Plugin, r.Publisher, r.BaseURL, g.Hash, lease.Milliseconds())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return publication.ErrHeld
		}
		return d.keepGeneration(ctx, tx, row)
	})
}

// Renew begins the lease anew, also one that has lapsed but was not forgotten.
// [publication.ErrNotFound] where the plugin is not registered by the publisher
// with that generation; what it is registered with instead comes with the error.
// Without a hash, it only tells that.
func (d *DB) Renew(ctx context.Context, plugin, publisher, hash string, lease time.Duration) (publication.Registration, error) {
	n := 0
	if hash != "" {
		var err error
		if n, err = d.exec(ctx, "lease of "+plugin, callBound, fmt.Sprintf(`UPDATE registrations SET until = %s + ?
			WHERE plugin = ? AND publisher = ? AND hash = ?`, d.now()), lease.Milliseconds(), plugin, publisher, hash); err != nil {
			return publication.Registration{}, err
		}
	}
	there, err := d.registrations(ctx, ` WHERE plugin = ?`, plugin)
	if err != nil {
		return publication.Registration{}, err
	}
	if len(there) == 0 {
		there = make([]publication.Registration, 1)
		n = 0 // it was withdrawn meanwhile
	}
	if n == 0 {
		return there[0], fmt.Errorf("lease of %s: %w", plugin, publication.ErrNotFound)
	}
	return there[0], nil
}

// Withdraw ends a registration of the publisher, or [publication.ErrNotFound].
// With a hash, it only ends one of that generation. The generations stay.
func (d *DB) Withdraw(ctx context.Context, plugin, publisher, hash string) error {
	n, err := d.exec(ctx, "withdrawal of "+plugin, callBound, `DELETE FROM registrations
		WHERE plugin = ? AND publisher = ? AND (? = '' OR hash = ?)`, plugin, publisher, hash, hash)
	if err == nil && n == 0 {
		return fmt.Errorf("withdrawal of %s: %w", plugin, publication.ErrNotFound)
	}
	return err
}

// Registrations gives all, in the order of the plugins' names, those whose lease
// has lapsed too.
func (d *DB) Registrations(ctx context.Context) ([]publication.Registration, error) {
	return d.registrations(ctx, ` ORDER BY plugin`)
}

// Forget ends the plugin's registration where its lease lapsed before that time,
// and tells whether it did. The generations stay.
func (d *DB) Forget(ctx context.Context, plugin string, lapsedBefore time.Time) (forgotten bool, err error) {
	n, err := d.exec(ctx, "registration of "+plugin, callBound, `DELETE FROM registrations WHERE plugin = ? AND until < ?`,
		plugin, lapsedBefore.UnixMilli())
	return n > 0, err
}

func (d *DB) registrations(ctx context.Context, condition string, args ...any) ([]publication.Registration, error) {
	var rows []registrationRow
	err := d.do(ctx, "registrations", callBound, func(ctx context.Context) error {
		query := fmt.Sprintf(`SELECT plugin, publisher, base_url, hash, created_at, until, %s AS now FROM registrations`, d.now())
		return d.db.SelectContext(ctx, &rows, d.db.Rebind(query+condition), args...)
	})
	if err != nil {
		return nil, err
	}
	registrations := make([]publication.Registration, 0, len(rows))
	for _, r := range rows {
		registrations = append(registrations, r.registration())
	}
	return registrations, nil
}
