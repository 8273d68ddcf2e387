// Package signing has the keys with which the gateway signs what it says of its
// callers: made, kept in the database for all replicas, rotated and published.
package signing

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// How long keys live. A key is published for a day before it signs, so that
// whoever keeps the key set for a while knows it by then, and for 30 days after
// another one took over.
const (
	signsFor  = 30 * 24 * time.Hour
	knownFor  = 24 * time.Hour
	staysFor  = 30 * 24 * time.Hour
	lookEvery = time.Minute
)

// Key is one signing key, as it is kept.
type Key struct {
	// Sequence numbers the keys in the order in which they were made, from 1.
	Sequence int
	// ID is its kid: the thumbprint of RFC 7638.
	ID string
	// Public is the JWK (RFC 7517) that is published.
	Public []byte
	// Private is the private key, see [Options].
	Private []byte
	Created time.Time
}

// Store keeps the keys that replicas share.
type Store interface {
	// SigningKeys gives all, in the order of their sequence.
	SigningKeys(ctx context.Context) ([]Key, error)
	// AddSigningKey keeps a key, unless there is one of its sequence.
	AddSigningKey(ctx context.Context, k Key) error
	// RemoveSigningKey forgets a key; one that is not there is no error.
	RemoveSigningKey(ctx context.Context, id string) error
}

// Options of [New].
type Options struct {
	// Store has the keys; nil: one is made that nobody else knows, and that is gone
	// with the process.
	Store Store
	// Seal is a secret under which private keys are kept (AES-256-GCM); "": they are
	// kept as they are. Keys that were kept in another way are still published, and
	// sign no more.
	Seal   string
	Logger *slog.Logger     // nil: nobody is told
	Now    func() time.Time // nil: time.Now
}

// Keys sign with the newest key that was published for long enough. They are
// safe for concurrent use.
type Keys struct {
	store   Store
	seal    *seal
	log     *slog.Logger
	now     func() time.Time
	current atomic.Pointer[keySet]
}

// keySet is what the keys are at a time.
type keySet struct {
	id     string
	signer *ecdsa.PrivateKey
	jwks   []byte
}

// New gives the keys of the store, and makes the first one.
func New(ctx context.Context, o Options) (*Keys, error) {
	k := &Keys{store: o.Store, log: o.Logger, now: o.Now}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.store == nil {
		k.store = &memory{}
	}
	var err error
	if k.seal, err = newSeal(o.Seal); err != nil {
		return nil, err
	}
	if err := k.refresh(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Run keeps the keys as the store has them, and makes new ones in time, until
// the context ends.
func (k *Keys) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := k.refresh(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "signing keys cannot be read: those that are known go on", "error", err)
		}
	}
}

// JWKS is the key set of all keys that may have signed something.
func (k *Keys) JWKS() []byte { return k.current.Load().jwks }

// refresh reads the keys, makes the next one when it is time, and forgets those
// that were replaced long ago.
func (k *Keys) refresh(ctx context.Context) error {
	keys, err := k.store.SigningKeys(ctx)
	own := k.open(keys)
	for tries := 0; err == nil && k.wantsNext(own) && tries < maxTries; tries++ {
		keys, err = k.add(ctx, keys)
		own = k.open(keys)
	}
	if err != nil {
		return err
	}
	signs := k.choose(own)
	if signs == nil {
		return errors.New("there is no signing key that can be read")
	}
	if keys, err = k.retire(ctx, keys, signs.Sequence); err != nil {
		return err
	}
	jwks, err := keySetOf(keys)
	if err != nil {
		return err
	}
	k.current.Store(&keySet{signs.ID, signs.private, jwks})
	return nil
}

// maxTries bounds how often a key is made because that of another replica, which
// was faster, cannot be read.
const maxTries = 3

// openKey is a key that can sign.
type openKey struct {
	Key
	private *ecdsa.PrivateKey
}

// open gives those that can sign, in their order.
func (k *Keys) open(keys []Key) (own []openKey) {
	first := k.current.Load() == nil // a key that cannot be read is told of once
	for _, key := range keys {
		private, err := k.seal.open(key)
		if err != nil {
			if first {
				k.log.Warn("signing key is not used any more", "kid", key.ID, "error", err)
			}
			continue
		}
		own = append(own, openKey{key, private})
	}
	return own
}

// wantsNext tells whether another key has to be made, to be known in time.
func (k *Keys) wantsNext(own []openKey) bool {
	return len(own) == 0 || k.now().Sub(own[len(own)-1].Created) >= signsFor
}

// add makes the next key. Of replicas that do so at once, one wins, and the
// others take its key.
func (k *Keys) add(ctx context.Context, keys []Key) ([]Key, error) {
	sequence := 1
	if len(keys) > 0 {
		sequence = keys[len(keys)-1].Sequence + 1
	}
	key, err := newKey(sequence, k.now(), k.seal)
	if err != nil {
		return nil, err
	}
	if err := k.store.AddSigningKey(ctx, key); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return k.store.SigningKeys(ctx)
}

// choose gives the newest key that is known to those who verify, or else the
// oldest one.
func (k *Keys) choose(own []openKey) *openKey {
	for i := len(own) - 1; i >= 0; i-- {
		if i == 0 || k.now().Sub(own[i].Created) >= knownFor {
			return &own[i]
		}
	}
	return nil
}

// retire forgets keys whose successor has signed for long enough, and none from
// the one on that signs.
func (k *Keys) retire(ctx context.Context, keys []Key, signs int) ([]Key, error) {
	for len(keys) > 1 && keys[0].Sequence < signs && k.now().Sub(keys[1].Created) >= knownFor+staysFor {
		if err := k.store.RemoveSigningKey(ctx, keys[0].ID); err != nil {
			return nil, fmt.Errorf("signing key: %w", err)
		}
		keys = keys[1:]
	}
	return keys, nil
}
