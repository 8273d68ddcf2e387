package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/source"
)

// watchEvery is how often files are looked at. A change is told when they have
// stayed the same from one look to the next, so that a file that is being
// written is not read half.
const watchEvery = time.Second

// watch tells of changes of the config file, of the documents that it names as
// files, and of the files that these refer to. It looks at them instead of being told by the system: that works
// through renames, symlink swaps (Kubernetes ConfigMaps) and network file
// systems alike.
func watch(ctx context.Context, path string, current *atomic.Pointer[gateway.Config], referenced func() []string) <-chan struct{} {
	changes := make(chan struct{})
	go func() {
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		told := stamp(path, *current.Load(), referenced())
		last := told
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			now := stamp(path, *current.Load(), referenced())
			if now == last && now != told {
				told = now
				select {
				case changes <- struct{}{}:
				case <-ctx.Done():
					return
				}
			}
			last = now
		}
	}()
	return changes
}

// stamp is a text that changes whenever one of the files does.
func stamp(path string, cfg gateway.Config, referenced []string) string {
	files := append([]string{path}, referenced...)
	for _, name := range slices.Sorted(maps.Keys(cfg.Plugins)) {
		p := cfg.Plugins[name]
		files = append(files, p.Overlays...)
		if p.Spec == "" || source.IsURL(p.Spec) {
			continue
		}
		matches, err := doublestar.FilepathGlob(p.Spec)
		if err != nil || len(matches) == 0 {
			matches = []string{p.Spec}
		}
		files = append(files, matches...)
	}
	var b strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			fmt.Fprintf(&b, "%s: gone\n", file)
			continue
		}
		fmt.Fprintf(&b, "%s: %d %d\n", file, info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}
