package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/stagedoor/stagedoor/internal/publication"
)

// keptGenerations is how many accepted generations of a plugin stay, beside the
// newest one in quarantine and the one that is registered.
const keptGenerations = 10

// generationRow is a generation with its content as gzip of gob.
type generationRow struct {
	Plugin, Hash, Source, Verdict string
	Judged                        int64 `db:"judged_at"`
	Actions, Findings, Content    []byte

	empty bool // no document is in the content
}

const (
	generationHead    = `plugin, hash, source, verdict, judged_at, actions, findings`
	generationColumns = generationHead + `, content`
)

// errEmpty is about a generation that nothing could be made of again.
var errEmpty = errors.New("generation has no documents, and is not kept yet")

// KeepGeneration keeps what was judged, or judges anew what is kept already: its
// time is then now, by the database's clock, whatever g says. A generation that
// was accepted once stays as it is when it is put in quarantine: a replica with
// an older lock does not take from the others what serves. Without documents, g
// only judges anew. Of each plugin the ten newest accepted generations stay, the
// newest one in quarantine, and the one that is registered.
func (d *DB) KeepGeneration(ctx context.Context, g publication.Generation) error {
	row, err := rowOfGeneration(g)
	if err != nil {
		return err
	}
	return d.tx(ctx, "generation of "+g.Plugin, callBound, func(ctx context.Context, tx *sqlx.Tx) error {
		return d.keepGeneration(ctx, tx, row)
	})
}

func (d *DB) keepGeneration(ctx context.Context, tx *sqlx.Tx, row generationRow) error {
	// Time never stands still, or what is newest would be left to chance.
	judged := fmt.Sprintf(`(SELECT CASE WHEN MAX(judged_at) >= %[1]s THEN MAX(judged_at) + 1 ELSE %[1]s END FROM generations WHERE plugin = :plugin)`, d.now())
	if row.empty {
		return judgeGeneration(ctx, tx, row, judged)
	}
	_, err := tx.NamedExecContext(ctx, `INSERT INTO generations (`+generationColumns+`) VALUES (:plugin, :hash, :source, :verdict,
		`+judged+`, :actions, :findings, :content) ON CONFLICT (plugin, hash) DO UPDATE SET source = excluded.source,
		verdict = excluded.verdict, actions = excluded.actions, findings = excluded.findings, judged_at = excluded.judged_at
		WHERE generations.verdict <> 'accepted' OR excluded.verdict = 'accepted'`, row)
	if err != nil {
		return err
	}
	return pruneGenerations(ctx, tx, row.Plugin)
}

// judgeGeneration judges anew one that is kept, or else gives errEmpty.
func judgeGeneration(ctx context.Context, tx *sqlx.Tx, row generationRow, judged string) error {
	_, err := tx.NamedExecContext(ctx, `UPDATE generations SET verdict = :verdict, judged_at = `+judged+`
		WHERE plugin = :plugin AND hash = :hash AND (verdict <> 'accepted' OR :verdict = 'accepted')`, row)
	if err != nil {
		return err
	}
	kept := 0
	if err := tx.GetContext(ctx, &kept, tx.Rebind(`SELECT COUNT(*) FROM generations WHERE plugin = ? AND hash = ?`), row.Plugin, row.Hash); err != nil {
		return err
	}
	if kept == 0 {
		return errEmpty
	}
	return pruneGenerations(ctx, tx, row.Plugin)
}

