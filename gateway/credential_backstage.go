package gateway

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/backstage/jwt"
	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/suggest"
)

// backstage is what is said of Backstage's tokens; nil: nothing.
func (a PluginAuth) backstage() *BackstageAuth {
	if a.Use == "backstage" {
		return &BackstageAuth{}
	}
	return a.Backstage
}

// source makes the credential, for a plugin that is called so in Backstage
// unless the config says otherwise.
func (a BackstageAuth) source(plugin string, id identity) credential.Source {
	o := credential.BackstageOptions{
		PluginID: cmp.Or(a.PluginID, backstagePluginID), Target: cmp.Or(a.Target, id.target, plugin),
		OnBehalf: cmp.Or(credential.OnBehalf(a.OnBehalf), credential.Required), Issuer: strings.TrimSuffix(a.Issuer, "/"), Signer: id.signer,
	}
	if o.Issuer == "" && len(id.backstages) == 1 {
		o.Issuer = id.backstages[0]
	}
	return credential.Backstage(o)
}

// forItself is the credential with which the gateway reads a plugin's document:
// there is no user then.
func (a BackstageAuth) forItself() BackstageAuth {
	a.OnBehalf = string(credential.Never)
	return a
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

// backstagePluginIDs are the plugins of Backstage that the gateway is to those
// that it calls: Backstage looks for its keys below /api/{id}.
func (c Config) backstagePluginIDs() (ids []string) {
	for _, p := range c.Plugins {
		for _, a := range p.auths() {
			if is := a.backstage(); is != nil {
				ids = append(ids, cmp.Or(is.PluginID, backstagePluginID))
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// auths are all credentials of calls.
func (p Plugin) auths() []PluginAuth {
	all := []PluginAuth{p.Auth}
	for _, a := range p.Schemes {
		all = append(all, a)
	}
	return all
}

// validateBackstageAuths finds what is wrong with credentials of the kind
// backstage, which depend on who may call.
func (c Config) validateBackstageAuths(fs *Faults, plugin string) {
	p, path, backstages := c.Plugins[plugin], "plugins."+plugin, c.backstages()
	if is := p.Auth.backstage(); is != nil {
		is.validate(fs, path+".auth.backstage", backstages)
	}
	for scheme, a := range p.Schemes {
		if is := a.backstage(); is != nil {
			is.validate(fs, path+".securitySchemes."+scheme+".backstage", backstages)
		}
	}
}

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
		fs.add(path, "add backstage: {baseURL: …} to auth, or say onBehalf: never", "calls are made for users of a Backstage, and nobody's tokens of one are taken")
	case issuer == "" && len(backstages) > 1:
		fs.add(path+".issuer", "one of "+strings.Join(backstages, ", "), "needs the Backstage whose users are passed on: tokens of several are taken")
	case issuer != "" && !slices.Contains(backstages, issuer):
		fs.add(path+".issuer", suggest.Hint(issuer, backstages), "no verifier takes tokens of the Backstage at %q", a.Issuer)
	}
}
