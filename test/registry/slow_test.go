package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// hangs answers nothing until its caller gives up.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// trickles answers a byte a second.
func trickles(w http.ResponseWriter, r *http.Request) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// TestSlowDocuments: plugins that never come to an end with their document hold
// up no other, neither its calls nor its updates nor a reload, and are given up.
func TestSlowDocuments(t *testing.T) {
	hung, slow := newPlugin(t, "hung", "hung-look"), newPlugin(t, "slow", "slow-look")
	left, right := newPlugin(t, "left", "left-look"), newPlugin(t, "right", "right-look")
	cfg := configOf(t, hung, slow, left, right)
	f := open(t, cfg)
	f.measure(callsOfRound, left, right, hung, slow)
	well := f.measure(2*callsOfRound, left, right, hung, slow)
	asked := hung.asked.Load() + slow.asked.Load()
	hung.misbehave(hangs)
	slow.misbehave(trickles)
	eventually(t, func() bool { return hung.asked.Load()+slow.asked.Load() >= asked+4 }, func() string { return "they are not asked" })
	hold(t, well, f.measure(2*callsOfRound, left, right, hung, slow))
	for i := range 10 {
		begun := time.Now()
		left.publish("left-look", fmt.Sprint("left-more-", i))
		f.awaitTool("left", fmt.Sprint("left_left-more-", i), true)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("update %d of another plugin took %v", i, took)
		}
	}
	cfg.Log.Level = "debug"
	reloaded := make(chan error)
	go func() { reloaded <- f.Reload(t.Context(), cfg) }()
	hold(t, well, f.measure(2*callsOfRound, left, right, hung, slow))
	if err := <-reloaded; err != nil {
		t.Errorf("reload: %v", err)
	}
	f.await("hung", "unreachable", "")
	f.await("slow", "unreachable", "")
	f.measure(callsOfRound, left, right, hung, slow)
	hung.misbehave(nil)
	slow.misbehave(nil)
	hung.publish("hung-look", "hung-more")
	f.await("hung", "serving", "")
	f.await("slow", "serving", "")
	f.awaitTool("hung", "hung_hung-more", true)
}

// TestRemovedWhileItHangs: a plugin leaves the config while it is being asked,
// and nothing waits for it.
func TestRemovedWhileItHangs(t *testing.T) {
	f := newTrio(t)
	cfg := configOf(t, f.left, f.right)
	cfg.Database = f.config.Database
	var given atomic.Bool
	f.ill.misbehave(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		given.Store(true)
	})
	asked := f.ill.asked.Load()
	eventually(t, func() bool { return f.ill.asked.Load() > asked }, func() string { return "it is not asked" })
	begun := time.Now()
	if err := f.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the reload took %v", took)
	}
	eventually(t, given.Load, func() string { return "the plugin is still being asked" })
	if s := f.stands("ill"); s.State != "" {
		t.Errorf("%+v", s)
	}
	f.measure(4, f.left, f.right)
}

// TestFlapping: a plugin that publishes something else each time it is asked
// serves the newest, and costs no other anything.
func TestFlapping(t *testing.T) {
	f := newTrio(t)
	f.measure(callsOfRound, f.left, f.right)
	var versions atomic.Int64
	var well, meanwhile latencies
	for range rounds {
		well = append(well, f.measure(callsOfRound, f.left, f.right)...)
		f.ill.misbehave(func(w http.ResponseWriter, r *http.Request) {
			serveText(w, r, documentOf("ill", "ill-look", fmt.Sprint("ill-move-", versions.Add(1))))
		})
		before := versions.Load()
		eventually(t, func() bool { return versions.Load() > before+2 }, func() string { return "it is not asked" })
		meanwhile = append(meanwhile, f.measure(callsOfRound, f.left, f.right)...)
		if answer := f.call("ill", "ill-look"); !strings.Contains(answer, `\"ill\"`) {
			t.Error(answer)
		}
		f.ill.misbehave(nil)
		f.awaitTool("ill", "ill_ill-move", true)
	}
	hold(t, well, meanwhile)
	f.await("ill", "serving", "")
}
