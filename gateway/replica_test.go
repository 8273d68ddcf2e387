package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// patience bounds each wait of a test; what it waits for takes a few seconds.
const patience = 60 * time.Second

// probe asks again and again, as a monitor does.
func probe(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(what)
		}
	}
}

// journal is a log that says how often it said something.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *journal) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *journal) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

// replicaConfig is a gateway of one plugin over HTTP, on a database.
func replicaConfig(database, document string) gateway.Config {
	return gateway.Config{
		Database: gateway.Database{URL: gateway.SecretValue(database)},
		Plugins:  map[string]gateway.Plugin{"p": {Spec: document, Refresh: time.Hour}},
		Servers:  map[string]gateway.Server{"all": {Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "*"}}}}},
	}
}

// documents serves a document whose only action is what action gives.
func documents(t *testing.T, action func(fetch int64) string) string {
	t.Helper()
	var fetches atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		name := action(fetches.Add(1))
		fmt.Fprintf(w, "openapi: 3.1.0\npaths: {/%s: {get: {operationId: %s, x-action: true, responses: {}}}}", name, name)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/openapi.yaml"
}

// TestPurge: what nobody will ask for again goes from the database, and nothing else.
func TestPurge(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	spend := func(nonce string, until time.Time) bool {
		t.Helper()
		first, err := db.Spend(t.Context(), nonce, until)
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	now := time.Now()
	spend("old", now.Add(-2*time.Hour))
	spend("just expired", now.Add(-time.Minute))
	if err := db.PutMail(t.Context(), "address", 1, []byte("new")); err != nil {
		t.Fatal(err)
	}
	start(t, replicaConfig(url, documents(t, func(int64) string { return "a" })))
	probe(t, "what expired is kept for ever", func() bool { return spend("old", now.Add(-2*time.Hour)) })
	if spend("just expired", now) {
		t.Error("a nonce is forgotten though another replica's clock may be behind")
	}
	if mail, err := db.TakeMail(t.Context(), "address"); len(mail) != 1 || err != nil {
		t.Errorf("mail is lost: %v", err)
	}
}

// overheard is the signals of one topic on a database, as they come.
func overheard(t *testing.T, url string) (*store.DB, <-chan session.Signal) {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	signals, ready := make(chan session.Signal, 1000), make(chan struct{}, 1)
	ctx, stop := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	listening.Go(func() {
		_ = db.Listen(ctx, func(s session.Signal) {
			if s.Topic == session.SignalResync {
				ready <- struct{}{}
				return
			}
			signals <- s
		})
	})
	t.Cleanup(func() { stop(); listening.Wait(); _ = db.Close() })
	<-ready
	return db, signals
}

// TestReplicasFollow: when one replica finds new documents, the others read
// theirs at once. With a plugin that gives different ones each time it is asked,
// that is still one word, and no conversation without end.
func TestReplicasFollow(t *testing.T) {
	t.Parallel()
	database := storetest.Postgres(t)
	db, signals := overheard(t, database)
	spec := documents(t, func(fetch int64) string { return fmt.Sprint("v", fetch) })
	cfg := replicaConfig(database, spec)
	a, b := start(t, cfg), start(t, cfg)
	if toolNames(a) != "all: p_v1" || toolNames(b) != "all: p_v2" {
		t.Fatalf("start: %s, %s", toolNames(a), toolNames(b))
	}
	if err := a.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	probe(t, "the other replica does not follow", func() bool { return toolNames(b) == "all: p_v4" })
	if err := b.Close(); err != nil { // whatever it had to say is said
		t.Fatal(err)
	}
	if err := db.Signal(t.Context(), session.Signal{Topic: "end"}); err != nil {
		t.Fatal(err)
	}
	var said []string
	for s := range signals {
		if s.Topic == "end" {
			break
		}
		if s.Topic == session.SignalDocuments {
			said = append(said, s.Replica)
		}
	}
	if len(said) != 1 {
		t.Errorf("documents were told of %d times", len(said))
	}
	if names := toolNames(a); names != "all: p_v3" {
		t.Errorf("who told follows itself: %s", names)
	}
}

// TestReplicasAreCounted: replicas see each other, and that they differ, until
// one of them leaves.
func TestReplicasAreCounted(t *testing.T) {
	t.Parallel()
	database := storetest.Postgres(t)
	first, second := replicaConfig(database, documents(t, func(int64) string { return "a" })), replicaConfig(database, documents(t, func(int64) string { return "b" }))
	a, b := start(t, first), start(t, second)
	metric := func(want string) func() bool {
		return func() bool { _, _, body := get(a.Handler(), "/metrics"); return strings.Contains(body, want) }
	}
	probe(t, "the other replica is not counted", metric(`stagedoor_replicas{generation="other"} 1`))
	if a.Generation() == b.Generation() {
		t.Error("generations do not differ")
	}
	if err := b.Reload(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if a.Generation() != b.Generation() {
		t.Errorf("generations %s and %s of the same config", a.Generation(), b.Generation())
	}
	probe(t, "the same generation is not counted", metric(`stagedoor_replicas{generation="same"} 2`))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	probe(t, "who left is still counted", metric(`stagedoor_replicas{generation="same"} 1`))
}

func get(h http.Handler, path string) (status int, header http.Header, body string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, http.NoBody))
	return w.Code, w.Header(), w.Body.String()
}

