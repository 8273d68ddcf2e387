package main

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
)

// TestWatch: a change is told once, when it is complete; the files are those of
// the config that is in use.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	config, spec := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "spec.yaml")
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config, "a")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var current atomic.Pointer[gateway.Config]
		current.Store(&gateway.Config{})
		part := filepath.Join(dir, "part.txt")
		changes := watch(ctx, config, &current, func() []string { return []string{part} })
		told := func() bool {
			time.Sleep(5 * watchEvery)
			synctest.Wait()
			select {
			case <-changes:
				return true
			default:
				return false
			}
		}
		if told() {
			t.Error("told of a change where there is none")
		}
		write(part, "made")
		if !told() {
			t.Error("a file that a document refers to is not told")
		}
		write(config, "longer")
		if !told() || told() {
			t.Error("a changed config is not told once")
		}
		current.Store(&gateway.Config{Plugins: map[string]gateway.Plugin{"p": {Spec: filepath.Join(dir, "*.yaml")}, "url": {Spec: "https://x.example"}}})
		told() // the list of files is another
		write(spec, "b")
		if !told() {
			t.Error("a new document is not told")
		}
		if err := os.Remove(spec); err != nil {
			t.Fatal(err)
		}
		if !told() {
			t.Error("a removed document is not told")
		}
		cancel()
		synctest.Wait()
	})
}
