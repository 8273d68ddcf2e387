// Package auth finds out who calls: verifiers of bearer tokens, tried in order,
// and the gate that stands before each named server, which is its own OAuth 2.1
// resource (MCP's authorization, RFC 6750, RFC 8707, RFC 9728).
package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// Resource is what a token has to be for.
type Resource struct {
	// URL is the resource identifier (RFC 8707, RFC 9728), for example
	// "https://stagedoor.example.com/mcp/catalog".
	URL string
	// Plugin is the Backstage plugin id of /api/{plugin}; "": there is none.
	Plugin string
}

// Verifier is one way in which callers prove who they are. It is safe for
// concurrent use.
type Verifier interface {
	// Verify tells whose token it is. The error is ErrNotMine, an *InvalidError or
	// an *UnavailableError, perhaps wrapped.
	Verify(ctx context.Context, token string, at Resource) (principal.Principal, error)
	// AuthorizationServers are the issuers that clients are sent to for a token
	// (RFC 9728, authorization_servers); nil: it has none.
	AuthorizationServers() []string
}

// ErrNotMine is what a verifier says of tokens that are somebody else's: the
// next one is asked.
var ErrNotMine = errors.New("token is not of this verifier")

// InvalidError is about a token of the verifier that does not hold.
type InvalidError struct {
	// Message is for the caller: short, in ASCII, and without anything of the
	// token, for example "token has expired".
	Message string
	// Cause is for the log; nil: Message says it all.
	Cause error
}

func (e *InvalidError) Error() string { return withCause(e.Message, e.Cause) }
func (e *InvalidError) Unwrap() error { return e.Cause }

// UnavailableError is about a token that cannot be judged now, because its
// issuer cannot be asked. The token may be good, so it is never called invalid:
// clients would throw it away.
type UnavailableError struct {
	// RetryAfter is when it may be different; 0: it is not known.
	RetryAfter time.Duration
	// Cause is for the log.
	Cause error
}

func (e *UnavailableError) Error() string { return withCause("token cannot be verified now", e.Cause) }
func (e *UnavailableError) Unwrap() error { return e.Cause }

func withCause(message string, cause error) string {
	if cause == nil {
		return message
	}
	return message + ": " + cause.Error()
}

// Chain is verifiers in the order in which they are asked. The empty one lets
// nobody in.
type Chain []Verifier

// Verify is the word of the first verifier that takes the token, or else what
// the first one said whose token it is. An authorization server is shown only
// tokens that no other verifier knows for one of its own (see [Introspection]).
func (c Chain) Verify(ctx context.Context, token string, at Resource) (principal.Principal, error) {
	var verdict error
	var unknown []string
	for _, v := range c.asked() {
		if _, asks := v.(*Introspection); asks && verdict != nil {
			break
		}
		p, err := v.Verify(ctx, token, at)
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, ErrNotMine):
			unknown = append(unknown, err.Error())
		case verdict == nil:
			verdict = err
		}
	}
	if verdict == nil {
		verdict = &InvalidError{Message: "token is of nobody who is trusted here", Cause: errors.New(strings.Join(unknown, "; "))}
	}
	return principal.Principal{}, verdict
}

// asked is the order in which verifiers are asked: those that show tokens to
// others come last.
func (c Chain) asked() Chain {
	for i, v := range c {
		if _, asks := v.(*Introspection); asks && i < len(c)-1 {
			return slices.Concat(c.of(false), c.of(true))
		}
	}
	return c
}

// of are the verifiers that show tokens to others, or those that do not.
func (c Chain) of(asking bool) Chain {
	return slices.DeleteFunc(slices.Clone(c), func(v Verifier) bool { _, asks := v.(*Introspection); return asks != asking })
}

// AuthorizationServers are those of all verifiers, each once.
func (c Chain) AuthorizationServers() []string {
	var all []string
	for _, v := range c {
		all = appendNew(all, v.AuthorizationServers()...)
	}
	return all
}

// notMine says why a token is somebody else's, for the log.
func notMine(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrNotMine, fmt.Errorf(format, args...))
}

func appendNew(list []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
