// Package credential makes the gateway's own credentials for plugins: constant
// ones, tokens that it gets for itself or for the caller, and assertions that it
// signs. A caller's token is no credential: none of this passes one on.
package credential

import (
	"context"
	"net/http"
	"net/url"

	"github.com/stagedoor/stagedoor/openapi"
)

// Source gives the credentials for calls of one plugin. It is safe for
// concurrent use.
type Source interface {
	// Credentials are those for one call of the action, by the caller of the
	// context ([principal.CallerOf]); nil: it needs none. An error of the type
	// *[Refusal] is about the caller; any other is the gateway's own failure, and
	// for the log alone.
	Credentials(ctx context.Context, a *openapi.Action) (*Credentials, error)
	// Places are what the credentials of an action fill, without making any; of a
	// nil action, what those of any do.
	Places(a *openapi.Action) Places
}

// Credentials are what goes with a request. They are not changed once they were
// given, and a source that has nothing new to say gives the same ones again.
type Credentials struct {
	Header http.Header // by canonical names
	Query  url.Values
	// Drop has the source forget them, after the plugin has refused them with 401:
	// the next ones are made anew. nil: the next ones would be the same.
	Drop func()
}

// Places are names of headers (canonical) and of parameters of the query.
type Places struct {
	Header []string
	Query  []string
}

// Refusal is why a caller gets no credentials.
type Refusal struct { //nolint:errname // the word of the other ways in and out, principal.Refusal
	// Message is for the caller: it names no inner host and no secret.
	Message string
	// Err is for the log; nil: Message says it all.
	Err error
}

// Error gives the log's view.
func (r *Refusal) Error() string {
	if r.Err != nil {
		return r.Message + ": " + r.Err.Error()
	}
	return r.Message
}

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Signer signs JWTs with a key of the gateway's. It is safe for concurrent use.
type Signer interface {
	// Sign gives a JWT in the compact form (RFC 7519) with the header typ, the
	// algorithm ES256 and a kid of [Signer.JWKS]. claims are anything that
	// encoding/json makes an object of.
	Sign(typ string, claims any) (string, error)
	// JWKS is the key set (RFC 7517) by which those that were signed lately, and
	// are going to be signed soon, are verified: {"keys": [{kty, crv, x, y, kid, alg,
	// use}]}.
	JWKS() []byte
}
