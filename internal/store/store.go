package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // driver "sqlite"
)

// ErrNotFound is returned where a row that was asked for by key is not there.
var ErrNotFound = errors.New("not found")

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open, migrated database. It is safe for concurrent use.
type DB struct {
	db      *sqlx.DB
	dialect goose.Dialect
}

// Open connects to the database that the URL names, creates it where it is a
// SQLite file that does not exist, and brings its schema up to date. URLs are
// "sqlite:path" ("sqlite::memory:" for tests) and "postgres://…".
// Errors never contain the URL's password.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	scheme, rest, found := strings.Cut(rawURL, ":")
	var d *DB
	var err error
	switch {
	case found && scheme == "sqlite":
		d, err = openSQLite(rest)
	case found && (scheme == "postgres" || scheme == "postgresql"):
		d, err = openPostgres(rawURL)
	default:
		return nil, errors.New(`database URL: expected "sqlite:path" or "postgres://user:password@host/name"`)
	}
	if err != nil {
		return nil, err
	}
	if err := d.migrate(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func openSQLite(path string) (*DB, error) {
	if path == "" {
		return nil, errors.New(`database URL: "sqlite:" needs a path, for example "sqlite:stagedoor.db"`)
	}
	memory := path == ":memory:"
	if !memory {
		if dir := filepath.Dir(path); dir != "." {
			if err := os.MkdirAll(dir, 0o750); err != nil {
				return nil, fmt.Errorf("database folder %s: %w", dir, err)
			}
		}
	}
	query := url.Values{}
	for _, pragma := range []string{"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(5000)", "foreign_keys(1)"} {
		query.Add("_pragma", pragma)
	}
	query.Set("_txlock", "immediate")
	db, err := sqlx.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	if memory {
		db.SetMaxOpenConns(1) // each connection would be a database of its own
	}
	return &DB{db: db, dialect: goose.DialectSQLite3}, nil
}

func openPostgres(rawURL string) (*DB, error) {
	db, err := sqlx.Open("pgx", rawURL)
	if err != nil {
		return nil, errors.New("database URL: not a Postgres URL (expected postgres://user:password@host:5432/name)")
	}
	return &DB{db: db, dialect: goose.DialectPostgres}, nil
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
		return fmt.Errorf("database migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("database migration: %w", err)
	}
	return nil
}

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.db.PingContext(ctx) }

// Close releases all connections.
func (d *DB) Close() error { return d.db.Close() }

// notFound turns the driver's "no rows" into ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
