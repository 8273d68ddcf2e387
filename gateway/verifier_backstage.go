package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/auth/backstage"
	"github.com/stagedoor/stagedoor/internal/backstage/jwt"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// backstagePluginID is who the gateway is to Backstage, where the config does
// not say it.
const backstagePluginID = "stagedoor"

// verifier takes the tokens of that Backstage. Secrets are looked up now.
func (v BackstageVerifier) verifier(keys *auth.KeySets) (auth.Verifier, error) {
	o := backstage.Options{
		BaseURL: v.issuer(), Issuer: v.Issuer, PluginID: cmp.Or(v.PluginID, backstagePluginID), Plugins: map[string]string{},
		Scopes: v.Scopes, AuthorizationServer: v.AuthorizationServer == "on", Keys: keys,
	}
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"mcp:destructive", "actions:destructive"}
	}
	for _, id := range v.Plugins {
		o.Plugins[id] = v.PluginURLs[id]
	}
	for i, a := range v.External {
		e, err := a.external(keys)
		if err != nil {
			return nil, fmt.Errorf("external[%d]: %w", i, err)
		}
		o.External = append(o.External, e)
	}
	return backstage.New(o), nil
}

// issuer is the Issuer of the principals that it tells.
func (v BackstageVerifier) issuer() string { return strings.TrimSuffix(v.BaseURL, "/") }

func (a BackstageAccess) external(keys *auth.KeySets) (backstage.External, error) {
	switch {
	case a.JWKS.URL != "":
		return backstage.JWKS{
			Keys: keys.At(a.JWKS.URL), Algorithms: a.JWKS.Algorithms, Issuers: a.JWKS.Issuers, Audiences: a.JWKS.Audiences, SubjectPrefix: a.JWKS.SubjectPrefix,
		}, nil
	case a.Legacy.Secret.IsSet():
		secret, err := a.Legacy.Secret.Reveal()
		if err != nil {
			return nil, err
		}
		return backstage.Legacy(secret, a.Legacy.Subject)
	}
	token, err := a.Static.Token.Reveal()
	if err != nil {
		return nil, err
	}
	return backstage.Static(token, a.Static.Subject), nil
}

// validate finds what is wrong with a verifier; path is where it is.
func (v BackstageVerifier) validate(fs *Faults, path string) {
	const issuers = "for example https://backstage.example.com: keys that come over plain http may be anybody's, save on this machine"
	if !auth.IsEndpoint(v.BaseURL) || strings.Contains(v.BaseURL, "?") {
		fs.add(path+".baseURL", issuers, "expected the https URL of a Backstage backend, got %q", v.BaseURL)
	}
	if v.PluginID != "" && !jwt.PluginID.MatchString(v.PluginID) {
		fs.add(path+".pluginID", "", "plugin id %q does not match %s", v.PluginID, jwt.PluginID)
	}
	for i, id := range v.Plugins {
		if !jwt.PluginID.MatchString(id) {
			fs.add(fmt.Sprintf("%s.plugins[%d]", path, i), "", "plugin id %q does not match %s", id, jwt.PluginID)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.PluginURLs)) {
		if !slices.Contains(v.Plugins, id) {
			fs.add(path+".pluginURLs."+id, cmp.Or(suggest.Hint(id, v.Plugins), "name it there as well, if it may call"), "plugin %q is not in plugins", id)
		}
		if !auth.IsEndpoint(v.PluginURLs[id]) {
			fs.add(path+".pluginURLs."+id, issuers, "expected an https URL, got %q", v.PluginURLs[id])
		}
	}
	for i, a := range v.External {
		a.validate(fs, fmt.Sprintf("%s.external[%d]", path, i))
	}
	if v.AuthorizationServer != "" {
		oneOf(fs, path+".authorizationServer", v.AuthorizationServer, "on", "off")
	}
}

func (a BackstageAccess) validate(fs *Faults, path string) {
	isStatic, isLegacy := a.Static != BackstageStatic{}, a.Legacy != BackstageLegacy{}
	isJWKS := a.JWKS.URL != "" || a.JWKS.SubjectPrefix != "" || len(a.JWKS.Algorithms)+len(a.JWKS.Issuers)+len(a.JWKS.Audiences) > 0
	kinds := 0
	for _, is := range []bool{isStatic, isJWKS, isLegacy} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		fs.add(path, "", "give one of static, jwks and legacy")
	case isStatic:
		validateSubject(fs, path+".static", a.Static.Subject)
		validateShared(fs, path+".static.token", a.Static.Token, func(token string) string {
			if len(token) < 8 || !auth.IsBearer(token) {
				return "token has less than 8 characters, or some that a bearer token cannot have"
			}
			return ""
		})
	case isLegacy:
		validateSubject(fs, path+".legacy", a.Legacy.Subject)
		validateShared(fs, path+".legacy.secret", a.Legacy.Secret, func(secret string) string {
			if _, err := backstage.Legacy(secret, ""); err != nil {
				return err.Error()
			}
			return ""
		})
	default:
		if !auth.IsEndpoint(a.JWKS.URL) {
			fs.add(path+".jwks.url", "for example https://idp.example.com/.well-known/jwks.json", "expected an https URL, got %q", a.JWKS.URL)
		}
		for i, name := range a.JWKS.Algorithms {
			oneOf(fs, fmt.Sprintf("%s.jwks.algorithms[%d]", path, i), name, auth.Algorithms()...)
		}
	}
}

func validateSubject(fs *Faults, path, subject string) {
	if subject == "" || strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		fs.add(path+".subject", "as in Backstage's config", "expected a subject without white space, got %q", subject)
	}
}

// validateShared finds what is wrong with a secret, which is told to nobody.
func validateShared(fs *Faults, path string, secret Secret, wrong func(value string) string) {
	value, err := secret.Reveal()
	if err != nil {
		fs.add(path, "", "%v", err)
	} else if message := wrong(value); message != "" {
		fs.add(path, "", "%s", message)
	}
}
