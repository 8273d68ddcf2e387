package auth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
)

// JWTOptions say which tokens of an issuer are taken.
type JWTOptions struct {
	// Issuer is iss, byte for byte.
	Issuer string
	// Keys are the issuer's, see [KeySets].
	Keys *Keys
	// Audiences are what of aud one has to be; nil: the URL of the resource.
	Audiences []string
	// Algorithms are the signatures that are taken, of [Algorithms]; nil:
	// DefaultAlgorithms.
	Algorithms []string
	// Types are what typ may be, whatever the case of letters, without a leading
	// "application/"; "none" is a token without. nil: at+jwt, JWT and none.
	Types []string
	Mapping
}

// Algorithms are the signatures that can be taken (RFC 7518, RFC 8037). None
// works with a shared secret.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// DefaultAlgorithms are those that are taken where nothing is said.
func DefaultAlgorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

// noType is how a token without typ is named.
const noType = "none"

// JWT access tokens (RFC 9068) of one issuer. Tokens that were verified are
// remembered until they end, or their key does.
type jwtVerifier struct {
	JWTOptions
	verified *cache[verifiedKey, verifiedToken]
}

type verifiedKey struct {
	token [32]byte
	at    string
}

type verifiedToken struct {
	principal principal.Principal
	key       thumbprint
}

// NewJWT makes a verifier of JWT access tokens.
func NewJWT(o JWTOptions) Verifier {
	if len(o.Algorithms) == 0 {
		o.Algorithms = DefaultAlgorithms()
	}
	if len(o.Types) == 0 {
		o.Types = []string{"at+jwt", "JWT", noType}
	}
	return &jwtVerifier{o, newCache[verifiedKey, verifiedToken](maxVerified)}
}

// AuthorizationServers implements [Verifier].
func (v *jwtVerifier) AuthorizationServers() []string { return []string{v.Issuer} }

// Verify implements [Verifier]. What a token says is looked at before its
// signature, so that one that cannot hold costs no request.
func (v *jwtVerifier) Verify(ctx context.Context, token string, at Resource) (principal.Principal, error) {
	now := time.Now()
	key := verifiedKey{digest(token), at.URL}
	if known, ok := v.verified.get(key, now); ok && v.Keys.has(ctx, known.key) {
		return known.principal, nil
	}
	t, err := ParseJWT(token)
	if err != nil {
		return principal.Principal{}, notMine("%w", err)
	}
	if t.Text("iss") != v.Issuer {
		return principal.Principal{}, notMine("iss is %.200q", t.Text("iss"))
	}
	p, err := v.judge(t, at, now)
	if err != nil {
		return principal.Principal{}, err
	}
	signer, err := t.verify(ctx, v.Keys, v.Algorithms)
	if err != nil {
		return principal.Principal{}, err
	}
	p.Token = principal.NewToken(token)
	v.verified.put(key, verifiedToken{p, signer}, now, p.Expires)
	return p, nil
}

// judge holds all but the signature to the options.
func (v *jwtVerifier) judge(t *JWT, at Resource, now time.Time) (principal.Principal, error) {
	kind := mediaType(t.Type)
	if kind != "at+jwt" && isForClient(t.Claims) {
		return principal.Principal{}, &InvalidError{Message: "token is not an access token", Cause: errors.New("it is an ID token, or another for its client")}
	}
	if strings.HasPrefix(kind, "vnd.backstage.") || !slices.ContainsFunc(v.Types, func(s string) bool { return mediaType(s) == kind }) {
		return principal.Principal{}, &InvalidError{Message: "token has a typ that is not taken", Cause: errors.New("typ is " + kind)}
	}
	end, err := t.Lifetime(now)
	if err != nil {
		return principal.Principal{}, err
	}
	if err := checkAudience(t.Claims, v.Audiences, at); err != nil {
		return principal.Principal{}, err
	}
	p, err := v.principal(t.Claims)
	p.Issuer, p.Expires = v.Issuer, end
	return p, err
}

// mediaType is a typ without "application/", in small letters (RFC 7515, section
// 4.1.9); none is noType.
func mediaType(typ string) string {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if typ == "" {
		return noType
	}
	return typ
}
