package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzSchema publishes a schema as body and answer: what comes out compiles,
// is self-contained and takes its time in bounds, and what the original admits
// it admits.
func FuzzSchema(f *testing.F) {
	for _, file := range []string{"testdata/property/3.0.yaml", "testdata/property/3.1.yaml"} {
		doc, _ := plainTree(f, withOperations(f, file)).(map[string]any)
		components, _ := doc["components"].(map[string]any)
		schemas, _ := components["schemas"].(map[string]any)
		for _, schema := range schemas {
			// In the fuzzed document a schema refers to itself and to one other.
			text := strings.NewReplacer("#/components/schemas/Plain", "#/components/schemas/B", "#/components/schemas/Closed", "#/components/schemas/B").Replace(string(mustJSON(schema)))
			f.Add(text, `{"type":"object","required":["id"],"properties":{"id":{"type":"string","readOnly":true},"a":{"$ref":"#/components/schemas/A"}}}`, strings.Contains(file, "3.1"))
		}
	}
	f.Fuzz(func(t *testing.T, a, b string, newDialect bool) {
		one, other := canonical(a), canonical(b)
		if one == nil || other == nil || len(one)+len(other) > 4000 {
			return
		}
		version := "3.0.3"
		if newDialect {
			version = "3.1.0"
		}
		const content = `{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"}}},"description":"x"}`
		data := fmt.Appendf(nil, `{"openapi":%q,"components":{"schemas":{"A":%s,"B":%s}},"paths":{"/a":{"post":{"requestBody":%s,"responses":{"200":%[4]s}}}}}`,
			version, one, other, content)
		start := time.Now()
		read := Read(Source{"fuzz.json", data}, Options{Mode: All})
		if took := time.Since(start); took > slower*2*time.Second {
			t.Errorf("took %v", took)
		}
		for i := range read.Actions {
			mustCompile(t, "input", read.Actions[i].InputSchema)
			if read.Actions[i].OutputSchema != nil {
				mustCompile(t, "output", read.Actions[i].OutputSchema)
			}
		}
		if newDialect { // most of what is found in 3.0 is kin-openapi's
			newProperty(t, "fuzz.json", data).run(t, 6)
		}
	})
}

// canonical is JSON without members that stand twice; nil: it is no JSON, or
// has what the judge, which reads it as YAML, takes only in escapes.
func canonical(text string) []byte {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() || !utf8.ValidString(text) {
		return nil
	}
	out, err := json.Marshal(v)
	if err != nil || bytes.ContainsFunc(out, func(r rune) bool { return unicode.IsControl(r) || r == '\ufffe' || r == '\uffff' }) {
		return nil
	}
	return out
}
