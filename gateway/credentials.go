package gateway

import (
	"encoding/base64"
	"net/http"
)

// specCredentials are what goes with the request for the document: the
// plugin's own only to the plugin itself.
func (p Plugin) specCredentials() func() (http.Header, error) {
	switch {
	case p.SpecAuth.IsSet():
		return p.SpecAuth.credentials()
	case p.BaseURL == "" || p.Spec == "" || originOf(p.BaseURL) == originOf(p.Spec):
		return p.Auth.credentials()
	}
	return nil
}

// credentials gives the headers that the plugin wants; nil: none.
func (a PluginAuth) credentials() func() (http.Header, error) {
	switch {
	case a.Bearer.IsSet():
		return headerFrom("Authorization", "Bearer ", a.Bearer)
	case a.Header.Name != "":
		return headerFrom(http.CanonicalHeaderKey(a.Header.Name), "", a.Header.Value)
	case a.Basic.Username != "":
		return func() (http.Header, error) {
			password, err := a.Basic.Password.Reveal()
			if err != nil {
				return nil, err
			}
			pair := base64.StdEncoding.EncodeToString([]byte(a.Basic.Username + ":" + password))
			return http.Header{"Authorization": {"Basic " + pair}}, nil
		}
	}
	return nil
}

func headerFrom(name, prefix string, secret Secret) func() (http.Header, error) {
	return func() (http.Header, error) {
		value, err := secret.Reveal()
		if err != nil {
			return nil, err
		}
		return http.Header{name: {prefix + value}}, nil
	}
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
