package invoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/openapi"
)

// result maps an answer: success statuses to a Result, others to an Error.
func (c *Client) result(ctx context.Context, a *openapi.Action, arguments map[string]any, resp *http.Response, body []byte) (*Result, error) {
	status := resp.StatusCode
	if !a.Response.IsSuccess(status) {
		return nil, c.fault(resp, body)
	}
	r := &Result{Status: status}
	mediaType := essence(resp.Header.Get("Content-Type"))
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		r.JSON = json.RawMessage("{}")
		body = []byte("null")
	case isJSON(mediaType) || mediaType == "":
		compact := bytes.NewBuffer(make([]byte, 0, len(body)))
		err := json.Compact(compact, body)
		switch {
		case err == nil:
			r.JSON = bytes.ToValidUTF8(compact.Bytes(), []byte("\uFFFD"))
		case mediaType == "" && utf8.Valid(body):
			r.Text = string(body)
		default:
			return nil, &Error{Kind: Unavailable, Status: status, Message: "the plugin's answer is not the JSON that it says it is", Err: err}
		}
	case utf8.Valid(body) && bytes.IndexByte(body, 0) < 0:
		r.Text = string(body)
	default:
		return nil, &Error{Kind: Unavailable, Status: status, Message: fmt.Sprintf("the plugin answered with binary data (%s)", mediaType)}
	}
	if a.Response.Select == nil {
		return r, nil
	}
	return c.selected(ctx, a, arguments, r, body)
}

// selected runs the action's jq program over the answer.
func (c *Client) selected(ctx context.Context, a *openapi.Action, arguments map[string]any, r *Result, body []byte) (*Result, error) {
	var input any = r.Text
	if r.JSON != nil {
		var err error
		if input, err = unmarshal(body); err != nil {
			return nil, &Error{Kind: Unavailable, Status: r.Status, Message: "the plugin's answer is not the JSON that it says it is", Err: err}
		}
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

func essence(contentType string) string {
	if e, _, err := mime.ParseMediaType(contentType); err == nil {
		return e
	}
	e, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(e))
}

func isJSON(essence string) bool {
	return essence == "application/json" || essence == "text/json" || strings.HasSuffix(essence, "+json")
}
