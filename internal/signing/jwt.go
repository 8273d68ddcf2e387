package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// Sign gives a JWT in the compact form, signed with ES256 (RFC 7515, RFC 7518
// section 3.4). claims are anything that encoding/json makes an object of; they
// are written as it writes them, save that <, > and & stay as they are.
func (k *Keys) Sign(typ string, claims any) (string, error) {
	set := k.current.Load()
	header, err := compact(struct {
		Type      string `json:"typ"`
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}{typ, "ES256", set.id})
	if err != nil {
		return "", err
	}
	payload, err := compact(claims)
	if err != nil {
		return "", err
	}
	text := encode(header) + "." + encode(payload)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, set.signer, sum[:])
	if err != nil {
		return "", fmt.Errorf("signature: %w", err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + encode(signature), nil
}

func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("JWT: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is a public key (RFC 7518, section 6.2.1).
type jwk struct {
	Curve     string `json:"crv"`
	KeyType   string `json:"kty"`
	X         string `json:"x"`
	Y         string `json:"y"`
	KeyID     string `json:"kid,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	Use       string `json:"use,omitempty"`
}

// newKey makes a key.
func newKey(sequence int, now time.Time, s *seal) (Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("signing key: %w", err)
	}
	point, err := private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return Key{}, fmt.Errorf("signing key: %w", err)
	}
	public := jwk{Curve: "P-256", KeyType: "EC", X: encode(point[1:33]), Y: encode(point[33:])}
	canonical, err := json.Marshal(public) // the required members in the order of their names (RFC 7638, section 3.2)
	if err != nil {
		return Key{}, fmt.Errorf("signing key: %w", err)
	}
	thumbprint := sha256.Sum256(canonical)
	public.KeyID, public.Algorithm, public.Use = encode(thumbprint[:]), "ES256", "sig"
	key := Key{Sequence: sequence, ID: public.KeyID, Created: now}
	if key.Public, err = json.Marshal(public); err != nil {
		return Key{}, fmt.Errorf("signing key: %w", err)
	}
	key.Private, err = s.close(key.ID, private)
	return key, err
}

// keySetOf is the JWK Set of keys, the newest first.
func keySetOf(keys []Key) ([]byte, error) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{make([]json.RawMessage, 0, len(keys))}
	for i := len(keys) - 1; i >= 0; i-- {
		set.Keys = append(set.Keys, keys[i].Public)
	}
	text, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	return text, nil
}
