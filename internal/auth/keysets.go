package auth

import (
	"net/http"
	"sync"
)

// KeySets are the key sets of all issuers, one each: however many servers trust
// an issuer, and however often a config is loaded, it is asked once. It is safe
// for concurrent use.
type KeySets struct {
	client *http.Client

	mu  sync.Mutex
	all map[string]*Keys
}

// NewKeySets makes a pool; a nil transport is one of its own.
func NewKeySets(transport http.RoundTripper) *KeySets {
	return &KeySets{client: newClient(transport), all: map[string]*Keys{}}
}

// newClient makes a client that asks issuers: a redirect is an answer like any
// other that is not 200.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4,
			IdleConnTimeout: longestPause, TLSHandshakeTimeout: requestTimeout, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return &http.Client{
		Transport: transport, Timeout: requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// At gives the keys at a JWKS URL. Nothing is fetched yet.
func (p *KeySets) At(jwks string) *Keys {
	return p.keys("url "+jwks, source{client: p.client, jwks: jwks})
}

// Of gives the keys that an issuer's metadata names (RFC 8414, OpenID Connect
// Discovery). Nothing is fetched yet.
func (p *KeySets) Of(issuer string) *Keys {
	return p.keys("issuer "+issuer, source{client: p.client, issuer: issuer})
}

func (p *KeySets) keys(name string, s source) *Keys {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.all[name]
	if !ok {
		k = &Keys{source: s, verified: newCache[[32]byte, thumbprint](maxVerified)}
		p.all[name] = k
	}
	return k
}
