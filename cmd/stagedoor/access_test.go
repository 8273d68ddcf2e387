package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAccessPage: the config of docs/access.md is fine, and its commands print
// what the page says.
func TestAccessPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
		if found == nil {
			t.Fatalf("the page has no %s", language)
		}
		return string(found[1])
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile(filepath.Join(".", "access.yaml"), []byte(block("yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := strings.Split(block("console"), "$ stagedoor ")[1:]
	for _, command := range append(commands, "check --config access.yaml\n") {
		line, want, _ := strings.Cut(command, "\n")
		var out, complaints bytes.Buffer
		p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &complaints, environ: []string{"AGENT_TOKEN=0123456789abcdef"}}
		code := p.run(t.Context(), strings.Fields(line))
		if denied := strings.Contains(want, "not visible"); (code == exitFine) == denied || want != "" && out.String() != want {
			t.Errorf("%s\ngives %d and\n%s%s", line, code, out.String(), complaints.String())
		}
	}
}
