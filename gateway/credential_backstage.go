package gateway

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/backstage/jwt"
	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// backstageAuth is what a plugin's auth says of Backstage; nil: nothing.
func (a PluginAuth) backstageAuth() *BackstageAuth {
	if a.Use == "backstage" {
		return &BackstageAuth{}
	}
	return a.Backstage
}

// backstageCredential makes a plugin's credential of the kind backstage.
// backstages are those whose users may call, see [Config.backstages].
func (p Plugin) backstageCredential(plugin string, a BackstageAuth, backstages []string, signer credential.Signer) credential.Source {
	o := credential.BackstageOptions{
		PluginID: cmp.Or(a.PluginID, backstagePluginID), Target: cmp.Or(a.Target, p.Backstage.Plugin, plugin),
		OnBehalf: cmp.Or(credential.OnBehalf(a.OnBehalf), credential.Required), Issuer: strings.TrimSuffix(a.Issuer, "/"), Signer: signer,
	}
	if o.Issuer == "" && len(backstages) == 1 {
		o.Issuer = backstages[0]
	}
	return credential.Backstage(o)
}

// backstages are the base URLs of all Backstages whose tokens are taken
// somewhere, each once, in order.
func (c Config) backstages() (all []string) {
	note := func(verifiers []Verifier) {
		for _, v := range verifiers {
			if v.Backstage.BaseURL != "" {
				all = append(all, v.Backstage.issuer())
			}
		}
	}
	note(c.Auth)
	note(c.ActionsAPI.Auth)
	for _, s := range c.Servers {
		note(s.Auth)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// backstagePluginIDs are the plugins of Backstage that the gateway is, each
// once: Backstage looks for its keys below /api/{id}.
func (c Config) backstagePluginIDs() (ids []string) {
	for _, p := range c.Plugins {
		auths := []PluginAuth{p.Auth, p.SpecAuth}
		for _, scheme := range p.Schemes {
			auths = append(auths, scheme)
		}
		for _, a := range auths {
			if is := a.backstageAuth(); is != nil {
				ids = append(ids, cmp.Or(is.PluginID, backstagePluginID))
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// validate finds what is wrong with a credential; path is where it is, and
// backstages as in [Plugin.backstageCredential].
func (a BackstageAuth) validate(fs *Faults, path string, backstages []string) {
	for _, id := range []struct{ key, value string }{{".pluginID", a.PluginID}, {".target", a.Target}} {
		if id.value != "" && !jwt.PluginID.MatchString(id.value) {
			fs.add(path+id.key, "", "plugin id %q does not match %s", id.value, jwt.PluginID)
		}
	}
	onBehalf := cmp.Or(a.OnBehalf, string(credential.Required))
	oneOf(fs, path+".onBehalf", onBehalf, string(credential.Required), string(credential.Possible), string(credential.Never))
	issuer := strings.TrimSuffix(a.Issuer, "/")
	switch {
	case onBehalf == string(credential.Never):
	case len(backstages) == 0:
		fs.add(path, "add backstage: {baseURL: …} to the auth of a server, or say onBehalf: never", "calls are made for users of a Backstage, and no server takes their tokens")
	case issuer == "" && len(backstages) > 1:
		fs.add(path+".issuer", "one of "+strings.Join(backstages, ", "), "needs the Backstage whose users are passed on: tokens of several are taken")
	case issuer != "" && !slices.Contains(backstages, issuer):
		fs.add(path+".issuer", suggest.Hint(issuer, backstages), "no verifier takes tokens of the Backstage at %q", a.Issuer)
	}
}
