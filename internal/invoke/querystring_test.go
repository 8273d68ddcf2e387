package invoke

import (
	"context"
	"strings"
	"testing"
)

// TestOpenAPI32: the places and styles of OpenAPI 3.2 and Swagger 2.0.
func TestOpenAPI32(t *testing.T) {
	actions := actionsOf(t, `
openapi: 3.2.0
paths:
  /form: {get: {operationId: form, parameters: [{name: q, in: querystring, content: {application/x-www-form-urlencoded: {schema: {}}}}], responses: {}}}
  /json: {get: {operationId: json, parameters: [{name: q, in: querystring, content: {application/json: {schema: {}}}}], responses: {}}}
  /text: {get: {operationId: text, parameters: [{name: q, in: querystring, content: {text/plain: {schema: {}}}}], responses: {}}}
  /cookie:
    additionalOperations:
      Copy: {operationId: cookie, parameters: [{name: a, in: cookie, style: cookie, schema: {}}, {name: b, in: cookie, style: cookie, explode: false, schema: {}}], responses: {}}
  /path/{p}: {get: {operationId: path, parameters: [{name: p, in: path, required: true, allowReserved: true, schema: {}}], responses: {}}}
`)
	for name, action := range actionsOf(t, `
swagger: "2.0"
paths:
  /lists/{ssv}:
    get:
      operationId: lists
      parameters:
        - {name: ssv, in: path, required: true, type: array, items: {type: string}, collectionFormat: ssv}
        - {name: tsv, in: query, type: array, items: {type: string}, collectionFormat: tsv}
        - {name: csv, in: query, type: array, items: {type: string}}
        - {name: X-Trace, in: header, type: array, items: {type: string}, collectionFormat: pipes}
      responses: {}
`) {
		actions[name] = action
	}
	c := newClient(t, Options{})
	for _, tt := range []struct{ action, arguments, want string }{
		{"form", `{"q": {"text": "a b&c", "tags": ["x", "y"], "deep": {"n": 1.50}}}`, `GET /form?deep=%7B%22n%22%3A1.50%7D&tags=x&tags=y&text=a+b%26c`},
		{"form", `{}`, `GET /form`},
		{"json", `{"q": {"a": [1, null, "ü&"]}}`, `GET /json?%7B%22a%22%3A%5B1%2Cnull%2C%22%C3%BC%26%22%5D%7D`},
		{"text", `{"q": "a=b&c#d?"}`, `GET /text?a%3Db%26c%23d%3F`},
		{"cookie", `{"a": "x y%2C", "b": ["1", "2"]}`, `Copy /cookie | Cookie: a=x y%2C; b=1,2`},
		{"cookie", `{"a": {"R": 1, "G": 2}}`, `Copy /cookie | Cookie: G=2; R=1`},
		{"path", `{"p": "a:b@c;d/e?f#g%2F"}`, `GET /path/a:b@c;d%2Fe%3Ff%23g%252F`},
		{"lists", `{"ssv": ["a", "b/c"], "tsv": ["1", "2"], "csv": ["x,y", "z"], "X-Trace": ["p", "q"]}`, `GET /lists/a%20b%2Fc?tsv=1%092&csv=x%2Cy,z | X-Trace: p|q`},
	} {
		req, err := c.Request(context.Background(), actions[tt.action], arguments(t, tt.arguments))
		if err != nil {
			t.Errorf("%s: %v", tt.action, err)
			continue
		}
		got := req.Method + " " + strings.TrimPrefix(req.URL.String(), "https://api.example.com/base")
		for _, h := range []string{"Cookie", "X-Trace"} {
			if v := req.Header.Get(h); v != "" {
				got += " | " + h + ": " + v
			}
		}
		if got != tt.want {
			t.Errorf("%s %s: got\n%s, want\n%s", tt.action, tt.arguments, got, tt.want)
		}
	}
	for action, bad := range map[string]string{"cookie": `{"a": "x; admin=1"}`, "form": `{"q": "text"}`, "path": `{"p": ".."}`} {
		if req, err := c.Request(context.Background(), actions[action], arguments(t, bad)); err == nil {
			t.Errorf("%s %s: got %s", action, bad, req.URL)
		}
	}
}
