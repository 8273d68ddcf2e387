package registryapi

import (
	"maps"
	"sync"
	"time"
)

// changeEvery is how often a plugin may change its document, at each replica.
const changeEvery = time.Second

// turns lets each plugin send one document at a time, and have one judged a
// second: what one of them costs is bounded, whatever it does.
type turns struct {
	mu      sync.Mutex
	plugins map[string]*turn // those of the last moments
}

type turn struct {
	taken  bool
	judged time.Time // when that was last begun
}

// take begins a plugin's turn; false while it has one.
func (t *turns) take(plugin string) (end func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.plugins, func(_ string, old *turn) bool { return !old.taken && time.Since(old.judged) >= changeEvery })
	mine := t.plugins[plugin]
	if mine == nil {
		mine = &turn{}
		t.plugins[plugin] = mine
	}
	if mine.taken {
		return nil, false
	}
	mine.taken = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		mine.taken = false
	}, true
}

// judge tells whether the plugin, whose turn it is, may have a document judged
// now.
func (t *turns) judge(plugin string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.plugins[plugin]
	if time.Since(mine.judged) < changeEvery {
		return false
	}
	mine.judged = time.Now()
	return true
}
