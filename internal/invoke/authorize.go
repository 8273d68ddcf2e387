package invoke

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/openapi"
)

// proof are the gateway's credentials for a call; nil: it needs none.
func (c *Client) proof(ctx context.Context, a *openapi.Action) (*credential.Credentials, error) {
	if c.credentials == nil {
		return nil, nil
	}
	proof, err := c.credentials.Credentials(ctx, a)
	switch {
	case err == nil:
		return proof, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, &Error{Kind: Cancelled, Message: "the call was cancelled", Err: err}
	case ctx.Err() != nil:
		return nil, &Error{Kind: Timeout, Message: "the gateway did not get credentials for this plugin in time", Err: err}
	}
	return nil, noCredentials(err)
}

// authorize adds the gateway's credentials and gives what of them, and of the
// operator's secrets, must not be seen.
func (c *Client) authorize(req *http.Request, proof *credential.Credentials, revealed map[string]string) (*secrets, error) {
	if proof != nil {
		if req.URL.Scheme != c.base.Scheme || req.URL.Host != c.base.Host || req.Host != c.base.Host {
			return nil, internal(errors.New("the request does not go to the plugin's own address: it gets no credentials"))
		}
		for name, values := range proof.Header {
			req.Header[name] = values
		}
		if len(proof.Query) > 0 {
			req.URL.RawQuery = joinQuery(req.URL.RawQuery, proof.Query)
		}
	}
	if proof == nil && len(revealed) == 0 {
		return nil, nil
	}
	known := c.known.Load()
	if !known.are(proof, revealed) {
		known = newSecrets(proof, revealed)
		c.known.Store(known)
	}
	return known, nil
}

// joinQuery is a query with credentials at its end, in place of those that it
// had there before.
func joinQuery(query string, proof url.Values) string {
	pairs := strings.Split(query, "&")
	kept := pairs[:0]
	for _, pair := range pairs {
		if _, is := proof[queryName(pair)]; pair != "" && !is {
			kept = append(kept, pair)
		}
	}
	return strings.Join(append(kept, proof.Encode()), "&")
}

// queryName is the name of a pair of a query; "" where it cannot be read.
func queryName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(name)
	if err != nil {
		return ""
	}
	return name
}

// trespass refuses a request whose arguments stand in places that are the
// gateway's own or its credentials'. Documents are read so that none do; some
// arguments name their places themselves, such as objects that become a query.
func (c *Client) trespass(a *openapi.Action, query []string, header http.Header) error {
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Host"} {
		if _, there := header[name]; there {
			return reserved("header " + name)
		}
	}
	if _, there := header["Cookie"]; there && slices.ContainsFunc(a.Request.Parameters, isCookieHeader) {
		return reserved("header Cookie")
	}
	for _, name := range c.filled.Header {
		if _, there := header[name]; there {
			return reserved("header " + name)
		}
	}
	if len(c.filled.Query) == 0 {
		return nil
	}
	for _, part := range query {
		for pair := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == '&' || r == ';' }) {
			if name := queryName(pair); slices.ContainsFunc(c.filled.Query, func(own string) bool { return strings.EqualFold(own, name) }) {
				return reserved("query parameter " + name)
			}
		}
	}
	return nil
}

// isCookieHeader tells parameters that would write all cookies, and not one.
func isCookieHeader(p openapi.Parameter) bool {
	return p.In == openapi.InHeader && strings.EqualFold(p.Name, "Cookie")
}

func reserved(place string) *Error {
	return &Error{Kind: InvalidArguments, Message: "the " + place + " is the gateway's own: no argument can set it"}
}

// renewed sends a request once more with new credentials, after the plugin has
// refused those that it had: whatever the action does, a plugin that does not
// know who calls has not done it (RFC 9110, section 15.5.2). refused is its
// answer, which stays where there are none.
func (c *Client) renewed(
	ctx context.Context, a *openapi.Action, arguments map[string]any, req *http.Request, old *credential.Credentials,
	revealed map[string]string, timeout time.Duration, refused *Error,
) (*Result, *Error) {
	old.Drop()
	proof, err := c.proof(ctx, a)
	if err != nil {
		refused.Err = errors.Join(refused.Err, fmt.Errorf("new credentials: %w", err))
		return nil, refused
	}
	next := anew(req)
	if next == nil || proof == nil || proof == old {
		return nil, refused
	}
	address := *req.URL
	next.URL, next.Header = &address, req.Header.Clone()
	hidden, err := c.authorize(next, proof, revealed)
	if err != nil {
		return nil, refused
	}
	return c.try(ctx, a, arguments, next, hidden, timeout)
}

func noCredentials(err error) *Error {
	var refusal *credential.Refusal
	if errors.As(err, &refusal) {
		return &Error{Kind: Denied, Message: refusal.Message, Err: refusal.Err}
	}
	return &Error{Kind: Unavailable, Message: "the gateway has no credentials for this plugin", Err: err}
}

// Masked puts a mark in the places of the credentials of an action, for showing
// a request that [Client.Request] made. None are made for that.
func (c *Client) Masked(a *openapi.Action, req *http.Request) {
	if c.credentials == nil {
		return
	}
	places := c.credentials.Places(a)
	for _, name := range places.Header {
		req.Header[name] = []string{redacted}
	}
	if len(places.Query) == 0 {
		return
	}
	marks := make(url.Values, len(places.Query))
	for _, name := range places.Query {
		marks[name] = []string{redacted}
	}
	req.URL.RawQuery = joinQuery(req.URL.RawQuery, marks)
}
