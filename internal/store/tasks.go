package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/stagedoor/stagedoor/internal/session"
)

// taskRow is a task with its times in milliseconds.
type taskRow struct {
	ID, Server, Principal string
	Session               string `db:"session_id"`
	Tool, Status, Message string
	Replica               string
	Outcome, Asked        []byte
	Created               int64 `db:"created_at"`
	Updated               int64 `db:"updated_at"`
	Expires               int64 `db:"expires_at"`
}

const taskColumns = `id, server, principal, session_id, tool, status, message, replica, outcome, asked, created_at, updated_at, expires_at`

func rowOf(t session.Task) taskRow {
	return taskRow{
		ID: t.ID, Server: t.Server, Principal: t.Principal, Session: t.Session, Tool: t.Tool,
		Status: string(t.Status), Message: t.Message, Replica: t.Replica, Outcome: t.Outcome, Asked: t.Asked,
		Created: t.Created.UnixMilli(), Updated: t.Updated.UnixMilli(), Expires: t.Expires.UnixMilli(),
	}
}

func (r taskRow) task() session.Task {
	return session.Task{
		ID: r.ID, Server: r.Server, Principal: r.Principal, Session: r.Session, Tool: r.Tool,
		Status: session.TaskStatus(r.Status), Message: r.Message, Replica: r.Replica, Outcome: r.Outcome, Asked: r.Asked,
		Created: time.UnixMilli(r.Created), Updated: time.UnixMilli(r.Updated), Expires: time.UnixMilli(r.Expires),
	}
}

// CreateTask keeps a new task, which [DB.Purge] may remove when it expires. A
// task outlives its session.
func (d *DB) CreateTask(ctx context.Context, t session.Task) error {
	return d.do(ctx, "task insert", callBound, func(ctx context.Context) error {
		_, err := d.db.NamedExecContext(ctx, `INSERT INTO tasks (`+taskColumns+`) VALUES (:id, :server, :principal, :session_id,
			:tool, :status, :message, :replica, :outcome, :asked, :created_at, :updated_at, :expires_at)`, rowOf(t))
		return err
	})
}

// Task gives the task with the id, whoever it belongs to; [session.ErrNotFound]
// where there is none.
func (d *DB) Task(ctx context.Context, id string) (session.Task, error) {
	var row taskRow
	err := d.do(ctx, "task lookup", callBound, func(ctx context.Context) error {
		return notFound(d.db.GetContext(ctx, &row, d.db.Rebind(`SELECT `+taskColumns+` FROM tasks WHERE id = ?`), id))
	})
	if err != nil {
		return session.Task{}, err
	}
	return row.task(), nil
}

// UpdateTask writes status, message, replica, outcome, what is asked and when
// it expires, and that it was updated now. A task that is over never changes:
// the first of those who end one wins, and the others get false.
// [session.ErrNotFound] where there is no such task.
func (d *DB) UpdateTask(ctx context.Context, t session.Task) (changed bool, err error) {
	t.Updated = time.Now()
	err = d.tx(ctx, "task update", callBound, func(ctx context.Context, tx *sqlx.Tx) error {
		var status session.TaskStatus
		query := `SELECT status FROM tasks WHERE id = ?` + d.locking("UPDATE")
		if err := tx.GetContext(ctx, &status, tx.Rebind(query), t.ID); err != nil {
			return notFound(err)
		}
		if changed = !status.Over(); !changed {
			return nil
		}
		_, err := tx.NamedExecContext(ctx, `UPDATE tasks SET status = :status, message = :message, replica = :replica, outcome = :outcome,
			asked = :asked, updated_at = :updated_at, expires_at = :expires_at WHERE id = :id`, rowOf(t))
		return err
	})
	return changed && err == nil, err
}

// Tasks gives at most limit tasks of exactly that server, principal and
// session in the order of their ids, those after the id. Without an id it
// begins with the first; the id of one that is gone continues all the same.
func (d *DB) Tasks(ctx context.Context, server, principal, sessionID, after string, limit int) ([]session.Task, error) {
	var rows []taskRow
	err := d.do(ctx, "tasks", callBound, func(ctx context.Context) error {
		query := `SELECT ` + taskColumns + ` FROM tasks
			WHERE server = ? AND principal = ? AND session_id = ? AND id > ? ORDER BY id LIMIT ?`
		return d.db.SelectContext(ctx, &rows, d.db.Rebind(query), server, principal, sessionID, after, limit)
	})
	if err != nil {
		return nil, err
	}
	tasks := make([]session.Task, 0, len(rows))
	for _, r := range rows {
		tasks = append(tasks, r.task())
	}
	return tasks, nil
}

// PurgeAfter says how long rows are of use.
type PurgeAfter struct {
	Expired  time.Duration // of nonces and tasks: after they expired
	Mail     time.Duration // after it was left
	Replicas time.Duration // after they were last seen

	// Generations is for those of plugins that are neither registered nor among
	// Keep: after the last of the plugin's was judged. 0: all stay.
	Generations time.Duration
	Keep        []string // names of plugins

	Audit time.Duration // of records; 0: all stay
}

// Purge removes what nobody will ask for again, by the database's clock, and
// tells how many rows.
func (d *DB) Purge(ctx context.Context, after PurgeAfter) (removed int, err error) {
	for _, purge := range []struct {
		table, column string
		after         time.Duration
	}{
		{"nonces", "expires_at", after.Expired},
		{"tasks", "expires_at", after.Expired},
		{"mail", "put_at", after.Mail},
		{"replicas", "seen_at", after.Replicas},
	} {
		n, err := d.exec(ctx, "purge of "+purge.table, bulkBound,
			fmt.Sprintf(`DELETE FROM %s WHERE %s < %s - ?`, purge.table, purge.column, d.now()), purge.after.Milliseconds())
		if err != nil {
			return removed, err
		}
		removed += n
	}
	if after.Generations != 0 {
		n, err := d.purgeGenerations(ctx, after.Generations, after.Keep)
		if removed += n; err != nil {
			return removed, err
		}
	}
	if after.Audit == 0 {
		return removed, nil
	}
	n, err := d.purgeAudit(ctx, after.Audit)
	return removed + n, err
}
