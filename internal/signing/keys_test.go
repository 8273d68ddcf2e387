package signing_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/signing"
)

const day = 24 * time.Hour

// shelf is a store in memory, with what a test wants of it.
type shelf struct {
	keys []signing.Key
	err  error
}

func (s *shelf) SigningKeys(context.Context) ([]signing.Key, error) {
	return slices.Clone(s.keys), s.err
}

func (s *shelf) AddSigningKey(_ context.Context, k signing.Key) error {
	if !slices.ContainsFunc(s.keys, func(o signing.Key) bool { return o.Sequence == k.Sequence }) {
		s.keys = append(s.keys, k)
	}
	return s.err
}

func (s *shelf) RemoveSigningKey(_ context.Context, id string) error {
	s.keys = slices.DeleteFunc(s.keys, func(k signing.Key) bool { return k.ID == id })
	return s.err
}

var start = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// gateway is a start of a gateway at that time.
func gateway(t *testing.T, s *shelf, seal string, now time.Time) *signing.Keys {
	t.Helper()
	o := signing.Options{Seal: seal, Now: func() time.Time { return now }}
	if s != nil {
		o.Store = s
	}
	keys, err := signing.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

type published struct {
	Keys []map[string]string `json:"keys"`
}

func jwks(t *testing.T, k *signing.Keys) (set published) {
	t.Helper()
	if err := json.Unmarshal(k.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	return set
}

// verify checks a JWT with a key set by nothing but the standard library, and
// gives the id of its key and what it says.
func verify(t *testing.T, jwt string, set published) (kid, claims string) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var header map[string]string
	if err := json.Unmarshal(decode(parts[0]), &header); err != nil || header["alg"] != "ES256" {
		t.Fatal(header, err)
	}
	i := slices.IndexFunc(set.Keys, func(k map[string]string) bool { return k["kid"] == header["kid"] })
	if i < 0 {
		t.Fatalf("key %s is not published", header["kid"])
	}
	key := set.Keys[i]
	public := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(decode(key["x"])), Y: new(big.Int).SetBytes(decode(key["y"]))}
	sum, signature := sha256.Sum256([]byte(parts[0]+"."+parts[1])), decode(parts[2])
	if len(signature) != 64 || !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Fatal("signature does not hold")
	}
	return header["kid"], string(decode(parts[1]))
}

func signs(t *testing.T, k *signing.Keys) string {
	t.Helper()
	jwt, err := k.Sign("test+jwt", map[string]string{"sub": "a&b<c>"})
	if err != nil {
		t.Fatal(err)
	}
	kid, claims := verify(t, jwt, jwks(t, k))
	if claims != `{"sub":"a&b<c>"}` {
		t.Errorf("claims became %s", claims)
	}
	return kid
}

// TestRotation follows the keys of a gateway for months: each is published for a
// day before it signs, and for 30 days after.
func TestRotation(t *testing.T) {
	s := &shelf{}
	known := map[string]time.Time{} // since when a key is published
	lastSigned := map[string]int{}  // by key, in hours
	order, removed := []string{}, 0 // keys in the order in which they signed
	for hour := 0; hour < 150*24; hour += 6 {
		now := start.Add(time.Duration(hour) * time.Hour)
		k := gateway(t, s, "", now)
		set := jwks(t, k)
		for _, key := range set.Keys {
			if _, there := known[key["kid"]]; !there {
				known[key["kid"]] = now
			}
		}
		kid := signs(t, k)
		if len(order) == 0 || order[len(order)-1] != kid {
			if len(order) > 0 && now.Sub(known[kid]) < day {
				t.Errorf("hour %d: a key signs that is known for %v", hour, now.Sub(known[kid]))
			}
			order = append(order, kid)
		}
		lastSigned[kid] = hour
		for id, last := range lastSigned {
			if hour-last <= 30*24 && !slices.ContainsFunc(set.Keys, func(key map[string]string) bool { return key["kid"] == id }) {
				t.Errorf("hour %d: a key is gone that signed %d hours ago", hour, hour-last)
			}
		}
		if removed = len(known) - len(set.Keys); len(set.Keys) > 3 {
			t.Errorf("hour %d: %d keys are published", hour, len(set.Keys))
		}
	}
	if len(order) != 5 || removed == 0 {
		t.Errorf("%d keys signed in 150 days, %d were removed", len(order), removed)
	}
}

