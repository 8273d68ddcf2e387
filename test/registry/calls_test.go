package registry_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCallFaults: whatever a plugin's API does, others' calls take as long as
// ever, and its own end with a word on what is wrong.
func TestCallFaults(t *testing.T) {
	for _, fault := range []struct {
		name string
		api  http.HandlerFunc
		says string
	}{
		{"hangs", hangs, "did not answer within"},
		{"trickles", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			trickles(w, r)
		}, "did not answer within"},
		{"resets", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cannot be reached"},
		{"503", answers(503, "text/plain", "not now"), "HTTP 503"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			ill := newPlugin(t, "ill", "ill-look", "ill-move")
			left, right := newPlugin(t, "left", "left-look"), newPlugin(t, "right", "right-look")
			cfg := configOf(t, ill, left, right)
			by := cfg.Plugins["ill"]
			by.Timeout, by.Concurrency = 500*time.Millisecond, 8
			cfg.Plugins["ill"] = by
			f := open(t, cfg)
			f.measure(callsOfRound, left, right)
			well := f.measure(2*callsOfRound, left, right)
			ill.fail(fault.api)
			stop := make(chan struct{})
			var callers sync.WaitGroup
			for range 4 {
				callers.Go(func() {
					pace := time.NewTicker(100 * time.Millisecond) // who is refused at once would keep the machine busy
					defer pace.Stop()
					for {
						select {
						case <-stop:
							return
						case <-pace.C:
						}
						if answer := f.call("ill", "ill-look"); !strings.Contains(answer, `"isError":true`) {
							t.Errorf("got %.300s", answer)
							return
						}
					}
				})
			}
			called := ill.called.Load()
			eventually(t, func() bool { return ill.called.Load() > called }, func() string { return "nobody calls" })
			meanwhile := f.measure(4*callsOfRound, left, right)
			close(stop)
			callers.Wait()
			hold(t, well, meanwhile)
			if answer := f.call("ill", "ill-look"); !strings.Contains(answer, fault.says) && !strings.Contains(answer, "has been down since") {
				t.Errorf("got %s, want %q", answer, fault.says)
			}
			ill.fail(nil)
			f.await("ill", "serving", "") // its document was there all the time
			eventually(t, func() bool { return !strings.Contains(f.call("ill", "ill-look"), "isError") }, func() string { return f.call("ill", "ill-look") })
		})
	}
}
