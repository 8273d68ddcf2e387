package credential

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"slices"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

// ClientCredentials are a token that the gateway gets for itself (RFC 6749,
// section 4.4), as a bearer token.
func ClientCredentials(e Endpoint) Source {
	return &clientCredentials{ready(e), newTokens(e.Now)}
}

type clientCredentials struct {
	endpoint *Endpoint
	tokens   *tokens
}

func ready(e Endpoint) *Endpoint {
	if e.Transport == nil {
		e.Transport = NewTransport()
	}
	return &e
}

// Credentials implements [Source].
func (s *clientCredentials) Credentials(ctx context.Context, _ *openapi.Action) (*Credentials, error) {
	return s.tokens.get(ctx, "", s.ask)
}

func (s *clientCredentials) ask(ctx context.Context) (grant, error) {
	return s.endpoint.ask(ctx, url.Values{"grant_type": {"client_credentials"}})
}

// Places implements [Source].
func (s *clientCredentials) Places(*openapi.Action) Places { return authorization() }

// TokenExchange are a token for the caller, which a token service gives for the
// caller's own (RFC 8693), as a bearer token. Only tokens of the issuers are
// shown to it; other callers are refused, and nothing takes the place of theirs.
func TokenExchange(e Endpoint, issuers []string) Source {
	return &tokenExchange{ready(e), issuers, newTokens(e.Now)}
}

type tokenExchange struct {
	endpoint *Endpoint
	issuers  []string
	tokens   *tokens
}

// The grant and the token types of RFC 8693, sections 2.1 and 3.
const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token" // #nosec G101 -- a name
)

// Credentials implements [Source].
func (s *tokenExchange) Credentials(ctx context.Context, _ *openapi.Action) (*Credentials, error) {
	caller := principal.CallerOf(ctx)
	if caller.IsAnonymous() || caller.Token == (principal.Token{}) || !slices.Contains(s.issuers, caller.Issuer) {
		return nil, &Refusal{
			Message: "this plugin is called on behalf of users, and you are not known to its token service",
			Err:     errors.New("the caller has no token of an issuer that tokenExchange.issuers lists"),
		}
	}
	subject := caller.Token.Reveal()
	sum := sha256.Sum256([]byte(subject))
	c, err := s.tokens.get(ctx, caller.Key()+" "+string(sum[:]), func(ctx context.Context) (grant, error) {
		g, err := s.endpoint.ask(ctx, url.Values{
			"grant_type": {exchangeGrant}, "subject_token": {subject}, "subject_token_type": {accessTokenType}, "requested_token_type": {accessTokenType},
		})
		if err == nil && g.token == subject {
			return grant{}, errors.New("token service gave the caller's own token back, which goes to no plugin")
		}
		if until := caller.Expires; err == nil && !until.IsZero() {
			g.life = max(0, min(g.life, until.Sub(s.tokens.now())))
		}
		return g, err
	})
	var refused *grantError
	if errors.As(err, &refused) && aboutCaller(refused.code) {
		return nil, &Refusal{Message: "the token service of this plugin gives no token for you", Err: err}
	}
	return c, err
}

// aboutCaller tells whether an error is about the token that was shown, and not
// about the gateway (RFC 6749, section 5.2; RFC 8693, section 2.2.2).
func aboutCaller(code string) bool {
	switch code {
	case "invalid_grant", "invalid_request", "invalid_token", "access_denied":
		return true
	}
	return false
}

// Places implements [Source].
func (s *tokenExchange) Places(*openapi.Action) Places { return authorization() }
