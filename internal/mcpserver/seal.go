package mcpserver

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// sealer hides what clients carry for us, and proves that it is ours. All
// replicas that share a secret open what one of them sealed.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret []byte, purpose string) (sealer, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "stagedoor "+purpose, 32)
	if err != nil {
		return sealer{}, fmt.Errorf("key of %s: %w", purpose, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("key of %s: %w", purpose, err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("key of %s: %w", purpose, err)
	}
	return sealer{aead}, nil
}

// seal gives text that only open understands, and only with the same words.
func (s sealer) seal(plain []byte, bound ...string) string {
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, unambiguous(bound)))
}

// open gives what was sealed with exactly these words.
func (s sealer) open(sealed string, bound ...string) (plain []byte, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return nil, false
	}
	plain, err = s.aead.Open(nil, nil, raw, unambiguous(bound))
	return plain, err == nil
}

// unambiguous joins words so that no others give the same bytes.
func unambiguous(words []string) (joined []byte) {
	for _, word := range words {
		joined = binary.AppendUvarint(joined, uint64(len(word)))
		joined = append(joined, word...)
	}
	return joined
}