// TestDatabaseAway: without its database a gateway stays ready for what needs
// none and says so, whether connections break or fall silent; it comes back by
// itself, and misses nothing that another replica told meanwhile.
func TestDatabaseAway(t *testing.T) {
	for name, fail := range map[string]func(*storetest.Link){"cut": (*storetest.Link).Cut, "silent": (*storetest.Link).Silence} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			link := storetest.NewLink(t)
			var fetches atomic.Int64
			var log journal
			cfg := replicaConfig(link.URL, documents(t, func(n int64) string { fetches.Store(n); return "a" }))
			g := start(t, cfg, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			ready := func(want string) func() bool {
				return func() bool {
					begun := time.Now()
					status, _, body := get(g.Handler(), "/readyz")
					if status != http.StatusOK || time.Since(begun) > time.Second {
						t.Fatalf("%d %s after %v", status, body, time.Since(begun))
					}
					return strings.Contains(body, `"status":"`+want+`"`)
				}
			}
			probe(t, "not ready", ready("ready"))
			fail(link)
			probe(t, "the database is away, and nobody says so", ready("degraded"))
			if _, _, body := get(g.Handler(), "/metrics"); !strings.Contains(body, "stagedoor_database_up 0") {
				t.Error("the metrics do not say so")
			}
			server := httptest.NewServer(g.Handler())
			defer server.Close()
			if status, answer := rpc(t, server.URL+"/mcp/all", "tools/list", "", ""); status != http.StatusOK || !strings.Contains(answer, "p_a") {
				t.Errorf("what needs no database: %d %s", status, answer)
			}
			begun := time.Now()
			next := replicaConfig(link.URL, cfg.Plugins["p"].Spec)
			next.Servers["more"] = next.Servers["all"]
			if err := g.Reload(t.Context(), next); err != nil || time.Since(begun) > 20*time.Second {
				t.Errorf("reload after %v: %v", time.Since(begun), err)
			}
			before := fetches.Load()
			other, _ := overheard(t, link.Direct)
			if err := other.Signal(t.Context(), session.Signal{Topic: session.SignalDocuments, Replica: "other"}); err != nil {
				t.Fatal(err)
			}
			link.Restore()
			probe(t, "the database is back, and nobody says so", ready("ready"))
			probe(t, "documents are not read again", func() bool { return fetches.Load() > before })
			if n := log.count("database is away"); n != 1 {
				t.Errorf("told %d times that the database is away", n)
			}
		})
	}
}

// TestStartWaitsForTheDatabase as long as the config says, and not at all for
// what no waiting will mend.
func TestStartWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	link := storetest.NewLink(t)
	link.Cut()
	cfg := replicaConfig(link.URL, documents(t, func(int64) string { return "a" }))
	_, err := gateway.New(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "database.url: database does not answer") {
		t.Errorf("without waiting: %v", err)
	}
	cfg.Database.Wait = patience
	waits := make(chan struct{})
	log := slog.New(slog.NewTextHandler(writer(func() { close(waits) }), nil))
	go func() { <-waits; link.Restore() }()
	g := start(t, cfg, gateway.WithLogger(log))
	if names := toolNames(g); names != "all: p_a" {
		t.Errorf("got %s", names)
	}
	cfg.Database.URL = gateway.SecretValue(strings.Replace(link.URL, "/test", "/no_such_", 1))
	begun := time.Now()
	if _, err := gateway.New(t.Context(), cfg); err == nil || time.Since(begun) > patience/2 {
		t.Errorf("a database that does not exist: %v after %v", err, time.Since(begun))
	}
}

