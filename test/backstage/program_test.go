package backstage_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// program is the built stagedoor, and the environment that it gets.
type program struct {
	t    *testing.T
	path string
	env  []string
}

func build(t *testing.T) program {
	t.Helper()
	_, token := backstage(t)
	p := program{t: t, path: filepath.Join(t.TempDir(), "stagedoor")}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", p.path, "./cmd/stagedoor") // #nosec G204 -- this program
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STAGEDOOR_") }) // it refuses the tests' own
	p.env = append(p.env, "BACKSTAGE_TOKEN="+token)
	return p
}

// run gives what the program prints; an error's text, where it exits with one.
func (p program) run(arguments ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.path, arguments...) // #nosec G204 -- this program
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return string(out)
}

// serve starts the gateway and gives its URL, and what stops it.
func (p program) serve(config string) (address string, stop func()) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.path, "serve", "--config", config) // #nosec G204 -- this program
	cmd.Env, cmd.Dir = slices.Concat(p.env, []string{"STAGEDOOR_LISTEN=127.0.0.1:0"}), filepath.Dir(config)
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	var said bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(log, &said))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var record struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "serving" {
			address = record.Address
			break
		}
	}
	if address == "" {
		p.t.Fatalf("the program does not serve: %v\n%s", cmd.Wait(), &said)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, log)
	}()
	return "http://" + address, func() {
		p.t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			p.t.Fatal(err)
		}
		<-drained
		if err := cmd.Wait(); err != nil {
			p.t.Error(err)
		}
	}
}

// door stands before Backstage, and can be closed and opened again.
type door struct {
	t       *testing.T
	address string
	server  *http.Server
}

func (d *door) open() {
	d.t.Helper()
	backstageURL, _ := backstage(d.t)
	target, err := url.Parse(backstageURL)
	if err != nil {
		d.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.address = listener.Addr().String()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	d.server = &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func(s *http.Server) { _ = s.Serve(listener) }(d.server) // ends with Close
	d.t.Cleanup(d.close)
}

func (d *door) close() {
	if err := d.server.Close(); err != nil {
		d.t.Error(err)
	}
}

// TestProgramBesideBackstage: the built program with the config of
// docs/backstage.md. It serves Backstage's actions; started while Backstage is
// away it lists what it had and says what is down; and it goes on when Backstage
// is back.
func TestProgramBesideBackstage(t *testing.T) {
	catalogs(t, "http://127.0.0.1:9/") // waits for the entities
	before := &door{t: t, address: "127.0.0.1:0"}
	before.open()
	p := build(t)
	config, _ := documentedConfig(t, 1, "http://"+before.address)
	const owner = `{"name":"checkout-service"}`

	gate, stop := p.serve(config)
	expect := func(want string, arguments ...string) {
		t.Helper()
		if got := p.run(append(arguments, "--url", gate)...); !strings.Contains(got, want) {
			t.Errorf("%s: got %s\nwant %s", arguments, got, want)
		}
	}
	listed := p.run("actions", "list", "--url", gate)
	for _, name := range []string{"get-catalog-entity", "unregister-entity", "get-catalog-model-description"} {
		if !strings.Contains(listed, "software-catalog:"+name) {
			t.Errorf("actions list: %s", listed)
		}
	}
	expect("payments", "actions", "call", "software-catalog:get-catalog-entity", "--input", owner)
	expect(`InputError: No entity found with name "nothing"`, "actions", "call", "software-catalog:get-catalog-entity", "--input", `{"name":"nothing"}`)
	expect("software-catalog  serving", "plugins")
	if got := p.run("actions", "call", "catalog:get-catalog-entity", "--url", "http://"+before.address+"/api/catalog", "--token-env", "BACKSTAGE_TOKEN", "--input", owner); !strings.Contains(got, "payments") {
		t.Errorf("Backstage's own action: %s", got)
	}
	tools := func() []string { return slices.Sorted(maps.Keys(newOfficialClient(t, gate+"/mcp/architects").outputs)) }
	had := tools()
	if len(had) != 6 || slices.Contains(had, "software-catalog_unregister-entity") {
		t.Errorf("tools: %v", had)
	}
	stop()

	before.close()
	gate, stop = p.serve(config)
	if diff := cmp.Diff(listed, p.run("actions", "list", "--url", gate)); diff != "" {
		t.Errorf("actions while Backstage is down (-before +now)\n%s", diff)
	}
	if diff := cmp.Diff(had, tools()); diff != "" {
		t.Errorf("tools while Backstage is down (-before +now)\n%s", diff)
	}
	expect("software-catalog  unreachable", "plugins")
	for _, words := range []string{"plugin software-catalog cannot be reached (connection refused)", "it has not answered since 20"} {
		expect(words, "actions", "call", "software-catalog:get-catalog-entity", "--input", owner)
	}

	before.open()
	eventually(t, "payments", func() string {
		return p.run("actions", "call", "software-catalog:get-catalog-entity", "--url", gate, "--input", owner)
	})
	eventually(t, "software-catalog  serving", func() string { return p.run("plugins", "--url", gate) })
	stop()
}
