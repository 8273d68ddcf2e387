package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds each wait of a test; what it waits for takes a few seconds.
const patience = 60 * time.Second

// process is a running "stagedoor serve", and all that its log says.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	url string

	mu      sync.Mutex
	records []record
	more    chan struct{} // closed and replaced at each record
	ended   bool
	exit    error
}

type record struct {
	Msg, Address, Level string
	Faults              []string
}

// serveProcess starts the program and waits until it serves.
func serveProcess(t *testing.T, config string) *process {
	t.Helper()
	p := startProcess(t, config)
	p.url = "http://" + p.logged(0, "serving").Address
	return p
}

// startProcess starts the program as a process of its own.
func startProcess(t *testing.T, config string) *process {
	t.Helper()
	p := &process{t: t, more: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), "stagedoor", "serve", "--config", config) // #nosec G204 -- this program
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STAGEDOOR_") }) // it refuses the tests' own
	out, err := p.cmd.StderrPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.wait()
		if t.Failed() {
			for _, r := range p.log() {
				t.Logf("%+v", r)
			}
		}
	})
	return p
}

func (p *process) read(out io.Reader) {
	note := func(change func()) {
		p.mu.Lock()
		defer p.mu.Unlock()
		change()
		close(p.more)
		p.more = make(chan struct{})
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		r := record{Msg: lines.Text()}
		_ = json.Unmarshal(lines.Bytes(), &r) // else it is a plain line
		note(func() { p.records = append(p.records, r) })
	}
	err := p.cmd.Wait()
	note(func() { p.ended, p.exit = true, err })
}

func (p *process) log() []record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.records[:len(p.records):len(p.records)]
}

// until waits for something that the log tells.
func (p *process) until(what string, done func() bool) {
	p.t.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		yes, ended, more := done(), p.ended, p.more
		p.mu.Unlock()
		switch {
		case yes:
			return
		case ended:
			p.t.Fatalf("%s: the program ended: %v", what, p.exit)
		}
		select {
		case <-more:
		case <-late:
			p.t.Fatalf("%s: waited %v for it", what, patience)
		}
	}
}

