package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	// queued is how many records wait for the database at most.
	queued = 4096
	// batched is how many go there at once, and gather how long they wait for
	// others.
	batched = 256
	gather  = 200 * time.Millisecond
	// again is how long the writer waits for a database that is away.
	again = time.Second
	// lastWrite is how long the records that wait have when the gateway stops.
	lastWrite = 5 * time.Second
	// countEvery is how often requests that were turned away are written, all
	// those of one kind as one record, and maxKinds how many kinds are told apart.
	countEvery = time.Minute
	maxKinds   = 1000
)

// Store keeps records. Its error is [session.ErrAway] where trying again may
// help.
type Store interface {
	AddAudit(ctx context.Context, records []Record) error
}

// keep gives the record to the writer, if that has room.
func (t *Trail) keep(r Record) {
	select {
	case t.queue <- r:
	default:
		t.options.Lost(1)
	}
}

// count adds a request that was turned away to those of its kind: whoever sends
// thousands is not to fill the database.
func (t *Trail) count(r *Record) {
	kind := Record{
		Face: r.Face, Server: r.Server, Method: r.Method, Kind: r.Kind, Subject: r.Subject, Issuer: r.Issuer,
		OAuthClient: r.OAuthClient, Actor: r.Actor, Decision: r.Decision, Outcome: r.Outcome, Status: r.Status,
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.turned[kind]; !known && len(t.turned) >= maxKinds {
		kind = Record{Face: r.Face, Server: r.Server, Decision: r.Decision, Outcome: r.Outcome, Status: r.Status}
	}
	t.turned[kind]++
}

// counted takes the requests that were turned away, as records.
func (t *Trail) counted() (records []Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for r, n := range t.turned {
		r.Time, r.Count = now, n
		records = append(records, identified(r))
	}
	clear(t.turned)
	return records
}

// Run writes records into the database until ctx ends, and then those that wait.
func (t *Trail) Run(ctx context.Context) {
	if t.options.Store == nil {
		return
	}
	w := writer{Trail: t}
	minute := time.NewTicker(countEvery)
	defer minute.Stop()
	var left []Record
	for ctx.Err() == nil {
		select {
		case r := <-t.queue:
			left = w.write(ctx, w.batch(ctx, r))
		case <-minute.C:
			left = w.write(ctx, t.counted())
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	for left = w.waiting(append(left, t.counted()...)); len(left) > 0; left = w.waiting(nil) {
		if left = w.write(last, left); len(left) > 0 {
			w.lose(last, left, last.Err())
		}
	}
}

// writer is the one that writes.
type writer struct {
	*Trail
	away bool
}

// batch waits a moment for other records.
func (w *writer) batch(ctx context.Context, first Record) []Record {
	if len(w.queue) < batched {
		select {
		case <-time.After(gather):
		case <-ctx.Done():
		}
	}
	return w.waiting([]Record{identified(first)})
}

// waiting adds the records that wait, as many as go at once.
func (w *writer) waiting(records []Record) []Record {
	for len(records) < batched {
		select {
		case r := <-w.queue:
			records = append(records, identified(r))
		default:
			return records
		}
	}
	return records
}

// identified gives the record an id: one that is written twice is there once.
func identified(r Record) Record {
	r.ID = rand.Text()
	return r
}

// write writes records, and tries again as long as the database is away. It
// gives back what is not written when ctx ends.
func (w *writer) write(ctx context.Context, records []Record) (left []Record) {
	for len(records) > 0 {
		err := w.options.Store.AddAudit(ctx, records)
		switch {
		case err == nil:
			if w.away {
				w.options.Log.InfoContext(ctx, "audit records go into the database again")
			}
			w.away = false
			return nil
		case ctx.Err() != nil:
			return records
		case !errors.Is(err, session.ErrAway):
			w.lose(ctx, records, err)
			return nil
		case !w.away:
			w.away = true
			w.options.Log.WarnContext(ctx, "audit records wait for the database", "most", queued, "error", err)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return records
		}
	}
	return nil
}

// lose tells of records that are in the log alone.
func (w *writer) lose(ctx context.Context, records []Record, err error) {
	w.options.Log.ErrorContext(ctx, "audit records are in the log alone", "records", len(records), "error", err)
	w.options.Lost(len(records))
}
