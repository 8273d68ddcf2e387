package openapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"go.yaml.in/yaml/v3"
)

const swaggerDocument = `
swagger: "2.0"
info: {title: T, version: "1"}
consumes: [application/json]
produces: [application/json]
paths:
  /pets/{id}:
    parameters:
      - {name: id, in: path, required: true, type: integer, format: int64, minimum: 1}
    get:
      operationId: getPet
      parameters:
        - {name: fields, in: query, type: array, items: {type: string, enum: [name, tags]}, collectionFormat: multi}
        - {name: page, in: query, type: array, items: {type: integer}, collectionFormat: csv}
        - {name: sort, in: query, type: array, items: {type: string}, collectionFormat: ssv}
        - {name: pick, in: query, type: array, items: {type: string}, collectionFormat: pipes}
        - {name: X-Trace, in: header, type: string, pattern: "^[a-z]+$", description: Trace.}
      responses:
        "200": {description: ok, schema: {$ref: "#/definitions/Pet"}}
        "404": {$ref: "#/responses/Missing"}
    put:
      operationId: putPet
      parameters: [{$ref: "#/parameters/Pet"}]
      responses: {"204": {description: changed}}
  /pets:
    post:
      operationId: addPets
      parameters: [{name: pets, in: body, required: true, schema: {type: array, items: {$ref: "#/definitions/Pet"}}}]
      responses: {"201": {description: ok, schema: {type: array, items: {$ref: "#/definitions/Pet"}}}}
  /form:
    post:
      operationId: form
      consumes: [application/x-www-form-urlencoded]
      parameters:
        - {name: name, in: formData, type: string, maxLength: 7}
        - {name: age, in: formData, type: integer, exclusiveMinimum: true, minimum: 0}
      responses: {"200": {description: ok, schema: {type: string}}}
definitions:
  Pet:
    type: object
    required: [name]
    properties:
      name: {type: string}
      id: {type: integer, format: int64, readOnly: true}
      parent: {$ref: "#/definitions/Pet"}
parameters:
  Pet: {name: pet, in: body, required: true, schema: {$ref: "#/definitions/Pet"}}
responses:
  Missing: {description: gone, schema: {type: object}}
`

// TestSwaggerAgainstConverter: what is read of Swagger 2.0 is what is read of
// the OpenAPI 3.0 that kin-openapi's converter makes of the same document. The
// document keeps to what the converter gets right: it sends every list that
// does not say how as multi, although csv is the default, and no form is
// required, whatever its fields are.
func TestSwaggerAgainstConverter(t *testing.T) {
	var plain any
	if err := yaml.Unmarshal([]byte(swaggerDocument), &plain); err != nil {
		t.Fatal(err)
	}
	var v2 openapi2.T
	if err := json.Unmarshal(mustJSON(plain), &v2); err != nil {
		t.Fatal(err)
	}
	v3, err := openapi2conv.ToV3(&v2)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := actionsByName(t, []byte(swaggerDocument)), actionsByName(t, mustJSON(v3))
	if len(ours) != 4 || len(theirs) != 4 {
		t.Fatalf("%d actions, %d through the converter", len(ours), len(theirs))
	}
	for name, a := range ours {
		b := theirs[name]
		for part, pair := range map[string][2]any{
			"input schema": {sorted(t, a.InputSchema), sorted(t, b.InputSchema)}, "output schema": {sorted(t, a.OutputSchema), sorted(t, b.OutputSchema)},
			"path": {a.Request.Path, b.Request.Path}, "parameters": {a.Request.Parameters, b.Request.Parameters},
			"accept": {a.Request.Accept, b.Request.Accept}, "body": {bodyFacts(a.Request.Body), bodyFacts(b.Request.Body)},
		} {
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Errorf("%s: %s: got\n%s\nthrough the converter\n%s", name, part, mustJSON(pair[0]), mustJSON(pair[1]))
			}
		}
	}
}

func actionsByName(t *testing.T, data []byte) map[string]Action {
	t.Helper()
	doc := Read(Source{"x", data}, Options{Mode: All})
	if doc.Errors() {
		t.Fatal(doc.Findings)
	}
	out := map[string]Action{}
	for _, a := range doc.Actions {
		out[a.Name] = a
	}
	return out
}

// sorted is a schema without the order of its members and required names,
// which the converter does not keep.
func sorted(t *testing.T, schema json.RawMessage) any {
	t.Helper()
	if schema == nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(schema, &v); err != nil {
		t.Fatal(err)
	}
	if o, ok := v.(map[string]any); ok {
		if names, ok := o["required"].([]any); ok {
			slices.SortFunc(names, func(a, b any) int { return slices.Compare([]byte(a.(string)), []byte(b.(string))) })
		}
	}
	return v
}

func bodyFacts(b *Body) []string {
	if b == nil {
		return nil
	}
	var members []string
	for _, m := range b.Members {
		members = append(members, m.Value.Argument)
	}
	slices.Sort(members)
	return append(members, b.Contents[0].MediaType)
}
