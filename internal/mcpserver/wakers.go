package mcpserver

import "sync"

// wakers are those who wait for news about a key: mail at an address, events
// of a stream. News that nobody waits for are no news.
type wakers struct {
	mu   sync.Mutex
	keys map[string]map[chan struct{}]struct{}
}

// wait gives a channel that gets a token whenever there is news; done ends it.
func (w *wakers) wait(key string) (news <-chan struct{}, done func()) {
	channel := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys == nil {
		w.keys = map[string]map[chan struct{}]struct{}{}
	}
	if w.keys[key] == nil {
		w.keys[key] = map[chan struct{}]struct{}{}
	}
	w.keys[key][channel] = struct{}{}
	return channel, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.keys[key], channel)
		if len(w.keys[key]) == 0 {
			delete(w.keys, key)
		}
	}
}

func (w *wakers) wake(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for channel := range w.keys[key] {
		nudge(channel)
	}
}

// wakeAll is for when news may have been missed.
func (w *wakers) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, channels := range w.keys {
		for channel := range channels {
			nudge(channel)
		}
	}
}

// nudge leaves a token where there is none yet.
func nudge(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}
