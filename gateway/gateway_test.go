package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
)

// petDocument describes the plugin of pets; %s is room for one more operation.
const petDocument = `
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: get-pet
      description: Gives a pet.
      x-action: {tags: [read]}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}}
    delete:
      operationId: delete-pet
      description: Removes a pet.
      x-action: true
      responses: {"204": {description: gone}}
%s
`

func pets(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"method":%q,"path":%q,"authorization":%q}`, r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"))
}

// petConfig is a gateway of pets: "all" shows everything, "safe" only what
// destroys nothing.
func petConfig(t *testing.T, more string) gateway.Config {
	t.Helper()
	plugin := gateway.DefaultPlugin()
	plugin.Document, plugin.Handler = fmt.Appendf(nil, petDocument, more), http.HandlerFunc(pets)
	yes := true
	all, safe := gateway.DefaultServer(), gateway.DefaultServer()
	all.Actions.Include = []gateway.Rule{{Plugin: "pets"}}
	safe.Actions = gateway.Allowlist{
		Include: []gateway.Rule{{ID: "pets:*"}},
		Exclude: []gateway.Rule{{Attributes: gateway.AttributeRule{Destructive: &yes}}},
	}
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "test.db"))
	cfg.Plugins = map[string]gateway.Plugin{"pets": plugin}
	cfg.Servers = map[string]gateway.Server{"all": all, "safe": safe}
	return cfg
}

func start(t *testing.T, cfg gateway.Config, options ...gateway.Option) *gateway.Gateway {
	t.Helper()
	g, err := gateway.New(context.Background(), cfg, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func toolNames(g *gateway.Gateway) string {
	var parts []string
	for _, s := range g.Servers() {
		part := s.Name + ":"
		for _, tool := range s.Tools {
			part += " " + tool.Name
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

func TestServersShowWhatTheyAllow(t *testing.T) {
	g := start(t, petConfig(t, ""))
	if got, want := toolNames(g), "all: pets_delete-pet pets_get-pet; safe: pets_get-pet"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// rpc posts one stateless MCP request.
func rpc(t *testing.T, url, method, name, params string) (int, string) {
	t.Helper()
	meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s%s}}`, method, params, meta)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method} {
		req.Header.Set(k, v)
	}
	if name != "" {
		req.Header.Set("Mcp-Name", name)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func TestCallOverHTTP(t *testing.T) {
	g := start(t, petConfig(t, ""))
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	status, answer := rpc(t, server.URL+"/mcp/safe", "tools/call", "pets_get-pet", `"name":"pets_get-pet","arguments":{"id":"a/b"},`)
	if status != 200 || !strings.Contains(answer, `"path":"/pets/a%2Fb"`) {
		t.Errorf("got %d %s", status, answer)
	}
	_, answer = rpc(t, server.URL+"/mcp/safe", "tools/call", "pets_delete-pet", `"name":"pets_delete-pet","arguments":{"id":"x"},`)
	if !strings.Contains(answer, "-32602") {
		t.Errorf("a tool outside the allowlist was called: %s", answer)
	}
	status, _ = rpc(t, server.URL+"/mcp/nobody", "tools/list", "", "")
	if status != http.StatusNotFound {
		t.Errorf("unknown server: %d", status)
	}
}

func TestRoutes(t *testing.T) {
	g := start(t, petConfig(t, ""))
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	rpc(t, server.URL+"/mcp/all", "tools/call", "pets_get-pet", `"name":"pets_get-pet","arguments":{"id":"x"},`)
	for path, want := range map[string]string{
		"/healthz":   `{"status":"ok"}`,
		"/readyz":    `"plugins":[{"name":"pets","state":"serving",`,
		"/metrics":   `stagedoor_tool_calls_total{outcome="ok",server="all",tool="pets_get-pet"} 1`,
		"/":          `nothing is served here`,
		"//mcp/all":  `nothing is served here`,
		"/mcp/all/x": `nothing is served here`,
	} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, want %s", path, resp.StatusCode, body, want)
		}
	}
}

