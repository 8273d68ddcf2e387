package gateway

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/internal/auth"
)

// introspectionCache is how long an introspection's answer holds where the
// config does not say.
const introspectionCache = time.Minute

// verifiers makes the verifiers of one config. Lists of the same place share
// them, and all configs of a gateway share the keys of issuers.
type verifiers struct {
	keys *auth.KeySets
	made map[string]auth.Chain // by where their list is
}

// chain makes the verifiers of a list. Static tokens are one verifier, so that
// the time it takes tells nothing of which one it was. Secrets are looked up now;
// with a fault, the chain lets nobody in.
func (m *verifiers) chain(path string, list []Verifier) (chain auth.Chain, fs Faults) {
	if made, ok := m.made[path]; ok {
		return made, nil
	}
	var tokens []auth.StaticToken
	static := -1
	for i, v := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch v.kinds()[0] {
		case "static":
			if token, err := v.Static.token(); err != nil {
				fs.add(at+".static.token", "", "%v", err)
			} else {
				tokens = append(tokens, token)
			}
			if static < 0 {
				static, chain = len(chain), append(chain, nil)
			}
		case "jwt":
			chain = append(chain, v.JWT.verifier(m.keys))
		case "introspection":
			made, err := v.Introspection.verifier()
			if err != nil {
				fs.add(at+".introspection.clientSecret", "", "%v", err)
			}
			chain = append(chain, made)
		case "backstage":
			made, err := v.Backstage.verifier(m.keys)
			if err != nil {
				fs.add(at+".backstage", "", "%v", err)
			}
			chain = append(chain, made)
		}
	}
	if static >= 0 {
		chain[static] = auth.NewStatic(tokens...)
	}
	if len(fs) > 0 {
		return nil, fs
	}
	if m.made == nil {
		m.made = map[string]auth.Chain{}
	}
	m.made[path] = chain
	return chain, nil
}

// kinds are the YAML keys of a verifier that are set; validation has there be
// one.
func (v Verifier) kinds() []string {
	var set []string
	for field, value := range reflect.ValueOf(v).Fields() {
		if !value.IsZero() {
			set = append(set, field.Tag.Get("koanf"))
		}
	}
	if len(set) == 0 {
		set = []string{""}
	}
	return set
}

func isOpen(list []Verifier) bool {
	return slices.ContainsFunc(list, func(v Verifier) bool { return v.Use == "none" })
}

// grantedByAll are the scopes that no client has to ask its issuer for, whoever
// that is of a list.
func grantedByAll(list []Verifier) (granted []string) {
	first := true
	for _, v := range list {
		var own []string
		switch v.kinds()[0] {
		case "jwt":
			own = v.JWT.GrantScopes
		case "introspection":
			if own = v.Introspection.GrantScopes; v.Introspection.Issuer == "" {
				continue
			}
		default: // no client is sent anywhere, or to a Backstage, which has no scopes
			continue
		}
		if first {
			granted, first = slices.Clone(own), false
		}
		granted = slices.DeleteFunc(granted, func(s string) bool { return !slices.Contains(own, s) })
	}
	return granted
}

func (s StaticVerifier) token() (auth.StaticToken, error) {
	value, err := s.Token.Reveal()
	claims := map[string]any{}
	for name, claim := range s.Claims {
		claims[name] = string(claim)
	}
	return auth.StaticToken{Token: value, Subject: s.Subject, Groups: s.Groups, Scopes: s.Scopes, Claims: claims}, err
}

func (j JWTVerifier) verifier(keys *auth.KeySets) auth.Verifier {
	o := auth.JWTOptions{
		Issuer: j.Issuer, Audiences: j.Audiences, Algorithms: j.Algorithms, Types: j.Types,
		Mapping: auth.Mapping{Subject: j.Subject, Groups: j.Groups, Scopes: j.Scopes, Required: texts(j.Claims), GrantScopes: j.GrantScopes},
	}
	if o.Keys = keys.Of(j.Issuer); j.JWKS != "" {
		o.Keys = keys.At(j.JWKS)
	}
	return auth.NewJWT(o)
}

func (i IntrospectionVerifier) verifier() (auth.Verifier, error) {
	secret, err := i.ClientSecret.Reveal()
	return auth.NewIntrospection(auth.IntrospectionOptions{
		URL: i.URL, Issuer: i.Issuer, ClientID: i.ClientID, ClientSecret: secret, Audiences: i.Audiences, Cache: cmp.Or(i.Cache, introspectionCache),
		Mapping: auth.Mapping{Subject: i.Subject, Groups: i.Groups, Scopes: i.Scopes, Required: texts(i.Claims), GrantScopes: i.GrantScopes},
	}), err
}

func texts(claims map[string]Scalar) map[string]string {
	out := make(map[string]string, len(claims))
	for name, value := range claims {
		out[name] = string(value)
	}
	return out
}
