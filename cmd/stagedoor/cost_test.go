package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// costFor is for how long the cost of replicas is measured.
var costFor = flag.Duration("cost", 0, "measure what an idle replica costs for this long")

// TestReplicaCost tells what a replica costs that does nothing, beside another
// one on the same Postgres, and holds it to generous bounds.
func TestReplicaCost(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip(err)
	}
	database := storetest.Postgres(t)
	f := folder{t, t.TempDir()}
	f.write("doc.yaml", document("a", "b", "c"))
	f.write("config.yaml", strings.Replace(reloadConfig, "sqlite::memory:", database, 1))
	a := serveProcess(t, f.path("config.yaml"))
	serveProcess(t, f.path("config.yaml"))
	signals := overhear(t, database) // with two connections of its own
	pid := a.cmd.Process.Pid
	probe(t, "the replicas do not see each other", func() bool {
		_, metrics := a.get("/metrics")
		return strings.Contains(metrics, `stagedoor_replicas{generation="same"} 2`)
	})
	began, busy := time.Now(), cpu(t, pid)
	<-time.After(max(*costFor, time.Second)) // what is measured is time
	took := time.Since(began)
	share := float64(cpu(t, pid)-busy) / took.Seconds() / 100 * 1000
	memory, connections := resident(t, pid), storetest.Connections(t, database)-2
	t.Logf("one of two idle replicas, for %v: %.1f MiB resident, %.1f thousandths of a CPU, %.1f connections to Postgres, %.2f signals a second",
		took.Round(time.Second), float64(memory)/(1<<20), share, float64(connections)/2, float64(signals.Load())/took.Seconds()/2)
	if memory > 128<<20 || connections > 2*17 || signals.Load() > int64(took.Seconds())+10 {
		t.Errorf("a replica costs %d bytes, %d connections, %d signals", memory, connections, signals.Load())
	}
}

// overhear counts the signals on a database.
func overhear(t *testing.T, url string) *atomic.Int64 {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	listening.Go(func() {
		_ = db.Listen(ctx, func(s session.Signal) {
			if s.Topic != session.SignalResync {
				n.Add(1)
			}
		})
	})
	t.Cleanup(func() { stop(); listening.Wait(); _ = db.Close() })
	return &n
}

// cpu is how much processor time a process has used, in hundredths of a second.
func cpu(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:])) // from the third on: proc(5)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}

// resident is a process's memory in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
