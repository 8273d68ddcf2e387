package registry_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestFileThatComesBack: a file is looked at as often as ever while it is not
// there, so what was mounted again serves at once.
func TestFileThatComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openapi.yaml")
	write := func(operations ...string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(documentOf("here", operations...)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("look")
	p := newPlugin(t, "here")
	cfg := configOf(t, p)
	by := cfg.Plugins["here"]
	by.Spec = path
	cfg.Plugins["here"] = by
	f := open(t, cfg)
	f.await("here", "serving", "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	gone := f.await("here", "unreachable", "does not exist")
	eventually(t, func() bool { return time.Since(gone.Since) > 40*often }, func() string { return "" })
	if answer := f.call("here", "look"); answer == "" {
		t.Error("no answer")
	}
	write("look", "more")
	begun := time.Now()
	f.awaitTool("here", "here_more", true)
	if took := time.Since(begun); took > 20*often {
		t.Errorf("it was seen after %v", took)
	}
}
