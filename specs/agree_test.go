package specs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stagedoor/stagedoor/openapi"
	"github.com/stagedoor/stagedoor/specs"
)

const agreeDocument = `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /things/{id}:
    post:
      operationId: thing
      description: Does a thing.
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
        - {name: a, in: query, schema: {}}
        - {name: X-A, in: header, schema: {}}
        - {name: A, in: cookie, schema: {}}
      requestBody: {content: {application/json: {schema: {type: object, properties: {a: {}}}}, text/plain: {}}}
      responses: {'200': {description: Done., content: {application/json: {}}}}
      x-action: %s
`

// TestActionSchemaAgrees: the schema takes what the program takes, where no
// document decides.
func TestActionSchemaAgrees(t *testing.T) {
	schema := compileSchema(t, specs.ActionSchema())
	var all []string
	for _, list := range []string{`[199]`, `[200]`, `[599]`, `[600]`, `[200, 200]`, `[]`, `200`, `[404, 100]`} {
		all = append(all, fmt.Sprintf(`{"output": {"success": %s}}`, list))
	}
	for _, key := range []string{"inputResponses", "requestState", "capabilities"} {
		for _, target := range []string{
			"body.a", "query.a", "header.X-A", "cookie.A", "body", "path.id", "header.Content-Type", "header.content-type", "a", "body.", "query.", "5",
		} {
			all = append(all, fmt.Sprintf(`{"output": {"mode": "mcp", %q: %q}}`, key, target))
		}
		all = append(all, fmt.Sprintf(`{"output": {%q: "body.a"}}`, key))
	}
	for _, more := range []string{
		`{"mode": "mcp"}`, `{"mode": "json"}`, `{"mode": "mcp", "progress": true}`, `{"mode": "mcp", "progress": false}`, `{"progress": true}`, `{"progress": ".n"}`, `{"progress": 5}`,
	} {
		all = append(all, `{"output": `+more+`}`)
	}
	all = append(all, `{"tags": ["a", "a"]}`, `{"scopes": ["a", "a"]}`, `{"only": ["id", "id"]}`, `{"tags": "a"}`)
	for _, text := range all {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		fits := schema.Validate(value)
		read := openapi.Read(openapi.Source{Name: "t.yaml", Data: fmt.Appendf(nil, agreeDocument, text)}, openapi.Options{Mode: openapi.Annotated})
		refused := slices.ContainsFunc(read.Findings, func(f openapi.Finding) bool { return f.Severity == openapi.SeverityError })
		if refused == (fits == nil) || refused == (len(read.Actions) == 1) {
			t.Errorf("%s: the schema says %v, the program %v", text, fits, read.Findings)
		}
	}
}
