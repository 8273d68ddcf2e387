package registry_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
)

// TestRefusedReloadLosesNothing: what a plugin published while a reload was
// refused serves all the same.
func TestRefusedReloadLosesNothing(t *testing.T) {
	f := newTrio(t)
	bad := f.config
	bad.Servers = map[string]gateway.Server{"left": serverOf("nobody")}
	for i := range 20 {
		more := fmt.Sprint("more-", i)
		f.left.publish("left-look", more)
		var faults gateway.Faults
		if err := f.Reload(t.Context(), bad); !errors.As(err, &faults) {
			t.Fatalf("got %v", err)
		}
		f.awaitTool("left", "left_"+more, true)
	}
	f.await("left", "serving", "")
}

// TestReloadsAmidUpdates: reloads, updates, registrations and calls at once leave
// the newest of each in use, and every call answered.
func TestReloadsAmidUpdates(t *testing.T) {
	ill, left, right := newPlugin(t, "ill", "ill-look"), newPlugin(t, "left", "left-look"), newPlugin(t, "right", "right-look")
	pushed := newPlugin(t, "pushed", "pushed-look")
	cfg := configOf(t, ill, left, right)
	cfg.Servers["pushed"] = serverOf("pushed")
	admit(&cfg, []string{pushed.URL}, teamA)
	f := open(t, cfg)
	f.push(teamA, pushed)
	var done atomic.Bool
	var all sync.WaitGroup
	each := func(pace time.Duration, work func(i int)) {
		all.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for i := 0; !done.Load(); i++ {
				work(i)
				<-ticker.C
			}
		})
	}
	each(10*time.Millisecond, func(i int) { left.publish("left-look", fmt.Sprint("left-more-", i)) })
	each(30*time.Millisecond, func(i int) {
		if ill.misbehave(nil); i%2 == 0 {
			ill.misbehave(answers(500, "text/plain", "oops"))
		}
	})
	each(50*time.Millisecond, func(i int) {
		document := documentOf("pushed", "pushed-look", fmt.Sprint("pushed-more-", i))
		if status, body, _ := f.ask(teamA, http.MethodPut, "pushed", pushed.URL, document, ""); status/100 != 2 && status != http.StatusTooManyRequests {
			t.Errorf("%d %s", status, body)
		}
	})
	each(time.Millisecond, func(int) { f.measure(4, ill, left, right, pushed) })
	for i := range 100 {
		next := cfg
		next.Plugins = maps.Clone(cfg.Plugins)
		by := next.Plugins["right"]
		by.Timeout = time.Duration(i+1) * time.Second // another way to the plugin
		next.Plugins["right"] = by
		if err := f.Reload(t.Context(), next); err != nil {
			t.Fatal(err)
		}
	}
	done.Store(true)
	all.Wait()
	ill.misbehave(nil)
	left.publish("left-look", "left-last")
	pushed.publish("pushed-look", "pushed-last")
	f.push(teamA, pushed)
	f.awaitTool("left", "left_left-last", true)
	f.awaitTool("pushed", "pushed_pushed-last", true)
	for _, p := range []*plugin{ill, left, right, pushed} {
		f.await(p.name, "serving", "")
	}
}

// TestNothingStaysBehind: plugins that come, go, flap and change leave nothing
// running.
func TestNothingStaysBehind(t *testing.T) {
	f := newTrio(t)
	pushed := newPlugin(t, "pushed", "pushed-look")
	with := f.config
	with.Servers = maps.Clone(with.Servers)
	with.Servers["pushed"] = serverOf("pushed")
	admit(&with, []string{pushed.URL}, teamA)
	without := with
	without.Plugins, without.Servers = maps.Clone(with.Plugins), maps.Clone(with.Servers)
	delete(without.Plugins, "ill")
	delete(without.Servers, "ill")
	delete(without.Servers, "all")
	turn := func(i int) {
		for _, cfg := range []gateway.Config{without, with} {
			if err := f.Reload(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
		}
		f.left.publish("left-look", fmt.Sprint("left-more-", i))
		f.awaitTool("left", fmt.Sprint("left_left-more-", i), true)
		if i%5 == 0 {
			f.push(teamA, pushed)
			f.measure(4, pushed)
			if status, body, _ := f.ask(teamA, http.MethodDelete, "pushed", "", "", ""); status != http.StatusNoContent {
				t.Fatal(status, body)
			}
		}
		f.measure(3, f.ill, f.left, f.right)
	}
	for i := range 5 {
		turn(i)
	}
	before := runtime.NumGoroutine()
	for i := range 50 {
		turn(i + 5)
	}
	eventually(t, func() bool { return runtime.NumGoroutine() <= before+10 }, func() string {
		stacks := make([]byte, 1<<20)
		return fmt.Sprintf("%d goroutines, and there were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	})
}
