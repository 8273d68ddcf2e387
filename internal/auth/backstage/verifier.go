// Package backstage verifies the tokens of a Backstage: of its users, of its
// plugins with and without a user behind them, and of those whom it lets in from
// outside, as backend-defaults 0.18 does (DefaultAuthService), and stricter where
// that costs nobody who means well. No URL is ever taken from a token.
package backstage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/backstage/jwt"
	"github.com/stagedoor/stagedoor/internal/principal"
)

// Options say which Backstage it is, and who of it may come.
type Options struct {
	// BaseURL is the backend's, without a slash at the end. It is the issuer of the
	// principals.
	BaseURL string
	// Issuer is what iss of users' tokens has to be; "": it is not looked at, as
	// Backstage itself does not.
	Issuer string
	// PluginID is what aud of plugins' tokens has to be. At a resource that has a
	// plugin, that plugin's id does as well.
	PluginID string
	// Plugins are the plugins that may call, by their ids, with their base URLs; "":
	// {BaseURL}/api/{id}.
	Plugins map[string]string
	// External are whom Backstage lets in from outside, in the order of its config.
	External []External
	// Scopes are those of each token: Backstage knows none.
	Scopes []string
	// AuthorizationServer has clients sent to Backstage's auth plugin for tokens.
	AuthorizationServer bool
	// Keys has the key sets.
	Keys *auth.KeySets
	// Transport is how users' groups are asked for; nil: [http.DefaultTransport].
	Transport http.RoundTripper
}

type verifier struct {
	Options
	users    *auth.Keys
	plugins  map[string]*auth.Keys
	userinfo *userinfo
}

// New makes a verifier. Nothing is fetched yet.
func New(o Options) auth.Verifier {
	authURL := o.BaseURL + "/api/auth"
	v := verifier{Options: o, plugins: map[string]*auth.Keys{}, users: o.Keys.At(authURL + "/.well-known/jwks.json")}
	for id, base := range o.Plugins {
		if base == "" {
			base = o.BaseURL + "/api/" + id
		}
		v.plugins[id] = o.Keys.At(strings.TrimSuffix(base, "/") + "/.backstage/auth/v1/jwks.json")
	}
	v.userinfo = newUserinfo(authURL+"/v1/userinfo", o.Transport)
	return &v
}

// AuthorizationServers implements [auth.Verifier].
func (v *verifier) AuthorizationServers() []string {
	if v.AuthorizationServer {
		return []string{v.BaseURL + "/api/auth"}
	}
	return nil
}

// Verify implements [auth.Verifier]: plugins first, then users, then the rest,
// by what a token says of its type.
func (v *verifier) Verify(ctx context.Context, text string, at auth.Resource) (principal.Principal, error) {
	t, err := auth.ParseJWT(text)
	switch {
	case err != nil: // static tokens are no JWTs
		return v.external(ctx, text, nil)
	case t.Type == jwt.Plugin:
		return v.plugin(ctx, text, t, at)
	case t.Type == jwt.LimitedUser:
		return principal.Principal{}, &auth.InvalidError{Message: "token is a limited one, which holds only inside a plugin's token"}
	case t.Type == jwt.User, t.Type == "" && t.Claims["aud"] == jwt.UserAudience:
		return v.user(ctx, text, t)
	}
	return v.external(ctx, text, t)
}

// user verifies the token of a user, whole or limited.
func (v *verifier) user(ctx context.Context, text string, t *auth.JWT) (principal.Principal, error) {
	if t.Type != jwt.LimitedUser {
		if !slices.Contains(principal.ClaimTexts(t.Claims, "aud"), jwt.UserAudience) {
			return principal.Principal{}, &auth.InvalidError{Message: "token is not for Backstage"}
		}
		if v.Issuer != "" && t.Text("iss") != v.Issuer {
			return principal.Principal{}, &auth.InvalidError{Message: "token is of another issuer", Cause: fmt.Errorf("iss is %.200q", t.Text("iss"))}
		}
	}
	expires, err := verified(ctx, t, v.users)
	if err != nil {
		return principal.Principal{}, err
	}
	p := v.principal(principal.User, t.Text("sub"), text, expires)
	p.Claims = maps.Clone(t.Claims)
	delete(p.Claims, "uip") // who has it can make a token of it that plugins take
	if p.Groups, err = v.groups(ctx, text, t, expires); err != nil {
		return principal.Principal{}, err
	}
	return p, nil
}

