package auth

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// retryAfter is when to come again where nobody knows better.
const retryAfter = 5 * time.Second

// Guard is the gate of one resource. It is not changed once it is used.
type Guard struct {
	// Chain finds out who calls.
	Chain Chain
	// Resource is what tokens have to be for.
	Resource Resource
	// Plugin is the Backstage plugin id that a request is for; nil: that of
	// Resource.
	Plugin func(r *http.Request) string
	// Metadata is the URL of the resource's metadata, see [Metadata.URL]; "": it
	// has none.
	Metadata string
	// Scopes are what a caller without a token is told to get: the least that one
	// needs.
	Scopes []string
	// Union has [Guard.StepUp] name the scopes of the caller's token as well, for
	// clients that forget what they had.
	Union bool
	// Granted are scopes that each token has without its issuer knowing them; no
	// client is told to get one.
	Granted []string
}

var _ principal.Gate = (*Guard)(nil)

// Authenticate implements [principal.Gate].
func (g *Guard) Authenticate(r *http.Request) (principal.Principal, *principal.Refusal) {
	given := bearer(r)
	switch {
	case given.problem != "":
		return principal.Principal{}, g.refuse(http.StatusBadRequest, g.asked(g.Scopes), "invalid_request", given.problem, nil)
	case given.token == "":
		return principal.Principal{}, g.refuse(http.StatusUnauthorized, g.asked(g.Scopes), "", "a bearer token is needed", nil)
	}
	at := g.Resource
	if g.Plugin != nil {
		at.Plugin = g.Plugin(r)
	}
	p, err := g.Chain.Verify(r.Context(), given.token, at)
	if err != nil {
		return principal.Principal{}, g.refusal(err)
	}
	return p, nil
}

// refusal is what a caller learns of a token that was not taken. What the error
// says beyond its message is for the log.
func (g *Guard) refusal(err error) *principal.Refusal {
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) {
		return &principal.Refusal{
			Status: http.StatusServiceUnavailable, RetryAfter: cmp.Or(unavailable.RetryAfter, retryAfter),
			Message: "tokens cannot be verified now", Cause: unavailable.Cause,
		}
	}
	message, cause := "token is not valid", err
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		message, cause = invalid.Message, invalid.Cause
	}
	return g.refuse(http.StatusUnauthorized, g.asked(g.Scopes), "invalid_token", message, cause)
}

// StepUp implements [principal.Gate]. All that the request needs is in one
// challenge, also what the token has of it; the message is about what is missing.
func (g *Guard) StepUp(p principal.Principal, needed, missing []string) *principal.Refusal {
	scopes := needed
	if g.Union {
		scopes = appendNew(g.asked(p.Scopes), needed...)
	}
	return g.refuse(http.StatusForbidden, scopes, "insufficient_scope", "token lacks a scope: "+strings.Join(askable(missing), " "), nil)
}

// asked are scopes without those that clients need not ask for.
func (g *Guard) asked(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return slices.Contains(g.Granted, s) })
}

// refuse makes the answer; without a code it only says how to get a token.
func (g *Guard) refuse(status int, scopes []string, code, message string, cause error) *principal.Refusal {
	c := challenge{metadata: g.Metadata, scopes: scopes, code: code}
	if code != "" {
		c.description = message
	}
	return &principal.Refusal{Status: status, Challenge: c.String(), Message: message, Cause: cause}
}

// Document is the metadata of the resource, which names the scopes that its
// actions may need but for those that clients need not ask for.
func (g *Guard) Document(name, documentation string, scopes []string) Metadata {
	return Metadata{
		Resource: g.Resource.URL, AuthorizationServers: g.Chain.AuthorizationServers(), Scopes: g.asked(scopes),
		Name: name, Documentation: documentation,
	}
}
