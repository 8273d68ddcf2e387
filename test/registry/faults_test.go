package registry_test

import (
	"compress/gzip"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// bars is set where times are held to their bars and the tests of no other
// package run beside. Elsewhere others use the machine, too.
var bars = flag.Bool("bars", false, "hold times to their bars")

// documentFault is a way in which a plugin's document goes wrong.
type documentFault struct {
	name          string
	serve         http.HandlerFunc
	state, reason string // in which the gateway has the plugin then
}

func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

func documentFaults(elsewhere string) []documentFault {
	lost := strings.Replace(documentOf("ill", "ill-look", "ill-move"), "/api/ill-move:\n", "/api/ill-move:\n    parameters: [{$ref: '#/nowhere'}]\n", 1)
	return []documentFault{
		{"no YAML", answers(200, "application/yaml", "openapi: ["), "refused", "openapi.json"},
		{"empty", answers(200, "application/json", ""), "refused", "openapi.json"},
		{"no actions", answers(200, "application/yaml", documentOf("ill")+"  {}\n"), "refused", "no action"},
		{"an operation turns invalid", answers(200, "application/yaml", lost), "refused", "GET /api/ill-move was an action"},
		{"a tool of another plugin", answers(200, "application/yaml", documentOf("ill", "ill-look", "ill-move", "left-look")), "refused", "left-look"},
		{"nested deeply", answers(200, "application/json", strings.Repeat(`{"a":`, 1<<20)), "refused", "openapi.json"},
		{"500", answers(500, "text/plain", "oops"), "unreachable", "HTTP 500"},
		{"404", answers(404, "text/plain", "gone"), "unreachable", "HTTP 404"},
		{"503 for a day", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "unreachable", "HTTP 503"},
		{"401", answers(401, "text/plain", "who are you"), "unreachable", "specAuth"},
		{"login page", answers(200, "text/html", "<!DOCTYPE html><html><body>Log in</body></html>"), "unreachable", "web page"},
		{"redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/openapi.json", http.StatusFound)
		}, "unreachable", "redirects to another host"},
		{"redirect in a circle", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/openapi.json", http.StatusFound)
		}, "unreachable", "redirects too often"},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "unreachable", ""},
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = fmt.Fprint(w, "openapi: 3.1.0")
		}, "unreachable", "cut short"},
		{"200 MB from 200 KB", bomb(), "unreachable", "is larger than"},
		{"200 MB", func(w http.ResponseWriter, _ *http.Request) {
			for block := []byte(strings.Repeat(" ", 1<<20)); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, "unreachable", "is larger than"},
	}
}

// bomb is 200 MB of spaces in gzip.
func bomb() http.HandlerFunc {
	w := httptest.NewRecorder()
	z := gzip.NewWriter(w)
	block := []byte(strings.Repeat(" ", 1<<20))
	for range 200 {
		_, _ = z.Write(block)
	}
	_ = z.Close()
	small := w.Body.Bytes()
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(small)
	}
}

// trio is a gateway with a plugin that will misbehave and two that do not.
type trio struct {
	*front
	ill, left, right *plugin
}

func newTrio(t *testing.T) trio {
	ill := newPlugin(t, "ill", "ill-look", "ill-move")
	left, right := newPlugin(t, "left", "left-look"), newPlugin(t, "right", "right-look")
	return trio{open(t, configOf(t, ill, left, right)), ill, left, right}
}

// TestDocumentFaults: whatever a plugin serves in the place of its document, its
// last good one goes on serving, /readyz and the metrics say what is wrong, the
// others' calls take as long as ever, and their updates arrive. Afterwards all is
// well by itself.
func TestDocumentFaults(t *testing.T) {
	elsewhere := newPlugin(t, "elsewhere", "steal")
	f := newTrio(t)
	good := f.list("ill")
	f.measure(2*callsOfRound, f.left, f.right) // the first ones open connections
	for _, fault := range documentFaults(elsewhere.URL) {
		t.Run(fault.name, func(t *testing.T) {
			f.t = t
			var well, meanwhile latencies
			peak := watchMemory(t)
			for range rounds {
				well = append(well, f.measure(callsOfRound, f.left, f.right)...)
				f.ill.misbehave(fault.serve)
				f.await("ill", fault.state, fault.reason)
				meanwhile = append(meanwhile, f.measure(callsOfRound, f.left, f.right)...)
				if now := f.list("ill"); now != good {
					t.Errorf("the tools are others:\n%s\n%s", good, now)
				}
				if answer := f.call("ill", "ill-look"); !strings.Contains(answer, `\"ill\"`) {
					t.Errorf("call of the plugin itself: %s", answer)
				}
				f.ill.misbehave(nil)
				f.await("ill", "serving", "")
			}
			hold(t, well, meanwhile)
			if most := peak(); most > 256<<20 {
				t.Errorf("the heap grew by %d MB", most>>20)
			}

			f.ill.misbehave(fault.serve)
			f.await("ill", fault.state, fault.reason)
			f.left.publish("left-look", "left-more")
			f.awaitTool("left", "left_left-more", true)
			f.left.publish("left-look")
			f.awaitTool("left", "left_left-more", false)
			f.ill.misbehave(nil)
			f.await("ill", "serving", "")
			if now := f.list("ill"); now != good {
				t.Errorf("the tools are others afterwards:\n%s\n%s", good, now)
			}
		})
	}
	if elsewhere.asked.Load() > 0 {
		t.Error("a redirect to another host was followed")
	}
}

// hold holds latencies to those of the same calls without the fault.
func hold(t *testing.T, well, meanwhile latencies) {
	t.Helper()
	ratio, floors := 3.0, [2]time.Duration{5 * time.Millisecond, 50 * time.Millisecond}
	if *bars {
		ratio, floors = 1.2, [2]time.Duration{100 * time.Microsecond, 5 * time.Millisecond}
	}
	for i, q := range []float64{0.5, 0.99} {
		before, during := well.quantile(q), meanwhile.quantile(q)
		t.Logf("p%g: %v, with the fault %v", 100*q, before, during)
		if float64(during) > ratio*float64(before) && during-before > floors[i] {
			t.Errorf("calls of others: p%g was %v, and with the fault %v", 100*q, before, during)
		}
	}
}

// watchMemory tells by how much the heap grew at most since.
func watchMemory(t *testing.T) (peak func() uint64) {
	t.Helper()
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	ended, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most.Store(max(most.Load(), now.HeapInuse))
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-ended
		return max(most.Load(), before.HeapInuse) - before.HeapInuse
	}
}
