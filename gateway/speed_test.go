//go:build !race && unix

package gateway_test

import (
	"context"
	"flag"
	"syscall"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
)

// bars is set where times are held to their bars and the tests of no other
// package run beside. Machines differ: elsewhere four times as much will do.
var bars = flag.Bool("bars", false, "hold times to their bars")

// TestThousandOperations: a document of 1,000 operations is served in half a
// second, from its bytes: on the clock, or of processors where it had to wait
// for them. The best of five counts, for others use the machine too.
func TestThousandOperations(t *testing.T) {
	p, s := gateway.DefaultPlugin(), gateway.DefaultServer()
	p.Document, p.BaseURL, p.Actions = largeDocument(1000), "http://items.invalid", "all"
	s.Actions.Include = []gateway.Rule{{ID: "items:*"}}
	cfg := gateway.DefaultConfig()
	cfg.Plugins = map[string]gateway.Plugin{"items": p}
	cfg.Servers = map[string]gateway.Server{"items": s}
	best := time.Hour
	for range 5 {
		start, worked := time.Now(), processorTime(t)
		g, err := gateway.New(context.Background(), cfg, gateway.Offline())
		if err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start), processorTime(t)-worked)
		if n := len(g.Servers()[0].Tools); n != 1000 {
			t.Errorf("%d tools", n)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
	limit := 500 * time.Millisecond
	if !*bars {
		limit *= 4
	}
	if best > limit {
		t.Errorf("took %v", best)
	}
	t.Log(best)
}

// processorTime is what this process used so far.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
