package invoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/stagedoor/stagedoor/openapi"
)

// answer is a plugin's answer as far as it was read.
type answer struct {
	status    int
	arguments map[string]any // of the call
	media     mediaType
	kind      mediaKind // by name and content
	headers   []Header
	secrets   *secrets // never to be seen
	body      []byte   // without secrets; text is UTF-8
	partial   bool     // there was more than the cap
}

// answer maps an answer: success statuses to a Result, others to an Error.
func (c *Client) answer(ctx context.Context, a *openapi.Action, arguments map[string]any, resp *http.Response, hidden *secrets) (*Result, error) {
	in := &answer{
		status: resp.StatusCode, arguments: arguments, media: parseMediaType(resp.Header.Get("Content-Type")),
		headers: c.headers(resp.Header, hidden), secrets: hidden,
	}
	success := a.Response.IsSuccess(in.status)
	var r *Result
	var err error
	switch hasBody := resp.Request == nil || resp.Request.Method != http.MethodHead; {
	case success && hasBody && in.media.kind() == kindSequence && resp.ContentLength != 0:
		r, err = c.collect(ctx, a, in, resp.Body)
	case hasBody:
		if err := c.read(in, resp); err != nil {
			return nil, err
		}
		if !success {
			return nil, c.fault(resp.Header, in)
		}
		r, err = c.result(a, in)
	default: // the headers of an answer to HEAD speak of a body that is not there
		r = in.nothing()
	}
	if err == nil && a.Response.Select != nil {
		r, err = c.selected(ctx, a, arguments, r)
	}
	if err == nil && a.Response.MCP {
		r, err = c.asMCP(a, in, r)
	}
	return r, err
}

// read takes the decoded body up to the cap. It reads a little further, so that
// a secret that stands across the cut is still seen as one.
func (c *Client) read(in *answer, resp *http.Response) (err error) {
	margin := int64(1 + in.secrets.longest())
	limited := io.LimitReader(resp.Body, c.maxResponse+margin)
	if n := resp.ContentLength; n > 0 && n <= c.maxResponse {
		in.body = make([]byte, n)
		_, err = io.ReadFull(limited, in.body)
	} else {
		in.body, err = io.ReadAll(limited)
	}
	if err != nil {
		return err
	}
	in.partial = int64(len(in.body)) > c.maxResponse
	if in.kind = in.media.kindOf(in.body); in.kind != kindBinary {
		in.body = toUTF8(in.body, in.media.charset, in.kind == kindJSON)
	}
	if in.kind == kindJSON || in.kind == kindUnknown && in.secrets.standIn(in.body) && json.Valid(in.body) {
		in.body = in.secrets.redactJSON(in.body)
	} else {
		in.body = in.secrets.redact(in.body)
	}
	if in.partial {
		in.body = in.body[:max(0, min(int64(len(in.body))-margin, c.maxResponse))]
	}
	return nil
}

// result makes a Result of a body that was read.
func (c *Client) result(a *openapi.Action, in *answer) (*Result, error) {
	r := &Result{Status: in.status, Headers: in.headers}
	switch {
	case len(bytes.TrimSpace(in.body)) == 0 && !in.partial:
		return in.nothing(), nil
	case in.kind == kindBinary && in.partial:
		return nil, c.tooLarge(a, in.status)
	case in.kind == kindBinary:
		r.Binary = &Binary{MediaType: in.media.essence, Data: in.body}
		if r.Binary.MediaType == "" {
			r.Binary.MediaType = essence(http.DetectContentType(in.body))
		}
		return r, nil
	case in.kind == kindJSON:
		return r, c.asJSON(a, in, r)
	case in.media.essence == "" && c.asJSON(a, in, r) == nil:
		return r, nil
	}
	c.asText(a, in, r)
	return r, nil
}

// nothing is the result of an answer without a body.
func (in *answer) nothing() *Result {
	return &Result{Status: in.status, JSON: json.RawMessage("{}"), Headers: in.headers, empty: true}
}

// asJSON puts the body into the result as JSON, cut where it has to be.
func (c *Client) asJSON(a *openapi.Action, in *answer, r *Result) error {
	text := in.body
	if in.partial {
		cut, path, last, ok := cutJSON(text)
		if !ok {
			return c.tooLarge(a, in.status)
		}
		text = cut
		r.Cut = c.cutAt(a, path, last)
	}
	compact := bytes.NewBuffer(make([]byte, 0, len(text)))
	if err := json.Compact(compact, text); err != nil {
		return &Error{Kind: Unavailable, Status: in.status, Message: "the plugin's answer is not the JSON that it says it is", Headers: in.headers, Err: err}
	}
	r.JSON = mended(compact.Bytes())
	return nil
}

// asText puts the body into the result as text.
func (c *Client) asText(a *openapi.Action, in *answer, r *Result) {
	text := in.body
	if in.partial {
		text = cutText(text)
		r.Cut = &Cut{Reason: cutSize, Items: -1, Note: c.cutNote(a, fmt.Sprintf("the text above is its first %d bytes", len(text)))}
	}
	r.Text = string(bytes.ToValidUTF8(text, []byte("\uFFFD")))
}

// whole refuses an answer that was cut: what a program counts or looks for may
// be in the rest.
func (c *Client) whole(a *openapi.Action, r *Result) error {
	switch {
	case r.Cut == nil:
		return nil
	case r.Cut.Reason == cutSize:
		return c.tooLarge(a, r.Status)
	case r.Cut.Reason == cutTime:
		return &Error{Kind: Timeout, Status: r.Status, Message: "the plugin's answer is a stream that had not ended when the time for the call was up"}
	}
	return &Error{Kind: Unavailable, Status: r.Status, Message: "the plugin's answer is a stream that broke off"}
}

// selected runs the action's jq program over the answer.
func (c *Client) selected(ctx context.Context, a *openapi.Action, arguments map[string]any, r *Result) (*Result, error) {
	if err := c.whole(a, r); err != nil {
		return nil, err
	}
	if r.Binary != nil {
		return nil, &Error{Kind: Unavailable, Status: r.Status, Message: fmt.Sprintf("the plugin answered with binary data (%s)", r.Binary.MediaType)}
	}
	input, err := r.value()
	if err != nil {
		return nil, &Error{Kind: Unavailable, Status: r.Status, Message: "the plugin's answer is not the JSON that it says it is", Err: err}
	}
	out, err := runQuery(ctx, a.Response.Select, input, withDefaults(arguments, a.Request.Defaults), r.Status)
	var said *openapi.QueryError
	if errors.As(err, &said) {
		return nil, &Error{Kind: Rejected, Status: r.Status, Message: said.Message}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil, queryTimeout(err)
	}
	if err == nil {
		r.JSON, err = marshal(out)
		r.Text = ""
	}
	if err != nil {
		return nil, &Error{Kind: Unavailable, Status: r.Status, Message: "the plugin's answer does not have the shape that the action expects", Err: err}
	}
	return r, nil
}

// value is the result as jq sees it; an empty answer is null.
func (r *Result) value() (any, error) {
	switch {
	case r.empty:
		return nil, nil
	case r.JSON != nil:
		return unmarshal(r.JSON)
	}
	return r.Text, nil
}
