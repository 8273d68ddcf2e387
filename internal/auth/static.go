package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// StaticIssuer is the issuer of principals whose token is in the config.
const StaticIssuer = "static"

// StaticToken is a token that the operator gave to somebody.
type StaticToken struct {
	Token   string
	Subject string
	Groups  []string
	Scopes  []string
	Claims  map[string]any
}

type staticVerifier struct {
	digests    [][sha256.Size]byte
	principals []principal.Principal // of the digests
	longest    int                   // bytes of a token
}

// NewStatic makes a verifier of tokens that the config names; who has one is a
// service. Only their digests are kept.
func NewStatic(tokens ...StaticToken) Verifier {
	v := &staticVerifier{}
	for _, t := range tokens {
		v.digests = append(v.digests, digest(t.Token))
		v.principals = append(v.principals, principal.Principal{
			Kind: principal.Service, Subject: t.Subject, Issuer: StaticIssuer, Groups: t.Groups, Scopes: t.Scopes, Claims: t.Claims,
		})
		v.longest = max(v.longest, len(t.Token))
	}
	return v
}

// AuthorizationServers implements [Verifier].
func (*staticVerifier) AuthorizationServers() []string { return nil }

// Verify implements [Verifier]. It compares with all tokens, in a time that
// does not tell how much of one was right.
func (v *staticVerifier) Verify(_ context.Context, token string, _ Resource) (principal.Principal, error) {
	if len(token) > v.longest {
		return principal.Principal{}, notMine("token is longer than those of the config")
	}
	sum, found := digest(token), -1
	for i := range v.digests {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], v.digests[i][:]), i, found)
	}
	if found < 0 {
		return principal.Principal{}, notMine("token is none of the config")
	}
	p := v.principals[found]
	p.Token = principal.NewToken(token)
	return p, nil
}
