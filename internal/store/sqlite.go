package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteConnections is how many readers SQLite gets. Writers take turns anyway.
const sqliteConnections = 8

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if path == "" {
		return nil, errors.New(`database URL: "sqlite:" needs a path, for example "sqlite:stagedoor.db"`)
	}
	memory := path == ":memory:"
	if !memory {
		path = filepath.Clean(path)
		if err := touchFile(path); err != nil {
			return nil, fmt.Errorf("database %s: %w", path, err)
		}
	}
	db, err := sqlx.Open("sqlite", sqliteDSN(path))
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	connections := sqliteConnections
	if memory {
		connections = 1 // each connection would be a database of its own
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	d := &DB{db: db, dialect: goose.DialectSQLite3, name: path}
	if err := d.checkSQLite(ctx, memory); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), db.Close())
	}
	return d, nil
}

// sqliteDSN is SQLite's own URI form: the path is percent-encoded, so that
// "?", "#" and spaces stay part of the file's name.
func sqliteDSN(path string) string {
	query := url.Values{}
	for _, pragma := range []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)"} {
		query.Add("_pragma", pragma)
	}
	query.Set("_txlock", "immediate")
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

// readSQLite opens a file that is there, and cannot change it.
func readSQLite(ctx context.Context, path string) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("database %s does not exist: no gateway has kept anything in it yet", path)
	}
	db, err := sqlx.Open("sqlite", sqliteDSN(path)+"&mode=ro&_pragma=query_only(1)")
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	d := &DB{db: db, dialect: goose.DialectSQLite3, name: path}
	if err := d.checkSQLite(ctx, false); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), db.Close())
	}
	return d, nil
}

// touchFile creates the database's file, readable by nobody else: it holds
// session ids. What is wrong with a path shows here, in the system's words.
func touchFile(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return errors.New("is a folder, expected a file")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- the operator's own path
	if err != nil {
		return err
	}
	return file.Close()
}

// checkSQLite opens the first connection and makes sure that readers will not
// block the writer.
func (d *DB) checkSQLite(ctx context.Context, memory bool) error {
	var mode string
	err := d.db.GetContext(ctx, &mode, "PRAGMA journal_mode")
	if broken := new(sqlite.Error); errors.As(err, &broken) && broken.Code()&0xff == sqlite3.SQLITE_NOTADB {
		return errors.New("is not a SQLite database")
	}
	if err != nil {
		return err
	}
	if mode != "wal" && !memory {
		return fmt.Errorf("journal mode is %q, expected wal: is the file on a network file system?", mode)
	}
	return nil
}

// probeSQLite finds out whether a database could be opened, without making one.
func probeSQLite(ctx context.Context, path string) error {
	if path == "" || path == ":memory:" {
		return nil
	}
	if _, err := os.Stat(path); err == nil {
		d, err := openSQLite(ctx, path)
		if err != nil {
			return err
		}
		return d.Close()
	}
	dir := filepath.Dir(path)
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	file, err := os.CreateTemp(dir, ".stagedoor-probe-*")
	if err != nil {
		return fmt.Errorf("database %s: folder %s: %w", path, dir, errors.Unwrap(err))
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
