package backstage

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// External is one whom Backstage lets in from outside
// (backend.auth.externalAccess).
type External interface {
	// verify tells whose token it is; t is nil where it is no JWT. The error is as
	// that of [auth.Verifier].
	verify(ctx context.Context, text string, t *auth.JWT) (subject string, expires time.Time, err error)
}

type static struct {
	digest  [sha256.Size]byte
	subject string
}

// Static is access of the type static: one token, of at least 8 characters, that
// is compared as it is. It does not end.
func Static(token, subject string) External { return static{sha256.Sum256([]byte(token)), subject} }

func (s static) verify(_ context.Context, text string, _ *auth.JWT) (string, time.Time, error) {
	if digest := sha256.Sum256([]byte(text)); subtle.ConstantTimeCompare(digest[:], s.digest[:]) != 1 {
		return "", time.Time{}, auth.ErrNotMine
	}
	return s.subject, time.Time{}, nil
}

// JWKS is access of the type jwks: JWTs of another issuer. Unlike Backstage, it
// takes none without exp.
type JWKS struct {
	Keys *auth.Keys
	// Algorithms are the signatures that are taken; nil: RS256 and ES256.
	Algorithms []string
	// Issuers are what iss has to be one of, and Audiences what of aud one has to
	// be; nil: it is not looked at.
	Issuers, Audiences []string
	// SubjectPrefix stands before the subject: external:{prefix}:{sub}; "":
	// external:{sub}.
	SubjectPrefix string
}

func (j JWKS) verify(ctx context.Context, _ string, t *auth.JWT) (subject string, expires time.Time, err error) {
	if t == nil || strings.HasPrefix(t.Algorithm, "HS") || len(j.Issuers) > 0 && !slices.Contains(j.Issuers, t.Text("iss")) {
		return "", expires, auth.ErrNotMine
	}
	algorithms := j.Algorithms
	if len(algorithms) == 0 {
		algorithms = []string{"RS256", "ES256"}
	}
	audience := principal.ClaimTexts(t.Claims, "aud")
	if len(j.Audiences) > 0 && !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(j.Audiences, a) }) {
		return "", expires, j.lapse(&auth.InvalidError{Message: "token is not for Backstage", Cause: fmt.Errorf("aud is %.300q", audience)})
	}
	sub := t.Text("sub")
	if sub == "" || len(sub) > maxSubject {
		return "", expires, j.lapse(&auth.InvalidError{Message: "token does not say whose it is"})
	}
	if expires, err = t.Lifetime(time.Now()); err == nil {
		err = t.Verify(ctx, j.Keys, algorithms)
	}
	if err != nil {
		return "", expires, j.lapse(err)
	}
	if j.SubjectPrefix != "" {
		sub = j.SubjectPrefix + ":" + sub
	}
	return "external:" + sub, expires, nil
}

// lapse is what is wrong with a token: of one whose issuer nobody named, it is
// not known whether it is ours, unless its keys cannot be had.
func (j JWKS) lapse(err error) error {
	if _, away := errors.AsType[*auth.UnavailableError](err); away || len(j.Issuers) > 0 {
		return err
	}
	return fmt.Errorf("%w: %w", auth.ErrNotMine, err)
}

type legacy struct {
	key     []byte
	subject string
}

const (
	legacySubject = "backstage-server"
	// legacyLife is how long a legacy token may have left: old Backstages make them
	// for an hour.
	legacyLife = time.Hour + time.Minute
)

// Legacy is access of the type legacy: HS256 with a shared secret, which is
// base64 or base64url of the key. Unlike Backstage, it takes no token without
// exp, nor one that holds for more than an hour.
func Legacy(secret, subject string) (External, error) {
	text := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(secret)
	key, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil, errors.New("secret is not base64")
	}
	return legacy{key, subject}, nil
}

func (l legacy) verify(_ context.Context, text string, t *auth.JWT) (subject string, expires time.Time, err error) {
	if t == nil || t.Algorithm != string(jose.HS256) || t.Text("sub") != legacySubject || len(principal.ClaimTexts(t.Claims, "aud")) > 0 {
		return "", expires, auth.ErrNotMine
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return "", expires, auth.ErrNotMine
	}
	if _, err := signed.Verify(l.key); err != nil {
		return "", expires, auth.ErrNotMine // of another secret
	}
	now := time.Now()
	if expires, err = t.Lifetime(now); err != nil {
		return "", expires, err
	}
	if expires.After(now.Add(legacyLife)) {
		return "", expires, &auth.InvalidError{Message: "token holds for more than an hour"}
	}
	return l.subject, expires, nil
}