func TestReload(t *testing.T) {
	cfg := petConfig(t, "")
	g := start(t, cfg)
	more := petConfig(t, `
  /toys: {get: {operationId: list-toys, x-action: true, responses: {}}}`)
	more.Database = cfg.Database
	if err := g.Reload(context.Background(), more); err != nil {
		t.Fatal(err)
	}
	if got, want := toolNames(g), "all: pets_delete-pet pets_get-pet pets_list-toys; safe: pets_get-pet pets_list-toys"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, change := range map[string]func(*gateway.Config){
		"no server": func(c *gateway.Config) { c.Servers = nil },
		"unknown action": func(c *gateway.Config) {
			s := gateway.DefaultServer()
			s.Actions.Include = []gateway.Rule{{ID: "pets:get-pett"}}
			c.Servers = map[string]gateway.Server{"x": s}
		},
		"broken document": func(c *gateway.Config) {
			p := c.Plugins["pets"]
			p.Document = []byte("openapi: 3.1.0\npaths: []")
			c.Plugins = map[string]gateway.Plugin{"pets": p}
		},
		"another limit":    func(c *gateway.Config) { c.Limits.RequestBody = 1 },
		"another address":  func(c *gateway.Config) { c.Listen = "127.0.0.1:1" },
		"another database": func(c *gateway.Config) { c.Database.URL = gateway.SecretValue("sqlite:other.db") },
	} {
		bad := more
		change(&bad)
		var faults gateway.Faults
		if err := g.Reload(context.Background(), bad); !errors.As(err, &faults) {
			t.Errorf("%s: got %v", name, err)
		}
		if got := toolNames(g); !strings.Contains(got, "list-toys") {
			t.Errorf("%s: the old config is gone: %s", name, got)
		}
	}
}

// TestCallsFinishOnTheOldGeneration: a call that began before a reload is
// answered by the plugin that it began with.
func TestCallsFinishOnTheOldGeneration(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	cfg := petConfig(t, "")
	plugin := cfg.Plugins["pets"]
	plugin.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, `"old"`)
	})
	cfg.Plugins = map[string]gateway.Plugin{"pets": plugin}
	g := start(t, cfg)
	answer := make(chan string)
	go func() {
		r, err := g.Call(context.Background(), "pets:get-pet", json.RawMessage(`{"id":"x"}`))
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(r.JSON)
	}()
	<-entered
	next := petConfig(t, "")
	next.Database = cfg.Database
	if err := g.Reload(context.Background(), next); err != nil {
		t.Fatal(err)
	}
	close(release)
	if got := <-answer; got != `"old"` {
		t.Errorf("got %s", got)
	}
}

