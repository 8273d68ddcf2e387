package invoke

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/openapi"
)

// Options of a [Client].
type Options struct {
	// Name is the plugin's, for messages; empty: it is called "the plugin".
	Name string
	// BaseURL is the plugin's, an absolute http or https URL; a path in it is
	// a prefix of every action's path.
	BaseURL string
	// Transport carries the requests; nil makes a pool of the plugin's own.
	Transport http.RoundTripper
	// Timeout bounds a call that its action does not bound; 0 means 30 s.
	Timeout time.Duration
	// MaxResponse bounds a decoded response body; 0 means 1 MiB.
	MaxResponse int64
	// Credentials are what proves to the plugin who calls, for each call anew;
	// nil: none. Their values never appear in results or errors, and arguments
	// never stand in their places.
	Credentials credential.Source
	// Secrets gives the operator's secrets by name, for requests that carry
	// some, for each call anew; nil: none. Their values never appear either.
	Secrets   func() (map[string]string, error)
	UserAgent string
	// TLS is what connections to the plugin are made with, where Transport is nil;
	// nil: as usual.
	TLS *tls.Config
	// Concurrency bounds the calls under way at once; 0 means 256. More wait
	// for up to a second.
	Concurrency int
	// Retry has calls of idempotent actions tried again that got no connection,
	// or 502, 503, 504, or 429 with Retry-After.
	Retry bool
	// Breaker has a plugin that keeps failing left alone for a while.
	Breaker bool
	// Logger is told when a plugin is left alone, and when it answers again;
	// nil: nobody is.
	Logger *slog.Logger
}

// Client calls the actions of one plugin, and knows how that does. It is safe
// for concurrent use.
type Client struct {
	name, plugin string // as messages name it, and as the config does
	log          *slog.Logger
	baseURL      string
	base         *url.URL
	transport    http.RoundTripper
	timeout      time.Duration
	maxResponse  int64
	credentials  credential.Source
	filled       credential.Places // by credentials of any action
	reveal       func() (map[string]string, error)
	userAgent    string
	inner        *regexp.Regexp          // the plugin's host anywhere
	known        atomic.Pointer[secrets] // of the credentials and secrets last used

	retries                  bool
	repeats                  atomic.Bool // the transport does so by itself, see [once]
	places                   *places
	standing                 standing
	budget                   budget
	retried                  retried
	refusedBusy, refusedOpen atomic.Uint64
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
		name: "the plugin", plugin: o.Name, log: o.Logger, places: newPlaces(o.Concurrency), standing: standing{breaks: o.Breaker}, retries: o.Retry,
		baseURL: o.BaseURL, base: base, transport: o.Transport, timeout: o.Timeout, maxResponse: o.MaxResponse,
		credentials: o.Credentials, reveal: o.Secrets, userAgent: o.UserAgent, inner: innerName(base),
	}
	c.budget.tenths.Store(fullBudget)
	_, local := o.Transport.(*inProcess)
	c.repeats.Store(base.Scheme == "http" && !local)
	if o.Name != "" {
		c.name = "plugin " + o.Name
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.transport == nil {
		c.transport = newPool(o.TLS)
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
	if c.credentials != nil {
		c.filled = c.credentials.Places(nil)
	}
	return c, nil
}

// newPool is a plugin's own connections, so that a slow plugin holds up no
// other.
func newPool(certificates *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig:        certificates,
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

// BaseURL is what the client was made with.
func (c *Client) BaseURL() string { return c.baseURL }

// Close releases idle connections.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// errSpent is the cause of a call's end whose own time is up, and not its
// caller's.
var errSpent = errors.New("the time for the call is up")

// Invoke calls an action with arguments that fit its input schema. The error
// is always an *Error.
func (c *Client) Invoke(ctx context.Context, a *openapi.Action, arguments map[string]any) (*Result, error) {
	timeout := c.timeout
	if a.Timeout > 0 {
		timeout = a.Timeout
	}
	if e := c.enter(ctx, min(timeout, waitForPlace)); e != nil {
		return nil, e
	}
	defer c.places.leave()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errSpent)
	defer cancel()
	revealed, err := c.revealed()
	if err != nil {
		return nil, err
	}
	req, err := c.request(ctx, a, arguments, revealed)
	if err != nil {
		return nil, err
	}
	proof, err := c.proof(ctx, a)
	if err != nil {
		return nil, err
	}
	hidden, err := c.authorize(req, proof, revealed)
	if err != nil {
		return nil, err
	}
	if c.repeats.Load() && !c.repeatable(a) {
		once(req)
	}
	result, e := c.persist(ctx, a, req, func(req *http.Request) (*Result, *Error) {
		result, e := c.try(ctx, a, arguments, req, hidden, timeout)
		if e != nil && e.Status == http.StatusUnauthorized && proof != nil && proof.Drop != nil {
			return c.renewed(ctx, a, arguments, req, proof, revealed, timeout, e)
		}
		return result, e
	})
	if e != nil {
		return nil, e
	}
	return result, nil
}

// try sends a request once and has the answer read.
func (c *Client) try(
	ctx context.Context, a *openapi.Action, arguments map[string]any, req *http.Request, hidden *secrets, timeout time.Duration,
) (*Result, *Error) {
	// Not http.Client: a redirect would take credentials and arguments elsewhere.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		e := c.unanswered(ctx, timeout, err)
		e.passing = e.verdict == down && isConnection(err)
		e.lost = e.Kind == Unavailable && e.reason != unreadable
		return nil, e
	}
	defer resp.Body.Close()
	if resp.ProtoMajor == 1 && resp.TLS != nil && !c.repeats.Load() {
		c.repeats.Store(true)
	}
	result, err := c.answer(ctx, a, arguments, resp, hidden)
	var known *Error
	switch {
	case err == nil:
		return result, nil
	case errors.As(err, &known):
		return nil, known
	}
	return nil, c.unanswered(ctx, timeout, err)
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

// unanswered classifies a call that got no answer, or not all of one.
func (c *Client) unanswered(ctx context.Context, timeout time.Duration, err error) *Error {
	switch spent := errors.Is(context.Cause(ctx), errSpent); {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		e := &Error{Kind: Timeout, Message: fmt.Sprintf("%s did not answer within %v", c.name, timeout), Err: err, verdict: unknown}
		if spent && timeout >= c.timeout { // an action's own patience that is shorter says nothing of the plugin
			e.verdict, e.reason = down, "it did not answer in time"
		}
		return e
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Kind: Cancelled, Message: "the call was cancelled", Err: err, verdict: unknown}
	}
	reason := reasonOf(err)
	return &Error{Kind: Unavailable, Message: c.name + " cannot be reached (" + reason + ")", Err: err, verdict: down, reason: reason}
}

func internal(err error) *Error {
	return &Error{Kind: Internal, Message: "the gateway could not build the request", Err: err}
}
