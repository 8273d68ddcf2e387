//go:build !race

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// bars is set where times are held to their bars and the tests of no other
// package run beside. Machines differ: elsewhere four times as much will do.
var bars = flag.Bool("bars", false, "hold times to their bars")

// TestLintBars holds the whole process to its bars on documents of a megabyte,
// JSON and YAML: time, and heap for each byte. The best of five counts, for
// others use the machine too.
func TestLintBars(t *testing.T) {
	asJSON, asYAML := resourcesDocument(t, 760_000)
	for _, tt := range []struct {
		file string
		data []byte
		bar  time.Duration // a megabyte
	}{{"openapi.json", asJSON, 300 * time.Millisecond}, {"openapi.yaml", asYAML, 500 * time.Millisecond}} {
		file := filepath.Join(t.TempDir(), tt.file)
		if err := os.WriteFile(file, tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
		best, heap := time.Hour, 1<<20
		for range 5 {
			took, most := lintProcess(t, "lint", "--actions", "all", file)
			best, heap = min(best, took), min(heap, most)
		}
		limit := tt.bar * time.Duration(len(tt.data)) / 1_000_000
		if !*bars {
			limit *= 4
		}
		if best > limit {
			t.Errorf("%s: took %v, over the bar of %v", tt.file, best, limit)
		}
		if ratio := heap << 20 / len(tt.data); ratio >= 40 {
			t.Errorf("%s: %d bytes of heap a byte, the bar is 40", tt.file, ratio)
		}
		t.Logf("%s: %d bytes, %v, %d MiB of heap", tt.file, len(tt.data), best, heap)
	}
}

var heapAtEnd = regexp.MustCompile(`(?m)^gc .* \d+->(\d+)->\d+ MB,`)

// lintProcess runs this program as a process of its own and gives its time (on
// the clock, or of processors where it had to wait for them) and the most heap, in MiB, that it had when its memory was cleaned up.
// (The system's figure for a child counts its parent before the exec.)
func lintProcess(t *testing.T, args ...string) (took time.Duration, heap int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "stagedoor") // TestMain goes by the name
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	start := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	took = min(time.Since(start), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	for _, m := range heapAtEnd.FindAllStringSubmatch(trace.String(), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		heap = max(heap, n)
	}
	if heap == 0 {
		t.Fatalf("no heap in the trace: %.2000s", trace.String())
	}
	return took, heap
}

// resourcesDocument describes resources as real documents do: with prose, and
// some two kilobytes an operation. It has at least size bytes as JSON.
func resourcesDocument(t *testing.T, size int) (asJSON, asYAML []byte) {
	t.Helper()
	prose := strings.TrimSpace(strings.Repeat("Says what it is for, and when to use another one instead. ", 3))
	var paths, schemas []string
	for i, total := 0, 0; total < size; i++ {
		var members []string
		for m := range 20 {
			members = append(members, fmt.Sprintf(`"member%d": {"type": "string", "maxLength": %d, "description": "%d: %s"}`, m, 10+m, i*100+m, prose))
		}
		ref := fmt.Sprintf(`{"$ref": "#/components/schemas/Resource%d"}`, i)
		content := `"content": {"application/json": {"schema": ` + ref + `}}`
		answers := `"responses": {"200": {"description": "The resource.", ` + content + `}}`
		paths = append(paths, fmt.Sprintf(`"/resources%[1]d": {
			"get": {"operationId": "listResource%[1]d", "description": "%[1]d: lists. %[2]s", "parameters": [{"name": "limit", "in": "query", "description": "How many.", "schema": {"type": "integer"}}], %[3]s},
			"post": {"operationId": "makeResource%[1]d", "description": "%[1]d: makes. %[2]s", "requestBody": {"required": true, %[4]s}, %[3]s}},
			"/resources%[1]d/{id}": {"parameters": [{"name": "id", "in": "path", "required": true, "description": "Which.", "schema": {"type": "string"}}],
			"get": {"operationId": "getResource%[1]d", "description": "%[1]d: gets. %[2]s", %[3]s},
			"put": {"operationId": "putResource%[1]d", "description": "%[1]d: puts. %[2]s", "requestBody": {"required": true, %[4]s}, %[3]s}}`, i, prose, answers, content))
		schemas = append(schemas, fmt.Sprintf(`"Resource%d": {"type": "object", "required": ["member0"], "properties": {%s}}`, i, strings.Join(members, ", ")))
		total += len(paths[i]) + len(schemas[i])
	}
	text := fmt.Sprintf(`{"openapi": "3.1.0", "info": {"title": "Resources", "version": "1"}, "paths": {%s}, "components": {"schemas": {%s}}}`,
		strings.Join(paths, ",\n"), strings.Join(schemas, ",\n"))
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return indented.Bytes(), asYAML
}
