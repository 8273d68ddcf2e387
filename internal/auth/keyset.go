package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeys bounds a key set, and maxTried the keys that one token is held to.
	maxKeys, maxTried = 100, 8
	// leastRSA is the shortest RSA key that counts (RFC 7518, section 3.3).
	leastRSA = 2048
)

// thumbprint tells keys apart (RFC 7638).
type thumbprint [32]byte

// keySet is a JWKS as it was fetched. It is not changed.
type keySet struct {
	keys    []publicKey
	known   map[thumbprint]bool
	fetched time.Time
	fresh   time.Duration // how long it is taken as it is
}

type publicKey struct {
	id         string // kid; "": it has none
	algorithm  string // alg; "": all that fit its type
	key        crypto.PublicKey
	thumbprint thumbprint
}

func (s *keySet) has(t thumbprint) bool { return s.known[t] }

// verify finds the key that made a signature, and tells whether there was any
// to hold it to.
func (s *keySet) verify(t *JWT, signed *jose.JSONWebSignature) (made *publicKey, known bool) {
	tried := 0
	for i := range s.keys {
		k := &s.keys[i]
		if t.KeyID != "" && t.KeyID != k.id || !k.fits(t.Algorithm) {
			continue
		}
		if tried++; tried > maxTried {
			break
		}
		if _, err := signed.Verify(k.key); err == nil {
			return k, true
		}
	}
	return nil, tried > 0
}

// fits tells whether a key is for an algorithm: a public RSA key is never taken
// for the secret of an HMAC, nor one curve for another.
func (k *publicKey) fits(algorithm string) bool {
	if k.algorithm != "" && k.algorithm != algorithm {
		return false
	}
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		switch algorithm {
		case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
			return true
		}
	case *ecdsa.PublicKey:
		return map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm] == key.Curve.Params().Name
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// parseKeySet reads a JWKS (RFC 7517, section 5). Keys that are for something
// else, weak, secret or of an unknown type are left out.
func parseKeySet(b []byte) (*keySet, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &document); err != nil || document.Keys == nil {
		return nil, errors.New("answer is no JWKS")
	}
	if len(document.Keys) > maxKeys {
		return nil, errors.New("JWKS has too many keys")
	}
	set := keySet{known: map[thumbprint]bool{}}
	for _, raw := range document.Keys {
		if k, ok := parseKey(raw); ok {
			set.keys = append(set.keys, k)
			set.known[k.thumbprint] = true
		}
	}
	return &set, nil
}

func parseKey(raw json.RawMessage) (publicKey, bool) {
	var k jose.JSONWebKey
	var usage struct {
		Operations []string `json:"key_ops"`
	}
	if json.Unmarshal(raw, &usage) != nil || k.UnmarshalJSON(raw) != nil {
		return publicKey{}, false
	}
	if !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" || !verifies(usage.Operations) || len(k.KeyID) > maxKeyID {
		return publicKey{}, false
	}
	if r, ok := k.Key.(*rsa.PublicKey); ok && r.N.BitLen() < leastRSA {
		return publicKey{}, false
	}
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return publicKey{}, false
	}
	return publicKey{id: k.KeyID, algorithm: k.Algorithm, key: k.Key, thumbprint: thumbprint(sum)}, true
}

func verifies(operations []string) bool {
	for _, o := range operations {
		if o == "verify" {
			return true
		}
	}
	return len(operations) == 0
}
