package credential

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/stagedoor/stagedoor/internal/backstage/jwt"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/openapi"
)

// OnBehalf is whether plugins of a Backstage are called for its users.
type OnBehalf string

// The ways: for nobody but a user, for a user where one calls, for nobody.
const (
	Required OnBehalf = "required"
	Possible OnBehalf = "possible"
	Never    OnBehalf = "never"
)

// BackstageOptions are for [Backstage].
type BackstageOptions struct {
	// PluginID is who the gateway is: the plugin at whose URL Backstage finds the
	// keys of Signer.
	PluginID string
	// Target is the id of the plugin that is called.
	Target string
	// OnBehalf is of whose calls the user is told.
	OnBehalf OnBehalf
	// Issuer is of the principals that came with a token of this Backstage: the
	// base URL of its verifier.
	Issuer string
	Signer Signer
	Now    func() time.Time // nil: time.Now
}

// Backstage is the token of a plugin of Backstage, made for the plugin that is
// called, and with the limited token of the user for whom: what Backstage's own
// plugins show each other (backend-defaults, PluginTokenHandler). The caller's
// own token stays here.
func Backstage(o BackstageOptions) Source { return &backstage{o, newTokens(o.Now)} }

// pluginTokenLife is how long a token holds, unless the user's ends before it.
const pluginTokenLife = 5 * time.Minute

type backstage struct {
	BackstageOptions
	tokens *tokens // by what the user came with
}

// Places implements [Source].
func (b *backstage) Places(*openapi.Action) Places { return authorization() }

// Credentials implements [Source].
func (b *backstage) Credentials(ctx context.Context, _ *openapi.Action) (*Credentials, error) {
	shown, err := b.shown(principal.CallerOf(ctx))
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte(shown))
	return b.tokens.get(ctx, string(key[:]), func(context.Context) (grant, error) { return b.make(shown, b.tokens.now()) })
}

// shown is the token with which the user came for whom the call is made; "" for
// nobody.
func (b *backstage) shown(caller *principal.Caller) (string, error) {
	fromHere := caller.Kind == principal.User && caller.Issuer == b.Issuer && caller.Token != principal.Token{}
	switch {
	case b.OnBehalf == Never, b.OnBehalf == Possible && !fromHere:
		return "", nil
	case !fromHere:
		return "", &Refusal{Message: "this is done for users of Backstage only: come with a Backstage token of yours"}
	}
	return caller.Token.Reveal(), nil
}

// make signs a token for the user who came with this one; "" for nobody.
func (b *backstage) make(shown string, now time.Time) (grant, error) {
	claims := struct {
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
		OnBehalf string `json:"obo,omitempty"`
	}{Subject: b.PluginID, Audience: b.Target}
	ends := now.Add(pluginTokenLife)
	if shown != "" {
		limited, expires, err := limit(shown)
		switch {
		case errors.Is(err, jwt.ErrNoProof) && b.OnBehalf == Possible: // an old user is none that plugins could be told of
		case err != nil:
			return grant{}, &Refusal{Message: "your Backstage token is not one that can be passed on as yours: sign in to Backstage again", Err: err}
		case !now.Before(expires):
			return grant{}, &Refusal{Message: "your Backstage token has ended: sign in again"}
		case expires.Before(ends):
			ends = expires
		}
		claims.OnBehalf = limited
	}
	claims.IssuedAt, claims.Expires = now.Unix(), ends.Unix()
	signed, err := b.Signer.Sign(jwt.Plugin, claims)
	if err != nil {
		return grant{}, err
	}
	return grant{signed, ends.Sub(now)}, nil
}

// limit is what of a user's token a plugin may see, and when it ends.
func limit(shown string) (limited string, expires time.Time, err error) {
	u, err := jwt.Read(shown)
	if err != nil {
		return "", time.Time{}, err
	}
	limited, err = u.Limited()
	return limited, u.Expires(), err
}