// TestAfterALongTime: a gateway that was off for a year still lets others learn
// of its next key.
func TestAfterALongTime(t *testing.T) {
	s := &shelf{}
	first := signs(t, gateway(t, s, "", start))
	k := gateway(t, s, "", start.Add(365*day))
	if again := signs(t, k); again != first || len(jwks(t, k).Keys) != 2 {
		t.Errorf("%s signs, and %d keys are published", again, len(jwks(t, k).Keys))
	}
	if next := signs(t, gateway(t, s, "", start.Add(366*day))); next == first {
		t.Error("the old key still signs")
	}
}

// TestSealed: with an encryption key no private key lies open, and with another
// one the keys that cannot be read are published, and replaced.
func TestSealed(t *testing.T) {
	s := &shelf{}
	open := signs(t, gateway(t, s, "", start))
	sealed := signs(t, gateway(t, s, "a secret that is long enough, 1", start.Add(time.Hour)))
	again := signs(t, gateway(t, s, "a secret that is long enough, 1", start.Add(2*time.Hour)))
	k := gateway(t, s, "a secret that is long enough, 2", start.Add(3*time.Hour))
	other := signs(t, k)
	if open == sealed || sealed != again || other == sealed {
		t.Errorf("%s %s %s %s", open, sealed, again, other)
	}
	if n := len(jwks(t, k).Keys); n != 3 {
		t.Errorf("%d keys are published", n)
	}
	if signs(t, gateway(t, s, "", start.Add(4*time.Hour))) != open {
		t.Error("without an encryption key the open one does not sign")
	}
	if s.keys[0].Private[0] != 0 || s.keys[1].Private[0] != 1 || s.keys[2].Private[0] != 1 {
		t.Error("keys are not kept as they should be")
	}
}

// TestBrokenKeys: whatever lies in the database, the gateway does not panic, and
// signs with a key of its own.
func TestBrokenKeys(t *testing.T) {
	good := &shelf{}
	gateway(t, good, "", start)
	sealed := &shelf{}
	gateway(t, sealed, "secret", start)
	for name, private := range map[string][]byte{
		"empty": {}, "no PKCS 8": {0, 1, 2}, "unknown": {7, 1}, "cut": sealed.keys[0].Private[:5], "changed": append(slices.Clone(sealed.keys[0].Private[:40]), 9),
	} {
		for _, seal := range []string{"", "secret"} {
			s := &shelf{keys: slices.Clone(good.keys)}
			s.keys[0].Private = private
			if kid := signs(t, gateway(t, s, seal, start)); kid == s.keys[0].ID {
				t.Errorf("%s: it signs", name)
			}
		}
	}
	moved := &shelf{keys: slices.Clone(sealed.keys)} // another key's private part
	moved.keys[0].ID = "another"
	if gateway(t, moved, "secret", start); len(moved.keys) != 2 {
		t.Error("a private key is taken for that of another id")
	}
}

// TestThrowAway: without a store a key is nobody else's.
func TestThrowAway(t *testing.T) {
	if a, b := signs(t, gateway(t, nil, "", start)), signs(t, gateway(t, nil, "", start)); a == b {
		t.Error("two gateways without a database have the same key")
	}
	if _, err := signing.New(t.Context(), signing.Options{Store: &shelf{err: errors.New("away")}}); err == nil {
		t.Error("without the database's keys there is no start")
	}
}

// TestKeySet: the form of the set, and the thumbprint of RFC 7638.
func TestKeySet(t *testing.T) {
	key := jwks(t, gateway(t, nil, "", start)).Keys[0]
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + key["x"] + `","y":"` + key["y"] + `"}`))
	want := map[string]string{
		"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"], "alg": "ES256", "use": "sig", "kid": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	if diff := cmp.Diff(want, key); diff != "" || len(key["x"]) != 43 || len(key["y"]) != 43 {
		t.Error(diff)
	}
}
