package login

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// authServer is the metadata of an authorization server (RFC 8414, section 2).
type authServer struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	ScopesSupported       []string `json:"scopes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	// SendsIssuer says that authorization responses name their issuer (RFC 9207).
	SendsIssuer bool `json:"authorization_response_iss_parameter_supported"`
}

// protectedResource is the metadata of a server (RFC 9728, section 2).
type protectedResource struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	ScopesSupported      []string `json:"scopes_supported"`
}

// discovery is what a server's 401 led to.
type discovery struct {
	resource string
	scopes   []string // of the challenge, else of the metadata
	issuers  []string
	most     reach
}

// discover asks the server without a token who may issue one for it (MCP
// 2026-07-28, basic/authorization/authorization-server-discovery). most "" is
// as far as the server is itself, or private where that is allowed.
func (s *Source) discover(ctx context.Context, most reach, private bool) (discovery, error) {
	challenge, at, err := s.probe(ctx, "")
	if err != nil {
		return discovery{}, err
	}
	if most == "" {
		most = at
		if private && most == reachPublic {
			most = reachPrivate
		}
	}
	doc, err := s.metadata(ctx, s.web(most), challenge)
	if err != nil {
		return discovery{}, err
	}
	if len(doc.AuthorizationServers) == 0 {
		return discovery{}, errors.New("server metadata names no authorization server: ask the server's operator for a token, and put it where --token-env finds it")
	}
	d := discovery{resource: doc.Resource, scopes: strings.Fields(challenge["scope"]), issuers: doc.AuthorizationServers, most: most}
	if len(d.scopes) == 0 {
		d.scopes = doc.ScopesSupported
	}
	return d, nil
}

// probe sends the server an MCP ping, with a token or (for "") without one. The
// challenge is nil where it answers with another status than 401; at is where
// the server is.
func (s *Source) probe(ctx context.Context, token string) (challenge map[string]string, at reach, err error) {
	proxies, dialer := &proxies{}, &net.Dialer{Timeout: webPatience}
	var seen atomic.Value
	client := s.client(proxies, func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil && !proxies.has(address) {
			seen.Store(remoteReach(conn))
		}
		return conn, err
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Server(), strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("User-Agent", s.opts.UserAgent)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", fmt.Errorf("server: %w", plainly(err, s.Server()))
	}
	defer resp.Body.Close()
	at, known := seen.Load().(reach)
	if !known { // a proxy led there
		at = reachPublic
		if isLoopbackHost(s.server.Hostname()) {
			at = reachLoopback
		}
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		if challenge = parseChallenge(resp.Header.Values("WWW-Authenticate")); challenge == nil {
			challenge = map[string]string{}
		}
		return challenge, at, nil
	case code >= 300 && code < 400:
		return nil, "", fmt.Errorf("server redirects to %s: log in to that URL, if it is the right one", clean(resp.Header.Get("Location")))
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed || code == http.StatusNotImplemented:
		return nil, "", fmt.Errorf("server: HTTP %d; is the URL that of an MCP server, such as https://gateway.example.com/mcp/catalog?", code)
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return nil, "", fmt.Errorf("server: answer is a web page (HTTP %d); is the URL that of an MCP server, such as https://gateway.example.com/mcp/catalog?", code)
	case code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented:
		return nil, "", fmt.Errorf("server: HTTP %d; try again later", code)
	}
	return nil, at, nil // some servers ask for a token at some calls only
}

// metadata fetches and judges the server's document.
func (s *Source) metadata(ctx context.Context, w *web, challenge map[string]string) (protectedResource, error) {
	const wellKnown = "/.well-known/oauth-protected-resource"
	origin := url.URL{Scheme: s.server.Scheme, Host: s.server.Host}
	root := origin.String() + wellKnown
	own := url.URL{Path: s.server.Path, RawPath: s.server.RawPath, RawQuery: s.server.RawQuery}
	places := []string{root + own.String()}
	if named := challenge["resource_metadata"]; named != "" {
		places = []string{named}
	} else if places[0] != root {
		places = append(places, root)
	}
	for _, place := range places {
		var doc protectedResource
		status, err := w.get(ctx, place, &doc)
		if status >= 400 && status < 500 && place != places[len(places)-1] {
			continue // there is none here
		}
		if challenge == nil && (status >= 400 && status < 500 || status == http.StatusOK && doc.Resource == "") {
			return doc, fmt.Errorf("%s: %w, and has no metadata that says where to get one", s.Server(), ErrNoTokenNeeded)
		}
		if status >= 400 && status < 500 {
			return doc, fmt.Errorf("%s asks for a token, and has no metadata that says where to get one (%w): ask the server's operator for a token, and put it where --token-env finds it", s.Server(), err)
		}
		if err != nil {
			return doc, fmt.Errorf("server metadata: %w", err)
		}
		names := []string{s.Server()}
		if place == root {
			names = append(names, origin.String()) // what that place is made from
		}
		if !slices.Contains(names, canonicalOr(doc.Resource)) {
			return doc, fmt.Errorf("server metadata is for %q, not for %s: a token for it would be one for somebody else (is the URL the one that the server has as its own?)", clean(doc.Resource), s.Server())
		}
		return doc, nil
	}
	return protectedResource{}, errors.New("server metadata: nowhere") // there is at least one place
}

// canonicalOr is a URL as canonical makes it, where it can.
func canonicalOr(raw string) string {
	if u, err := canonical(raw); err == nil {
		return u.String()
	}
	return raw
}

// authServer fetches the metadata of an issuer, wherever it is by the rules
// (RFC 8414, section 3.1; OpenID Connect Discovery 1.0, section 4).
func (w *web) authServer(ctx context.Context, issuer string) (authServer, error) {
	u, err := w.check(issuer)
	if err != nil {
		return authServer{}, fmt.Errorf("authorization server: %w", err)
	}
	if u.RawQuery != "" {
		return authServer{}, fmt.Errorf("authorization server: issuer %s has a query", clean(issuer))
	}
	var problem error
	for _, place := range metadataURLs(u) {
		var as authServer
		status, err := w.get(ctx, place, &as)
		switch {
		case status >= 400 && status < 500 && problem != nil:
		case err != nil:
			problem = err
		case as.Issuer != issuer: // not one byte may differ
			problem = fmt.Errorf("%s is the metadata of %q, not of %q: it is not used", clean(place), clean(as.Issuer), clean(issuer))
		default:
			return as, w.checkEndpoints(as)
		}
		if status == 0 { // the other places are of the same host
			break
		}
	}
	return authServer{}, fmt.Errorf("authorization server: %w", problem)
}

// metadataURLs are where an issuer's metadata may be, in order.
func metadataURLs(issuer *url.URL) []string {
	origin := (&url.URL{Scheme: issuer.Scheme, Host: issuer.Host}).String()
	path := strings.TrimRight(issuer.EscapedPath(), "/")
	places := []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + "/.well-known/openid-configuration" + path,
	}
	if path != "" {
		places = append(places, origin+path+"/.well-known/openid-configuration")
	}
	return places
}

func (w *web) checkEndpoints(as authServer) error {
	if as.TokenEndpoint == "" {
		return fmt.Errorf("authorization server %s has no token_endpoint", clean(as.Issuer))
	}
	for _, endpoint := range []string{as.AuthorizationEndpoint, as.TokenEndpoint, as.DeviceEndpoint, as.RegistrationEndpoint, as.RevocationEndpoint} {
		if endpoint == "" {
			continue
		}
		if _, err := w.check(endpoint); err != nil {
			return fmt.Errorf("authorization server %s: %w", clean(as.Issuer), err)
		}
	}
	return nil
}