// writer calls a function at the first write.
func writer(f func()) io.Writer {
	r, w := io.Pipe()
	go func() {
		_, _ = r.Read(make([]byte, 1))
		f()
		_, _ = io.Copy(io.Discard, r)
	}()
	return w
}

// TestGeneration: gateways that show the same have the same generation, wherever
// their files are and whatever their secrets; any difference of what they show
// is another.
func TestGeneration(t *testing.T) {
	folder := func(change func(dir string, c *gateway.Config)) string {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"doc.yaml":     "openapi: 3.1.0\npaths: {/a: {$ref: part.yaml}}",
			"part.yaml":    "get: {operationId: a, x-action: true, responses: {}}",
			"overlay.yaml": "overlay: 1.0.0\ninfo: {title: O, version: \"1\"}\nactions: [{target: $.paths, update: {x-a: 1}}]",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg := replicaConfig("sqlite::memory:", "")
		cfg.Plugins["p"] = gateway.Plugin{
			Spec: filepath.Join(dir, "doc.yaml"), Overlays: []string{filepath.Join(dir, "overlay.yaml")}, BaseURL: "http://p.invalid",
			Auth: gateway.PluginAuth{Bearer: gateway.SecretValue("one")},
		}
		change(dir, &cfg)
		return start(t, cfg).Generation()
	}
	plugin := func(change func(*gateway.Plugin)) func(string, *gateway.Config) {
		return func(_ string, c *gateway.Config) {
			p := c.Plugins["p"]
			change(&p)
			c.Plugins["p"] = p
		}
	}
	file := func(name, old, text string) func(string, *gateway.Config) {
		return func(dir string, _ *gateway.Config) {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), []byte(strings.Replace(string(b), old, text, 1)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	want := folder(func(string, *gateway.Config) {})
	for name, change := range map[string]func(string, *gateway.Config){
		"nothing":        func(string, *gateway.Config) {},
		"a secret":       plugin(func(p *gateway.Plugin) { p.Auth.Bearer = gateway.SecretValue("two") }),
		"the address":    func(_ string, c *gateway.Config) { c.Listen = "127.0.0.1:9" },
		"the log":        func(_ string, c *gateway.Config) { c.Log.Level = "debug" },
		"the public URL": func(_ string, c *gateway.Config) { c.PublicURL = "https://x.example" },
	} {
		if got := folder(change); got != want {
			t.Errorf("%s makes another generation", name)
		}
	}
	seen := []string{want}
	for name, change := range map[string]func(string, *gateway.Config){
		"a document":               file("doc.yaml", "3.1.0", "3.1.1"),
		"a file that it refers to": file("part.yaml", "{}", "{default: {description: x}}"),
		"an overlay":               file("overlay.yaml", "x-a: 1", "x-a: 2"),
		"a timeout":                plugin(func(p *gateway.Plugin) { p.Timeout = time.Second }),
		"where the plugin is":      plugin(func(p *gateway.Plugin) { p.BaseURL = "http://q.invalid" }),
		"another kind of secret":   plugin(func(p *gateway.Plugin) { p.Auth = gateway.PluginAuth{} }),
		"what a server says":       func(_ string, c *gateway.Config) { s := c.Servers["all"]; s.Instructions = "x"; c.Servers["all"] = s },
		"a server":                 func(_ string, c *gateway.Config) { c.Servers["b"] = c.Servers["all"] },
		"which pages may call it":  func(_ string, c *gateway.Config) { c.AllowedOrigins = []string{"https://x.example"} },
	} {
		got := folder(change)
		if slices.Contains(seen, got) {
			t.Errorf("%s makes no other generation", name)
		}
		seen = append(seen, got)
	}
}

// TestReloadCounts: what a reload came to is counted; one without news swaps
// nothing, and one that cannot read its config is refused.
func TestReloadCounts(t *testing.T) {
	spec := documents(t, func(int64) string { return "a" })
	cfg := replicaConfig("sqlite::memory:", spec)
	g := start(t, cfg)
	since := readySince(t, g)
	next := cfg
	next.Servers = map[string]gateway.Server{"other": cfg.Servers["all"]}
	for _, step := range []struct {
		cfg  gateway.Config
		want string
	}{{cfg, "unchanged"}, {next, "applied"}, {gateway.Config{}, "refused"}, {next, "unchanged"}} {
		err := g.Reload(t.Context(), step.cfg)
		if (err != nil) != (step.want == "refused") {
			t.Errorf("%s: %v", step.want, err)
		}
	}
	err := g.ReloadFrom(t.Context(), func(context.Context) (gateway.Config, error) { return gateway.Config{}, io.ErrUnexpectedEOF })
	if err == nil {
		t.Error("a config that cannot be read is taken")
	}
	_, _, metrics := get(g.Handler(), "/metrics")
	for _, want := range []string{
		`stagedoor_reloads_total{cause="asked",result="applied"} 1`, `stagedoor_reloads_total{cause="asked",result="unchanged"} 2`,
		`stagedoor_reloads_total{cause="asked",result="refused"} 2`, `stagedoor_last_reload_successful 0`,
		fmt.Sprintf(`stagedoor_generation_info{generation=%q} 1`, g.Generation()),
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Count(metrics, "stagedoor_generation_info{") != 1 {
		t.Error("the metrics tell of two generations")
	}
	if !readySince(t, g).After(since) {
		t.Error("/readyz does not tell since when")
	}
}

func readySince(t *testing.T, g *gateway.Gateway) time.Time {
	t.Helper()
	var ready struct {
		Generation string
		Since      time.Time
	}
	_, _, body := get(g.Handler(), "/readyz")
	if err := json.Unmarshal([]byte(body), &ready); err != nil || ready.Generation != g.Generation() {
		t.Fatalf("%v: %s", err, body)
	}
	return ready.Since
}

// TestManyReloadsAtOnce: they take turns, and the last one read the newest.
func TestManyReloadsAtOnce(t *testing.T) {
	cfg := replicaConfig("sqlite::memory:", documents(t, func(int64) string { return "a" }))
	g := start(t, cfg)
	var version, running atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			err := g.ReloadFrom(t.Context(), func(context.Context) (gateway.Config, error) {
				if running.Add(1) != 1 {
					t.Error("two reloads run at once")
				}
				defer running.Add(-1)
				next := cfg
				next.Servers = map[string]gateway.Server{fmt.Sprint("v", version.Add(1)): cfg.Servers["all"]}
				return next, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if names := toolNames(g); names != "v50: p_a" {
		t.Errorf("got %s", names)
	}
}

// TestCallsKeepTheirConnections: a reload that gives a plugin a new pool of
// connections does not close those of the old one that are in use.
func TestCallsKeepTheirConnections(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `["half`)
		_ = http.NewResponseController(w).Flush()
		close(entered)
		<-release
		_, _ = io.WriteString(w, ` and half"]`)
	}))
	defer plugin.Close()
	cfg := replicaConfig("sqlite::memory:", documents(t, func(int64) string { return "a" }))
	p := cfg.Plugins["p"]
	p.BaseURL = plugin.URL
	cfg.Plugins["p"] = p
	g := start(t, cfg)
	answer := make(chan string)
	go func() {
		r, err := g.Call(context.Background(), "p:a", json.RawMessage(`{}`))
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(r.JSON)
	}()
	<-entered
	p.Timeout = time.Minute
	next := cfg
	next.Plugins = map[string]gateway.Plugin{"p": p}
	if err := g.Reload(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	close(release)
	if got := <-answer; got != `["half and half"]` {
		t.Errorf("got %s", got)
	}
}

// TestDrain: a gateway that is about to stop is no more ready, but serves.
func TestDrain(t *testing.T) {
	g := start(t, petConfig(t, ""))
	g.Drain()
	g.EndStreams()
	if status, _, body := get(g.Handler(), "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"status":"draining"`) {
		t.Errorf("%d %s", status, body)
	}
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	if status, _ := rpc(t, server.URL+"/mcp/all", "tools/list", "", ""); status != http.StatusOK {
		t.Errorf("calls get %d", status)
	}
}
