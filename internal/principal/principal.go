// Package principal has the words about who calls: what verifiers find out,
// policies decide on, and credentials for plugins are made of. It verifies
// nothing itself.
package principal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"
)

// Kind is what calls.
type Kind string

// The kinds. Anonymous is everybody, where nobody is asked who they are.
const (
	Anonymous Kind = ""
	User      Kind = "user"
	Service   Kind = "service"
)

// Principal is who calls: a user, a service, or a service acting for a user.
// The zero value is the anonymous one. It is not changed once it was made.
type Principal struct {
	Kind Kind
	// Subject is unique among all of one issuer, for example "user:default/ada".
	Subject string
	// Issuer vouches for the rest: the URL of an identity provider or of a
	// Backstage, or "static" for a token of the config.
	Issuer string
	// Client is the OAuth client that the token was given to, where it says so.
	Client string
	// Actor is the service that acts for the user, for example
	// "plugin:scaffolder".
	Actor  string
	Groups []string
	Scopes []string
	// Claims is all that the issuer says, as JSON decodes it, numbers as
	// json.Number; nil where there is nothing.
	Claims map[string]any
	// Expires is when the token ends; zero: it does not say.
	Expires time.Time
	// Token is what the caller showed. It goes nowhere but to where the operator
	// has it exchanged.
	Token Token
}

// IsAnonymous tells whether nobody was asked.
func (p Principal) IsAnonymous() bool { return p.Kind == Anonymous }

// HasClaim tells whether a claim has a value, as text, or is a list with it. A
// name with dots is a path, unless there is a claim of the whole name.
func (p Principal) HasClaim(name, value string) bool {
	return slices.Contains(ClaimTexts(p.Claims, name), value)
}

// Claim is what the issuer says under a name or a path.
func (p Principal) Claim(name string) (any, bool) { return Claim(p.Claims, name) }

// maxKey bounds keys, in bytes: databases have bounds for what they index.
const maxKey = 512

// Key tells principals apart: who has the same key is the same one, whatever
// token it came with. It is "" for the anonymous one, and has at most 512 bytes.
func (p Principal) Key() string {
	if p.IsAnonymous() {
		return ""
	}
	var space [256]byte
	key := append(space[:0], p.Kind...)
	for _, word := range [...]string{p.Issuer, p.Subject, p.Actor} {
		key = strconv.AppendQuote(append(key, ' '), word)
	}
	if len(key) > maxKey {
		sum := sha256.Sum256(key)
		key = hex.AppendEncode(append(space[:0], "sha256 "...), sum[:])
	}
	return string(key)
}

// Token is a bearer token. However it is printed, it does not tell.
type Token struct{ value string }

// NewToken makes a token.
func NewToken(value string) Token { return Token{value} }

// Reveal gives the token itself.
func (t Token) Reveal() string { return t.value }

const redacted = "[redacted]"

// String implements [fmt.Stringer]; it and its siblings below never tell.
func (t Token) String() string {
	if t.value == "" {
		return ""
	}
	return redacted
}

// Format implements [fmt.Formatter], so that no verb, %#v included, tells.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// MarshalText implements [encoding.TextMarshaler].
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue implements [slog.LogValuer].
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Caller is who makes a call, and by which way: what credentials for the
// plugin may depend on.
type Caller struct {
	Principal
	// Door is the named server, or "actions-api"; "" for the operator's own.
	Door string
}

type callerKey struct{}

// WithCaller notes in a call's context who makes it.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is who makes the call of a context: the anonymous principal by no
// door where nobody said.
func CallerOf(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c
	}
	return &Caller{}
}