// plugin verifies the token of a plugin, and that of the user for whom it calls.
func (v *verifier) plugin(ctx context.Context, text string, t *auth.JWT, at auth.Resource) (principal.Principal, error) {
	id := t.Text("sub")
	keys, ok := v.plugins[id]
	if !ok {
		return principal.Principal{}, &auth.InvalidError{Message: "token is of a plugin that may not call here", Cause: fmt.Errorf("plugin %.100q is not in the config", id)}
	}
	audience := principal.ClaimTexts(t.Claims, "aud")
	if !slices.ContainsFunc(audience, func(a string) bool { return a != "" && (a == v.PluginID || a == at.Plugin) }) {
		return principal.Principal{}, &auth.InvalidError{Message: "token is for another plugin", Cause: fmt.Errorf("aud is %.300q", audience)}
	}
	expires, err := verified(ctx, t, keys)
	if err != nil {
		return principal.Principal{}, err
	}
	actor := "plugin:" + id
	behalf, ok := t.Claims["obo"]
	if !ok {
		p := v.principal(principal.Service, actor, text, expires)
		p.Claims = t.Claims
		return p, nil
	}
	limited, _ := behalf.(string)
	u, err := auth.ParseJWT(limited)
	if err != nil || u.Type != jwt.LimitedUser {
		return principal.Principal{}, &auth.InvalidError{Message: "token has an obo that is no limited user token", Cause: err}
	}
	p, err := v.user(ctx, limited, u)
	if err != nil {
		return principal.Principal{}, err
	}
	p.Actor = actor
	if expires.Before(p.Expires) {
		p.Expires = expires
	}
	return p, nil
}

// external verifies what is neither of a user nor of a plugin. The first that
// knows a token for its own has the word.
func (v *verifier) external(ctx context.Context, text string, t *auth.JWT) (principal.Principal, error) {
	var verdict error
	for _, e := range v.External {
		subject, expires, err := e.verify(ctx, text, t)
		switch {
		case err == nil:
			p := v.principal(principal.Service, subject, text, expires)
			if t != nil {
				p.Claims = t.Claims
			}
			return p, nil
		case verdict == nil && !errors.Is(err, auth.ErrNotMine):
			verdict = err
		}
	}
	if verdict == nil {
		verdict = fmt.Errorf("%w: it is neither of a user nor of a plugin of %s, nor in external", auth.ErrNotMine, v.BaseURL)
	}
	return principal.Principal{}, verdict
}

func (v *verifier) principal(kind principal.Kind, subject, text string, expires time.Time) principal.Principal {
	return principal.Principal{
		Kind: kind, Subject: subject, Issuer: v.BaseURL, Scopes: v.Scopes, Expires: expires, Token: principal.NewToken(text),
	}
}

// maxSubject bounds sub, in bytes.
const maxSubject = 1024

// verified holds a token of Backstage's own to what each of them has to have,
// and to the key that made it.
func verified(ctx context.Context, t *auth.JWT, keys *auth.Keys) (expires time.Time, err error) {
	if s := t.Text("sub"); s == "" || len(s) > maxSubject {
		return expires, &auth.InvalidError{Message: "token does not say whose it is"}
	}
	if _, ok := t.Claims["iat"]; !ok {
		return expires, &auth.InvalidError{Message: "token has no iat"}
	}
	if expires, err = t.Lifetime(time.Now()); err != nil {
		return expires, err
	}
	return expires, t.Verify(ctx, keys, auth.Algorithms())
}
