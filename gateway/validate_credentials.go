package gateway

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// validateCredentials finds what is wrong with what the gateway shows to a
// plugin.
func (p Plugin) validateCredentials(fs *Faults, path string) {
	p.Auth.validate(fs, path+".auth")
	for _, scheme := range slices.Sorted(maps.Keys(p.Schemes)) {
		at := path + ".securitySchemes." + scheme
		p.Schemes[scheme].validate(fs, at)
		if !p.Schemes[scheme].IsSet() {
			fs.add(at, "give one kind of credentials, or none", "says nothing")
		}
	}
	p.SpecAuth.validate(fs, path+".specAuth")
	if p.SpecAuth.wantsCaller() || p.SpecAuth.Use == "backstage" || p.SpecAuth.Backstage != nil {
		fs.add(path+".specAuth", "give bearer, basic, header, query or clientCredentials", "the document is read by the gateway itself: there is nobody on whose behalf")
	}
	p.TLS.validate(fs, path+".tls", p.BaseURL)
}

func (a PluginAuth) validate(fs *Faults, path string) {
	kinds := a.kinds()
	if len(kinds) > 1 {
		fs.add(path, "give one of them", "has more than one kind of credentials: %s", strings.Join(kinds, ", "))
	}
	if a.Use != "" {
		switch a.Use {
		case "none", "assertion", "backstage":
		default:
			fs.add(path, "there is: none, assertion, backstage, and bearer, basic, header, query, clientCredentials and tokenExchange with what belongs to them", "unknown kind of credentials %q", a.Use)
		}
	}
	if (a.Basic != BasicAuth{}) && (a.Basic.Username == "" || !a.Basic.Password.IsSet()) {
		fs.add(path+".basic", "", "needs username and password")
	}
	if strings.Contains(a.Basic.Username, ":") {
		fs.add(path+".basic.username", "", "cannot have a colon (RFC 7617)")
	}
	if (a.Header != HeaderAuth{}) && (a.Header.Name == "" || !a.Header.Value.IsSet()) {
		fs.add(path+".header", "", "needs name and value")
	}
	switch {
	case a.Header.Name != "" && !httpguts.ValidHeaderFieldName(a.Header.Name): // perhaps with its value
		fs.add(path+".header.name", "for example X-API-Key", "is not the name of a header")
	case a.Header.Name != "" && !isCredentialHeader(a.Header.Name):
		fs.add(path+".header.name", "for example X-API-Key", "%q cannot carry credentials", a.Header.Name)
	}
	if (a.Query != QueryAuth{}) && (a.Query.Name == "" || !a.Query.Value.IsSet()) {
		fs.add(path+".query", "", "needs name and value")
	}
	if c := a.ClientCredentials; !reflect.ValueOf(c).IsZero() {
		validateEndpoint(fs, path+".clientCredentials", c.TokenURL, c.ClientID, c.SecretIn)
		if !c.ClientSecret.IsSet() {
			fs.add(path+".clientCredentials.clientSecret", "", "is needed")
		}
	}
	if c := a.TokenExchange; !reflect.ValueOf(c).IsZero() {
		validateEndpoint(fs, path+".tokenExchange", c.TokenURL, c.ClientID, c.SecretIn)
		if len(c.Issuers) == 0 {
			fs.add(path+".tokenExchange.issuers", "name the issuers that it trusts, as auth does", "is needed: callers' tokens are shown to nobody else")
		}
		if c.Audience == "" && c.Resource == "" && len(c.Scopes) == 0 {
			fs.add(path+".tokenExchange", "", "needs audience, resource or scopes: without, the token would not be for the plugin")
		}
	}
	if o := a.Assertion; o != nil && o.Header != "" && !isCredentialHeader(o.Header) {
		fs.add(path+".assertion.header", "for example Stagedoor-Assertion", "%q cannot carry credentials", o.Header)
	}
	a.validateSecrets(fs, path)
}

