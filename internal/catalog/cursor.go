package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// cursor points between two items of a query's result: after the item with
// these keys and uid, or before it when it leads back.
type cursor struct {
	Query query     `json:"q"`
	Keys  []*string `json:"k,omitempty"`
	UID   string    `json:"u"`
	Back  bool      `json:"b,omitempty"`
}

const (
	cursorSum      = 8 // bytes of the checksum
	maxCursorBytes = 128 << 10
)

// String is the cursor as callers get it. It holds nothing that they could not
// ask for themselves; the checksum tells apart what we made and what was cut
// or mended on the way.
func (c *cursor) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		return "" // cannot be: it came from JSON
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(append(sum[:cursorSum], text...))
}

func parseCursor(s string) (*cursor, error) {
	bad := inputError("cursor is not valid: use nextCursor or prevCursor of a page as it is")
	if len(s) > maxCursorBytes {
		return nil, bad
	}
	data, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(data) < cursorSum {
		return nil, bad
	}
	sum := sha256.Sum256(data[cursorSum:])
	if !bytes.Equal(sum[:cursorSum], data[:cursorSum]) {
		return nil, bad
	}
	var c cursor
	decoder := json.NewDecoder(bytes.NewReader(data[cursorSum:]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil || len(c.Keys) != len(c.Query.Orders) {
		return nil, bad
	}
	if err := c.Query.check(); err != nil {
		return nil, bad
	}
	return &c, nil
}
