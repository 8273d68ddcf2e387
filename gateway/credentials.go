package gateway

import (
	"context"
	"net/http"

	"github.com/stagedoor/stagedoor/internal/credential"
)

// specCredentials are what goes with the request for the document: the
// plugin's own only to the plugin itself.
func (p Plugin) specCredentials() func() (http.Header, error) {
	switch {
	case p.SpecAuth.IsSet():
		return headerOf(p.SpecAuth.source())
	case p.BaseURL == "" || p.Spec == "" || originOf(p.BaseURL) == originOf(p.Spec):
		return headerOf(p.Auth.source())
	}
	return nil
}

func headerOf(s credential.Source) func() (http.Header, error) {
	if s == nil {
		return nil
	}
	return func() (http.Header, error) {
		c, err := s.Credentials(context.Background(), nil)
		if err != nil {
			return nil, err
		}
		return c.Header, nil
	}
}

// source gives the credentials that the plugin wants; nil: none.
func (a PluginAuth) source() credential.Source {
	switch {
	case a.Bearer.IsSet():
		return credential.Bearer(a.Bearer.Reveal)
	case a.Header.Name != "":
		return credential.Header(a.Header.Name, a.Header.Value.Reveal)
	case a.Basic.Username != "":
		return credential.Basic(a.Basic.Username, a.Basic.Password.Reveal)
	case a.Query.Name != "":
		return credential.Query(a.Query.Name, a.Query.Value.Reveal)
	}
	return nil
}

// reveal gives the secrets of actions by their names; nil: there are none.
func (b BackstageSource) reveal() func() (map[string]string, error) {
	if len(b.Secrets) == 0 {
		return nil
	}
	return func() (map[string]string, error) {
		values := map[string]string{}
		for name, secret := range b.Secrets {
			value, err := secret.Reveal()
			if err != nil {
				return nil, err
			}
			values[name] = value
		}
		return values, nil
	}
}
