package openapi

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// allocated is how many bytes f allocates in all, an upper bound of what it has
// at once.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// retained is how many bytes more are in use after f.
func retained(f func() *Document) (int64, *Document) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	doc := f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc), doc
}

// largeDocument has n operations of about 1 KB each.
func largeDocument(n int, head, id string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := range n {
		fmt.Fprintf(&b, `%s"/things/%d/{id}": {"put": {"operationId": "put-%d", "summary": "Put thing %d", "description": %q,
 "parameters": [{"name": "id", "in": "path", "required": true, %s}, {"name": "dryRun", "in": "query", %s}],
 "responses": {"200": {"description": "ok"}, "default": {"description": "wrong"}}}}`, map[bool]string{true: ",\n"}[i > 0], i, i, i, strings.Repeat("Puts it. ", 70), id, id)
	}
	b.WriteString("}}")
	return b.String()
}

// TestLargeDocuments: 10,000 operations in 10 MB, in time and memory that grow
// no faster than the document.
func TestLargeDocuments(t *testing.T) {
	for name, text := range map[string]string{
		"openapi": largeDocument(10_000, `{"openapi": "3.1.0", "paths": {`, `"schema": {"type": "integer"}`),
		"swagger": largeDocument(10_000, `{"swagger": "2.0", "paths": {`, `"type": "integer"`),
	} {
		t.Run(name, func(t *testing.T) {
			if len(text) < 9<<20 {
				t.Fatalf("the document has %d bytes only", len(text))
			}
			start := time.Now()
			var kept int64
			var doc *Document
			total := allocated(func() {
				kept, doc = retained(func() *Document { return Read(Source{"openapi.json", []byte(text)}, Options{Mode: All}) })
			})
			t.Logf("%d bytes: %v, %d times its bytes allocated, %d kept", len(text), time.Since(start), total/uint64(len(text)), kept/int64(len(text)))
			if took := time.Since(start); took > slower*15*time.Second || len(doc.Actions) != 10_000 || doc.Errors() {
				t.Errorf("%d actions in %v", len(doc.Actions), took)
			}
			if slower > 1 {
				return // the race detector has memory of its own
			}
			if total > 60*uint64(len(text)) || kept > 6*int64(len(text)) {
				t.Errorf("allocates %d bytes and keeps %d for %d", total, kept, len(text))
			}
		})
	}
}

// TestHostileMemory: small documents that want much get little.
func TestHostileMemory(t *testing.T) {
	const head = "openapi: 3.1.0\npaths:\n  /a: {post: {operationId: a, summary: A, requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/S30'}}}}, responses: {}}}\n"
	var fanOut, laughs, wide strings.Builder
	fanOut.WriteString(head + "components:\n  schemas:\n    S0: {type: object, properties: {a: {type: string}}}\n")
	laughs.WriteString(head + "components:\n  schemas:\n    S0: &s0 {type: object, properties: {a: {type: string}}}\n")
	wide.WriteString(head + "components:\n  schemas:\n    S0: {type: object}\n")
	for i := range 30 {
		fmt.Fprintf(&fanOut, "    S%d: {allOf: [{$ref: '#/components/schemas/S%d'}, {$ref: '#/components/schemas/S%d'}]}\n", i+1, i, i)
		fmt.Fprintf(&laughs, "    S%d: &s%d {allOf: [*s%d, *s%d]}\n", i+1, i+1, i, i)
		fmt.Fprintf(&wide, "    S%d: {oneOf: [%s]}\n", i+1, strings.Repeat(fmt.Sprintf("{$ref: '#/components/schemas/S%d'},", i), 200))
	}
	for name, text := range map[string]string{"allOf fan-out": fanOut.String(), "billion laughs": laughs.String(), "oneOf fan-out": wide.String()} {
		for _, overlays := range [][]Source{nil, {{"o", []byte("overlay: 1.0.0\nactions: [{target: $.paths.*.post, update: {x: y}}]")}}} {
			start := time.Now()
			total := allocated(func() { Read(Source{"openapi.yaml", []byte(text)}, Options{Mode: All, Overlays: overlays}) })
			if took := time.Since(start); total > 300<<20 || took > slower*5*time.Second {
				t.Errorf("%s, %d overlays: %d bytes in %v", name, len(overlays), total, took)
			}
			t.Logf("%s, %d overlays: %d MB in %v", name, len(overlays), total>>20, time.Since(start))
		}
	}
}
