package idp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// replicas are two programs on one Postgres, behind a load balancer that sends
// each request to the next one.
func startReplicas(t *testing.T, issuer, yaml string) *front {
	t.Helper()
	var turn atomic.Int64
	var to [2]string
	transport := &http.Transport{DisableKeepAlives: true} // a request goes where its connection does
	balancer := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", to[int(turn.Add(1))%2] // Host stays: it is the public one
		},
		FlushInterval: -1, Transport: transport,
	})
	t.Cleanup(func() {
		balancer.CloseClientConnections()
		balancer.Close()
	})
	f := &front{t: t, url: "http://" + balancer.Listener.Addr().String(), plugin: startSpy(t), log: &record{}}
	path := configure(t, t.TempDir(), f.url, f.plugin.url, issuer, fmt.Sprintf("listen: 127.0.0.1:0\ndatabase: {url: %q}\n", storetest.Postgres(t))+yaml)
	for i := range to {
		to[i] = f.serve(path)
	}
	balancer.Start()
	return f
}

// environment is that of a program whose user has this folder.
func environment(home string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STAGEDOOR_") }) // it refuses those of tests
	return append(env, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_RUNTIME_DIR="+home, "DBUS_SESSION_BUS_ADDRESS=")
}

// serve starts the program, and gives its address.
func (f *front) serve(config string) string {
	f.t.Helper()
	cmd := exec.CommandContext(context.Background(), binary(f.t), "serve", "--config", config) // #nosec G204 -- our own program
	cmd.Env = environment(f.t.TempDir())
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	address := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			_, _ = fmt.Fprintln(f.log, lines.Text()) // to memory
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				address <- line.Address
			}
		}
	}()
	f.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-read
		_ = cmd.Wait()
	})
	select {
	case at := <-address:
		return at
	case <-read:
		f.t.Fatalf("the program ended:\n%s", f.log)
	case <-time.After(patience):
		f.t.Fatal("the program does not serve")
	}
	return ""
}

// TestThreat7SessionsOfReplicas: a session is its principal's at each replica,
// and ends with a token at each, too.
func TestThreat7SessionsOfReplicas(t *testing.T) {
	p := providerOf(t, lasting)
	f := startReplicas(t, p.issuer, twoServers)
	ada, eve := p.user(t, "ada", f.resource("a"), "mcp:write").Access, p.user(t, "eve", f.resource("a"), "mcp:write").Access
	session := f.session("a", ada)
	for range 3 { // an odd number of requests each, so that each comes to both replicas
		f.want("ada", legacy(ada, session, "list", "{}"), http.StatusOK, `"result"`)
		f.want("eve", legacy(eve, session, "list", "{}"), http.StatusNotFound, "")
		f.want("eve ends it", ask{method: http.MethodDelete, token: eve, session: session}, http.StatusNotFound, "")
		f.want("eve listens", ask{method: http.MethodGet, token: eve, session: session, header: http.Header{"Last-Event-Id": {"1-1"}}}, http.StatusNotFound, "")
		f.want("nobody", ask{session: session, body: ping}, http.StatusUnauthorized, "")
	}
	if n := len(f.plugin.requests()); n != 3 {
		t.Errorf("the plugin had %d requests", n)
	}
}
