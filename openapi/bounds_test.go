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
				kept, doc = retained(func() *Document {
					return Read(Source{"openapi.json", []byte(text)}, Options{Mode: All, MaxActions: 10_000})
				})
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

// TestManyActions: a small document may ask for more actions than any gateway
// has memory for.
func TestManyActions(t *testing.T) {
	var short, list strings.Builder
	short.WriteString("openapi: 3.1.0\npaths:\n")
	for i := range 400 {
		fmt.Fprintf(&short, "  /p%d: %s\n", i, map[bool]string{true: "&all {get: {}, put: {}, post: {}, delete: {}, options: {}, patch: {}, trace: {}, head: {}}", false: "*all"}[i == 0])
	}
	list.WriteString("openapi: 3.1.0\npaths: {/a: {get: {x-action: [")
	for i := range 50 {
		fmt.Fprintf(&list, "{name: a%d}, ", i)
	}
	list.WriteString("]}, put: {x-action: true}, post: {x-action: [{name: b}, {name: c}]}, delete: {}}}")
	for name, tt := range map[string]struct {
		text          string
		mode          Mode
		max           int
		actions, more int
		operations    int
	}{
		"aliases":         {short.String(), All, 1000, 1000, 2200, 3200},
		"exactly as many": {short.String(), All, 3200, 3200, 0, 3200},
		"one more":        {short.String(), All, 3199, 3199, 1, 3200},
		"default":         {short.String(), All, 0, 3200, 0, 3200},
		"list is cut":     {list.String(), Annotated, 20, 20, 33, 4},
		"list fits":       {list.String(), Annotated, 50, 50, 3, 4},
		"second list":     {list.String(), Annotated, 52, 52, 1, 4},
		"unasked is free": {list.String(), Annotated, 53, 53, 0, 4},
		"unannotated":     {short.String(), Annotated, 10, 0, 0, 3200},
	} {
		doc := Read(Source{"x", []byte(tt.text)}, Options{Mode: tt.mode, MaxActions: tt.max})
		var found []string
		for _, f := range doc.Findings {
			if f.Severity == SeverityError {
				found = append(found, f.Code+": "+f.Message)
			}
		}
		want := ""
		if tt.more > 0 {
			want = fmt.Sprintf("actions-many: document has more than %d actions; %d are left out", tt.max, tt.more)
		}
		if len(doc.Actions) != tt.actions || doc.Operations != tt.operations || strings.Join(found, "\n") != want {
			t.Errorf("%s: %d actions of %d operations, %.500q", name, len(doc.Actions), doc.Operations, found)
		}
	}
}

// TestOperationsWithoutEnd: those that are left out cost next to nothing, and
// neither do those that cannot be read.
func TestOperationsWithoutEnd(t *testing.T) {
	text := largeDocument(30_000, `{"openapi": "3.1.0", "paths": {`, `"schema": {"type": "integer"}`)
	bad := strings.ReplaceAll(text, `"operationId"`, `"x-action": {"nam": 1}, "operationId"`)
	for _, doc := range []*Document{readSoon(t, text, 15*time.Second), readSoon(t, bad, 15*time.Second)} {
		if len(doc.Actions) > 5000 || len(doc.Findings) > 5001 || !doc.Errors() {
			t.Errorf("%d actions, %d findings", len(doc.Actions), len(doc.Findings))
		}
	}
}