// logged waits for a record that comes after the first ones and begins like
// this.
func (p *process) logged(after int, msg string) (found record) {
	p.t.Helper()
	p.until("log: "+msg, func() bool {
		for _, r := range p.records[min(after, len(p.records)):] {
			if strings.HasPrefix(r.Msg, msg) {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// wait waits for the end and gives the exit error.
func (p *process) wait() error {
	p.t.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		ended, more := p.ended, p.more
		p.mu.Unlock()
		if ended {
			return p.exit
		}
		select {
		case <-more:
		case <-late:
			p.t.Fatal("the program does not end")
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// get gives status and body of a path.
func (p *process) get(path string) (int, string) {
	p.t.Helper()
	resp, err := http.Get(p.url + path) // #nosec G107 -- loopback
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// call makes a stateless MCP request and gives the answer.
func (p *process) call(method, name string) (string, error) {
	params := `"name":"` + name + `","arguments":{},`
	if name == "" {
		params = ""
	}
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.url+"/mcp/all", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	for k, v := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name} {
		if v != "" {
			req.Header.Set(k, v)
		}
	}
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req) // a connection of its own
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return string(answer), err
}

// tools are the names of the tools of the server "all", as the client sees them.
func (p *process) tools() string {
	p.t.Helper()
	answer, err := p.call("tools/list", "")
	if err != nil {
		p.t.Fatal(err)
	}
	var list struct {
		Result struct {
			Tools []struct{ Name, Description string }
		}
	}
	if err := json.Unmarshal([]byte(answer), &list); err != nil {
		p.t.Fatal(err, answer)
	}
	var names []string
	for _, tool := range list.Result.Tools {
		names = append(names, tool.Name+"="+tool.Description)
	}
	return strings.Join(names, " ")
}

// folder is a folder of files that tests write.
type folder struct {
	t   *testing.T
	dir string
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) do(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) write(name, text string) {
	f.t.Helper()
	f.do(os.MkdirAll(filepath.Dir(f.path(name)), 0o700))
	f.do(os.WriteFile(f.path(name), []byte(text), 0o600))
}

// mount puts files in place as Kubernetes mounts a ConfigMap: each is a link
// through ..data, which is swapped.
func (f folder) mount(version string, files map[string]string) {
	f.t.Helper()
	for name, text := range files {
		f.write("..."+version+"/"+name, text)
		if _, err := os.Lstat(f.path(name)); err != nil {
			f.do(os.Symlink(filepath.Join("..data", name), f.path(name)))
		}
	}
	f.do(os.Symlink("..."+version, f.path("..data_tmp")))
	f.do(os.Rename(f.path("..data_tmp"), f.path("..data")))
	entries, err := os.ReadDir(f.dir)
	f.do(err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "...") && e.Name() != "..."+version {
			f.do(os.RemoveAll(f.path(e.Name())))
		}
	}
}

// document has one action for each operation id.
func document(operations ...string) string {
	var b bytes.Buffer
	b.WriteString("openapi: 3.1.0\ninfo: {title: T, version: \"1\"}\npaths:\n")
	for _, o := range operations {
		fmt.Fprintf(&b, "  /%s: {get: {operationId: %s, description: %s, x-action: true, responses: {}}}\n", o, o, o)
	}
	return b.String()
}

const reloadConfig = `
listen: 127.0.0.1:0
database: {url: "sqlite::memory:"}
plugins:
  p: {spec: doc.yaml, baseURL: "http://127.0.0.1:1"}
servers:
  all: {toolNames: "{action}", actions: {include: ["p:*"]}}
`

// reloads runs the program over a folder of files and changes them.
type reloads struct {
	folder
	*process
	seen int
}

// expect waits until the log, from the last change on, says this, and checks
// the tools.
func (r *reloads) expect(step, msg, tools string) record {
	r.process.t.Helper()
	found := r.logged(r.seen, msg)
	if got := r.tools(); got != tools {
		r.process.t.Errorf("%s: tools are %q, want %q", step, got, tools)
	}
	r.seen = len(r.log())
	return found
}

const (
	applied   = "reloaded"
	unchanged = "reloaded: nothing is new"
	refused   = "reload refused"
	published = "plugin serves another generation"
	unusable  = "plugin published what cannot be used"
	kept      = "plugin keeps its last good generation"
	serves    = "plugin serves what it publishes"
)

// TestReloadOfFiles: each kind of file that a gateway is made of reloads it, in
// each way in which files change; whatever is wrong changes nothing.
func TestReloadOfFiles(t *testing.T) {
	t.Parallel()
	f := folder{t, t.TempDir()}
	config := func(more string) string {
		return strings.Replace(reloadConfig, "doc.yaml", "doc.yaml, overlays: [overlay.yaml], auth: {bearer: {file: token}}", 1) + more
	}
	overlay := func(description string) string {
		return "overlay: 1.0.0\ninfo: {title: O, version: \"1\"}\nactions:\n- target: $.paths['/a'].get\n  update: {description: " + description + "}\n"
	}
	f.write("config.yaml", config(""))
	f.write("doc.yaml", document("a"))
	f.write("overlay.yaml", overlay("A"))
	f.write("token", "one")
	r := &reloads{folder: f, process: serveProcess(t, f.path("config.yaml"))}
	r.expect("start", "serving", "a=A")
	r.signal(syscall.SIGHUP)
	r.expect("SIGHUP without news", unchanged, "a=A")
	f.write("doc.yaml", document("a", "b"))
	r.expect("document is written", published, "a=A b=b")
	f.write("overlay.yaml", overlay("B"))
	r.expect("overlay is written", applied, "a=B b=b")
	f.write("doc.new", strings.Replace(document("a"), "  /a", "  /c: {$ref: part.yaml}\n  /a", 1))
	f.write("part.yaml", "get: {operationId: c, description: c, x-action: true, responses: {}}")
	f.do(os.Rename(f.path("doc.new"), f.path("doc.yaml")))
	r.expect("document is replaced", published, "a=B c=c")
	f.write("part.yaml", "get: {operationId: c, description: part, x-action: true, responses: {}}")
	r.expect("a file that it refers to is written", published, "a=B c=part")
	f.write("doc.yaml", "openapi: [")
	r.expect("document is broken", unusable, "a=B c=part")
	f.write("config.yaml", config("nonsense: 1\n"))
	found := r.expect("config is broken", refused, "a=B c=part")
	if len(found.Faults) != 2 || !strings.Contains(found.Faults[1], "config.yaml:8:1: unknown field") {
		t.Errorf("faults have no place: %q", found.Faults)
	}
	if _, metrics := r.get("/metrics"); !strings.Contains(metrics, "stagedoor_last_reload_successful 0") {
		t.Error("the metrics do not tell of the refused reload")
	}
	f.write("doc.yaml", document("a"))
	f.write("config.yaml", config(""))
	probe(t, "both are mended, and nobody sees it", func() bool { return r.tools() == "a=B" })
	r.logged(r.seen, applied)
	r.seen = len(r.log())
	f.do(os.Remove(f.path("doc.yaml")))
	r.expect("document is removed", kept, "a=B")
	f.write("doc.yaml", document("a", "d"))
	r.expect("document is made again", published, "a=B d=d")
	f.write("token", "")
	r.expect("secret is empty", refused, "a=B d=d")
	f.write("token", "two")
	r.expect("secret is another", unchanged, "a=B d=d")
	f.write("config.yaml", config("allowedOrigins: [\"https://x.example/\"]\nlog: {level: warn}\n"))
	probe(t, "an origin is not allowed after a reload", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/readyz", http.NoBody)
		f.do(err)
		req.Header.Set("Origin", "https://x.example")
		resp, err := http.DefaultClient.Do(req)
		f.do(err)
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	f.write("config.yaml", config("limits: {requestBody: 1MiB}\n"))
	found = r.expect("what needs a restart", refused, "a=B d=d")
	for _, line := range r.log()[r.seen-1:] {
		if line.Level == "INFO" {
			t.Errorf("log level warn says %s", line.Msg)
		}
	}
	if !strings.Contains(strings.Join(found.Faults, "\n"), "limits: cannot change while the gateway runs") {
		t.Errorf("faults %q", found.Faults)
	}
	_, metrics := r.get("/metrics")
	for _, want := range []string{`stagedoor_reloads_total{cause="asked",result="refused"}`, `stagedoor_generation_info{generation="`, "stagedoor_generation_timestamp_seconds "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// TestReloadOfConfigMap: the swap of a mounted ConfigMap is one reload, of all
// that is in it.
func TestReloadOfConfigMap(t *testing.T) {
	t.Parallel()
	f := folder{t, t.TempDir()}
	f.mount("one", map[string]string{"config.yaml": reloadConfig, "doc.yaml": document("a")})
	r := &reloads{folder: f, process: serveProcess(t, f.path("config.yaml"))}
	r.expect("start", "serving", "a=a")
	f.mount("two", map[string]string{"config.yaml": strings.Replace(reloadConfig, "p:*", "p:b", 1), "doc.yaml": document("a", "b")})
	r.expect("swap", applied, "b=b")
	f.mount("three", map[string]string{"config.yaml": reloadConfig, "doc.yaml": "openapi: ["})
	r.expect("swap to something broken", refused, "b=b")
	f.mount("four", map[string]string{"config.yaml": reloadConfig, "doc.yaml": document("c")})
	r.expect("swap again", applied, "c=c")
	reloads := 0
	for _, line := range r.log() {
		if strings.HasPrefix(line.Msg, applied) || strings.HasPrefix(line.Msg, refused) {
			reloads++
		}
	}
	if reloads != 3 {
		t.Errorf("%d reloads for three swaps", reloads)
	}
}

// TestReloadStorm: a hundred writes and a hundred signals within a second are
// few reloads, and the last word holds.
func TestReloadStorm(t *testing.T) {
	t.Parallel()
	f := folder{t, t.TempDir()}
	f.write("config.yaml", reloadConfig)
	f.write("doc.yaml", document("a"))
	p := serveProcess(t, f.path("config.yaml"))
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range 100 {
		f.write("doc.yaml", document(fmt.Sprint("a", i)))
		<-tick.C
	}
	for {
		n := len(p.log())
		if p.tools() == "a99=a99" {
			break
		}
		p.until("the last document", func() bool { return len(p.records) > n })
	}
	if n := len(p.log()); n > 6 { // start, and a few reloads
		t.Errorf("a hundred writes made %d lines of log", n)
	}
}

// TestReloadRetries: a reload that was refused for the sake of a host that was
// down is tried again by itself.
func TestReloadRetries(t *testing.T) {
	t.Parallel()
	f := folder{t, t.TempDir()}
	f.write("config.yaml", reloadConfig)
	f.write("doc.yaml", document("a"))
	up := make(chan struct{})
	plugin := newPlugin(t, func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-up:
			_, _ = io.WriteString(w, document("b"))
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	r := &reloads{folder: f, process: serveProcess(t, f.path("config.yaml"))}
	f.write("config.yaml", strings.Replace(reloadConfig, "doc.yaml", plugin+"/doc.yaml", 1))
	r.expect("the plugin is down", refused, "a=a")
	close(up)
	r.expect("it is up again", applied, "b=b")
}

// TestRefreshOverHTTP: documents behind a URL are read again as often as the
// config says; one that turned invalid stays as it was.
func TestRefreshOverHTTP(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := document("a")
	set := func(s string) { mu.Lock(); now = s; mu.Unlock() }
	asked := make(chan struct{})
	plugin := newPlugin(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.WriteString(w, now)
		select {
		case asked <- struct{}{}:
		default:
		}
	})
	f := folder{t, t.TempDir()}
	f.write("config.yaml", strings.Replace(reloadConfig, `doc.yaml, baseURL: "http://127.0.0.1:1"`, plugin+"/doc.yaml, refresh: 20ms", 1))
	r := &reloads{folder: f, process: serveProcess(t, f.path("config.yaml"))}
	r.expect("start", "serving", "a=a")
	set("openapi: [")
	r.expect("invalid", kept, "a=a")
	set(document("b"))
	for r.tools() != "b=b" {
		<-asked
	}
}