func pruneGenerations(ctx context.Context, tx *sqlx.Tx, plugin string) error {
	const newest = ` AND hash NOT IN (SELECT hash FROM generations WHERE plugin = ? AND verdict = ? ORDER BY judged_at DESC, hash LIMIT ?)`
	_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM generations WHERE plugin = ?`+newest+newest+`
		AND hash NOT IN (SELECT hash FROM registrations WHERE plugin = ?)`),
		plugin, plugin, publication.Accepted, keptGenerations, plugin, publication.Quarantined, 1, plugin)
	return err
}

// purgeGenerations removes those of plugins that nobody has any more.
func (d *DB) purgeGenerations(ctx context.Context, after time.Duration, keep []string) (int, error) {
	kept, err := json.Marshal(append([]string{}, keep...))
	if err != nil {
		return 0, err
	}
	names := `SELECT value FROM json_each(?)`
	if d.postgres != nil {
		names = `SELECT jsonb_array_elements_text(?::jsonb)`
	}
	return d.exec(ctx, "purge of generations", bulkBound, fmt.Sprintf(`DELETE FROM generations WHERE plugin IN (
		SELECT plugin FROM generations GROUP BY plugin HAVING MAX(judged_at) < %[1]s - ?) AND judged_at < %[1]s - ?
		AND plugin NOT IN (SELECT plugin FROM registrations) AND plugin NOT IN (%[2]s)`, d.now(), names), after.Milliseconds(), after.Milliseconds(), string(kept))
}

// LastGood gives the newest accepted generation of the plugin, or
// [publication.ErrNotFound].
func (d *DB) LastGood(ctx context.Context, plugin string) (publication.Generation, error) {
	return d.generation(ctx, plugin, `verdict = ? ORDER BY judged_at DESC, hash LIMIT 1`, publication.Accepted)
}

// Newest gives the plugin's generation that was judged last, whatever came of
// it, or [publication.ErrNotFound]. One that was accepted before and is put in
// quarantine now does not count as judged.
func (d *DB) Newest(ctx context.Context, plugin string) (publication.Generation, error) {
	return d.generation(ctx, plugin, `TRUE ORDER BY judged_at DESC, hash LIMIT 1`)
}

// Generation gives the plugin's generation whose hash begins with the prefix:
// the newest of several. [publication.ErrNotFound] where there is none.
func (d *DB) Generation(ctx context.Context, plugin, hashPrefix string) (publication.Generation, error) {
	return d.generation(ctx, plugin, `substr(hash, 1, ?) = ? ORDER BY judged_at DESC, hash LIMIT 1`, len(hashPrefix), hashPrefix)
}

// Generations gives all that are kept of the plugin, the newest first, without
// their content.
func (d *DB) Generations(ctx context.Context, plugin string) ([]publication.Generation, error) {
	return d.generations(ctx, callBound, `SELECT `+generationHead+` FROM generations WHERE plugin = ? ORDER BY judged_at DESC, hash`, plugin)
}

// GenerationActions gives, for each plugin, the names of the actions that any of
// its kept generations has, some more than once.
func (d *DB) GenerationActions(ctx context.Context) (map[string][]string, error) {
	var rows []generationRow
	err := d.do(ctx, "actions of generations", bulkBound, func(ctx context.Context) error {
		return d.db.SelectContext(ctx, &rows, d.db.Rebind(`SELECT plugin, actions FROM generations WHERE verdict = ?`), publication.Accepted)
	})
	if err != nil {
		return nil, err
	}
	names := map[string][]string{}
	for _, r := range rows {
		var actions []string
		if err := json.Unmarshal(r.Actions, &actions); err != nil {
			return nil, fmt.Errorf("actions of %s: %w", r.Plugin, err)
		}
		names[r.Plugin] = append(names[r.Plugin], actions...)
	}
	return names, nil
}

// generation gives the one of the plugin's that the condition finds.
func (d *DB) generation(ctx context.Context, plugin, condition string, args ...any) (publication.Generation, error) {
	found, err := d.generations(ctx, callBound, `SELECT `+generationColumns+` FROM generations WHERE plugin = ? AND `+condition, append([]any{plugin}, args...)...)
	if err != nil {
		return publication.Generation{}, err
	}
	if len(found) == 0 {
		return publication.Generation{}, fmt.Errorf("generation of %s: %w", plugin, publication.ErrNotFound)
	}
	return found[0], nil
}

func (d *DB) generations(ctx context.Context, bound time.Duration, query string, args ...any) ([]publication.Generation, error) {
	var rows []generationRow
	err := d.do(ctx, "generations", bound, func(ctx context.Context) error {
		return d.db.SelectContext(ctx, &rows, d.db.Rebind(query), args...)
	})
	if err != nil {
		return nil, err
	}
	generations := make([]publication.Generation, 0, len(rows))
	for i, r := range rows {
		rows[i] = generationRow{} // both forms of 200 documents are a lot of memory
		g, err := r.generation()
		if err != nil {
			return nil, fmt.Errorf("generation %.12s of %s: %w", r.Hash, r.Plugin, err)
		}
		generations = append(generations, g)
	}
	return generations, nil
}

func rowOfGeneration(g publication.Generation) (generationRow, error) {
	actions, err := json.Marshal(g.Actions)
	if err != nil {
		return generationRow{}, err
	}
	content, err := pack(g.Content)
	return generationRow{
		Plugin: g.Plugin, Hash: g.Hash, Source: strings.ToValidUTF8(g.Source, "�"), Verdict: string(g.Verdict),
		Actions: actions, Findings: g.Findings, Content: content, empty: len(g.Documents) == 0,
	}, err
}

func (r generationRow) generation() (publication.Generation, error) {
	g := publication.Generation{
		Plugin: r.Plugin, Hash: r.Hash, Source: r.Source, Verdict: publication.Verdict(r.Verdict),
		Findings: r.Findings, Time: time.UnixMilli(r.Judged),
	}
	if err := json.Unmarshal(r.Actions, &g.Actions); err != nil {
		return g, fmt.Errorf("actions: %w", err)
	}
	if r.Content == nil {
		return g, nil
	}
	return g, unpack(r.Content, &g.Content)
}

// pack makes one value of content: gob, which keeps all bytes as they are, in
// gzip.
func pack(c publication.Content) ([]byte, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := gob.NewEncoder(z).Encode(c); err != nil {
		return nil, err
	}
	err = z.Close()
	return packed.Bytes(), err
}

func unpack(packed []byte, c *publication.Content) error {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("content: %w", err)
	}
	if err := gob.NewDecoder(z).Decode(c); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	return nil
}
