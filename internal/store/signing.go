package store

import (
	"context"
	"time"

	"github.com/stagedoor/stagedoor/internal/signing"
)

// SigningKeys implements [signing.Store].
func (d *DB) SigningKeys(ctx context.Context) ([]signing.Key, error) {
	var rows []struct {
		Sequence int
		ID       string
		Public   []byte `db:"public_key"`
		Private  []byte `db:"private_key"`
		Created  int64  `db:"created_at"`
	}
	err := d.do(ctx, "signing keys", callBound, func(ctx context.Context) error {
		return d.db.SelectContext(ctx, &rows, `SELECT sequence, id, public_key, private_key, created_at FROM signing_keys ORDER BY sequence`)
	})
	if err != nil {
		return nil, err
	}
	keys := make([]signing.Key, 0, len(rows))
	for _, r := range rows {
		keys = append(keys, signing.Key{Sequence: r.Sequence, ID: r.ID, Public: r.Public, Private: r.Private, Created: time.UnixMilli(r.Created)})
	}
	return keys, nil
}

// AddSigningKey implements [signing.Store].
func (d *DB) AddSigningKey(ctx context.Context, k signing.Key) error {
	_, err := d.exec(ctx, "signing key", callBound, `INSERT INTO signing_keys (sequence, id, public_key, private_key, created_at)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, k.Sequence, k.ID, k.Public, k.Private, k.Created.UnixMilli())
	return err
}

// RemoveSigningKey implements [signing.Store].
func (d *DB) RemoveSigningKey(ctx context.Context, id string) error {
	_, err := d.exec(ctx, "signing key", callBound, `DELETE FROM signing_keys WHERE id = ?`, id)
	return err
}
