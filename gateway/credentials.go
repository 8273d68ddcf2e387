package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/source"
)

// identity is what the gateway proves itself with to those who know its public
// keys.
type identity struct {
	signer    credential.Signer
	publicURL string
	// backstages are the base URLs of Backstages whose users may call.
	backstages []string
	// target is the id in Backstage of the plugin that is called; "": its name.
	target string
}

// credentials are those for calls of a plugin; nil: it gets none.
func (p Plugin) credentials(name string, id identity) credential.Source {
	id.target = p.Backstage.Plugin
	auth := p.Auth.source(name, id)
	if len(p.Schemes) == 0 {
		return auth
	}
	schemes := make(map[string]credential.Source, len(p.Schemes))
	for scheme, a := range p.Schemes {
		schemes[scheme] = a.source(name, id)
	}
	return credential.BySecurity(schemes, auth)
}

// hasCredentials tells whether there is anything that is for the plugin alone.
func (p Plugin) hasCredentials() bool {
	says := func(a PluginAuth) bool { return a.IsSet() && a.Use != "none" }
	return says(p.Auth) || says(p.SpecAuth) || len(p.Schemes) > 0
}

// source gives the credentials that are said; nil: none are.
func (a PluginAuth) source(plugin string, id identity) credential.Source {
	switch {
	case a.Bearer.IsSet():
		return credential.Bearer(a.Bearer.Reveal)
	case a.Header.Name != "":
		return credential.Header(a.Header.Name, a.Header.Value.Reveal)
	case a.Basic.Username != "":
		return credential.Basic(a.Basic.Username, a.Basic.Password.Reveal)
	case a.Query.Name != "":
		return credential.Query(a.Query.Name, a.Query.Value.Reveal)
	case a.ClientCredentials.TokenURL != "":
		return credential.ClientCredentials(a.ClientCredentials.endpoint())
	case a.TokenExchange.TokenURL != "":
		return credential.TokenExchange(a.TokenExchange.endpoint(), a.TokenExchange.Issuers)
	case a.backstage() != nil:
		return a.backstage().source(plugin, id)
	case a.assertion() != nil:
		o := a.assertion()
		return credential.Assertion(credential.AssertionOptions{
			Signer: id.signer, Issuer: id.publicURL, Plugin: plugin, Audience: o.Audience, Header: o.Header, Claims: o.Claims,
		})
	}
	return nil
}

// assertion is what is said of assertions; nil: nothing.
func (a PluginAuth) assertion() *Assertion {
	if a.Use == "assertion" {
		return &Assertion{}
	}
	return a.Assertion
}

// wantsCaller tells whether the credentials say who calls: the gateway has none
// of them for itself.
func (a PluginAuth) wantsCaller() bool {
	return a.TokenExchange.TokenURL != "" || a.assertion() != nil
}

func (c ClientCredentials) endpoint() credential.Endpoint {
	return credential.Endpoint{
		URL: c.TokenURL, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal, SecretInBody: c.SecretIn == "body",
		Scopes: c.Scopes, Audience: c.Audience, Resource: c.Resource,
	}
}

func (c TokenExchange) endpoint() credential.Endpoint {
	e := credential.Endpoint{
		URL: c.TokenURL, ClientID: c.ClientID, SecretInBody: c.SecretIn == "body",
		Scopes: c.Scopes, Audience: c.Audience, Resource: c.Resource,
	}
	if c.ClientSecret.IsSet() {
		e.ClientSecret = c.ClientSecret.Reveal
	}
	return e
}

// documentCredentials are what goes with the request for the document: the
// plugin's own, given here, only to the plugin itself.
func (p Plugin) documentCredentials(name string, id identity, own credential.Source) credential.Source {
	switch {
	case p.SpecAuth.IsSet():
		return p.SpecAuth.source(name, id)
	case !p.Auth.IsSet() || p.Auth.wantsCaller() || !p.atOwnOrigin():
		return nil
	case p.Auth.backstage() != nil:
		id.target = p.Backstage.Plugin
		return p.Auth.backstage().forItself().source(name, id)
	}
	return own
}

// atOwnOrigin tells whether the document is where the plugin is.
func (p Plugin) atOwnOrigin() bool {
	return p.BaseURL == "" || p.Spec == "" || originOf(p.BaseURL) == originOf(p.Spec)
}

// headerOf gives the headers of credentials that are nobody's but the gateway's.
func headerOf(s credential.Source) func(context.Context) (http.Header, error) {
	if s == nil {
		return nil
	}
	return func(ctx context.Context) (http.Header, error) {
		c, err := s.Credentials(ctx, nil)
		if err != nil || c == nil {
			return nil, err
		}
		return c.Header, nil
	}
}

// documentTransport carries requests for documents: with the plugin's
// certificates, and with credentials of the query. Sources follow redirects and
// $refs within one origin only, so that the query goes nowhere else.
func documentTransport(s credential.Source, certificates *tls.Config) http.RoundTripper {
	pool := source.NewPool(certificates)
	if s == nil {
		return pool
	}
	return &documentRequests{pool, s}
}

type documentRequests struct {
	*http.Transport
	source credential.Source
}

// RoundTrip implements [http.RoundTripper].
func (t *documentRequests) RoundTrip(req *http.Request) (*http.Response, error) {
	c, err := t.source.Credentials(req.Context(), nil)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	if c != nil && len(c.Query) > 0 {
		req = req.Clone(req.Context())
		req.URL.RawQuery = strings.TrimPrefix(req.URL.RawQuery+"&"+c.Query.Encode(), "&")
	}
	resp, err := t.Transport.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && c != nil && c.Drop != nil {
		c.Drop()
	}
	return resp, err
}

// config is what connections to the plugin are made with; nil: as usual. The
// certificate is read for each connection, so that a renewed one is used at
// once.
func (t TLS) config() (*tls.Config, error) {
	if t == (TLS{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("caFile: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("caFile: has no certificate (PEM)")
		}
	}
	if t.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			return nil, fmt.Errorf("certFile: %w", err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("certificate of the gateway: %w", err)
			}
			return &pair, nil
		}
	}
	return c, nil
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
