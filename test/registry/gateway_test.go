package registry_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(servesPlugins); kind != "" {
		servePlugins(kind)
		return
	}
	os.Exit(storetest.Main(m))
}

// patience is how long a test waits for what must happen, at worst.
const patience = 60 * time.Second

// often is how often plugins are asked for their documents.
const often = 50 * time.Millisecond

// front is a gateway on a socket.
type front struct {
	*gateway.Gateway
	t      testing.TB
	server *httptest.Server
	url    string
	client *http.Client
	config gateway.Config
	closed bool
}

// configOf asks plugins at their URLs. Each has a server of its own name, and
// "all" shows everything under the actions' names alone.
func configOf(t testing.TB, plugins ...*plugin) gateway.Config {
	t.Helper()
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue(storetest.SQLite(t))
	cfg.Plugins, cfg.Servers = map[string]gateway.Plugin{}, map[string]gateway.Server{}
	all := gateway.DefaultServer()
	all.ToolNames = "{action}"
	for _, p := range plugins {
		by := gateway.DefaultPlugin()
		by.Spec, by.BaseURL, by.Refresh = p.URL+"/openapi.json", p.URL, often
		cfg.Plugins[p.name] = by
		cfg.Servers[p.name] = serverOf(p.name)
		all.Actions.Include = append(all.Actions.Include, gateway.Rule{Plugin: p.name})
	}
	cfg.Servers["all"] = all
	return cfg
}

// serverOf shows one plugin.
func serverOf(name string) gateway.Server {
	s := gateway.DefaultServer()
	s.Actions.Include = []gateway.Rule{{Plugin: name}}
	return s
}

func open(t testing.TB, cfg gateway.Config, options ...gateway.Option) *front {
	t.Helper()
	g, err := gateway.New(t.Context(), cfg, options...)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	f := &front{Gateway: g, config: cfg, t: t, server: server, url: server.URL, client: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	t.Cleanup(f.end)
	return f
}

// rpc posts one stateless MCP request.
func (f *front) rpc(server, method, name string) string {
	f.t.Helper()
	params := ""
	if name != "" {
		params = fmt.Sprintf(`"name":%q,"arguments":{},`, name)
	}
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`, method, params)
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.url+"/mcp/"+server, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {method},
	}
	if name != "" {
		r.Header.Set("Mcp-Name", name)
	}
	return f.send(r)
}

func (f *front) send(r *http.Request) string {
	f.t.Helper()
	response, err := f.client.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(answer)
}

func (f *front) get(path string) string {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.url+path, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.send(r)
}

// call calls a plugin's action.
func (f *front) call(plugin, action string) string {
	f.t.Helper()
	return f.rpc(plugin, "tools/call", plugin+"_"+action)
}

// list is a server's tools/list, as it goes over the wire.
func (f *front) list(server string) string {
	f.t.Helper()
	return f.rpc(server, "tools/list", "")
}

// stands is how a plugin stands. /readyz says so, too, but for what may name
// hosts.
func (f *front) stands(plugin string) gateway.PluginStatus {
	f.t.Helper()
	var ready struct{ Plugins []gateway.PluginStatus }
	if err := json.NewDecoder(bytes.NewReader([]byte(f.get("/readyz")))).Decode(&ready); err != nil {
		f.t.Fatal(err)
	}
	for _, p := range ready.Plugins {
		if p.Reason != "" || p.Source != "" {
			f.t.Errorf("/readyz tells everybody %q of %q", p.Reason, p.Source)
		}
	}
	for _, p := range f.Plugins() {
		if p.Name == plugin {
			return p
		}
	}
	return gateway.PluginStatus{}
}

// await waits until a plugin is in a state, for a reason with these words, and
// the metrics say so.
func (f *front) await(plugin, state, reason string) gateway.PluginStatus {
	f.t.Helper()
	var last gateway.PluginStatus
	eventually(f.t, func() bool {
		last = f.stands(plugin)
		return string(last.State) == state && strings.Contains(last.Reason, reason)
	}, func() string { return fmt.Sprintf("%s is not %s (%s): %+v", plugin, state, reason, last) })
	if metric := fmt.Sprintf(`stagedoor_plugin_state{plugin=%q,state=%q} 1`, plugin, state); !strings.Contains(f.get("/metrics"), metric) {
		f.t.Errorf("no metric %s", metric)
	}
	return last
}

// awaitTool waits until a server shows a tool, or with not until it shows it no
// more.
func (f *front) awaitTool(server, tool string, shown bool) {
	f.t.Helper()
	eventually(f.t, func() bool { return strings.Contains(f.list(server), `"name":"`+tool+`"`) == shown },
		func() string {
			return fmt.Sprintf("server %s, tool %s, shown %v: %s", server, tool, shown, f.list(server))
		})
}

// eventually looks until something is so, as often as it can without keeping
// the machine busy.
func eventually(t testing.TB, so func() bool, complaint func() string) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !so(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatal(complaint())
		}
	}
}

// latencies are of calls that were made one after the other.
type latencies []time.Duration

// measure calls plugins in turn, n times in all, and holds each call to be
// answered.
func (f *front) measure(n int, plugins ...*plugin) latencies {
	f.t.Helper()
	took := make(latencies, 0, n)
	for i := range n {
		p := plugins[i%len(plugins)]
		begun := time.Now()
		answer := f.call(p.name, p.name+"-look")
		took = append(took, time.Since(begun))
		if strings.Contains(answer, "isError\":true") || !strings.Contains(answer, p.name) {
			f.t.Fatalf("call of %s: %s", p.name, answer)
		}
	}
	return took
}

func (l latencies) quantile(q float64) time.Duration {
	sorted := slices.SortedFunc(slices.Values(l), cmp.Compare)
	return sorted[int(q*float64(len(sorted)-1))]
}

// end ends the gateway, at the latest with its test.
func (f *front) end() {
	f.t.Helper()
	if f.closed {
		return
	}
	f.closed = true
	f.client.CloseIdleConnections()
	f.server.Close()
	if err := f.Close(); err != nil {
		f.t.Error(err)
	}
}
