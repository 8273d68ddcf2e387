package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/internal/retryafter"
)

// How often a request is sent again after an answer that says that it was not taken.
const (
	maxRenewals = 2 // of the token
	maxPutOff   = 5
)

// request is an HTTP request that can be sent several times.
type request struct {
	method     string
	body       []byte
	header     http.Header
	repeatable bool         // may be sent again when the server may have got it
	out        *atomic.Bool // set while the server may have it; nil: nobody asks
	idle       bool         // no client waits for it
}

// attempts is what was tried so far for one request.
type attempts struct {
	began           time.Time
	failed          int
	renewed, putOff int
	waited          time.Duration
	stepped         bool
}

// send sends a request with a token until the server takes it or it is of no
// use: when the server is not reachable yet, wants another token, or puts it
// off. It never sends twice what the server may have got, unless the request is
// repeatable. The answer may have any other status.
func (b *bridge) send(ctx context.Context, r request) (*http.Response, error) {
	tried := attempts{began: time.Now()}
	access := &b.access
	if r.idle {
		access = &b.idle
	}
	for {
		token, err := access.token(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := b.attempt(ctx, r, token)
		if err == nil {
			remedy := b.remedy(access, resp, token, &tried)
			if remedy == nil {
				return resp, nil
			}
			discard(resp)
			if r.out != nil {
				r.out.Store(false)
			}
			if err := remedy(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if err := b.afterFailure(ctx, r, err, &tried); err != nil {
			return nil, err
		}
	}
}

// errUnsure is in the chain of errors after which nobody knows whether the
// server got the request.
var errUnsure = errors.New("the server may have got the request, so it is not sent again")

// attempt sends a request once.
func (b *bridge) attempt(ctx context.Context, r request, token string) (*http.Response, error) {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() {
			wrote.Store(true)
			if r.out != nil {
				r.out.Store(true)
			}
		},
	})
	req, err := http.NewRequestWithContext(ctx, r.method, b.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, values := range b.header {
		req.Header[name] = values
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		err = plain(err)
		if wrote.Load() {
			err = errors.Join(err, errUnsure)
		}
		return nil, err
	}
	return resp, nil
}

// plain leaves the URL out, which may have secrets in its query.
func plain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// afterFailure waits before the next attempt; an error means that there is none.
func (b *bridge) afterFailure(ctx context.Context, r request, err error, tried *attempts) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	unsure := errors.Is(err, errUnsure)
	wait := min(b.delays.backoff<<min(tried.failed, 10), b.delays.maxBackoff)
	tried.failed++
	late := time.Since(tried.began)+wait > b.delays.connect
	if unsure && !r.repeatable || late || isPermanent(err) {
		text := "server " + b.host() + " is not reachable: " + reason(err)
		if unsure {
			text = "connection to the server broke: " + reason(err)
			if !r.repeatable {
				text += "; it may have got the request, which is therefore not sent again"
			}
		}
		b.log.say(text)
		return newFault(codeInternal, text)
	}
	b.log.say("server " + b.host() + " is not reachable, trying again: " + reason(err))
	return sleep(ctx, wait)
}

// isPermanent knows failures that do not go away by themselves.
func isPermanent(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsNotFound
	}
	text := err.Error()
	return strings.Contains(text, "invalid header field") || strings.Contains(text, "x509: ") || strings.Contains(text, "malformed HTTP") ||
		strings.Contains(text, "server gave HTTP response to HTTPS client")
}

// reason is the first line of an error: not that it is unsure.
func reason(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	if errors.Is(err, io.EOF) {
		return "it closed the connection"
	}
	return first
}

// remedy is what an answer asks for before the request can be sent once more,
// which the server did not take; nil: the answer is for others to judge.
func (b *bridge) remedy(access *access, resp *http.Response, token string, tried *attempts) func(context.Context) error {
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		if tried.renewed >= maxRenewals {
			access.bar(token)
			return func(context.Context) error { return errRefused }
		}
		tried.renewed++
		return func(ctx context.Context) error { return access.renew(ctx, b.life, token) }
	case http.StatusForbidden:
		challenge := insufficientScope(resp.Header)
		if challenge == "" || tried.stepped {
			return nil
		}
		tried.stepped = true
		return func(ctx context.Context) error { return access.stepUp(ctx, b.life, challenge) }
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		wait, ok := retryafter.Parse(resp.Header.Get("Retry-After"), time.Now())
		wait = max(wait, b.delays.backoff)
		if !ok || tried.putOff >= maxPutOff || tried.waited+wait > b.delays.retryAfter {
			return nil
		}
		tried.putOff++
		tried.waited += wait
		return func(ctx context.Context) error { return sleep(ctx, wait) }
	}
	return nil
}

// insufficientScope is the challenge of a 403 for a token with more scopes (RFC
// 6750, section 3.1); "": it is about something else.
func insufficientScope(h http.Header) string {
	for _, challenge := range h.Values("WWW-Authenticate") {
		if strings.Contains(challenge, "insufficient_scope") {
			return challenge
		}
	}
	return ""
}

// refusal is what the server says with a status that is no success: its own
// JSON-RPC error, where it has one.
func (b *bridge) refusal(resp *http.Response) *fault {
	defer within(resp, 10*time.Second)()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if m, bad := decodeMessage(data); err == nil && bad == nil && m.fault != nil {
		return serverFault(m.fault)
	}
	text := fmt.Sprintf("server answered HTTP %d", resp.StatusCode)
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		text += " and sends elsewhere, where the token must not go; is the URL right?"
		if to, err := resp.Location(); err == nil {
			text += " It says " + to.Scheme + "://" + to.Host + to.EscapedPath()
		}
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed:
		text += ": is the URL that of an MCP server, such as https://gateway.example.com/mcp/catalog?"
	case resp.StatusCode == http.StatusForbidden:
		text += ": the login does not allow this"
	}
	return newFault(codeInternal, text)
}

// host is the server as people know it.
func (b *bridge) host() string {
	u, err := url.Parse(b.url)
	if err != nil {
		return ""
	}
	return u.Host
}

// within closes an answer that is not read in time, until it is called off.
func within(resp *http.Response, limit time.Duration) (off func() bool) {
	return time.AfterFunc(limit, func() { resp.Body.Close() }).Stop
}

// discard frees an answer's connection for the next request, if that is quick.
func discard(resp *http.Response) {
	defer within(resp, 200*time.Millisecond)()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // or it is closed
	resp.Body.Close()
}

// sleep waits, if the context lets it.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
