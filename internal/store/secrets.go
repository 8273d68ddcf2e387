package store

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jmoiron/sqlx"
)

// keySize is that of HMAC-SHA256 and of AES-256.
const keySize = 32

// Spend notes that the nonce was used, and tells whether this is the first
// time at any replica. It is remembered until the time at least, when whatever
// carries it has to have expired by itself.
func (d *DB) Spend(ctx context.Context, nonce string, until time.Time) (first bool, err error) {
	n, err := d.exec(ctx, "nonce", callBound, `INSERT INTO nonces (nonce, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING`,
		nonce, until.UnixMilli())
	return n == 1, err
}

// Key gives the secret key of that name: 32 random bytes, made when somebody
// first asks, and the same at all replicas and after a restart.
func (d *DB) Key(ctx context.Context, name string) (key []byte, err error) {
	made := make([]byte, keySize)
	_, _ = rand.Read(made) // never fails
	err = d.tx(ctx, "key", callBound, func(ctx context.Context, tx *sqlx.Tx) error {
		// Of replicas that ask at once, one makes the key, and the others wait for it.
		_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO keys (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`), name, made)
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &key, tx.Rebind(`SELECT value FROM keys WHERE name = ?`), name)
	})
	return key, err
}
