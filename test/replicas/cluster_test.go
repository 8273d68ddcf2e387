// Package replicas_test runs the built program as two replicas on one Postgres,
// behind a load balancer without stickiness, and lets them die.
package replicas_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// patience is how long a test waits for what must happen, at worst.
const patience = 60 * time.Second

var binary string // the built program

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stagedoor")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "stagedoor")
	args := append(append([]string{"build"}, buildFlags...), "-o", binary, "../../cmd/stagedoor")
	build := exec.CommandContext(context.Background(), "go", args...) // #nosec G204 -- our own program
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return storetest.Main(m)
}

// cluster is two replicas, what they call and what is before and behind them.
type cluster struct {
	t        *testing.T
	config   string // path of the file that they share
	database *storetest.Link
	plugin   *httptest.Server
	balancer *balancer
	url      string // of the balancer
	replicas [2]*process
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, database: storetest.NewLink(t), plugin: newPlugin(t), balancer: newBalancer()}
	front := httptest.NewServer(c.balancer)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	c.url = front.URL
	dir := t.TempDir()
	c.config = filepath.Join(dir, "config.yaml")
	c.write(filepath.Join(dir, "plugin.yaml"), document)
	c.configure(`["p:*"]`)
	for i := range c.replicas {
		c.start(i)
	}
	go c.balancer.probe(t.Context())
	return c
}

func (c *cluster) write(path, text string) {
	c.t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		c.t.Fatal(err)
	}
}

// configure writes the config with these actions on the server "all".
func (c *cluster) configure(include string) {
	c.t.Helper()
	c.write(c.config, fmt.Sprintf(`
listen: 127.0.0.1:0
publicURL: %s
database: {url: "%s"}
shutdown: {delay: 1s, timeout: 20s}
plugins:
  p: {spec: plugin.yaml, baseURL: "%s", timeout: 60s}
servers:
  all: {toolNames: "{action}", actions: {include: %s}}
`, c.url, c.database.URL, c.plugin.URL, include))
}

// start starts a replica, and waits until the balancer may send to it.
func (c *cluster) start(i int) {
	c.t.Helper()
	c.replicas[i] = startProcess(c.t, c.config)
	c.balancer.set(i, c.replicas[i].address)
}

// process is one running program.
type process struct {
	cmd     *exec.Cmd
	address string
	ended   chan struct{}
	exit    error // once ended is closed
	mu      sync.Mutex
	said    bytes.Buffer
}

func startProcess(t *testing.T, config string) *process {
	t.Helper()
	p := &process{ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), binary, "serve", "--config", config) // #nosec G204 -- our own program
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STAGEDOOR_") }) // it refuses the tests' own
	out, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go p.read(out, address)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
		p.mu.Lock()
		defer p.mu.Unlock()
		if bytes.Contains(p.said.Bytes(), []byte("DATA RACE")) {
			t.Error("the program has data races")
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", p.address, p.said.Bytes()[max(0, p.said.Len()-4000):])
		}
	})
	select {
	case p.address = <-address:
	case <-p.ended:
		t.Fatalf("the program ended: %v", p.exit)
	case <-time.After(patience):
		t.Fatal("the program does not serve")
	}
	return p
}

func (p *process) read(out io.Reader, address chan<- string) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line struct{ Msg, Address, Level string }
		_ = json.Unmarshal(lines.Bytes(), &line) // else it is a plain line
		if line.Msg == "serving" {
			address <- line.Address
		}
		if line.Level != "INFO" {
			p.mu.Lock()
			_, _ = fmt.Fprintln(&p.said, lines.Text())
			p.mu.Unlock()
		}
	}
	p.exit = p.cmd.Wait()
	close(p.ended)
}

// end sends a signal and waits for the end.
func (p *process) end(t *testing.T, signal os.Signal) error {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("the program does not end")
	}
	return p.exit
}

// balancer sends each request to the next replica, whoever sends it. It tries
// another one only where there was no connection at all, and asks /readyz.
type balancer struct {
	proxy  httputil.ReverseProxy
	turn   atomic.Int64
	mu     sync.Mutex
	to     [2]string
	unwell [2]bool
}

func newBalancer() *balancer {
	b := &balancer{}
	transport := &http.Transport{DisableKeepAlives: true} // a request goes where its connection does
	b.proxy = httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme = "http" }, // Host stays: it is the public one
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Transport:     roundTripper(func(r *http.Request) (*http.Response, error) { return b.send(transport, r) }),
	}
	return b
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.proxy.ServeHTTP(w, r) }

func (b *balancer) set(i int, address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to[i], b.unwell[i] = address, false
}

// next are the replicas in the order in which they are tried.
func (b *balancer) next() []string {
	first := int(b.turn.Add(1)) % 2
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unwell[first] {
		first = 1 - first
	}
	return []string{b.to[first], b.to[1-first]}
}

func (b *balancer) send(transport http.RoundTripper, r *http.Request) (response *http.Response, err error) {
	var body []byte
	if r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	for _, address := range b.next() {
		again := r.Clone(r.Context())
		again.URL.Host, again.Body = address, io.NopCloser(bytes.NewReader(body))
		response, err = transport.RoundTrip(again)
		if op := new(net.OpError); !errors.As(err, &op) || op.Op != "dial" {
			break
		}
	}
	return response, err
}

// probe asks the replicas whether they are ready.
func (b *balancer) probe(ctx context.Context) {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		for i := range b.to {
			b.mu.Lock()
			address := b.to[i]
			b.mu.Unlock()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
			if err != nil || address == "" {
				continue
			}
			response, err := client.Do(r)
			well := err == nil && response.StatusCode == http.StatusOK
			if err == nil {
				_ = response.Body.Close()
			}
			b.mu.Lock()
			b.unwell[i] = b.to[i] == address && !well
			b.mu.Unlock()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// document describes what [newPlugin] serves.
const document = `
openapi: 3.1.0
info: {title: Plugin, version: "1"}
paths:
  /echo:
    get:
      operationId: echo
      x-action: true
      parameters: [{name: say, in: query, schema: {type: string}}, {name: ms, in: query, schema: {type: integer}}]
      responses: {'200': {description: What was said., content: {application/json: {schema: {type: object}}}}}
  /steps:
    get:
      operationId: steps
      x-action: true
      parameters: [{name: say, in: query, schema: {type: string}}, {name: ms, in: query, schema: {type: integer}}, {name: n, in: query, schema: {type: integer}}]
      responses: {'200': {description: What was said in many steps., content: {application/x-ndjson: {schema: {type: array}}}}}
`

// newPlugin serves two actions: echo says what it was told, after a while, and
// steps says it n times, with a while between.
func newPlugin(t *testing.T) *httptest.Server {
	t.Helper()
	wait := func(r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("ms") + "ms") // none where it is not given
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /echo", func(w http.ResponseWriter, r *http.Request) {
		wait(r)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"said": r.FormValue("say")})
	})
	routes.HandleFunc("GET /steps", func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscan(r.FormValue("n"), &n)
		w.Header().Set("Content-Type", "application/x-ndjson")
		for i := range n {
			_, _ = fmt.Fprintf(w, "{\"message\":\"%s-%d\"}\n", r.FormValue("say"), i+1)
			_ = http.NewResponseController(w).Flush()
			wait(r)
		}
	})
	s := httptest.NewServer(routes)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}
