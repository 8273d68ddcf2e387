package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512 of longer algorithms
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Key is a private key with a name.
type Key struct {
	ID        string
	Algorithm string
	private   crypto.Signer
}

// NewKey makes a key for an algorithm; an empty id leaves kid out of its tokens
// and of its JWK.
func NewKey(t testing.TB, id, algorithm string) *Key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Key{ID: id, Algorithm: algorithm, private: private}
}

// Of is a key of a private key that the test has.
func Of(id, algorithm string, private crypto.Signer) *Key { return &Key{id, algorithm, private} }

// JWK is its public half.
func (k *Key) JWK() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}
}

// Public is the key itself.
func (k *Key) Public() crypto.PublicKey { return k.private.Public() }

// Sign signs claims. The header has alg and kid of the key where it says
// nothing else; nil takes a member away.
func (k *Key) Sign(header, claims map[string]any) string {
	full := map[string]any{"alg": k.Algorithm}
	if k.ID != "" {
		full["kid"] = k.ID
	}
	maps.Copy(full, header)
	maps.DeleteFunc(full, func(_ string, v any) bool { return v == nil })
	return k.SignBytes(encode(full), encode(claims))
}

// SignBytes signs a header and a payload, whatever they are, with the key's own
// algorithm.
func (k *Key) SignBytes(header, payload []byte) string {
	input := encode64(header) + "." + encode64(payload)
	signature, err := k.signature([]byte(input))
	if err != nil {
		panic(err) // of a key that was made here
	}
	return input + "." + encode64(signature)
}

func (k *Key) signature(input []byte) ([]byte, error) {
	if k.Algorithm == "EdDSA" {
		return k.private.Sign(rand.Reader, input, crypto.Hash(0))
	}
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[k.Algorithm[2:]]
	h := hash.New()
	h.Write(input)
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		if k.Algorithm[0] == 'P' {
			return rsa.SignPSS(rand.Reader, private, hash, h.Sum(nil), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, private, hash, h.Sum(nil))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, h.Sum(nil))
		if err != nil {
			return nil, err
		}
		size := (private.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), nil
	}
	return nil, fmt.Errorf("cannot sign with %T", k.private)
}

// HMAC signs with a shared secret (HS256), as forgers do with public keys.
func HMAC(secret []byte, header, claims map[string]any) string {
	input := encode64(encode(header)) + "." + encode64(encode(claims))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(input))
	return input + "." + encode64(h.Sum(nil))
}

// Unsigned is a token with an empty signature.
func Unsigned(header, claims map[string]any) string {
	return encode64(encode(header)) + "." + encode64(encode(claims)) + "."
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of a test's own value
	}
	return b
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
