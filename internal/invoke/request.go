package invoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/stagedoor/stagedoor/openapi"
)

// Request builds the HTTP request of an action from arguments that fit its
// input schema. It is exactly what Invoke sends, save for credentials and secrets.
func (c *Client) Request(ctx context.Context, a *openapi.Action, arguments map[string]any) (*http.Request, error) {
	return c.request(ctx, a, arguments, nil)
}

// request has the secrets of the operator, or with nil something in their place.
func (c *Client) request(ctx context.Context, a *openapi.Action, arguments map[string]any, revealed map[string]string) (*http.Request, error) {
	b := &requestBuilder{ctx: ctx, plan: &a.Request, revealed: revealed, arguments: withDefaults(arguments, a.Request.Defaults)}
	path := b.path()
	query, header := b.parameters()
	body, contentType := b.body()
	if b.err != nil {
		return nil, b.err
	}
	if err := c.trespass(a, query, header); err != nil {
		return nil, err
	}
	raw := strings.TrimSuffix(c.base.EscapedPath(), "/") + path
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return nil, internal(fmt.Errorf("path template %q: %w", a.Operation, err))
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, a.Request.Method, "", reader)
	if err != nil {
		return nil, internal(err)
	}
	*req.URL = *c.base
	req.URL.Path, req.URL.RawPath, req.URL.RawQuery = decoded, raw, strings.Join(query, "&")
	req.Host, req.Header = c.base.Host, header
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", c.userAgent)
	}
	if a.Request.Accept != "" {
		header.Set("Accept", a.Request.Accept)
	}
	if body != nil {
		header.Set("Content-Type", contentType)
	}
	return req, nil
}

// withDefaults fills in what the caller left out. The caller's map is its own.
func withDefaults(arguments map[string]any, defaults map[string]json.RawMessage) map[string]any {
	if len(defaults) == 0 {
		return arguments
	}
	out := make(map[string]any, len(arguments)+len(defaults))
	for name, raw := range defaults {
		if v, err := unmarshal(raw); err == nil {
			out[name] = v
		}
	}
	for name, v := range arguments {
		out[name] = v
	}
	return out
}

// requestBuilder gathers the parts; the first fault stops it.
type requestBuilder struct {
	ctx       context.Context
	plan      *openapi.RequestPlan
	arguments map[string]any
	revealed  map[string]string // by name; nil: they are not to be seen
	err       error
}

func (b *requestBuilder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = &Error{Kind: InvalidArguments, Message: fmt.Sprintf(format, args...)}
	}
}

// value is what fills a place of the request; ok is false when nothing does.
func (b *requestBuilder) value(v openapi.Value) (value any, ok bool) {
	switch {
	case b.err != nil:
		return nil, false
	case v.Fixed != nil:
		value, err := unmarshal(v.Fixed)
		if err != nil {
			b.err = internal(err)
		}
		return value, err == nil
	case v.Query != nil:
		value, err := runQuery(b.ctx, v.Query, b.arguments, b.arguments, 0)
		var said *openapi.QueryError
		switch {
		case errors.As(err, &said):
			b.fail("%s", said.Message)
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			b.err = queryTimeout(err)
		case err != nil:
			b.err = &Error{Kind: InvalidArguments, Message: "the arguments do not fit together", Err: err}
		}
		return value, err == nil && value != nil
	}
	if v.Secret != "" {
		return b.secret(v.Secret)
	}
	if v.Known != "" {
		value = b.known(v.Known)
		return value, value != nil
	}
	value, ok = b.arguments[v.Argument]
	return value, ok
}

// secret is the operator's of that name.
func (b *requestBuilder) secret(name string) (value any, ok bool) {
	if b.revealed == nil {
		return redacted, true
	}
	text, ok := b.revealed[name]
	if !ok {
		b.err = noCredentials(fmt.Errorf("secret %q is not in the plugin's config", name))
	}
	return text, ok
}

