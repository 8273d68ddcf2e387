package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	// notify sends any number of signals in one round trip. Channels belong to
	// a database, so gateways on other databases of the server hear nothing.
	notify = `SELECT pg_notify('` + channel + `', payload) FROM unnest($1::text[]) AS payload`

	channel = "stagedoor"
	maxKey  = 500 // bytes; Postgres takes payloads up to 8,000

	// A connection that says nothing for listenIdle is asked for a sign of life.
	listenIdle = 5 * time.Second
	minBackoff = 100 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// Signal sends signals to all listeners at all replicas, those of this one
// included, in one round trip. Keys have at most 500 bytes, and no part of a
// signal has control characters.
func (d *DB) Signal(ctx context.Context, signals ...session.Signal) error {
	payloads, err := encodeSignals(signals)
	if err != nil || len(signals) == 0 {
		return err
	}
	if d.postgres == nil {
		d.hub.send(signals)
		return nil
	}
	_, err = d.exec(ctx, "signal", callBound, notify, payloads)
	return err
}

// Listen calls heard with each signal, one after the other, until ctx ends; it
// returns the error of ctx. The first is a [session.SignalResync], after which
// none is lost; another follows wherever some may have been. On Postgres it
// has a connection of its own, which must lead to the server itself and not
// to a pooler in transaction mode. With SQLite, signals stay in this DB.
func (d *DB) Listen(ctx context.Context, heard func(session.Signal)) error {
	if d.postgres == nil {
		return d.hub.listen(ctx, heard)
	}
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		if d.listenOnce(ctx, heard) {
			backoff = minBackoff
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		// Replicas that lost the same server do not come back all at once.
		case <-time.After(backoff/2 + rand.N(backoff/2)): // #nosec G404 -- no secret
		}
	}
}

// listenOnce listens for as long as a connection lives, and tells whether
// there was one.
func (d *DB) listenOnce(ctx context.Context, heard func(session.Signal)) bool {
	conn, err := d.connectListener(ctx)
	if err != nil {
		return false
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callBound)
		defer cancel()
		_ = conn.Close(ctx) // a broken one tells nothing new
	}()
	heard(session.Signal{Topic: session.SignalResync})
	for {
		signal, err := next(ctx, conn)
		switch {
		case err != nil:
			return true
		case signal != session.Signal{}:
			heard(signal)
		}
	}
}

func (d *DB) connectListener(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, callBound) // who is not heard of in this time is tried again
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, d.postgres.Copy())
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `LISTEN `+channel); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// next waits for a signal; none where the connection is well but nobody said
// anything that we understand.
func next(ctx context.Context, conn *pgx.Conn) (session.Signal, error) {
	idle, cancel := context.WithTimeout(ctx, listenIdle)
	defer cancel()
	notification, err := conn.WaitForNotification(idle)
	if err == nil {
		return decodeSignal(notification.Payload), nil
	}
	if ctx.Err() != nil || idle.Err() == nil {
		return session.Signal{}, err
	}
	ping, cancel := context.WithTimeout(ctx, callBound)
	defer cancel()
	return session.Signal{}, conn.Ping(ping)
}

// encodeSignals makes payloads of signals: topic, replica and key, a line each.
func encodeSignals(signals []session.Signal) ([]string, error) {
	payloads := make([]string, 0, len(signals))
	for _, s := range signals {
		payload := s.Topic + "\n" + s.Replica + "\n" + s.Key
		control := strings.ContainsFunc(s.Topic+s.Replica+s.Key, func(r rune) bool { return r < ' ' })
		if s.Topic == "" || len(s.Topic)+len(s.Replica) > maxKey || len(s.Key) > maxKey || control || !utf8.ValidString(payload) {
			return nil, fmt.Errorf("signal %q with key %.60q: expected at most %d bytes of UTF-8 without control characters", s.Topic, s.Key, maxKey)
		}
		payloads = append(payloads, payload)
	}
	return payloads, nil
}

// decodeSignal is the inverse of encodeSignals; empty for what somebody else
// sent on the channel.
func decodeSignal(payload string) session.Signal {
	parts := strings.Split(payload, "\n")
	if len(parts) != 3 {
		return session.Signal{}
	}
	return session.Signal{Topic: parts[0], Replica: parts[1], Key: parts[2]}
}
