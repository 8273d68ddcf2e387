package publish

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	path         = "/registry/v1/plugins/"
	defaultLease = time.Minute

	requestTimeout = 30 * time.Second
	maxAnswer      = 16 << 20 // bytes
)

// client speaks the protocol for one plugin.
type client struct {
	plugin, token string
	url, resource string // with and without the query
	document      []byte // in gzip
	media         string
	http          http.Client
	log           *slog.Logger

	tag        string // ETag of what was registered
	renewAfter time.Duration
}

func newClient(o Options) (*client, error) {
	gateway, err := url.Parse(o.Gateway)
	if err != nil || gateway.Scheme != "http" && gateway.Scheme != "https" || gateway.Host == "" || gateway.User != nil || gateway.RawQuery != "" {
		return nil, errors.New("option Gateway is not an http or https URL, for example https://stagedoor.internal")
	}
	if o.Plugin == "" || o.Token == "" || o.BaseURL == "" || len(o.Document) == 0 {
		return nil, errors.New("options Plugin, Token, BaseURL and Document are needed, all of them")
	}
	lease := o.Lease
	if lease == 0 {
		lease = defaultLease
	}
	if lease < 10*time.Second || lease > time.Hour {
		return nil, errors.New("option Lease is not between 10 s and 1 h")
	}
	resource := strings.TrimSuffix(gateway.String(), "/") + path + url.PathEscape(o.Plugin)
	c := &client{
		plugin: o.Plugin, token: o.Token, resource: resource, media: "application/yaml", log: o.Logger, renewAfter: lease / 3,
		url: resource + "?" + url.Values{"baseURL": {o.BaseURL}, "lease": {lease.String()}}.Encode(),
	}
	if json.Valid(o.Document) {
		c.media = "application/json"
	}
	if o.HTTPClient != nil {
		c.http = *o.HTTPClient
	}
	// The token is for this host alone.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(o.Document); err != nil {
		return nil, err
	}
	err = z.Close()
	c.document = packed.Bytes()
	return c, err
}

// register sends the document.
func (c *client) register(ctx context.Context) (Registration, error) {
	return c.put(ctx, http.Header{"Content-Type": {c.media}, "Content-Encoding": {"gzip"}}, c.document)
}

// renew asks for another lease of what was registered, without sending it.
func (c *client) renew(ctx context.Context) (Registration, error) {
	return c.put(ctx, http.Header{"If-None-Match": {c.tag}}, nil)
}

func (c *client) put(ctx context.Context, header http.Header, body []byte) (r Registration, err error) {
	answer, text, err := c.send(ctx, http.MethodPut, c.url, header, body)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil || answer.Get("Etag") == "" {
		return r, errors.New("answer is not one of a gateway's registry: is there something else at its URL?")
	}
	c.tag = answer.Get("Etag")
	if after := time.Duration(r.Lease.RenewAfter) * time.Second; after > 0 {
		c.renewAfter = after
	}
	return r, nil
}

// withdraw ends the registration, where it is still that of this document.
func (c *client) withdraw(ctx context.Context) {
	if c.tag == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, withdrawBound)
	defer cancel()
	_, _, err := c.send(ctx, http.MethodDelete, c.resource, http.Header{"If-Match": {strings.TrimPrefix(c.tag, "W/")}}, nil)
	if refused, answered := errors.AsType[*Error](err); answered && refused.Status == http.StatusPreconditionFailed {
		return // it is another instance's by now, or nobody's
	}
	if err != nil {
		c.log.WarnContext(ctx, "plugin is not withdrawn: its lease will lapse", "plugin", c.plugin, "error", err)
	}
}

// send gives header and body of a 2xx, and an [*Error] of any other answer.
func (c *client) send(ctx context.Context, method, address string, header http.Header, body []byte) (http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("gateway does not answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("gateway's answer breaks off: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, nil, refusal(resp, text)
	}
	return resp.Header, text, nil
}

// refusal reads an answer that is no success; what is not the gateway's own,
// but a proxy's, has the status alone.
func refusal(resp *http.Response, text []byte) *Error {
	var body struct {
		Error    struct{ Code, Message, Hint string }
		Findings []Finding
	}
	if json.Unmarshal(text, &body) != nil || body.Error.Message == "" {
		body.Error.Message = http.StatusText(resp.StatusCode)
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		seconds = 0
	}
	return &Error{
		Status: resp.StatusCode, Code: body.Error.Code, Message: body.Error.Message, Hint: body.Error.Hint, Findings: body.Findings,
		retryAfter: min(time.Duration(min(seconds, 3600))*time.Second, longestAsked), registered: resp.Header.Get("Etag"),
	}
}