// known is what the call's context has beside the arguments; nil: nothing.
func (b *requestBuilder) known(what openapi.Known) any {
	in := InputOf(b.ctx)
	text := in.Responses
	switch what {
	case openapi.RequestState:
		if in.State == "" {
			return nil
		}
		return in.State
	case openapi.ClientCapabilities:
		text = in.Capabilities
	}
	if text == nil {
		return nil
	}
	value, err := unmarshal(text)
	if err != nil {
		b.fail("%s is not JSON", what)
	}
	return value
}

// contentText is the value of a parameter that "content" describes: JSON for a
// JSON media type, else the text itself.
func contentText(mediaType string, v any) string {
	if isJSON(essence(mediaType)) {
		if text, err := marshal(v); err == nil {
			return string(text)
		}
	}
	return scalar(v)
}

// parameters fills query, headers and cookies.
func (b *requestBuilder) parameters() (query []string, header http.Header) {
	header = make(http.Header, 6)
	for i := range b.plan.Parameters {
		p := &b.plan.Parameters[i]
		v, ok := b.value(p.Value)
		if b.err != nil {
			return nil, nil
		}
		if !ok {
			continue
		}
		if p.Integer {
			v = integers(v)
		}
		if p.In == openapi.InQuerystring {
			query = append(query, b.querystring(p.ContentType, v))
			continue
		}
		if p.ContentType != "" {
			v = contentText(p.ContentType, v) // RFC 6570 has no say here: [] and {} are sent
		} else if isEmpty(v) {
			continue
		}
		switch p.In {
		case openapi.InQuery:
			query = append(query, b.query(p, v)...)
		case openapi.InHeader:
			b.header(header, p.Name, headerValue(p.Style, p.Explode, v))
		case openapi.InCookie:
			cookie := b.cookie(p, v)
			if old := header.Get("Cookie"); old != "" {
				cookie = old + "; " + cookie
			}
			b.header(header, "Cookie", cookie)
		}
	}
	return query, header
}

func (b *requestBuilder) query(p *openapi.Parameter, v any) []string {
	esc := escape
	if p.AllowReserved {
		esc = escapeReserved
	}
	pairs := queryPairs(p.Name, p.Style, p.Explode, v, esc)
	b.strayParameter(p, v, pairs)
	return pairs
}

// querystring is a whole query in its media type (OpenAPI 3.2 §4.12.1): form
// fields, or text that is percent-encoded.
func (b *requestBuilder) querystring(mediaType string, v any) string {
	if essence(mediaType) == "application/x-www-form-urlencoded" {
		if _, isObject := v.(map[string]any); !isObject {
			b.fail("query has to be an object: it is sent as form fields")
			return ""
		}
		return string(b.form(&openapi.Content{}, v))
	}
	return escape(contentText(mediaType, v))
}

// cookie is a parameter as Cookie carries it. In the style "cookie" values go as
// they are (OpenAPI 3.2 §4.12.3): those that would be another cookie do not go.
func (b *requestBuilder) cookie(p *openapi.Parameter, v any) string {
	if p.Style != "cookie" {
		pairs := queryPairs(p.Name, p.Style, p.Explode, v, escape)
		b.strayParameter(p, v, pairs)
		return strings.Join(pairs, "; ")
	}
	pairs := queryPairs(p.Name, "form", p.Explode, v, func(s string) string { return s })
	b.strayParameter(p, v, pairs)
	for _, pair := range pairs {
		if strings.Contains(pair, ";") {
			b.fail("cookie %s: the value has a semicolon, which a cookie cannot carry", p.Name)
		}
	}
	return strings.Join(pairs, "; ")
}

func (b *requestBuilder) header(h http.Header, name, value string) {
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		b.fail("header %s: the value has characters that a header cannot carry (line breaks, for example)", name)
		return
	}
	h.Set(name, value)
}
