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
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/stagedoor/stagedoor/openapi"
)

// Request builds the HTTP request of an action from arguments that fit its
// input schema. It is exactly what Invoke sends, save for credentials.
func (c *Client) Request(ctx context.Context, a *openapi.Action, arguments map[string]any) (*http.Request, error) {
	b := &requestBuilder{ctx: ctx, plan: &a.Request, arguments: withDefaults(arguments, a.Request.Defaults)}
	path := b.path()
	query, header := b.parameters()
	body := b.body()
	if b.err != nil {
		return nil, b.err
	}
	u := *c.base
	u.RawPath = strings.TrimSuffix(c.base.EscapedPath(), "/") + path
	decoded, err := url.PathUnescape(u.RawPath)
	if err != nil {
		return nil, internal(fmt.Errorf("path template %q: %w", a.Operation, err))
	}
	u.Path = decoded
	u.RawQuery = joinQuery(u.RawQuery, query)

	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, a.Request.Method, "", reader)
	if err != nil {
		return nil, internal(err)
	}
	req.URL, req.Host, req.Header = &u, u.Host, header
	header.Set("User-Agent", c.userAgent)
	if a.Request.Accept != "" {
		header.Set("Accept", a.Request.Accept)
	}
	if body != nil {
		header.Set("Content-Type", a.Request.Body.MediaType)
	}
	return req, nil
}

func joinQuery(base string, pairs []string) string {
	query := strings.Join(pairs, "&")
	if base != "" && query != "" {
		return base + "&" + query
	}
	return base + query
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
		value, err := v.Query.Run(b.ctx, b.arguments, b.arguments, 0)
		var said *openapi.QueryError
		switch {
		case errors.As(err, &said):
			b.fail("%s", said.Message)
		case err != nil:
			b.fail("arguments do not fit together: %v", err)
		}
		return value, err == nil && value != nil
	}
	value, ok = b.arguments[v.Argument]
	return value, ok
}

// path fills the template and then makes sure that it is still the template:
// the same segments, none of them "." or ".." under any reading.
func (b *requestBuilder) path() string {
	var out, template strings.Builder
	for _, part := range b.plan.Path {
		if part.Parameter == nil {
			out.WriteString(part.Literal)
			template.WriteString(part.Literal)
			continue
		}
		p := part.Parameter
		v, ok := b.value(p.Value)
		if b.err != nil {
			return ""
		}
		text := ""
		switch {
		case !ok || v == nil:
		case p.ContentType != "":
			text = escape(contentText(v))
		default:
			text = pathValue(p.Name, p.Style, p.Explode, v)
		}
		if text == "" {
			b.fail("argument %q must not be empty: it is a part of the path", argumentOf(p))
			return ""
		}
		out.WriteString(text)
		template.WriteByte('x')
	}
	path := out.String()
	if !sameShape(path, template.String()) {
		b.fail(`an argument would change the path; "." and ".." are no values for a part of it`)
	}
	return path
}

func argumentOf(p *openapi.Parameter) string {
	if p.Value.Argument != "" {
		return p.Value.Argument
	}
	return p.Name
}

// sameShape tells whether a filled-in path has the template's segments. Values
// are percent-encoded already; what remains are dot segments, in any encoding
// that some server might undo.
func sameShape(path, template string) bool {
	if strings.Count(path, "/") != strings.Count(template, "/") || strings.ContainsAny(path, "?#\\\x00") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		for range 10 {
			if segment == "." || segment == ".." {
				return false
			}
			decoded, err := url.PathUnescape(segment)
			if err != nil || decoded == segment {
				break
			}
			segment = decoded
		}
	}
	return true
}

// contentText is the value of a parameter that "content" describes: JSON, or
// the text itself.
func contentText(v any) string {
	if text, err := marshal(v); err == nil {
		return string(text)
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
		if !ok || v == nil {
			continue
		}
		if p.ContentType != "" {
			v = contentText(v)
		}
		switch p.In {
		case openapi.InQuery:
			query = append(query, b.query(p, v)...)
		case openapi.InHeader:
			b.header(header, p.Name, headerValue(p.Explode, v))
		case openapi.InCookie:
			cookie := strings.Join(queryPairs(p.Name, p.Style, p.Explode, v, escape), "; ")
			if old := header.Get("Cookie"); old != "" {
				cookie = old + "; " + cookie
			}
			b.header(header, "Cookie", cookie)
		}
	}
	return query, header
}

func (b *requestBuilder) query(p *openapi.Parameter, v any) []string {
	if p.AllowEmptyValue && v == "" {
		return []string{escape(p.Name) + "="}
	}
	if p.AllowReserved {
		return queryPairs(p.Name, p.Style, p.Explode, v, escapeReserved)
	}
	return queryPairs(p.Name, p.Style, p.Explode, v, escape)
}

func (b *requestBuilder) header(h http.Header, name, value string) {
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		b.fail("header %s: the value has characters that a header cannot carry (line breaks, for example)", name)
		return
	}
	h.Set(name, value)
}

// body puts the request's body together; nil: there is none.
func (b *requestBuilder) body() []byte {
	plan := b.plan.Body
	if plan == nil || b.err != nil {
		return nil
	}
	v, present := b.bodyValue(plan)
	if b.err != nil || !present {
		return nil
	}
	if essence, _, _ := strings.Cut(plan.MediaType, ";"); strings.EqualFold(strings.TrimSpace(essence), "application/x-www-form-urlencoded") {
		return b.form(v)
	}
	text, err := marshal(v)
	if err != nil {
		b.err = internal(err)
	}
	return text
}

// bodyValue is the body's value: the whole, with members put into it.
func (b *requestBuilder) bodyValue(plan *openapi.Body) (v any, present bool) {
	if plan.Whole != nil {
		v, present = b.value(*plan.Whole)
	}
	for _, m := range plan.Members {
		member, ok := b.value(m.Value)
		if !ok {
			continue
		}
		object, isObject := v.(map[string]any)
		if !isObject {
			if present {
				b.fail("body has to be an object")
				return nil, false
			}
			object = map[string]any{}
		}
		v, present = setMember(object, m.Path, member), true
	}
	if !present && plan.Required {
		return map[string]any{}, true
	}
	return v, present
}

// setMember gives a copy of object with the value at path: arguments are never
// changed.
func setMember(object map[string]any, path []string, v any) map[string]any {
	out := make(map[string]any, len(object)+1)
	for k, old := range object {
		out[k] = old
	}
	if len(path) > 1 {
		inner, _ := out[path[0]].(map[string]any)
		out[path[0]] = setMember(inner, path[1:], v)
	} else {
		out[path[0]] = v
	}
	return out
}

// form writes an object as form fields: lists repeat their name, objects go as
// JSON (OpenAPI 3.1 §4.8.15.1.1).
func (b *requestBuilder) form(v any) []byte {
	object, ok := v.(map[string]any)
	if !ok {
		b.fail("body has to be an object: it is sent as form fields")
		return nil
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	var pairs []string
	for _, name := range names {
		field := object[name]
		if _, isObject := field.(map[string]any); isObject {
			field = scalar(field)
		}
		pairs = append(pairs, queryPairs(name, "form", true, field, url.QueryEscape)...)
	}
	return []byte(strings.Join(pairs, "&"))
}
