package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"

	"github.com/stagedoor/stagedoor/internal/audit"
)

const auditColumns = `id, at, ref, face, server, method, kind, subject, issuer, oauth_client, actor, client, tool, action, plugin,
	decision, rule, arguments, outcome, status, duration, count`

// auditRow is a record with its times as numbers.
type auditRow struct {
	audit.Record

	At    int64 `db:"at"`       // milliseconds
	Micro int64 `db:"duration"` // microseconds
}

// AddAudit keeps records. One whose id is there already stays as it is.
func (d *DB) AddAudit(ctx context.Context, records []audit.Record) error {
	rows := make([][]any, 0, len(records))
	for _, r := range records {
		row := []any{
			r.ID, r.Time.UnixMilli(), r.Ref, string(r.Face), r.Server, r.Method, r.Kind, r.Subject, r.Issuer, r.OAuthClient, r.Actor, r.Client,
			r.Tool, r.Action, r.Plugin, string(r.Decision), r.Rule, r.Arguments, r.Outcome, r.Status, r.Duration.Microseconds(), r.Count,
		}
		for i, v := range row {
			if s, ok := v.(string); ok {
				row[i] = plainText(s)
			}
		}
		rows = append(rows, row)
	}
	return d.tx(ctx, "audit", bulkBound, func(ctx context.Context, tx *sqlx.Tx) error {
		row := "(" + strings.TrimSuffix(strings.Repeat("?, ", strings.Count(auditColumns, ",")+1), ", ") + ")"
		return rowsInto(ctx, tx, `INSERT INTO audit (`+auditColumns+`) VALUES %s ON CONFLICT DO NOTHING`, row, rows, nil)
	})
}

// plainText is what Postgres takes for text.
func plainText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Audit gives the newest records that the query picks, the oldest of them first.
func (d *DB) Audit(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	where, args := auditWhere(q)
	text, args, err := sqlx.In(`SELECT `+auditColumns+` FROM audit WHERE `+where+` ORDER BY at DESC, id DESC LIMIT ?`, append(args, q.Limit)...)
	if err != nil {
		return nil, err
	}
	var rows []auditRow
	err = d.do(ctx, "audit", bulkBound, func(ctx context.Context) error {
		return d.db.SelectContext(ctx, &rows, d.db.Rebind(text), args...)
	})
	if fault := new(pgconn.PgError); err != nil && (errors.As(err, &fault) && fault.Code == noTable || strings.Contains(err.Error(), "no such table")) {
		return nil, fmt.Errorf("database %s has no records: no gateway of this version has opened it yet", d.name)
	}
	records := make([]audit.Record, len(rows))
	for i, r := range rows {
		r.Time, r.Duration = time.UnixMilli(r.At).UTC(), time.Duration(r.Micro)*time.Microsecond
		records[len(rows)-1-i] = r.Record
	}
	return records, err
}

// auditWhere is the query as a condition.
func auditWhere(q audit.Query) (where string, args []any) {
	conditions := []string{"TRUE"}
	add := func(condition string, said bool, value any) {
		if said {
			conditions, args = append(conditions, condition), append(args, value)
		}
	}
	add("at >= ?", !q.Since.IsZero(), q.Since.UnixMilli())
	add("at < ?", !q.Until.IsZero(), q.Until.UnixMilli())
	add("subject = ?", q.Subject != "", q.Subject)
	add("server = ?", q.Server != "", q.Server)
	add("action = ?", q.Action != "", q.Action)
	add("plugin = ?", q.Plugin != "", q.Plugin)
	add("decision IN (?)", len(q.Decisions) > 0, q.Decisions)
	return strings.Join(conditions, " AND "), args
}

const (
	// purgedAtOnce bounds how long one statement keeps others from writing, and
	// purgedMost what is removed in one go.
	purgedAtOnce = 2000
	purgedMost   = 200_000
)

// purgeAudit removes records that are older, by the database's clock.
func (d *DB) purgeAudit(ctx context.Context, after time.Duration) (removed int, err error) {
	for removed < purgedMost {
		n, err := d.exec(ctx, "purge of audit", bulkBound, `DELETE FROM audit WHERE id IN
			(SELECT id FROM audit WHERE at < `+d.now()+` - ? ORDER BY at LIMIT ?)`, after.Milliseconds(), purgedAtOnce)
		removed += n
		if err != nil || n < purgedAtOnce {
			return removed, err
		}
	}
	return removed, nil
}
