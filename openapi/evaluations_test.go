package openapi

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestFanOutsAreValidatedSoon: validators go each way to a schema anew. The
// arguments and results of thirty definitions that each lead to the next one
// twice are looked at within a second, and nothing that is right is refused.
func TestFanOutsAreValidatedSoon(t *testing.T) {
	const depth = 30
	for name, tt := range map[string]struct {
		part string // of S%[1]d; S%[2]d is the next one
		cut  bool
	}{
		"duplicate":         {"allOf: [{$ref: '#/components/schemas/S%[2]d'}, {$ref: '#/components/schemas/S%[2]d'}]", false},
		"duplicate any":     {"anyOf: [{$ref: '#/components/schemas/S%[2]d'}, {$ref: '#/components/schemas/S%[2]d'}]", false},
		"duplicate one":     {"oneOf: [{$ref: '#/components/schemas/S%[2]d'}, {$ref: '#/components/schemas/S%[2]d'}]", true},
		"nested":            {"allOf: [{$ref: '#/components/schemas/S%[2]d'}, {allOf: [{$ref: '#/components/schemas/S%[2]d'}]}]", true},
		"explained":         {"allOf: [{$ref: '#/components/schemas/S%[2]d', title: A}, {$ref: '#/components/schemas/S%[2]d', title: B}]", true},
		"two names":         {"anyOf: [{$ref: '#/components/schemas/S%[2]d'}, {$ref: '#/components/schemas/T%[2]d'}]", true},
		"any and all":       {"anyOf: [{$ref: '#/components/schemas/S%[2]d'}], allOf: [{$ref: '#/components/schemas/S%[2]d'}]", true},
		"beside":            {"$ref: '#/components/schemas/S%[2]d', allOf: [{$ref: '#/components/schemas/S%[2]d'}]", true},
		"condition":         {"if: {$ref: '#/components/schemas/S%[2]d'}, then: {$ref: '#/components/schemas/S%[2]d'}, else: {$ref: '#/components/schemas/S%[2]d'}", true},
		"negation":          {"not: {not: {$ref: '#/components/schemas/S%[2]d'}}, allOf: [{$ref: '#/components/schemas/S%[2]d'}]", true},
		"dependent":         {"dependentSchemas: {a: {$ref: '#/components/schemas/S%[2]d'}, b: {$ref: '#/components/schemas/S%[2]d'}}", true},
		"without a member":  {"properties: {r: {readOnly: true}, w: {writeOnly: true}}, allOf: [{$ref: '#/components/schemas/S%[2]d'}, {allOf: [{$ref: '#/components/schemas/S%[2]d'}]}]", true},
		"through a pointer": {"allOf: [{$ref: '#/components/schemas/S%[2]d'}, {$ref: '#/components/schemas/T%[2]d/allOf/0'}]", true},
	} {
		t.Run(name, func(t *testing.T) {
			var doc strings.Builder
			const body = "content: {application/json: {schema: {type: object, properties: {in: {$ref: '#/components/schemas/S0'}}}}}"
			doc.WriteString("openapi: 3.1.0\npaths: {/a: {post: {requestBody: {" + body + "}, responses: {'200': {description: OK, " + body + "}}}}}\ncomponents:\n  schemas:\n")
			for i := range depth {
				fmt.Fprintf(&doc, "    S%[1]d: {"+tt.part+"}\n", i, i+1)
				fmt.Fprintf(&doc, "    T%d: {allOf: [{$ref: '#/components/schemas/S%[1]d'}]}\n", i)
			}
			fmt.Fprintf(&doc, "    S%d: {type: object}\n    T%[1]d: {allOf: [{type: object}]}\n", depth)
			got := readSoon(t, doc.String(), time.Second)
			if len(got.Actions) != 1 || got.Actions[0].OutputSchema == nil {
				t.Fatal(got.Findings)
			}
			if cut := strings.Contains(fmt.Sprint(got.Findings), "schema-cut"); cut != tt.cut {
				t.Errorf("cut: %v, findings %v", cut, got.Findings)
			}
			a := got.Actions[0]
			for side, text := range map[string][]byte{"input": a.InputSchema, "output": a.OutputSchema} {
				schema := mustCompile(t, side, text)
				start := time.Now()
				err := schema.Validate(map[string]any{"in": map[string]any{"a": "", "b": ""}})
				if err != nil && name != "duplicate one" { // two of exactly one
					t.Errorf("%s: %v", side, err)
				}
				if err := schema.Validate(map[string]any{"in": "text"}); err == nil && !tt.cut {
					t.Errorf("%s: nothing is checked", side)
				}
				if took := time.Since(start); took > slower*time.Second {
					t.Errorf("%s: took %v", side, took)
				}
			}
		})
	}
}
