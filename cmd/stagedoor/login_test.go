package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/login/logintest"
)

// stagedoorAt is the program as a process, with its logins in a folder.
func stagedoorAt(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "stagedoor", args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STAGEDOOR_") })
	cmd.Env = append(cmd.Env, "XDG_CONFIG_HOME="+dir, "HOME="+dir, "DBUS_SESSION_BUS_ADDRESS=", "XDG_RUNTIME_DIR="+dir)
	return cmd
}

// TestTokenOfManyProcesses: processes that find one token about to end spend
// its refresh token once. A second time would end the login: rotation takes it
// for theft.
func TestTokenOfManyProcesses(t *testing.T) {
	provider, server := logintest.Start(func(p *logintest.Provider) {
		p.Interval, p.Life = 0.01, 1 // ended before anybody looks, or nearly so
	})
	defer server.Close()
	dir := t.TempDir()
	if out, err := stagedoorAt(t, dir, "login", provider.Server(), "--device", "--store", "file").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(dir, "stagedoor", "tokens.json")
	if matches, err := filepath.Glob(filepath.Join(dir, "*", "stagedoor", "tokens.json")); err == nil && len(matches) == 1 {
		file = matches[0] // macOS
	}
	expire(t, file)
	provider.Do(func() { provider.Life = 300 })
	var wg sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens {
		wg.Go(func() {
			out, err := stagedoorAt(t, dir, "token", provider.Server()).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			tokens[i] = string(out)
		})
	}
	wg.Wait()
	if n := len(provider.Grants("refresh_token")); n != 1 || len(slices.Compact(tokens)) != 1 {
		t.Errorf("%d refreshes, tokens %q", n, tokens)
	}
}

// expire has the stored tokens be about to end.
func expire(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]any
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	login := stored["logins"].([]any)[0].(map[string]any)
	login["expires"], login["renew"] = "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
	if data, err = json.Marshal(stored); err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLoginInterrupted: Ctrl-C ends a login that waits, with a word and no
// trace of a token.
func TestLoginInterrupted(t *testing.T) {
	asked := make(chan struct{}, 1)
	provider, server := logintest.Start(func(p *logintest.Provider) {
		p.Interval = 0.01
		p.Instead[logintest.TokenPath] = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"authorization_pending"}`)
			select {
			case asked <- struct{}{}:
			default:
			}
		}
	})
	defer server.Close()
	dir := t.TempDir()
	cmd := stagedoorAt(t, dir, "login", provider.Server(), "--device")
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-time.After(patience):
		t.Error("nobody asks whether the person is done")
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != exitFailure || !strings.HasSuffix(out.String(), "stagedoor: login was called off\n") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestLoginThroughProxy: where the environment names a proxy, that one is
// reached wherever it is, and what it leads to is its own to resolve.
func TestLoginThroughProxy(t *testing.T) {
	provider := logintest.New("https://example.com") // the name in the certificate of httptest
	provider.Interval = 0.01
	server := httptest.NewTLSServer(provider)
	defer server.Close()
	var tunnels atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "example.com:443" {
			t.Errorf("proxy was asked for %s %s", r.Method, r.Host)
			return
		}
		tunnels.Add(1)
		tunnel(t, w, server.Listener.Addr().String())
	}))
	defer proxy.Close()
	dir := t.TempDir()
	trusted := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"login", provider.Server(), "--device", "--store", "file"}, {"token", provider.Server()}} {
		cmd := stagedoorAt(t, dir, args...)
		cmd.Env = append(cmd.Env, "HTTPS_PROXY="+proxy.URL, "NO_PROXY=", "SSL_CERT_FILE="+trusted)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if tunnels.Load() == 0 {
		t.Error("nothing went through the proxy")
	}
}

// tunnel joins a request's connection with another one.
func tunnel(t *testing.T, w http.ResponseWriter, address string) {
	there, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	here, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_, err = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	}
	if err != nil {
		t.Error(err)
		return
	}
	go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
	_, _ = io.Copy(here, there)
	_ = here.Close()
}
