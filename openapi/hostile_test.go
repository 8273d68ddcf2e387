package openapi

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// TestHostile: documents made to hurt are refused or read, soon and in words.
func TestHostile(t *testing.T) {
	const head = "openapi: 3.1.0\ninfo: {title: T, version: \"1\"}\npaths:\n  /a: {get: {operationId: a, responses: {}}}\n"
	deepJSON := func(n int) string {
		return `{"openapi":"3.1.0","paths":{},"x":` + strings.Repeat(`[`, n) + strings.Repeat(`]`, n) + `}`
	}
	fanOut := head + "components:\n  schemas:\n    S0: {type: object, properties: {a: {type: string}}}\n"
	for i := range 30 {
		fanOut += fmt.Sprintf("    S%d: {allOf: [{$ref: '#/components/schemas/S%d'}, {$ref: '#/components/schemas/S%d'}]}\n", i+1, i, i)
	}
	fanOut = strings.Replace(fanOut, "/a: {get: {operationId: a,", "/a: {post: {operationId: a, requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/S30'}}}},", 1)
	wide := head + "components:\n  schemas:\n    W:\n      type: object\n      properties:\n"
	for i := range 10_000 {
		wide += fmt.Sprintf("        p%d: {type: string}\n", i)
	}
	wide = strings.Replace(wide, "/a: {get: {operationId: a,", "/a: {post: {operationId: a, requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/W'}}}},", 1)

	var chain strings.Builder
	chain.WriteString(strings.Replace(head, "/a: {get: {operationId: a,", "/a: {post: {operationId: a, requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/C0'}}}},", 1))
	chain.WriteString("components:\n  schemas:\n")
	for i := range 100_000 {
		fmt.Fprintf(&chain, "    C%d: {allOf: [{$ref: '#/components/schemas/C%d'}]}\n", i, i+1)
	}

	for name, tt := range map[string]struct{ doc, want string }{
		"endless allOf":   {chain.String() + "    C100000: {$ref: '#/components/schemas/C0'}\n", "1 actions"},
		"empty":           {"", "document is empty"},
		"blank":           {" \n\t\n", "document is empty"},
		"binary":          {"\x7fELF\x00\x01", "document is binary"},
		"utf-16":          {"\xff\xfeo\x00", "document is binary"},
		"latin-1":         {"openapi: 3.1.0\ninfo: {title: caf\xe9}\n", "x:2:18: error: document-unreadable: document is not UTF-8"},
		"100 MB":          {strings.Repeat(" ", 100<<20), "more than the limit"},
		"deep json":       {deepJSON(5000), "nests deeper than 200 levels"},
		"deep json map":   {`{"openapi":"3.1.0","x":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000) + `}`, "nests deeper than 200 levels"},
		"deep flow":       {head + "x: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nests deeper than 200 levels"},
		"deep block":      {head + "x:\n" + deepBlock(3000), "nests deeper than 200 levels"},
		"unclosed":        {strings.Repeat("[", 100_000), "error: document-unreadable"},
		"scalar":          {"hello", "document is not an object"},
		"many documents":  {head + "---\n" + head, "1 actions"},
		"allOf fan-out":   {fanOut, "1 actions"},
		"wide":            {wide, "schema of the arguments has more than 2000 parts"},
		"number of doom":  {head + "x: 1e999999999\n", "1 actions"},
		"key of doom":     {head + "? {a: b}\n: c\n? [d]\n: e\n", "1 actions"},
		"tagged":          {head + "x: !!binary aGk=\ny: !foo bar\nz: !!int abc\n", "1 actions"},
		"null everywhere": {"openapi: 3.1.0\ninfo:\npaths:\n  /a:\n  /b:\n    get:\n    post: {parameters: , requestBody: , responses: }\n", "1 actions"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			doc := Read(Source{"x", []byte(tt.doc)}, Options{Mode: All})
			if took := time.Since(start); took > slower*5*time.Second {
				t.Errorf("took %v", took)
			}
			var all strings.Builder
			for _, f := range doc.Findings {
				fmt.Fprintln(&all, f)
			}
			fmt.Fprintf(&all, "%d actions", len(doc.Actions))
			if !strings.Contains(all.String(), tt.want) {
				t.Errorf("got %.2000s\nwant %s", all.String(), tt.want)
			}
			for _, a := range doc.Actions {
				mustCompile(t, a.Name, a.InputSchema)
			}
		})
	}
}

// TestManyToolsOverLinkedSchemas: what each tool refers to is the whole document.
func TestManyToolsOverLinkedSchemas(t *testing.T) {
	var doc strings.Builder
	doc.WriteString("openapi: 3.1.0\npaths:\n")
	for i := range 300 {
		fmt.Fprintf(&doc, "  /p%d: {post: {requestBody: {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/S0'}}}}}, responses: {}}}\n", i)
	}
	doc.WriteString("components:\n  schemas:\n")
	for i := range 1500 {
		fmt.Fprintf(&doc, "    S%d: {type: object, properties: {next: {$ref: '#/components/schemas/S%d'}, prev: {$ref: '#/components/schemas/S%d'}}}\n", i, (i+1)%1500, (i+1499)%1500)
	}
	start := time.Now()
	got := Read(Source{"x", []byte(doc.String())}, Options{Mode: All})
	if took := time.Since(start); took > slower*3*time.Second || len(got.Actions) != 300 {
		t.Errorf("%d actions in %v", len(got.Actions), took)
	}
}

// TestManyToolsOverWideParts: taking one member out looks at all the others.
func TestManyToolsOverWideParts(t *testing.T) {
	var doc strings.Builder
	doc.WriteString("openapi: 3.1.0\npaths:\n")
	for i := range 200 {
		fmt.Fprintf(&doc, "  /p%d: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/All'}}}}, responses: {}}}\n", i)
	}
	doc.WriteString("components:\n  schemas:\n    All: {not: {}, properties: {p1: {readOnly: true}}, allOf: [")
	for i := range 1000 {
		fmt.Fprintf(&doc, "{$ref: '#/components/schemas/W%d'},", i)
	}
	doc.WriteString("]}\n")
	for i := range 1000 {
		fmt.Fprintf(&doc, "    W%d: {allOf: [{$ref: '#/components/schemas/Wide'}, {$ref: '#/components/schemas/W%d'}]}\n", i, (i+1)%1000)
	}
	doc.WriteString("    Wide:\n      properties:\n")
	for i := range 5000 {
		fmt.Fprintf(&doc, "        p%d: {type: string}\n", i)
	}
	start := time.Now()
	got := Read(Source{"x", []byte(doc.String())}, Options{Mode: All})
	if took := time.Since(start); took > slower*5*time.Second || len(got.Actions) != 200 {
		t.Errorf("%d actions in %v", len(got.Actions), took)
	}
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

// TestNothingIsOpened: a document cannot make the reader look at files or URLs.
func TestNothingIsOpened(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(secret, []byte("type: string\ndescription: canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{secret, "file://" + secret, "secret.yaml", "http://127.0.0.1:1/x", "//host/x", secret + "#/description"} {
		doc := Read(Source{filepath.Join(filepath.Dir(secret), "openapi.yaml"), fmt.Appendf(nil, `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /a:
    post:
      operationId: a
      parameters: [{$ref: %[1]q}]
      responses: {}
  /b:
    post:
      operationId: b
      requestBody: {content: {application/json: {schema: {$ref: %[1]q}}}}
      responses: {}
`, ref)}, Options{Mode: All})
		var all bytes.Buffer
		for _, f := range doc.Findings {
			fmt.Fprintln(&all, f)
		}
		for _, a := range doc.Actions {
			all.Write(a.InputSchema)
		}
		if len(doc.Actions) != 1 || strings.Contains(all.String(), "canary") || strings.Count(all.String(), "ref-unresolved") != 2 {
			t.Errorf("%s: %d actions\n%s", ref, len(doc.Actions), all.String())
		}
	}
}

// FuzzRead: no panic, each operation accounted for, all schemas compile.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/read/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range archive.Files {
			if strings.HasPrefix(part.Name, "openapi.") {
				f.Add(part.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc := Read(Source{"fuzz", data}, Options{Mode: All})
		named := map[string]bool{}
		for _, finding := range doc.Findings {
			if finding.Severity == SeverityError && finding.Operation != "" {
				named[finding.Operation] = true
			}
		}
		for _, a := range doc.Actions {
			mustCompile(t, a.Name, a.InputSchema)
			if a.OutputSchema != nil {
				mustCompile(t, a.Name, a.OutputSchema)
			}
			if !actionNamePattern.MatchString(a.Name) {
				t.Errorf("action name %q", a.Name)
			}
			named[a.Operation] = true
		}
		if len(named) > doc.Operations {
			t.Errorf("%d operations, but %d are named", doc.Operations, len(named))
		}
		if len(doc.Actions) > 0 && doc.Operations == 0 {
			t.Error("actions without operations")
		}
	})
}
