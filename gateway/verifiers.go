package gateway

import (
	"cmp"
	"fmt"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
)

// introspectionCache is how long the answer of an issuer holds, where the config
// does not say it.
const introspectionCache = time.Minute

// chain makes the verifiers of a list that stands at a path of the config and is
// right by itself. Secrets are looked up now.
func (g *Gateway) chain(list []Verifier, path string) (chain auth.Chain, faults Faults) {
	for i, v := range list {
		verifier, err := v.verifier(g.keys)
		if err != nil {
			faults.add(fmt.Sprintf("%s[%d]", path, i), "", "%v", err)
			continue
		}
		chain = append(chain, verifier)
	}
	return chain, faults
}

func (v Verifier) verifier(keys *auth.KeySets) (auth.Verifier, error) {
	switch {
	case v.JWT.Issuer != "":
		return v.JWT.verifier(keys), nil
	case v.Backstage.BaseURL != "":
		return v.Backstage.verifier(keys)
	case v.Introspection.URL != "":
		return v.Introspection.verifier()
	}
	return v.Static.verifier()
}

func (v StaticVerifier) verifier() (auth.Verifier, error) {
	token, err := v.Token.Reveal()
	if err != nil {
		return nil, err
	}
	t := auth.StaticToken{Token: token, Subject: v.Subject, Groups: v.Groups, Scopes: v.Scopes, Claims: map[string]any{}}
	for name, value := range v.Claims {
		t.Claims[name] = string(value)
	}
	return auth.NewStatic(t), nil
}

func (v JWTVerifier) verifier(keys *auth.KeySets) auth.Verifier {
	o := auth.JWTOptions{
		Issuer: v.Issuer, Keys: keys.Of(v.Issuer), Audiences: v.Audiences, Algorithms: v.Algorithms, Types: v.Types,
		Mapping: auth.Mapping{Subject: v.Subject, Groups: v.Groups, Scopes: v.Scopes, Required: texts(v.Claims), GrantScopes: v.GrantScopes},
	}
	if v.JWKS != "" {
		o.Keys = keys.At(v.JWKS)
	}
	return auth.NewJWT(o)
}

func (v IntrospectionVerifier) verifier() (auth.Verifier, error) {
	secret, err := v.ClientSecret.Reveal()
	if err != nil {
		return nil, err
	}
	return auth.NewIntrospection(auth.IntrospectionOptions{
		URL: v.URL, Issuer: v.Issuer, ClientID: v.ClientID, ClientSecret: secret, Audiences: v.Audiences, Cache: cmp.Or(v.Cache, introspectionCache),
		Mapping: auth.Mapping{Subject: v.Subject, Groups: v.Groups, Scopes: v.Scopes, Required: texts(v.Claims), GrantScopes: v.GrantScopes},
	}), nil
}

func texts(scalars map[string]Scalar) map[string]string {
	out := make(map[string]string, len(scalars))
	for name, value := range scalars {
		out[name] = string(value)
	}
	return out
}
