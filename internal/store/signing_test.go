package store_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/signing"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// TestSigningKeys: replicas that start together have the same key, and so has
// the next one; private keys are there as they are given.
func TestSigningKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		var all sync.WaitGroup
		sets := make([][]byte, 8)
		for i := range sets {
			all.Go(func() {
				keys, err := signing.New(t.Context(), signing.Options{Store: db, Seal: "a secret of the operator"})
				if err != nil {
					t.Error(err)
					return
				}
				sets[i] = keys.JWKS()
			})
		}
		all.Wait()
		for _, set := range sets {
			if !bytes.Equal(set, sets[0]) {
				t.Errorf("replicas have other keys:\n%s\n%s", set, sets[0])
			}
		}
		again, err := signing.New(t.Context(), signing.Options{Store: open(), Seal: "a secret of the operator"})
		if err != nil || !bytes.Equal(again.JWKS(), sets[0]) {
			t.Errorf("after a restart: %v", err)
		}
		kept, err := db.SigningKeys(t.Context())
		if err != nil || len(kept) != 1 || kept[0].Private[0] != 1 {
			t.Fatalf("%d keys, %v", len(kept), err)
		}
		other := signing.Key{Sequence: 2, ID: "two", Public: []byte("{}"), Private: []byte{0, 255, 1}, Created: time.UnixMilli(1234567890123)}
		for _, k := range []signing.Key{other, {Sequence: 2, ID: "late", Public: []byte("{}"), Private: []byte{1}}, {Sequence: 3, ID: "two", Public: []byte("{}"), Private: []byte{1}}} {
			if err := db.AddSigningKey(t.Context(), k); err != nil {
				t.Error(err)
			}
		}
		kept, err = db.SigningKeys(t.Context())
		if diff := cmp.Diff([]signing.Key{kept[0], other}, kept); diff != "" || err != nil {
			t.Error(err, diff)
		}
		for range 2 {
			if err := db.RemoveSigningKey(t.Context(), "two"); err != nil {
				t.Error(err)
			}
		}
		if kept, err = db.SigningKeys(t.Context()); len(kept) != 1 || err != nil {
			t.Error(kept, err)
		}
	})
}
