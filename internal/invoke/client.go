package invoke

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// Options of a [Client].
type Options struct {
	// BaseURL is the plugin's, an absolute http or https URL; a path in it is
	// a prefix of every action's path.
	BaseURL string
	// Transport carries the requests; nil makes a pool of the plugin's own.
	Transport http.RoundTripper
	// Timeout bounds a call that its action does not bound; 0 means 30 s.
	Timeout time.Duration
	// MaxResponse bounds a decoded response body; 0 means 1 MiB.
	MaxResponse int64
	// Credentials gives the headers that prove who calls, for each request
	// anew; nil: none. Their values never appear in results or errors.
	Credentials func() (http.Header, error)
	// Secrets gives the operator's secrets by name, for requests that carry
	// some, for each call anew; nil: none. Their values never appear either.
	Secrets   func() (map[string]string, error)
	UserAgent string
}

// Client calls the actions of one plugin. It is safe for concurrent use.
type Client struct {
	base        *url.URL
	transport   http.RoundTripper
	timeout     time.Duration
	maxResponse int64
	credentials func() (http.Header, error)
	reveal      func() (map[string]string, error)
	userAgent   string
	inner       *regexp.Regexp          // the plugin's host anywhere
	known       atomic.Pointer[secrets] // of the credentials and secrets last used
}

// New makes a client, or says what is wrong with the base URL.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.Fragment != "" || base.RawQuery != "" {
		return nil, errors.New("base URL: expected an absolute http or https URL without a query, for example https://billing.internal/api")
	}
	if base.User != nil {
		return nil, errors.New("base URL: credentials do not belong in a URL; give them under auth")
	}
	c := &Client{
		base: base, transport: o.Transport, timeout: o.Timeout, maxResponse: o.MaxResponse,
		credentials: o.Credentials, reveal: o.Secrets, userAgent: o.UserAgent, inner: innerName(base),
	}
	if c.transport == nil {
		c.transport = newPool()
	}
	if c.timeout <= 0 {
		c.timeout = 30 * time.Second
	}
	if c.maxResponse <= 0 {
		c.maxResponse = 1 << 20
	}
	if c.reveal == nil {
		none := map[string]string{}
		c.reveal = func() (map[string]string, error) { return none, nil }
	}
	if c.userAgent == "" {
		c.userAgent = "stagedoor"
	}
	return c, nil
}

// newPool is a plugin's own connections, so that a slow plugin holds up no
// other.
func newPool() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Close releases idle connections.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Invoke calls an action with arguments that fit its input schema. The error
// is always an *Error.
func (c *Client) Invoke(ctx context.Context, a *openapi.Action, arguments map[string]any) (*Result, error) {
	timeout := c.timeout
	if a.Timeout > 0 {
		timeout = a.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	revealed, err := c.revealed()
	if err != nil {
		return nil, err
	}
	req, err := c.request(ctx, a, arguments, revealed)
	if err != nil {
		return nil, err
	}
	hidden, err := c.authorize(req, revealed)
	if err != nil {
		return nil, err
	}
	// Not http.Client: a redirect would take credentials and arguments elsewhere.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, unreachable(ctx, timeout, err)
	}
	defer resp.Body.Close()
	result, err := c.answer(ctx, a, arguments, resp, hidden)
	var known *Error
	if err != nil && !errors.As(err, &known) {
		return nil, unreachable(ctx, timeout, err)
	}
	return result, err
}

// authorize adds the gateway's credentials and gives what of them, and of the
// operator's secrets, must not be seen.
func (c *Client) authorize(req *http.Request, revealed map[string]string) (*secrets, error) {
	var header http.Header
	if c.credentials != nil {
		var err error
		if header, err = c.credentials(); err != nil {
			return nil, noCredentials(err)
		}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if len(header)+len(revealed) == 0 {
		return nil, nil
	}
	known := c.known.Load()
	if !known.are(header, revealed) {
		known = newSecrets(header, revealed)
		c.known.Store(known)
	}
	return known, nil
}

// revealed are the operator's secrets for this call; never nil.
func (c *Client) revealed() (map[string]string, error) {
	values, err := c.reveal()
	switch {
	case err != nil:
		return nil, noCredentials(err)
	case values == nil:
		values = map[string]string{}
	}
	return values, nil
}

func noCredentials(err error) *Error {
	return &Error{Kind: Unavailable, Message: "the gateway has no credentials for this plugin", Err: err}
}

// Masked replaces the values of credentials, for showing a request.
func (c *Client) Masked(req *http.Request) error {
	if c.credentials == nil {
		return nil
	}
	header, err := c.credentials()
	for name := range header {
		req.Header[name] = []string{redacted}
	}
	return err
}

// unreachable classifies a call that got no answer.
func unreachable(ctx context.Context, timeout time.Duration, err error) *Error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Kind: Timeout, Message: fmt.Sprintf("the plugin did not answer within %v", timeout), Err: err}
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Kind: Cancelled, Message: "the call was cancelled", Err: err}
	}
	return &Error{Kind: Unavailable, Message: "the plugin cannot be reached", Err: err}
}

func internal(err error) *Error {
	return &Error{Kind: Internal, Message: "the gateway could not build the request", Err: err}
}
