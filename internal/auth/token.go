package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// leeway is how far the clocks of an issuer and ours may be apart where a token
	// says when it begins. Its end is its end.
	leeway = 30 * time.Second
	// maxKeyID bounds kid.
	maxKeyID = 256
)

// JWT is a token in JWS compact form (RFC 7515, section 7.1) that was read and
// not verified. jku, x5u, x5c and jwk of its header are not looked at: keys come
// from the config.
type JWT struct {
	Type      string // typ, as it is written; "": none
	Algorithm string // alg
	KeyID     string // kid; "": none
	// Claims are its payload as JSON decodes it, numbers as json.Number.
	Claims map[string]any

	raw string
}

// ParseJWT reads a token. What is encrypted, has critical headers or a member
// twice is an error, which is about form and says nothing of the token's
// content.
func ParseJWT(raw string) (*JWT, error) {
	if len(raw) > maxToken {
		return nil, fmt.Errorf("token has more than %d bytes", maxToken)
	}
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) != 3 || parts[2] == "" {
		return nil, errors.New("token is no JWT with one signature")
	}
	header, err := decodeObject(parts[0])
	if err != nil {
		return nil, fmt.Errorf("header of the token: %w", err)
	}
	for _, name := range []string{"crit", "b64", "enc"} {
		if _, ok := header[name]; ok {
			return nil, fmt.Errorf("header of the token has %s, which is not taken", name)
		}
	}
	t := JWT{raw: raw}
	for name, to := range map[string]*string{"typ": &t.Type, "alg": &t.Algorithm, "kid": &t.KeyID} {
		value, ok := header[name]
		if !ok {
			continue
		}
		if *to, ok = value.(string); !ok || len(*to) > maxKeyID {
			return nil, fmt.Errorf("header of the token has a %s that is no text, or too long", name)
		}
	}
	if t.Claims, err = decodeObject(parts[1]); err != nil {
		return nil, fmt.Errorf("payload of the token: %w", err)
	}
	return &t, nil
}

func decodeObject(part string) (map[string]any, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errors.New("is not base64url")
	}
	return parseObject(b)
}

// Verify holds the signature to the keys. The algorithms are those of the
// verifier's config, not of the token. The error is an *InvalidError or an
// *UnavailableError. Signatures that were verified are remembered until the
// token ends, or its key does.
func (t *JWT) Verify(ctx context.Context, keys *Keys, algorithms []string) error {
	if err := t.allowed(algorithms); err != nil {
		return err
	}
	now, key := time.Now(), digest(t.raw)
	if signer, ok := keys.verified.get(key, now); ok && keys.has(ctx, signer) {
		return nil
	}
	signer, err := t.verify(ctx, keys, algorithms)
	if err != nil {
		return err
	}
	if end, ok := date(t.Claims["exp"]); ok {
		keys.verified.put(key, signer, now, end)
	}
	return nil
}

func (t *JWT) allowed(algorithms []string) error {
	if !slices.Contains(algorithms, t.Algorithm) || strings.HasPrefix(t.Algorithm, "HS") {
		return &InvalidError{Message: "token has an algorithm that is not taken", Cause: fmt.Errorf("alg %q", t.Algorithm)}
	}
	return nil
}

// verify gives the key that the token was signed with as well.
func (t *JWT) verify(ctx context.Context, keys *Keys, algorithms []string) (thumbprint, error) {
	if err := t.allowed(algorithms); err != nil {
		return thumbprint{}, err
	}
	signed, err := jose.ParseSignedCompact(t.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.Algorithm)})
	if err != nil {
		return thumbprint{}, &InvalidError{Message: "token is malformed", Cause: err}
	}
	return keys.verify(ctx, t, signed)
}

// Text is a claim that is a text; "" where it is not.
func (t *JWT) Text(claim string) string {
	s, _ := t.Claims[claim].(string)
	return s
}

// Lifetime holds the times of the token (RFC 7519, section 4.1) to the clock,
// and tells when it ends. A token without exp is refused; nbf and iat may be 30
// seconds ahead. The error is an *InvalidError.
func (t *JWT) Lifetime(now time.Time) (end time.Time, err error) {
	if _, ok := t.Claims["exp"]; !ok {
		return end, &InvalidError{Message: "token has no exp"}
	}
	return lifetime(t.Claims, now)
}

// lifetime is for claims of which none has to be there; the end is zero where
// there is no exp.
func lifetime(claims map[string]any, now time.Time) (end time.Time, err error) {
	for _, name := range []string{"exp", "nbf", "iat"} {
		value, ok := claims[name]
		if !ok {
			continue
		}
		at, ok := date(value)
		switch {
		case !ok:
			return time.Time{}, &InvalidError{Message: "token has an " + name + " that is no time"}
		case name == "exp" && !now.Before(at):
			return time.Time{}, &InvalidError{Message: "token has expired"}
		case name == "exp":
			end = at
		case at.After(now.Add(leeway)):
			return time.Time{}, &InvalidError{Message: "token is not valid yet", Cause: fmt.Errorf("%s is %s ahead", name, at.Sub(now))}
		}
	}
	return end, nil
}

// date is a NumericDate (RFC 7519, section 2), which may have a fraction.
func date(v any) (time.Time, bool) {
	n, ok := v.(interface{ Float64() (float64, error) }) // json.Number
	if !ok {
		return time.Time{}, false
	}
	seconds, err := n.Float64()
	if err != nil || math.Abs(seconds) > 1e11 { // some 3000 years
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}
