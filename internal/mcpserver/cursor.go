package mcpserver

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// cursors seals the key of the last entry of a page, so that a page goes on
// where the one before ended, however the list has changed, and nobody learns
// or makes up a key. The same page always has the same cursor: the nonce is
// made of what is sealed.
type cursors struct {
	seal  cipher.AEAD
	nonce []byte // key of the nonces
}

// cursorBlock is what keys are padded to a multiple of: a cursor's length says
// next to nothing about the key.
const cursorBlock = 64

func newCursors(key []byte) (*cursors, error) {
	sealing, err := hkdf.Key(sha256.New, key, nil, "stagedoor cursor", 32)
	if err != nil {
		return nil, fmt.Errorf("cursor key: %w", err)
	}
	nonce, err := hkdf.Key(sha256.New, key, nil, "stagedoor cursor nonce", 32)
	if err != nil {
		return nil, fmt.Errorf("cursor key: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("cursor key: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("cursor key: %w", err)
	}
	return &cursors{seal: seal, nonce: nonce}, nil
}

// next is the cursor of what comes after the key in a list, which is named by
// its server and its method.
func (c *cursors) next(list, key string) string {
	padded := append([]byte(key), 1)
	padded = append(padded, make([]byte, (cursorBlock-len(padded)%cursorBlock)%cursorBlock)...)
	mac := hmac.New(sha256.New, c.nonce)
	mac.Write(fmt.Appendf(nil, "%q", list))
	mac.Write(padded)
	size := c.seal.NonceSize()
	nonce := mac.Sum(nil)[:size:size]
	return base64.RawURLEncoding.EncodeToString(c.seal.Seal(nonce, nonce, padded, []byte(list)))
}

// key gives the key that a cursor of the list was made of.
func (c *cursors) key(list, cursor string) (string, bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(cursor)
	size := c.seal.NonceSize()
	if err != nil || len(sealed) < size {
		return "", false
	}
	padded, err := c.seal.Open(nil, sealed[:size], sealed[size:], []byte(list))
	if err != nil {
		return "", false
	}
	end := len(padded) - 1
	for end > 0 && padded[end] == 0 {
		end--
	}
	return string(padded[:end]), true
}
