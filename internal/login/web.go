package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// maxBody bounds each answer, once decompressed.
	maxBody = 1 << 20
	// webPatience bounds each request, its answer included.
	webPatience = 10 * time.Second
)

// web asks what a server leads to, within where it may lead. It follows no
// redirect, and sends no cookie.
type web struct {
	client *http.Client
	most   reach // where requests may go
	agent  string
}

// web makes the client for what a server at a place leads to.
func (s *Source) web(most reach) *web {
	proxies := &proxies{}
	dialer := &net.Dialer{Timeout: webPatience}
	guarded := &net.Dialer{Timeout: webPatience, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return refused(most, reachOf(at.Addr()), at.Addr().String())
	}}
	return &web{most: most, agent: s.opts.UserAgent, client: s.client(proxies, func(ctx context.Context, network, address string) (net.Conn, error) {
		if proxies.has(address) {
			return dialer.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	})}
}

// refused is why an address is not asked; nil: it may be.
func refused(most, at reach, address string) error {
	switch {
	case most.covers(at):
		return nil
	case at == reachNowhere:
		return fmt.Errorf("address %s is one that no server may lead to", address)
	case at == reachLoopback:
		return fmt.Errorf("address %s is this machine, where no server of another may lead", address)
	}
	return fmt.Errorf("address %s is private, and the server's own is not: --allow-private at the login permits it", address)
}

func (s *Source) client(p *proxies, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Client {
	client := &http.Client{
		Timeout:       webPatience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     s.transport,
	}
	if s.transport == nil {
		client.Transport = &http.Transport{Proxy: p.of, DialContext: dial, DisableKeepAlives: true, TLSClientConfig: s.tls, TLSHandshakeTimeout: webPatience}
	}
	return client
}

// proxies are those that the environment names: what goes through one is not
// ours to resolve.
type proxies struct {
	mu    sync.Mutex
	known map[string]bool
}

func (p *proxies) of(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if u == nil || err != nil {
		return u, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string]bool{}
	}
	p.known[net.JoinHostPort(u.Hostname(), port)] = true
	return u, nil
}

func (p *proxies) has(address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[address]
}

// check tells why a URL that a server gave is not used: it has to be https, or
// http on this machine where the server is here too.
func (w *web) check(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("URL %s is not an absolute https URL without credentials and fragment", clean(raw))
	}
	if u.Scheme == "http" && !(w.most == reachLoopback && isLoopbackHost(u.Hostname())) {
		return nil, fmt.Errorf("URL %s is not https", clean(raw))
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return u, refused(w.most, reachOf(ip), ip.String())
	}
	return u, nil
}

// get asks for a JSON document. status is 0 where there was no answer.
func (w *web) get(ctx context.Context, raw string, into any) (status int, err error) {
	status, data, err := w.ask(ctx, http.MethodGet, raw, "", nil)
	switch {
	case err != nil:
		return status, err
	case status != http.StatusOK:
		return status, fmt.Errorf("%s: HTTP %d", clean(raw), status)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return status, fmt.Errorf("%s: no JSON document of the expected kind: %w", clean(raw), err)
	}
	return status, nil
}

// post sends a form, and gives the answer with every status but a redirect's.
func (w *web) post(ctx context.Context, raw string, form url.Values) (status int, answer []byte, err error) {
	return w.ask(ctx, http.MethodPost, raw, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (w *web) ask(ctx context.Context, method, raw, contentType string, body io.Reader) (int, []byte, error) {
	u, err := w.check(raw)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", w.agent)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, nil, passing{plainly(err, raw)}
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return resp.StatusCode, nil, fmt.Errorf("%s: answer is a redirect, which is not followed", clean(raw))
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return resp.StatusCode, nil, passing{plainly(err, raw)}
	}
	if len(data) > maxBody {
		return resp.StatusCode, nil, fmt.Errorf("%s: answer is larger than 1 MiB", clean(raw))
	}
	return resp.StatusCode, data, nil
}

// passing is an error that may be gone when one asks again.
type passing struct{ error }

func (e passing) Unwrap() error { return e.error }

// plainly leaves out what net/http says about a URL: a query may hold secrets.
func plainly(err error, raw string) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		err = fmt.Errorf("no answer within %s", webPatience)
	}
	base, _, _ := strings.Cut(raw, "?")
	return fmt.Errorf("%s: %w", clean(base), err)
}
