package registryapi_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/registryapi"
)

// The commands of docs/registering.md do what it says, as they stand there.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	page, err := os.ReadFile("../../docs/registering.md")
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(page)
	if script == nil {
		t.Fatal("docs/registering.md has no commands")
	}
	f := newFixture(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(script[1]), "https://stagedoor.internal"+registryapi.Path, f.url+registryapi.Path, 1)
	sh := exec.CommandContext(t.Context(), "sh", "-eu", "-c", text)
	sh.Dir, sh.Env = dir, append(os.Environ(), "BILLING_PUBLISHER_TOKEN="+token)
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"findings":[`) || strings.Contains(lines[1], "findings") || !strings.Contains(lines[1], `"renewAfter":20`) {
		t.Errorf("%s", out)
	}
	if log := f.log.String(); !strings.Contains(log, "plugin registered") || !strings.Contains(log, "plugin withdrawn") || len(f.judged) != 1 {
		t.Error(log)
	}
}
