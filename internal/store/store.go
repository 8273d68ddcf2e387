package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// ErrNotFound is returned where a row that was asked for by key is not there.
var ErrNotFound = errors.New("not found")

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open, migrated database. It is safe for concurrent use.
type DB struct {
	db      *sqlx.DB
	dialect goose.Dialect
	name    string // for messages, without password

	lookup *sql.Stmt // every MCP request of a session asks this

	postgres *pgx.ConnConfig // nil for SQLite
	hub      hub             // carries signals where there is no Postgres
}

// Open connects to the database that the URL names, creates it where it is a
// SQLite file that does not exist, and brings its schema up to date. URLs are
// "sqlite:path" ("sqlite::memory:" for tests) and "postgres://…".
// Errors never contain the URL's password.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	d, err := connect(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	if err := d.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", d.name, err), d.Close())
	}
	return d, nil
}

// Probe finds out whether Open would succeed, and changes nothing: a SQLite
// file that is not there is not made, and no schema is touched.
func Probe(ctx context.Context, rawURL string) error {
	if path, ok := strings.CutPrefix(rawURL, "sqlite:"); ok {
		return probeSQLite(ctx, path)
	}
	d, err := connect(ctx, rawURL)
	if err != nil {
		return err
	}
	return d.Close()
}

// Read opens a database to read what is there: nothing can be changed through
// it, and its schema stays as it is. Of a file that does not exist, or that no
// gateway has opened yet, the error says so.
func Read(ctx context.Context, rawURL string) (*DB, error) {
	if path, ok := strings.CutPrefix(rawURL, "sqlite:"); ok {
		return readSQLite(ctx, path)
	}
	if !isPostgres(rawURL) {
		return nil, errURL
	}
	return openPostgres(ctx, rawURL, true)
}

func connect(ctx context.Context, rawURL string) (*DB, error) {
	path, ok := strings.CutPrefix(rawURL, "sqlite:")
	switch {
	case ok:
		return openSQLite(ctx, path)
	case isPostgres(rawURL):
		return openPostgres(ctx, rawURL, false)
	}
	return nil, errURL
}

var errURL = errors.New(`database URL: expected "sqlite:path" or "postgres://user:password@host/name"`)

func isPostgres(rawURL string) bool {
	scheme, _, ok := strings.Cut(rawURL, ":")
	return ok && (scheme == "postgres" || scheme == "postgresql")
}

// prepare makes the schema current and the statements ready.
func (d *DB) prepare(ctx context.Context) error {
	if err := d.migrate(ctx); err != nil {
		return err
	}
	var err error
	d.lookup, err = d.db.PrepareContext(ctx, d.db.Rebind(`SELECT server, principal, protocol_version,
		client_info, capabilities, log_level, created_at, seen_at FROM sessions WHERE id = ?`))
	return err
}

// migrate applies the migrations that the database lacks. Replicas that start
// together take turns through a Postgres advisory lock.
func (d *DB) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{goose.WithLogger(goose.NopLogger())}
	if d.dialect == goose.DialectPostgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(d.dialect, d.db.DB, files, options...)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migration: %w", err)
	}
	return nil
}

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	return d.do(ctx, "database "+d.name, callBound, d.db.PingContext)
}

// Close releases all connections.
func (d *DB) Close() error { return d.db.Close() }
