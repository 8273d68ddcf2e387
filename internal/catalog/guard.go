package catalog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"syscall"
	"time"
)

var errForbiddenAddress = errors.New("its address is not a public one")

// guarded is an HTTP client for URLs that callers choose: it connects to
// public addresses only. The check stands behind name resolution, so that no
// name can lead elsewhere, and there is no proxy to go around it.
func guarded(timeout time.Duration) *http.Client {
	dialer := &net.Dialer{
		Timeout: timeout,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !isPublic(to.Addr()) {
				return errForbiddenAddress
			}
			return nil
		},
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           10,
			IdleConnTimeout:        30 * time.Second,
		},
	}
}

// isPublic says whether an address belongs to the public internet.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.Zone() != "" {
		return false
	}
	for _, special := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "5f00::/16", "fec0::/10",
	} {
		if netip.MustParsePrefix(special).Contains(a) {
			return false
		}
	}
	return true
}

// sameHost follows redirects within the host only, and never to a scheme that
// is less safe.
func sameHost(request *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > 5:
		return errors.New("it redirects too often")
	case request.URL.Host != first.Host:
		return errors.New("it redirects to another host")
	case first.Scheme == "https" && request.URL.Scheme != "https":
		return errors.New("it redirects away from https")
	}
	return nil
}

// parseURL takes an http or https URL without credentials.
func parseURL(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	switch {
	case err != nil || u.Host == "" || len(target) > 2048:
		return nil, fmt.Errorf("%q is not a URL", shorten(target))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q: only http and https URLs are read", shorten(target))
	case u.User != nil:
		return nil, errors.New("a URL with credentials in it is not taken")
	}
	return u, nil
}

// allowed says whether a URL lies below one of the operator's prefixes.
func allowed(u *url.URL, prefixes []string) bool {
	clean := path.Clean("/" + u.Path)
	if u.Path != "" && clean != u.Path && clean+"/" != u.Path || strings.Contains(u.Path, `\`) || strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		return false
	}
	for _, prefix := range prefixes {
		p, err := url.Parse(prefix)
		if err != nil || p.Scheme != u.Scheme || !strings.EqualFold(p.Host, u.Host) {
			continue
		}
		below := strings.TrimSuffix(p.Path, "/")
		if clean == below || strings.HasPrefix(clean, below+"/") {
			return true
		}
	}
	return false
}

// rawURL turns the address of a file's page on GitHub or GitLab into that of
// its content.
func rawURL(u *url.URL) *url.URL {
	raw := *u
	switch parts := strings.SplitN(strings.TrimPrefix(u.Path, "/"), "/", 4); {
	case u.Host == "github.com" && len(parts) == 4 && parts[2] == "blob":
		raw.Host, raw.Path, raw.RawPath = "raw.githubusercontent.com", "/"+parts[0]+"/"+parts[1]+"/"+parts[3], ""
	case strings.Contains(u.Path, "/-/blob/"):
		raw.Path, raw.RawPath = strings.Replace(u.Path, "/-/blob/", "/-/raw/", 1), ""
	}
	return &raw
}
