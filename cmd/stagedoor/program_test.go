package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// run executes a command line as a value.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	code = p.run(context.Background(), args)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	for _, tt := range []struct {
		args string
		code int
		want string // in standard error
	}{
		{"", 0, ""},
		{"--help", 0, ""},
		{"schema config", 0, ""},
		{"check -c ../../config.example.yaml", 0, ""},
		{"check -c " + missing, 1, "none.yaml"},
		{"lint " + missing, 1, ""},
		{"actions show nothing:here -c ../../config.example.yaml", 1, "unknown action"},
		{"bogus", 2, "unknown command"},
		{"serve --bogus", 2, "unknown flag"},
		{"serve extra", 2, "unknown command"},
		{"lint", 2, "requires at least 1 arg"},
		{"lint --actions some x.yaml", 2, "expected annotated or all"},
		{"lint --fail-on never x.yaml", 2, "expected error, warning or info"},
		{"lint --json --sarif x.yaml", 2, "none of the others can be"},
		{"schema yaml", 2, "invalid argument"},
		{"overlay backstage", 2, "there is: backstage-catalog, backstage-notifications"},
		{"tools", 2, "accepts 1 arg"},
		{"actions list --spec a --url b", 2, "none of the others can be"},
		{"actions list --base-url http://x", 2, "--base-url goes with --spec"},
		{"actions call x --url http://x --dry-run", 2, "--dry-run needs"},
		{"actions call x --spec a.yaml", 2, "--base-url is needed"},
		{"actions bogus", 2, "unknown command"},
		{"login", 2, "accepts 1 arg"},
		{"login https://a --device --browser", 2, "none of the others can be"},
		{"token https://a --header --json", 2, "none of the others can be"},
		{"logout", 2, "either a server's URL or --all is needed"},
		{"logout https://a --all", 2, "either a server's URL or --all is needed"},
		{"login http://a.example", 1, "http is for this machine only"},
		{"whoami a.example", 1, "expected an absolute https URL"},
	} {
		code, _, stderr := run(t, strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("stagedoor %s: exit code %d, want %d; said %s", tt.args, code, tt.code, stderr)
		}
	}
}

// TestHelpShowsExamples: each command that does something shows how.
func TestHelpShowsExamples(t *testing.T) {
	for _, command := range []string{"serve", "check", "lint", "actions list", "actions show", "actions call", "diff", "lock", "plugins", "plugins diff", "tools", "overlay", "schema", "login", "token", "whoami", "logout"} {
		code, help, _ := run(t, append(strings.Fields(command), "--help")...)
		if code != 0 || !strings.Contains(help, "Examples:\n  stagedoor ") {
			t.Errorf("%s --help shows no example:\n%s", command, help)
		}
	}
}
