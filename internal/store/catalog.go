package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// CatalogVersion is the number that changes with every write to the catalog,
// by whichever replica.
func (d *DB) CatalogVersion(ctx context.Context) (version int64, err error) {
	err = d.do(ctx, "catalog version", callBound, func(ctx context.Context) error {
		return d.db.GetContext(ctx, &version, `SELECT version FROM catalog_version`)
	})
	return version, err
}

// LoadCatalog reads all locations and entities as of one moment.
func (d *DB) LoadCatalog(ctx context.Context) (*record.Catalog, error) {
	c := &record.Catalog{}
	err := d.do(ctx, "catalog", bulkBound, func(ctx context.Context) error {
		return d.transact(ctx, d.reading(), func(ctx context.Context, tx *sqlx.Tx) error {
			if err := tx.GetContext(ctx, &c.Version, `SELECT version FROM catalog_version`); err != nil {
				return fmt.Errorf("version: %w", err)
			}
			if err := tx.SelectContext(ctx, &c.Locations, `SELECT id, type, target, registered FROM catalog_locations ORDER BY id`); err != nil {
				return fmt.Errorf("locations: %w", err)
			}
			if err := tx.SelectContext(ctx, &c.Entities, `SELECT `+entityColumns+` FROM catalog_entities ORDER BY uid`); err != nil {
				return fmt.Errorf("entities: %w", err)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

const entityColumns = `ref, kind, namespace, name, uid, etag, location_id, source, parent, document`

// reading asks for a snapshot over several statements. SQLite always gives one.
func (d *DB) reading() *sql.TxOptions {
	if d.db.DriverName() == "pgx" {
		return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return &sql.TxOptions{ReadOnly: true}
}

// SaveLocation makes entities the whole content of the location, in one
// transaction. Entities that were there keep their uid; those whose etag is
// the same are left alone. The version moves only if something changed.
func (d *DB) SaveLocation(ctx context.Context, l record.Location, entities []record.Entity, mode record.Mode) (record.Saved, error) {
	saved := record.Saved{Location: l}
	what := fmt.Sprintf("catalog location %s:%s", l.Type, l.Target)
	err := d.writeCatalog(ctx, what, func(ctx context.Context, tx *sqlx.Tx) (changed bool, err error) {
		if err := placeLocation(ctx, tx, &saved, mode); err != nil || saved.Exists || saved.Gone {
			return false, err
		}
		if err := replaceEntities(ctx, tx, &saved, entities); err != nil {
			return false, err
		}
		return saved.Changed, nil
	})
	if err != nil {
		return record.Saved{}, err
	}
	return saved, nil
}

// placeLocation finds or makes the location's row, as mode says.
func placeLocation(ctx context.Context, tx *sqlx.Tx, saved *record.Saved, mode record.Mode) error {
	l := saved.Location
	var there []record.Location
	err := tx.SelectContext(ctx, &there, tx.Rebind(`SELECT id, type, target, registered FROM catalog_locations WHERE type = ? AND target = ?`), l.Type, l.Target)
	if err != nil {
		return err
	}
	switch {
	case len(there) == 1 && mode == record.Create:
		saved.Location, saved.Exists = there[0], true
		return nil
	case len(there) == 1:
		saved.Location = there[0]
		return nil
	case mode == record.Update:
		saved.Gone = true
		return nil
	}
	saved.Changed = true
	_, err = tx.NamedExecContext(ctx, `INSERT INTO catalog_locations (id, type, target, registered) VALUES (:id, :type, :target, :registered)`, l)
	return err
}

// replaceEntities brings the location's rows to what entities say.
func replaceEntities(ctx context.Context, tx *sqlx.Tx, saved *record.Saved, entities []record.Entity) error {
	var rows []record.Entity
	err := tx.SelectContext(ctx, &rows, tx.Rebind(`SELECT ref, etag, source, parent FROM catalog_entities WHERE location_id = ?`), saved.Location.ID)
	if err != nil {
		return err
	}
	old := make(map[string]record.Entity, len(rows))
	for _, r := range rows {
		old[r.Ref] = r
	}
	for _, e := range entities {
		e.LocationID = saved.Location.ID
		was, there := old[e.Ref]
		delete(old, e.Ref)
		var statement string
		switch {
		case there && was.Etag == e.Etag && was.Source == e.Source && was.Parent == e.Parent:
			continue
		case there:
			statement = `UPDATE catalog_entities SET kind = :kind, namespace = :namespace, name = :name, etag = :etag,
				source = :source, parent = :parent, document = :document WHERE ref = :ref`
		default:
			statement = `INSERT INTO catalog_entities (` + entityColumns + `)
				VALUES (:ref, :kind, :namespace, :name, :uid, :etag, :location_id, :source, :parent, :document)
				ON CONFLICT (ref) DO NOTHING`
		}
		result, err := tx.NamedExecContext(ctx, statement, e)
		if err != nil {
			return fmt.Errorf("entity %s: %w", e.Ref, err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			saved.Conflicts = append(saved.Conflicts, e.Ref)
			continue
		}
		saved.Changed = true
	}
	for ref := range old {
		saved.Changed = true
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM catalog_entities WHERE ref = ?`), ref); err != nil {
			return fmt.Errorf("entity %s: %w", ref, err)
		}
	}
	return nil
}

// DeleteLocation removes the location with its entities, and says whether it
// was there.
func (d *DB) DeleteLocation(ctx context.Context, id string) (bool, error) {
	return d.deleteCatalog(ctx, `DELETE FROM catalog_locations WHERE id = ?`, id)
}

// DeleteEntity removes one entity, and says whether it was there.
func (d *DB) DeleteEntity(ctx context.Context, uid string) (bool, error) {
	return d.deleteCatalog(ctx, `DELETE FROM catalog_entities WHERE uid = ?`, uid)
}

func (d *DB) deleteCatalog(ctx context.Context, statement, key string) (found bool, err error) {
	err = d.writeCatalog(ctx, "catalog removal", func(ctx context.Context, tx *sqlx.Tx) (bool, error) {
		result, err := tx.ExecContext(ctx, tx.Rebind(statement), key)
		if err != nil {
			return false, err
		}
		n, err := result.RowsAffected()
		found = n > 0
		return found, err
	})
	return found && err == nil, err
}

// writeCatalog runs change in a transaction that excludes other writers, and
// moves the version when it says that something changed.
func (d *DB) writeCatalog(ctx context.Context, what string, change func(context.Context, *sqlx.Tx) (changed bool, err error)) error {
	return d.do(ctx, what, bulkBound, func(ctx context.Context) error {
		return d.transact(ctx, nil, func(ctx context.Context, tx *sqlx.Tx) error {
			if _, err := tx.ExecContext(ctx, `UPDATE catalog_version SET version = version`); err != nil {
				return err
			}
			changed, err := change(ctx, tx)
			if err != nil || !changed {
				return err
			}
			_, err = tx.ExecContext(ctx, `UPDATE catalog_version SET version = version + 1`)
			return err
		})
	})
}