func TestNewReportsAllFaults(t *testing.T) {
	cfg := petConfig(t, "")
	bad := gateway.DefaultPlugin()
	bad.Spec = filepath.Join(t.TempDir(), "missing.yaml")
	cfg.Plugins["lost"], cfg.Plugins["Bad_Name"] = bad, bad
	s := cfg.Servers["all"]
	s.Actions.Include = append(s.Actions.Include, gateway.Rule{}, gateway.Rule{Plugin: "zzz"})
	s.ToolNames = "x"
	cfg.Servers["all"] = s
	cfg.Listen = "0.0.0.0:8080"
	cfg.Log.Format = "xml"
	_, err := gateway.New(context.Background(), cfg)
	var faults gateway.Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	for _, want := range []string{
		`listen: "0.0.0.0:8080" is reachable from other machines`, "log.format:", "plugins.Bad_Name:", "servers.all.toolNames:",
		"servers.all.actions.include[1]: rule is empty", `servers.all.actions.include[2].plugin: unknown plugin "zzz"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
}

func TestAllowlistFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*gateway.Server)
		want   string
	}{
		"unknown id":      {func(s *gateway.Server) { s.Actions.Include = []gateway.Rule{{ID: "pets:get-pett"}} }, `servers.all.actions.include[0]: unknown action "pets:get-pett" (did you mean "pets:get-pet"?)`},
		"glob of nothing": {func(s *gateway.Server) { s.Actions.Include = []gateway.Rule{{ID: "dogs:*"}} }, "servers.all.actions.include[0]: rule matches no action"},
		"bad glob":        {func(s *gateway.Server) { s.Actions.Include = []gateway.Rule{{ID: "pets:[a"}} }, `"pets:[a" is not a glob`},
		"unknown exclude": {func(s *gateway.Server) { s.Actions.Exclude = []gateway.Rule{{ID: "pets:delete"}} }, `servers.all.actions.exclude[0]: unknown action "pets:delete"`},
		"unknown tag":     {func(s *gateway.Server) { s.Actions.Include = []gateway.Rule{{Tags: []string{"red"}}} }, "rule matches no action"},
		"one name":        {func(s *gateway.Server) { s.ToolNames = "{plugin}{action}"; s.ToolNames = "x{action}" }, ""},
		"bad template":    {func(s *gateway.Server) { s.ToolNames = "{plugin}/{action}" }, `servers.all.toolNames: action "pets:delete-pet" would become the tool "pets/delete-pet", which is not a tool name`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := petConfig(t, "")
			s := cfg.Servers["all"]
			tt.change(&s)
			cfg.Servers["all"] = s
			g, err := gateway.New(context.Background(), cfg, gateway.Offline())
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				_ = g.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestToolNameCollision(t *testing.T) {
	cfg := petConfig(t, "")
	cfg.Plugins["cats"] = cfg.Plugins["pets"]
	s := cfg.Servers["all"]
	s.ToolNames, s.Actions.Include = "{action}", []gateway.Rule{{ID: "*"}}
	cfg.Servers["all"] = s
	_, err := gateway.New(context.Background(), cfg, gateway.Offline())
	if err == nil || !strings.Contains(err.Error(), `actions "cats:get-pet" and "pets:get-pet" would both become the tool "get-pet"`) {
		t.Errorf("got %v", err)
	}
}

// TestPluginOverHTTP: document and calls go to a real socket, with the
// gateway's own credentials, and only there.
func TestPluginOverHTTP(t *testing.T) {
	const token = "canary-plugin-token"
	var documentAuth, callAuth string
	mux := http.NewServeMux()
	mux.HandleFunc("/openapi.yaml", func(w http.ResponseWriter, r *http.Request) {
		documentAuth = r.Header.Get("Authorization")
		fmt.Fprintf(w, petDocument, "")
	})
	mux.HandleFunc("/pets/", func(w http.ResponseWriter, r *http.Request) {
		callAuth = r.Header.Get("Authorization")
		pets(w, r)
	})
	plugin := httptest.NewServer(mux)
	defer plugin.Close()

	var log bytes.Buffer
	cfg := petConfig(t, "")
	p := gateway.DefaultPlugin()
	p.Spec = plugin.URL + "/openapi.yaml"
	p.Auth.Bearer = gateway.SecretValue(token)
	cfg.Plugins = map[string]gateway.Plugin{"pets": p}
	g := start(t, cfg, gateway.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	if documentAuth != "Bearer "+token {
		t.Errorf("document was fetched with %q", documentAuth)
	}
	r, err := g.Call(context.Background(), "pets:get-pet", json.RawMessage(`{"id":"x"}`))
	if err != nil || callAuth != "Bearer "+token {
		t.Errorf("called with %q: %v", callAuth, err)
	} else if strings.Contains(string(r.JSON), token) { // the plugin echoes it
		t.Errorf("the caller sees the token: %s", r.JSON)
	}
	req, err := g.Preview(context.Background(), "pets:get-pet", json.RawMessage(`{"id":"x"}`))
	if err != nil || req.Header.Get("Authorization") != "[redacted]" {
		t.Errorf("preview %v %v", req, err)
	}
	if s := fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg) + log.String(); strings.Contains(s, token) {
		t.Error("the token shows in a dump of the config or in the log")
	}
}

func TestRefreshReadsDocumentsAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pets.yaml")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf(petDocument, ""))
	cfg := petConfig(t, "")
	p := gateway.DefaultPlugin()
	p.Spec, p.BaseURL, p.Refresh = file, "http://pets.invalid", 5*time.Millisecond
	cfg.Plugins = map[string]gateway.Plugin{"pets": p}
	g := start(t, cfg)
	write("openapi: [")
	probe(t, "nobody says that the document is wrong", func() bool { return standing(g, "pets").State == "refused" })
	if !strings.Contains(toolNames(g), "get-pet") {
		t.Error("a bad document costs the actions of the last good one")
	}
	write(fmt.Sprintf(petDocument, "  /toys: {get: {operationId: list-toys, x-action: true, responses: {}}}"))
	probe(t, "the new action is not there", func() bool { return strings.Contains(toolNames(g), "list-toys") })
	if now := standing(g, "pets"); now.State != "serving" || now.Reason != "" {
		t.Errorf("got %+v", now)
	}
}

// standing is how a plugin stands.
func standing(g *gateway.Gateway, plugin string) gateway.PluginStatus {
	for _, p := range g.Plugins() {
		if p.Name == plugin {
			return p
		}
	}
	return gateway.PluginStatus{}
}

// TestOnePluginDown: a refresh goes on for the others, and the one that is down
// keeps its last good document.
func TestOnePluginDown(t *testing.T) {
	document := func(operation string) string {
		return "openapi: 3.1.0\ninfo: {title: T, version: \"1\"}\npaths: {/x: {get: {operationId: " + operation + ", x-action: true, responses: {}}}}"
	}
	dir := t.TempDir()
	cfg := petConfig(t, "")
	for _, name := range []string{"down", "up"} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(document("one")), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Plugins[name] = gateway.Plugin{Spec: file, BaseURL: "http://plugin.invalid", Refresh: 5 * time.Millisecond}
	}
	cfg.Servers["all"] = gateway.Server{Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "*"}}}}
	g := start(t, cfg)
	if err := os.Remove(filepath.Join(dir, "down.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "up.yaml"), []byte(document("two")), 0o600); err != nil {
		t.Fatal(err)
	}
	probe(t, "the other plugin stands still", func() bool { return strings.Contains(toolNames(g), "up_two") })
	probe(t, "nobody says that it is down", func() bool { return standing(g, "down").State == "unreachable" })
	if names := toolNames(g); !strings.Contains(names, "down_one") {
		t.Errorf("the plugin that is down lost its actions: %s", names)
	}
}

// TestManyFiles: a refresh sees what changed in the files that a document refers
// to, and keeps its last good actions when one of them is gone.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	item := filepath.Join(dir, "paths", "item.yaml")
	write := func(operation string) {
		text := "get: {operationId: " + operation + ", x-action: true, responses: {}}"
		if err := os.WriteFile(item, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Dir(item), 0o700); err != nil {
		t.Fatal(err)
	}
	document := "openapi: 3.1.0\npaths: {/x: {$ref: paths/item.yaml}, /y: {get: {operationId: y, x-action: true, responses: {}}}}"
	spec := filepath.Join(dir, "openapi.yaml")
	if err := os.WriteFile(spec, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	write("one")
	cfg := petConfig(t, "")
	cfg.Plugins["many"] = gateway.Plugin{Spec: spec, BaseURL: "http://plugin.invalid", Refresh: 5 * time.Millisecond}
	cfg.Servers["all"] = gateway.Server{Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "*"}}}}
	g := start(t, cfg)
	write("two")
	probe(t, "a change of a file that is referred to is not seen", func() bool { return strings.Contains(toolNames(g), "many_two") })
	if err := os.Remove(item); err != nil {
		t.Fatal(err)
	}
	probe(t, "nobody says that the file is gone", func() bool { return standing(g, "many").State != "serving" })
	if names := toolNames(g); !strings.Contains(names, "many_two") {
		t.Errorf("the actions of a file that is gone are lost: %s", names)
	}
	write("two")
	closed := petConfig(t, "")
	closed.Servers["all"] = cfg.Servers["all"]
	closed.Plugins["many"] = gateway.Plugin{Spec: spec, Refs: "none", BaseURL: "http://plugin.invalid"}
	if names := toolNames(start(t, closed)); strings.Contains(names, "many_two") || !strings.Contains(names, "many_y") {
		t.Errorf("refs: none opened a file: %s", names)
	}
}

// TestLostFile: a document that still refers to a file that is gone would make
// tools of less than was published; it does not, though it is another, too.
func TestLostFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	document := "openapi: 3.1.0\npaths: {/x: {get: {operationId: x, description: %s, x-action: true, responses: {}, parameters: [{name: n, in: query, schema: {$ref: n.yaml}}]}}}"
	write("openapi.yaml", fmt.Sprintf(document, "old"))
	write("n.yaml", "{type: integer, maximum: 7}")
	cfg := petConfig(t, "")
	cfg.Plugins["p"] = gateway.Plugin{Spec: filepath.Join(dir, "openapi.yaml"), BaseURL: "http://plugin.invalid", Refresh: 5 * time.Millisecond}
	cfg.Servers["all"] = gateway.Server{Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "*"}}}}
	g := start(t, cfg)
	good, err := g.Action("p:x")
	if err != nil || !strings.Contains(string(good.InputSchema), "maximum") {
		t.Fatalf("%v %s", err, good.InputSchema)
	}
	if err := os.Remove(filepath.Join(dir, "n.yaml")); err != nil {
		t.Fatal(err)
	}
	write("openapi.yaml", fmt.Sprintf(document, "new"))
	probe(t, "nobody says that a file is gone", func() bool { return standing(g, "p").State == "refused" })
	if now, err := g.Action("p:x"); err != nil || string(now.InputSchema) != string(good.InputSchema) {
		t.Errorf("%v %s", err, now.InputSchema)
	}
	write("n.yaml", "{type: integer, maximum: 8}")
	probe(t, "the file is back, and nobody sees it", func() bool { return standing(g, "p").State == "serving" })
}

// TestConfigsMadeInGo: zero values are the defaults.
func TestConfigsMadeInGo(t *testing.T) {
	g := start(t, gateway.Config{
		Database: gateway.Database{URL: gateway.SecretValue("sqlite::memory:")},
		Plugins:  map[string]gateway.Plugin{"pets": {Document: fmt.Appendf(nil, petDocument, ""), Handler: http.HandlerFunc(pets)}},
		Servers:  map[string]gateway.Server{"pets": {Actions: gateway.Allowlist{Include: []gateway.Rule{{Plugin: "pets"}}}}},
	})
	_, err := g.Call(context.Background(), "pets:get-pet", json.RawMessage(`{}`))
	var e *gateway.CallError
	if !errors.As(err, &e) || e.Kind != gateway.InvalidArguments {
		t.Errorf("got %v", err)
	}
}
