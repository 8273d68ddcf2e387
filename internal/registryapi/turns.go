package registryapi

import (
	"context"
	"maps"
	"sync"
	"time"
)

const (
	// changeEvery is how often a plugin may change its document, at each replica.
	changeEvery = time.Second
	// maxInHand is how many documents of one publisher are read, wait or are
	// judged, at each replica.
	maxInHand = 8
	// longestWait is how long a document waits for the publisher's others.
	longestWait = 10 * time.Second
)

// turns lets each plugin send one document at a time, and have one judged a
// second, and each publisher have one judged at a time: what one of them costs
// is bounded, whatever it does, and the others do not wait for it.
type turns struct {
	mu         sync.Mutex
	plugins    map[string]*turn // those of the last moments
	publishers map[string]*desk // those that have documents in hand
}

type turn struct {
	taken  bool
	judged time.Time // when that was last begun
}

// desk is where documents of one publisher are judged.
type desk struct {
	inHand  int
	judging chan struct{} // holds a value while one is judged
}

func newTurns() turns { return turns{plugins: map[string]*turn{}, publishers: map[string]*desk{}} }

// take begins a plugin's turn; false while it has one, or its publisher has too
// many documents in hand.
func (t *turns) take(publisher, plugin string) (end func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.plugins, func(_ string, old *turn) bool { return !old.taken && time.Since(old.judged) >= changeEvery })
	mine, its := t.plugins[plugin], t.publishers[publisher]
	if mine == nil {
		mine = &turn{}
	}
	if its == nil {
		its = &desk{judging: make(chan struct{}, 1)}
	}
	if mine.taken || its.inHand >= maxInHand {
		return nil, false
	}
	t.plugins[plugin], t.publishers[publisher] = mine, its
	mine.taken = true
	its.inHand++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		mine.taken = false
		if its.inHand--; its.inHand == 0 {
			delete(t.publishers, publisher)
		}
	}, true
}

// wait waits, within a plugin's turn, until no other document of the publisher
// is judged; false when that takes too long.
func (t *turns) wait(ctx context.Context, publisher string) (end func(), ok bool) {
	t.mu.Lock()
	its := t.publishers[publisher]
	t.mu.Unlock()
	timer := time.NewTimer(longestWait)
	defer timer.Stop()
	select {
	case its.judging <- struct{}{}:
		return func() { <-its.judging }, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, false
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
