package audit

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// Options are what a [Trail] is made of.
type Options struct {
	Log   *slog.Logger
	Key   []byte // of fingerprints: 32 secret bytes, the same at all replicas
	Store Store  // nil: none
	// Lost is told how many records the database will not have, because it is away
	// or too slow. The log has them.
	Lost func(records int)
}

// Settings are what the operator wants to be kept. They may change at any time.
type Settings struct {
	Arguments string // [NoArguments], [Fingerprint] or [Redacted]
	Database  bool
}

// Trail takes calls. It is safe for concurrent use.
type Trail struct {
	options  Options
	settings atomic.Pointer[Settings]
	prints   *fingerprinter
	queue    chan Record

	mu     sync.Mutex
	turned map[Record]int // requests that were turned away, since they were last written
}

// New makes a trail that keeps no arguments, in the log alone; see [Trail.Set].
func New(o Options) *Trail {
	t := &Trail{options: o, prints: newFingerprinter(o.Key), queue: make(chan Record, queued), turned: map[Record]int{}}
	t.Set(Settings{Arguments: NoArguments})
	return t
}

// Set changes what is kept, from the next call on.
func (t *Trail) Set(s Settings) {
	s.Database = s.Database && t.options.Store != nil
	t.settings.Store(&s)
}

// Record writes a call down. It waits for nothing: what the database has no
// time for, it does not get.
func (t *Trail) Record(ctx context.Context, c Call) {
	settings := t.settings.Load()
	r := c.record(time.Now())
	if len(c.Arguments) > 0 {
		switch settings.Arguments {
		case Fingerprint:
			r.Arguments = t.prints.of(c.Arguments)
		case Redacted:
			r.Arguments = redact(c.Arguments, c.Schema)
		}
	}
	t.write(ctx, &r, c.Err)
	switch {
	case !settings.Database:
	case c.Principal == nil || r.Decision == RateLimited:
		t.count(&r)
	default:
		t.keep(r)
	}
}

// record is the call without its arguments.
func (c *Call) record(now time.Time) Record {
	who := c.Principal
	if who == nil {
		who = &principal.Principal{}
	}
	return Record{
		Time: now, Ref: c.Ref, Face: c.Face, Server: c.Door, Method: c.Method,
		Kind: string(who.Kind), Subject: who.Subject, Issuer: who.Issuer, OAuthClient: who.Client, Actor: who.Actor,
		Client: short(c.Client), Tool: short(c.Tool), Action: c.Action, Plugin: c.Plugin,
		Decision: c.Decision(), Rule: c.Rule, Outcome: c.Outcome, Status: c.Status, Duration: c.Duration, Count: 1,
	}
}

// write writes the record's line, with the cause, which is for the log alone.
func (t *Trail) write(ctx context.Context, r *Record, cause error) {
	handler, level := t.options.Log.Handler(), invoke.Level(r.Outcome)
	if !handler.Enabled(ctx, level) {
		return
	}
	line := slog.NewRecord(r.Time, level, "call", 0)
	var room [20]slog.Attr
	attributes := append(room[:0],
		slog.String("face", string(r.Face)), slog.String("server", r.Server), slog.String("method", r.Method),
		slog.String("tool", r.Tool), slog.String("principal", r.Subject), slog.String("decision", string(r.Decision)),
		slog.String("outcome", r.Outcome), slog.Duration("duration", r.Duration), slog.String("ref", r.Ref),
	)
	for _, a := range [...]struct{ name, value string }{
		{"kind", r.Kind}, {"issuer", r.Issuer}, {"oauthClient", r.OAuthClient}, {"actor", r.Actor}, {"client", r.Client},
		{"plugin", r.Plugin}, {"action", r.Action}, {"rule", r.Rule}, {"arguments", r.Arguments},
	} {
		if a.value != "" {
			attributes = append(attributes, slog.String(a.name, a.value))
		}
	}
	if r.Status != 0 {
		attributes = append(attributes, slog.Int("status", r.Status))
	}
	if cause != nil {
		attributes = append(attributes, slog.String("error", cause.Error()))
	}
	line.AddAttrs(attributes...)
	_ = handler.Handle(ctx, line) // there is nobody to tell
}

// maxName bounds what is kept of a caller's own words, in bytes.
const maxName = 128

func short(s string) string {
	if len(s) > maxName {
		return strings.ToValidUTF8(s[:maxName], "") + "…"
	}
	return s
}
