package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// metrics reads the lines about plugins.
func metrics(t *testing.T, g *gateway.Gateway) string {
	t.Helper()
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "stagedoor_plugin_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// TestIsolation: how a plugin does is told in the metrics, and is forgotten
// when the way to it changes, but not when its document does.
func TestIsolation(t *testing.T) {
	var calls atomic.Int32
	hanging, release := make(chan struct{}, 10), make(chan struct{})
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/hang"):
			hanging <- struct{}{}
			<-release
		case calls.Add(1) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		pets(w, r)
	}))
	defer plugin.Close()
	cfg := petConfig(t, "")
	p := gateway.DefaultPlugin()
	p.Document, p.BaseURL, p.Concurrency = fmt.Appendf(nil, petDocument, ""), plugin.URL, 1
	cfg.Plugins["pets"] = p
	g := start(t, cfg)
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	call := func(id string) string {
		_, answer := rpc(t, server.URL+"/mcp/safe", "tools/call", "pets_get-pet", `"name":"pets_get-pet","arguments":{"id":"`+id+`"},`)
		return answer
	}
	expect := func(want ...string) {
		t.Helper()
		got := metrics(t, g)
		for _, line := range want {
			if !strings.Contains(got, "stagedoor_plugin_"+line+"\n") {
				t.Errorf("no %s in\n%s", line, got)
			}
		}
	}

	if answer := call("x"); strings.Contains(answer, "isError") || calls.Load() != 2 {
		t.Errorf("%d calls: %s", calls.Load(), answer)
	}
	answered := make(chan string)
	go func() { answered <- call("hang") }()
	<-hanging
	expect(`calls_in_flight{plugin="pets"} 1`)
	if answer := call("y"); !strings.Contains(answer, "plugin pets has 1 call under way, which is all it may have; try again in a moment (reference ") {
		t.Error(answer)
	}
	close(release)
	if answer := <-answered; strings.Contains(answer, "isError") {
		t.Error(answer)
	}
	told := []string{
		`calls_in_flight{plugin="pets"} 0`, `calls_waiting{plugin="pets"} 0`, `breaker_open{plugin="pets"} 0`,
		`retries_total{plugin="pets",result="ok"} 1`, `retries_total{plugin="pets",result="failed"} 0`, `retries_total{plugin="pets",result="over_budget"} 0`,
		`refused_total{plugin="pets",reason="busy"} 1`, `refused_total{plugin="pets",reason="open"} 0`,
	}
	expect(told...)

	p.Document = fmt.Appendf(nil, petDocument, "  /toys: {get: {operationId: list-toys, x-action: true, responses: {}}}")
	reload := func() {
		t.Helper()
		cfg.Plugins = map[string]gateway.Plugin{"pets": p}
		if err := g.Reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	reload()
	if !strings.Contains(toolNames(g), "list-toys") {
		t.Error(toolNames(g))
	}
	expect(told...)
	p.Concurrency = 2
	reload()
	expect(`refused_total{plugin="pets",reason="busy"} 0`)
}
