package signing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// The first byte of a private key says how it is kept.
const (
	plain  = 0 // PKCS #8
	sealed = 1 // nonce, and PKCS #8 under AES-256-GCM with the key's id beside it
)

// seal is how private keys are kept; a nil aead keeps them as they are.
type seal struct{ aead cipher.AEAD }

func newSeal(secret string) (*seal, error) {
	if secret == "" {
		return &seal{}, nil
	}
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "stagedoor signing keys", 32)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("encryption key: %w", err)
	}
	return &seal{aead}, nil
}

func (s *seal) close(id string, private *ecdsa.PrivateKey) ([]byte, error) {
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if s.aead == nil {
		return append([]byte{plain}, text...), nil
	}
	out := make([]byte, 1+s.aead.NonceSize())
	out[0] = sealed
	_, _ = rand.Read(out[1:]) // never fails
	return s.aead.Seal(out, out[1:], text, []byte(id)), nil
}

// open gives a private key. A key that lay open is not used where keys are to be
// sealed: nobody knows who has read it.
func (s *seal) open(k Key) (*ecdsa.PrivateKey, error) {
	switch {
	case len(k.Private) == 0:
		return nil, errors.New("private key is empty")
	case k.Private[0] == plain && s.aead == nil:
		return privateKey(k.Private[1:])
	case k.Private[0] == plain:
		return nil, errors.New("it was kept without encryption, and there is an encryption key now")
	case k.Private[0] != sealed:
		return nil, errors.New("private key is kept in a way that is not known")
	case s.aead == nil:
		return nil, errors.New("it is sealed, and there is no encryption key")
	}
	rest := k.Private[1:]
	if len(rest) < s.aead.NonceSize() {
		return nil, errors.New("private key is cut")
	}
	text, err := s.aead.Open(nil, rest[:s.aead.NonceSize()], rest[s.aead.NonceSize():], []byte(k.ID))
	if err != nil {
		return nil, errors.New("it is sealed with another encryption key")
	}
	return privateKey(text)
}

func privateKey(text []byte) (*ecdsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("private key is none of ECDSA")
	}
	return private, nil
}
