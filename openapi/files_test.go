package openapi

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manyFiles is a document of n path items, each in a file of its own with
// parameters, responses and schemas in others.
func manyFiles(n int) (string, memory) {
	var entry strings.Builder
	entry.WriteString("openapi: 3.0.3\npaths:\n")
	files := memory{
		"shared/parameters.yaml": "id: {name: id, in: path, required: true, schema: {type: integer}}\nlimit: {name: limit, in: query, schema: {type: integer}}\n",
		"shared/error.yaml":      "description: wrong\ncontent: {application/json: {schema: {type: object, properties: {message: {type: string}}}}}\n",
	}
	for i := range n {
		fmt.Fprintf(&entry, "  /things%d/{id}: {$ref: 'resources/t%d/item.yaml'}\n", i, i)
		files[fmt.Sprintf("resources/t%d/item.yaml", i)] = fmt.Sprintf(`parameters: [{$ref: ../../shared/parameters.yaml#/id}, {$ref: ../../shared/parameters.yaml#/limit}]
put:
  operationId: put-%[1]d
  summary: Put
  requestBody: {required: true, content: {application/json: {schema: {$ref: model.yaml}}}}
  responses:
    "200": {description: ok, content: {application/json: {schema: {$ref: model.yaml}}}}
    "400": {$ref: ../../shared/error.yaml}
`, i)
		files[fmt.Sprintf("resources/t%d/model.yaml", i)] = fmt.Sprintf("type: object\nproperties:\n  name: {type: string}\n  next: {$ref: ../t%d/model.yaml}\n", i/10*10+(i+1)%10)
	}
	return entry.String(), files
}

// TestManyFilesAreFast: documents of thousands of files are read once each.
func TestManyFilesAreFast(t *testing.T) {
	const n = 1500
	entry, files := manyFiles(n)
	counted := &counting{memory: files}
	start := time.Now()
	doc := Read(Source{"openapi.yaml", []byte(entry)}, Options{Mode: All, Opener: counted})
	if took := time.Since(start); took > slower*4*time.Second {
		t.Errorf("took %v", took)
	}
	if len(doc.Actions) != n || doc.Errors() {
		t.Errorf("%d actions, %.2000v", len(doc.Actions), doc.Findings)
	}
	if counted.opened != 2*n+2 {
		t.Errorf("opened %d files, there are %d", counted.opened, 2*n+2)
	}
}

type counting struct {
	memory
	opened int
}

func (c *counting) Open(name string) ([]byte, error) {
	c.opened++
	return c.memory.Open(name)
}

// endless has a file for every name, each of which leads to the next.
type endless struct {
	memory
	text func(name string) string
}

func (e endless) Open(name string) ([]byte, error) { return []byte(e.text(name)), nil }

// TestFilesAreBounded: number, bytes and nodes of all files together.
func TestFilesAreBounded(t *testing.T) {
	laughs := func(name string) string {
		var b strings.Builder
		b.WriteString("a0: &a0 {type: string}\n")
		for i := range 17 {
			fmt.Fprintf(&b, "a%d: &a%d {x: *a%d, y: *a%d}\n", i+1, i+1, i, i)
		}
		return b.String() + "s: {allOf: [{$ref: '" + name + "x#/s'}]}\n"
	}
	for name, tt := range map[string]struct {
		text func(string) string
		want string
	}{
		"endless chain": {func(name string) string {
			n, _ := strconv.Atoi(strings.TrimPrefix(name, "x"))
			return fmt.Sprintf("s: {properties: {n: {$ref: 'x%d#/s'}}}", n+1)
		}, "more than 2000 parts"},
		"endless path": {func(string) string { return "s: {allOf: [{$ref: 'a-folder/of-some/length/x#/s'}]}" }, "more than 4096 bytes"},
		"bytes": {func(name string) string {
			return strings.Repeat("#", 20<<20) + "\ns: {allOf: [{$ref: '" + name + "x#/s'}]}"
		}, "bytes in all"},
		"billion laughs": {laughs, "nodes once its aliases are expanded"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			doc := Read(Source{"openapi.yaml", []byte(`
openapi: 3.1.0
paths: {/a: {post: {operationId: a, summary: A, requestBody: {content: {application/json: {schema: {$ref: "x#/s"}}}}, responses: {}}}}
`)}, Options{Mode: All, Opener: endless{text: tt.text}})
			if took := time.Since(start); took > slower*5*time.Second {
				t.Errorf("took %v", took)
			}
			if len(doc.Actions) != 1 || !strings.Contains(fmt.Sprint(doc.Findings), tt.want) {
				t.Errorf("%d actions, %.2000v", len(doc.Actions), doc.Findings)
			}
		})
	}
	var entry strings.Builder
	entry.WriteString("openapi: 3.1.0\npaths:\n")
	for i := range maxFiles + 5 {
		fmt.Fprintf(&entry, "  /p%d: {$ref: 'f%d'}\n", i, i)
	}
	doc := Read(Source{"openapi.yaml", []byte(entry.String())}, Options{Mode: All, MaxActions: maxFiles, Opener: endless{text: func(string) string {
		return "get: {summary: A, responses: {}}"
	}}})
	if len(doc.Actions) != maxFiles-1 || !strings.Contains(fmt.Sprint(doc.Findings), "more than 10000 files") {
		t.Errorf("%d actions, %.2000v", len(doc.Actions), doc.Findings)
	}
}
