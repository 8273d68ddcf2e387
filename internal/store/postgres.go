package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	// postgresConnections keeps a handful of replicas below a server's usual
	// limit of 100 connections.
	postgresConnections = 16
	postgresIdle        = 5 * time.Minute
	connectTimeout      = 5 * time.Second
)

func openPostgres(ctx context.Context, rawURL string, readOnly bool) (*DB, error) {
	config, err := pgx.ParseConfig(rawURL)
	if err != nil { // its text quotes the URL
		return nil, errors.New("database URL: not a Postgres URL (expected postgres://user:password@host:5432/name)")
	}
	if readOnly {
		config.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// Without this, a dead connection that idles is found after minutes.
	alive := net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}
	config.DialFunc = (&net.Dialer{KeepAliveConfig: alive}).DialContext
	db := sqlx.NewDb(stdlib.OpenDB(*config), "pgx")
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresConnections)
	db.SetConnMaxIdleTime(postgresIdle)
	name := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))) + "/" + config.Database
	d := &DB{db: db, dialect: goose.DialectPostgres, name: name, postgres: config}
	if err := db.PingContext(ctx); err != nil {
		fault := fmt.Errorf("database %s: %w", name, oneLine(err))
		if away(err) {
			fault = fmt.Errorf("%w: %w", session.ErrAway, fault)
		}
		return nil, errors.Join(fault, db.Close())
	}
	return d, nil
}

// oneLine is the last of the lines in which pgx tells of each address that it
// tried.
func oneLine(err error) error {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	if len(lines) == 1 {
		return err
	}
	return errors.New(strings.TrimSpace(lines[len(lines)-1]))
}
