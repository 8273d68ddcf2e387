package invoke

import (
	"errors"
	"strings"
	"testing"
)

// TestStrayNames: no object says a second time what stands beside it.
func TestStrayNames(t *testing.T) {
	client, err := New(Options{BaseURL: "http://plugin.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	all := actionsOf(t, `
openapi: 3.1.0
paths:
  /q:
    get:
      operationId: query
      x-action: {name: query, fixed: {query.fixed: 1}}
      parameters:
        - {name: tenant, in: query, schema: {type: string}}
        - {name: fixed, in: query, schema: {type: integer}}
        - {name: "deep[tenant]", in: query, schema: {type: string}}
        - {name: open, in: query, schema: {type: object}}
        - {name: closed, in: query, explode: false, schema: {type: object}}
        - {name: deep, in: query, style: deepObject, schema: {type: object}}
        - {name: c, in: cookie, schema: {type: string}}
        - {name: jar, in: cookie, explode: true, schema: {type: object}}
      responses: {}
  /f: {post: {operationId: form, requestBody: {content: {application/x-www-form-urlencoded: &form {
      schema: {type: object, properties: {tenant: {type: string}, open: {type: object}, json: {type: object}}}, encoding: {open: {style: form, explode: true}}}}}, responses: {}}}
  /m: {post: {operationId: parts, requestBody: {content: {multipart/form-data: *form}}, responses: {}}}
`)
	for name, c := range map[string]struct {
		action    string
		arguments map[string]any
		refused   bool
	}{
		"another parameter":         {"query", map[string]any{"tenant": "a", "open": map[string]any{"tenant": "b"}}, true},
		"one that is not given":     {"query", map[string]any{"open": map[string]any{"tenant": "b"}}, true},
		"one that is fixed":         {"query", map[string]any{"open": map[string]any{"fixed": "2"}}, true},
		"one in brackets":           {"query", map[string]any{"deep": map[string]any{"tenant": "b"}}, true},
		"brackets in a name":        {"query", map[string]any{"open": map[string]any{"deep[tenant]": "b"}}, true},
		"a cookie":                  {"query", map[string]any{"jar": map[string]any{"c": "b"}}, true},
		"its own name":              {"query", map[string]any{"open": map[string]any{"open": "b", "other": "c"}}, false},
		"a name elsewhere":          {"query", map[string]any{"open": map[string]any{"c": "b"}, "jar": map[string]any{"tenant": "x"}}, false},
		"not exploded":              {"query", map[string]any{"closed": map[string]any{"tenant": "b"}}, false},
		"null":                      {"query", map[string]any{"open": map[string]any{"tenant": nil, "x": "y"}}, false},
		"field of a form":           {"form", map[string]any{"tenant": "a", "open": map[string]any{"tenant": "b"}}, true},
		"field that is not there":   {"form", map[string]any{"open": map[string]any{"tenant": "b"}}, false},
		"field that is sent as one": {"form", map[string]any{"tenant": "a", "json": map[string]any{"tenant": "b"}}, false},
		"part of a form":            {"parts", map[string]any{"tenant": "a", "open": map[string]any{"tenant": "b"}}, true},
	} {
		req, err := client.Request(t.Context(), all[c.action], c.arguments)
		var e *Error
		if refused := errors.As(err, &e) && e.Kind == InvalidArguments && strings.Contains(e.Message, "has that name itself"); refused != c.refused || !refused && err != nil {
			t.Errorf("%s: %v %v", name, req, err)
		}
	}
}