// kinds names those that are set.
func (a PluginAuth) kinds() (kinds []string) {
	for _, kind := range []struct {
		name string
		set  bool
	}{
		{a.Use, a.Use != ""}, {"bearer", a.Bearer.IsSet()}, {"basic", a.Basic != BasicAuth{}}, {"header", a.Header != HeaderAuth{}}, {"query", a.Query != QueryAuth{}},
		{"clientCredentials", !reflect.ValueOf(a.ClientCredentials).IsZero()}, {"tokenExchange", !reflect.ValueOf(a.TokenExchange).IsZero()}, {"assertion", a.Assertion != nil}, {"backstage", a.Backstage != nil},
	} {
		if kind.set {
			kinds = append(kinds, kind.name)
		}
	}
	return kinds
}

// validateSecrets reads the secrets, and finds what a header cannot carry.
func (a PluginAuth) validateSecrets(fs *Faults, path string) {
	for _, s := range []struct {
		path   string
		secret Secret
		header bool
	}{
		{".bearer", a.Bearer, true}, {".basic.password", a.Basic.Password, false}, {".header.value", a.Header.Value, true}, {".query.value", a.Query.Value, false},
		{".clientCredentials.clientSecret", a.ClientCredentials.ClientSecret, false}, {".tokenExchange.clientSecret", a.TokenExchange.ClientSecret, false},
	} {
		if !s.secret.IsSet() {
			continue
		}
		value, err := s.secret.Reveal()
		if err == nil && s.header && !httpguts.ValidHeaderFieldValue(value) {
			err = errors.New("secret has characters that a header cannot carry (a line break, for example)")
		}
		if err != nil {
			fs.add(path+s.path, "", "%v", err)
		}
	}
}

// validateEndpoint keeps secrets and tokens from going over a network unencrypted
// (RFC 6749, section 3.2).
func validateEndpoint(fs *Faults, path, tokenURL, clientID, secretIn string) {
	u, err := url.Parse(tokenURL)
	switch {
	case tokenURL == "":
		fs.add(path+".tokenURL", "", "is needed")
	case err != nil || !isHTTP(tokenURL) || u.User != nil || u.Fragment != "":
		fs.add(path+".tokenURL", "for example https://idp.example.com/oauth/token", "expected an absolute https URL without credentials")
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		fs.add(path+".tokenURL", "http is for this machine alone", "has to be https: it is sent secrets")
	}
	if clientID == "" {
		fs.add(path+".clientID", "", "is needed")
	}
	if secretIn != "" {
		oneOf(fs, path+".secretIn", secretIn, "header", "body")
	}
}

func (t TLS) validate(fs *Faults, path, baseURL string) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		fs.add(path, "", "needs certFile and keyFile together")
	}
	if t != (TLS{}) && strings.HasPrefix(baseURL, "http:") {
		fs.add(path, "", "is for https, and the base URL is http")
	}
}

// isCredentialHeader tells header names that are names, and not those of the
// connection or the message.
func isCredentialHeader(name string) bool {
	switch strings.ToLower(name) {
	case "host", "content-type", "content-length", "content-encoding", "connection", "transfer-encoding", "te", "trailer",
		"upgrade", "expect", "accept", "accept-encoding", "user-agent":
		return false
	}
	return httpguts.ValidHeaderFieldName(name)
}

// minEncryptionKey is enough for a key that somebody made by chance, in any way
// of writing it.
const minEncryptionKey = 32

// validateEncryptionKey keeps private keys from being sealed with a password.
func (d Database) validateEncryptionKey(fs *Faults) {
	if !d.EncryptionKey.IsSet() {
		return
	}
	key, err := d.EncryptionKey.Reveal()
	if err == nil && len(key) < minEncryptionKey {
		err = fmt.Errorf("has to have at least %d characters", minEncryptionKey)
	}
	if err != nil {
		fs.add("database.encryptionKey", "for example the output of openssl rand -hex 32", "%v", err)
	}
}
