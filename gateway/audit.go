package gateway

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// AuditRecord is what is kept of a call, or of several requests that were turned
// away.
type AuditRecord = audit.Record

// AuditQuery picks records.
type AuditQuery = audit.Query

// ReadAudit gives the newest records that the config's database has and the query
// picks, the oldest of them first. It needs no running gateway, and changes
// nothing.
func ReadAudit(ctx context.Context, cfg Config, q AuditQuery) (records []AuditRecord, err error) {
	err = inAudit(ctx, cfg, func(db *store.DB) error {
		records, err = db.Audit(ctx, q)
		return err
	})
	return records, err
}

const (
	// auditEvery is how often the database is asked for more.
	auditEvery = time.Second
	// auditBack is how far records may come out of their order: replicas write
	// them after a moment, and their clocks differ.
	auditBack = 10 * time.Second
	// auditMost is how many records are looked at each time.
	auditMost = 100_000
)

// FollowAudit gives records one after the other: those of [ReadAudit], and then,
// until ctx ends, those that come. One that comes more than 10 seconds late, for
// the database was away, is passed over.
func FollowAudit(ctx context.Context, cfg Config, q AuditQuery, each func(AuditRecord) error) error {
	return inAudit(ctx, cfg, func(db *store.DB) error {
		seen := map[string]bool{}
		for ticker := time.NewTicker(auditEvery); ; {
			began := time.Now()
			records, err := db.Audit(ctx, q)
			if err != nil && !errors.Is(err, session.ErrAway) && ctx.Err() == nil {
				return err
			}
			again := make(map[string]bool, len(records))
			for _, r := range records {
				again[r.ID] = true
				if seen[r.ID] {
					continue
				}
				if err := each(r); err != nil {
					return err
				}
			}
			if err == nil {
				seen, q.Since, q.Limit = again, began.Add(-auditBack), auditMost
			}
			select {
			case <-ctx.Done():
				ticker.Stop()
				return nil
			case <-ticker.C:
			}
		}
	})
}

// inAudit works with the records of the config's database.
func inAudit(ctx context.Context, cfg Config, work func(db *store.DB) error) (err error) {
	cfg = cfg.withDefaults()
	if cfg.Audit.Database != "on" {
		return Faults{{
			Path: "audit.database", Message: "is off: records are in the log alone, as lines with the message call",
			Hint: "set it to on, and the gateway keeps them in its database from then on",
		}}
	}
	url, err := cfg.Database.URL.Reveal()
	if err != nil {
		return err
	}
	db, err := store.Read(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return work(db)
}

// validate finds what is wrong with what is to be kept.
func (a Audit) validate(fs *Faults) {
	oneOf(fs, "audit.arguments", a.Arguments, audit.NoArguments, audit.Fingerprint, audit.Redacted)
	oneOf(fs, "audit.database", a.Database, "on", "off")
	if a.Retention < time.Minute {
		fs.add("audit.retention", "for example 720h", "has to be at least a minute")
	}
}

// settings are what is kept; a gateway that is offline has no database.
func (a Audit) settings(offline bool) audit.Settings {
	return audit.Settings{Arguments: a.Arguments, Database: a.Database == "on" && !offline}
}

// record counts a call, and has it written down.
func (g *Gateway) record(ctx context.Context, c audit.Call) {
	name := func(known string) string { // callers must not be able to make time series
		if c.Action == "" || strings.HasPrefix(c.Outcome, telemetry.UnknownTool) {
			return telemetry.UnknownTool
		}
		return known
	}
	switch {
	case c.Principal == nil:
		g.metrics.Refused(c.Door, string(c.Decision()))
	case c.Face == audit.ActionsAPI:
		g.metrics.ActionCall(name(c.Plugin), name(strings.TrimPrefix(c.Action, c.Plugin+":")), c.Outcome, c.Duration)
	case c.Method == "tools/call":
		g.metrics.ToolCall(c.Door, name(c.Tool), c.Outcome, c.Duration)
	}
	g.trail.Record(ctx, c)
}
