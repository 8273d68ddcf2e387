package mcpserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// origins are the web origins whose pages may talk to the gateway.
type origins map[string]bool

func newOrigins(publicURL *url.URL, allowed []string) (origins, error) {
	o := origins{}
	if publicURL != nil {
		o[originOf(publicURL)] = true
	}
	for _, s := range allowed {
		origin, err := parseOrigin(s)
		if err != nil {
			return nil, fmt.Errorf("allowed origin %q: %w", s, err)
		}
		o[originOf(origin)] = true
	}
	return o, nil
}

// SetAllowedOrigins puts these web origins in the place of those that were
// allowed beside the public URL's, or changes nothing.
func (h *Handler) SetAllowedOrigins(allowed []string) error {
	next, err := newOrigins(h.public, allowed)
	if err == nil {
		h.origins.Store(&next)
	}
	return err
}

// check refuses pages of other origins (2025-11-25, basic/transports,
// "Security Warning"). Programs send no Origin; "null" is what a sandboxed
// page sends, so it is nobody in particular.
func (o origins) check(r *http.Request) *refusal {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return nil
	}
	if len(values) == 1 {
		origin, err := parseOrigin(values[0])
		if err == nil && (o[originOf(origin)] || isLoopback(origin.Host) && isWeb(origin) && isLoopback(r.Host)) {
			return nil
		}
	}
	return &refusal{status: http.StatusForbidden, message: "Origin is not allowed"}
}

// parseOrigin reads "scheme://host[:port]" and nothing more.
func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || s != u.Scheme+"://"+u.Host {
		return nil, errors.New("expected scheme://host or scheme://host:port")
	}
	return u, nil
}

// originOf is the form in which origins are compared: lower case, without the
// scheme's own port.
func originOf(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + hostOf(scheme, u.Host)
}

// hostOf is the form in which hosts of a scheme, "host" or "host:port", are
// compared: lower case, without the scheme's own port.
func hostOf(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return host
}

func isWeb(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "https" }
