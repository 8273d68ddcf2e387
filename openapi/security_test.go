package openapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/openapi"
)

const secured = `openapi: 3.1.0
info: {title: t, version: "1"}
security: [{key: []}, {user: [], oauth: [read]}]
paths:
  /common: {get: {operationId: common}}
  /own: {get: {operationId: own, security: [{basic: []}]}}
  /none: {get: {operationId: none, security: []}}
  /optional: {get: {operationId: optional, security: [{}, {cookie: []}]}}
  /undefined: {get: {operationId: undefined, security: [{missing: []}]}}
  /odd: {get: {operationId: odd, security: [key, {oauth: read}]}}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-API-Key}
    user: {type: apiKey, in: query, name: user}
    cookie: {type: apiKey, in: cookie, name: sid}
    basic: {type: http, scheme: Basic}
    oauth: {$ref: "#/components/x-schemes/oauth"}
    mutual: {type: mutualTLS}
    lost: {$ref: "#/components/securitySchemes/nowhere"}
  x-schemes:
    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: "https://evil.example.com/token", scopes: {read: r}}}}
`

// TestSecurity: what operations need, by the document and by themselves.
func TestSecurity(t *testing.T) {
	doc := openapi.Read(openapi.Source{Name: "a.yaml", Data: []byte(secured)}, openapi.Options{Mode: openapi.All})
	got := map[string]string{}
	for _, a := range doc.Actions {
		got[a.Name] = words(a.Security)
	}
	want := map[string]string{
		"common": "key/apiKey/header/X-API-Key or user/apiKey/query/user + oauth/oauth2[read]", "own": "basic/http/basic", "none": "",
		"optional": "nothing or cookie/apiKey/cookie/sid", "undefined": "missing", "odd": "oauth/oauth2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(doc.SecuritySchemes) != 6 || doc.SecuritySchemes[0].Location.String() != "a.yaml:13:5" {
		t.Errorf("got %v", doc.SecuritySchemes)
	}
	codes := map[string]int{}
	for _, f := range doc.Findings {
		codes[f.Code]++
	}
	if codes["security-invalid"] != 2 || codes["ref-unresolved"] != 1 {
		t.Errorf("got %v", doc.Findings)
	}
	if strings.Contains(fmt.Sprintf("%+v", doc), "evil") {
		t.Error("the document's token URL got into what was read")
	}
}

// words puts alternatives in one line.
func words(security [][]openapi.SecurityScheme) string {
	var alternatives []string
	for _, alternative := range security {
		var all []string
		for _, s := range alternative {
			parts := []string{s.Name}
			for _, part := range []string{s.Type, string(s.In), s.Parameter, s.Scheme} {
				if part != "" {
					parts = append(parts, part)
				}
			}
			word := strings.Join(parts, "/")
			if len(s.Scopes) > 0 {
				word += fmt.Sprint(s.Scopes)
			}
			all = append(all, word)
		}
		if len(all) == 0 {
			all = []string{"nothing"}
		}
		alternatives = append(alternatives, strings.Join(all, " + "))
	}
	return strings.Join(alternatives, " or ")
}

// TestSecuritySwagger: Swagger 2.0 says the same in other words.
func TestSecuritySwagger(t *testing.T) {
	doc := openapi.Read(openapi.Source{Name: "a.yaml", Data: []byte(`swagger: "2.0"
info: {title: t, version: "1"}
security: [{plain: []}]
paths:
  /a: {get: {operationId: a, responses: {200: {description: d}}}}
  /b: {get: {operationId: b, security: [{key: []}], responses: {200: {description: d}}}}
securityDefinitions:
  plain: {type: basic}
  key: {type: apiKey, in: query, name: k}
`)}, openapi.Options{Mode: openapi.All})
	if len(doc.Actions) != 2 || words(doc.Actions[0].Security) != "plain/http/basic" || words(doc.Actions[1].Security) != "key/apiKey/query/k" {
		t.Errorf("got %v %v", doc.Actions, doc.Findings)
	}
}

// TestReserved: parameters where credentials go are no arguments, required or
// not, however they are written; others of the same name elsewhere are.
func TestReserved(t *testing.T) {
	const document = `openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /a/{X-Key}:
    get:
      operationId: a
      parameters:
        - {in: path, name: X-Key, required: true, schema: {type: string}}
        - {in: header, name: x-key, required: true, schema: {type: string}}
        - {in: query, name: X-Key, schema: {type: string}}
        - {in: query, name: API_KEY, required: true, schema: {type: string}}
        - {in: cookie, name: sid, schema: {type: string}}
        - {in: header, name: Authorization, schema: {type: string}}
        - {in: header, name: Cookie, schema: {type: string}}
        - {in: header, name: Host, schema: {type: string}}
        - {in: header, name: Proxy-Authorization, schema: {type: string}}
`
	for name, tt := range map[string]struct {
		reserved  openapi.Reserved
		arguments string
		findings  int
	}{
		"nothing": {openapi.Reserved{}, "X-Key API_KEY sid X-Key_query x-key", 0},
		"header":  {openapi.Reserved{Header: []string{"X-Key"}}, "X-Key API_KEY sid X-Key_query", 1},
		"query":   {openapi.Reserved{Query: []string{"api_key"}}, "X-Key sid X-Key_query x-key", 1},
		"cookies": {openapi.Reserved{Header: []string{"Cookie"}}, "X-Key API_KEY X-Key_query x-key", 1},
	} {
		doc := openapi.Read(openapi.Source{Name: "a.yaml", Data: []byte(document)}, openapi.Options{Mode: openapi.All, Reserved: tt.reserved})
		if len(doc.Actions) != 1 {
			t.Fatalf("%s: %v", name, doc.Findings)
		}
		schema := string(doc.Actions[0].InputSchema)
		for _, argument := range []string{"X-Key", "API_KEY", "sid", "X-Key_query", "x-key", "Authorization", "Cookie", "Host", "Proxy-Authorization"} {
			wanted := strings.Contains(" "+tt.arguments+" ", " "+argument+" ")
			if strings.Contains(schema, `"`+argument+`":`) != wanted {
				t.Errorf("%s: %s is an argument: %v\n%s", name, argument, !wanted, schema)
			}
		}
		n := 0
		for _, f := range doc.Findings {
			if f.Code == "parameter-credential" {
				n++
			}
		}
		if n != tt.findings {
			t.Errorf("%s: %v", name, doc.Findings)
		}
	}
}
