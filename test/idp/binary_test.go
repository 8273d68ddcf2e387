package idp

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var built struct {
	sync.Mutex
	dir string
}

// build makes the program, once.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stagedoor")
	if err != nil {
		return "", err
	}
	built.Lock()
	built.dir = dir
	built.Unlock()
	binary := filepath.Join(dir, "stagedoor")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "../../cmd/stagedoor").CombinedOutput() // #nosec G204 -- our own program
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, err
})

func removeBinary() {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
