// Package jwt knows Backstage's tokens by their shape: what they say of
// themselves, and how a user's token is cut down to one that plugins may have.
// It verifies none. Shapes are those of plugin-auth-node 0.7 and
// backend-defaults 0.18.
package jwt

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// What the header says in typ.
const (
	// User is the token of a user who signed in.
	User = "vnd.backstage.user"
	// LimitedUser is what of it plugins show each other: it names the user, and
	// nothing else.
	LimitedUser = "vnd.backstage.limited-user"
	// Plugin is the token of a plugin, made for one other plugin.
	Plugin = "vnd.backstage.plugin"
)

// UserAudience is the aud of users' tokens, by which old ones, which have no
// typ, are known.
const UserAudience = "backstage"

// PluginID is what a plugin may be called.
var PluginID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

var errNoToken = errors.New("token is no JWT: a header and a payload in base64url, and a signature, with dots between them")

// Unverified is what a token says, before anybody has looked at its signature.
// Members are the very bytes of the token, for signatures are made of them.
type Unverified struct {
	Header, Payload map[string]json.RawMessage
	text            string
}

// Read takes a token apart; an error if it is no JWT.
func Read(text string) (Unverified, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Unverified{}, errNoToken
	}
	u := Unverified{text: text}
	if !object(parts[0], &u.Header) || !object(parts[1], &u.Payload) {
		return Unverified{}, errNoToken
	}
	return u, nil
}

// object decodes into a map: names of members count to the letter, as
// encoding/json's fields of structs do not.
func object(part string, into *map[string]json.RawMessage) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, into) == nil && *into != nil
}

// Type is typ; "" where there is none.
func (u Unverified) Type() string { return word(u.Header["typ"]) }

// Algorithm is alg.
func (u Unverified) Algorithm() string { return word(u.Header["alg"]) }

// Subject is sub.
func (u Unverified) Subject() string { return word(u.Payload["sub"]) }

// Claim is a claim that is a text; "" where it is none.
func (u Unverified) Claim(name string) string { return word(u.Payload[name]) }

// Expires is exp; zero where there is none.
func (u Unverified) Expires() time.Time {
	seconds, err := strconv.ParseFloat(string(u.Payload["exp"]), 64)
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// IsUser tells whether it is the whole token of a user, of today's or of the
// old kind.
func (u Unverified) IsUser() bool {
	return u.Type() == User || u.Type() == "" && u.Claim("aud") == UserAudience
}

// Errors of [Unverified.Limited].
var (
	ErrNotUser = errors.New("token is none of a Backstage user")
	ErrNoProof = errors.New("user's token has no proof of identity (uip) that a plugin could be shown")
)

// Limited gives the limited token of a user's token: Backstage issues none, but
// puts its signature into the claim uip of the user's. The bytes have to be
// those that it signed, which JSON.stringify made: no white space, this order of
// members, and each value as it stands in the user's token, which JSON.stringify
// wrote as well. A limited token is its own.
func (u Unverified) Limited() (string, error) {
	switch u.Type() {
	case LimitedUser:
		return u.text, nil
	case User:
	case "":
		if u.IsUser() {
			return "", ErrNoProof
		}
		return "", ErrNotUser
	default:
		return "", ErrNotUser
	}
	proof := u.Claim("uip")
	if _, err := base64.RawURLEncoding.DecodeString(proof); err != nil || proof == "" ||
		u.Algorithm() == "" || u.Subject() == "" || !isNumber(u.Payload["iat"]) || !isNumber(u.Payload["exp"]) {
		return "", ErrNoProof
	}
	header := `{"typ":"` + LimitedUser + `","alg":` + string(u.Header["alg"])
	if word(u.Header["kid"]) != "" {
		header += `,"kid":` + string(u.Header["kid"])
	}
	payload := `{"sub":` + string(u.Payload["sub"]) + `,"iat":` + string(u.Payload["iat"]) + `,"exp":` + string(u.Payload["exp"]) + `}`
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header+"}")) + "." + encode([]byte(payload)) + "." + proof, nil
}

func isNumber(raw json.RawMessage) bool {
	var n float64
	return string(raw) != "null" && json.Unmarshal(raw, &n) == nil
}

// word decodes a JSON string; "" where it is none.
func word(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
