package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write what is as what is wanted")

// TestTools compares what models see of the example's servers with
// testdata/tools: a review of a changed document sees each changed tool.
func TestTools(t *testing.T) {
	var wanted []string
	sizes := &bytes.Buffer{}
	for _, server := range []string{"catalog", "catalog-admin"} {
		code, list, stderr := run(t, "tools", server, "-c", filepath.Join("..", "..", "config.example.yaml"))
		if code != 0 {
			t.Fatal(stderr)
		}
		fmt.Fprintf(sizes, "%s %d bytes\n", server, len(bytes.TrimSpace([]byte(list))))
		var tools struct{ Tools []json.RawMessage }
		if err := json.Unmarshal([]byte(list), &tools); err != nil {
			t.Fatal(err)
		}
		for _, tool := range tools.Tools {
			var named struct{ Name string }
			var indented bytes.Buffer
			if err := json.Unmarshal(tool, &named); err != nil {
				t.Fatal(err)
			}
			if err := json.Indent(&indented, tool, "", "  "); err != nil {
				t.Fatal(err)
			}
			wanted = append(wanted, compare(t, filepath.Join("testdata", "tools", server, named.Name+".json"), append(indented.Bytes(), '\n')))
		}
	}
	wanted = append(wanted, compare(t, filepath.Join("testdata", "tools", "bytes.txt"), sizes.Bytes()))
	there, err := filepath.Glob(filepath.Join("testdata", "tools", "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if !slices.Contains(wanted, file) {
			t.Errorf("%s: no such tool any more; remove it", file)
		}
	}
}

// compare compares, or with -update writes, a golden file.
func compare(t *testing.T, file string, got []byte) string {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%v; go test ./cmd/stagedoor -update writes it", err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
	return file
}
