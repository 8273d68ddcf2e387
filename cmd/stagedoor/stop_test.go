package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newPlugin serves on loopback and gives its URL.
func newPlugin(t *testing.T, serve http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

// slowPlugin begins calls and answers them when it is told to.
type slowPlugin struct {
	*process
	begun   chan struct{}
	release chan struct{}
	answer  chan string
}

func newSlowPlugin(t *testing.T, more string) *slowPlugin {
	t.Helper()
	s := &slowPlugin{begun: make(chan struct{}, 1), release: make(chan struct{}), answer: make(chan string, 1)}
	url := newPlugin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			_, _ = io.WriteString(w, `"quick"`)
			return
		}
		s.begun <- struct{}{}
		select {
		case <-s.release:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `"the answer"`)
		case <-r.Context().Done():
		}
	})
	f := folder{t, t.TempDir()}
	f.write("doc.yaml", document("slow", "quick"))
	f.write("config.yaml", strings.Replace(reloadConfig, "http://127.0.0.1:1", url, 1)+more)
	s.process = serveProcess(t, f.path("config.yaml"))
	go func() {
		answer, err := s.call("tools/call", "slow")
		s.answer <- fmt.Sprint(answer, err)
	}()
	<-s.begun
	return s
}

// probe asks again and again, as a load balancer's probe does.
func probe(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(what)
		}
	}
}

// TestGracefulStop: on SIGTERM /readyz says so while requests are still taken,
// then new connections are refused, and a call that is under way gets its answer.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	s := newSlowPlugin(t, "shutdown: {delay: 2s}\n")
	s.signal(syscall.SIGTERM)
	probe(t, "/readyz does not tell of the end", func() bool {
		status, body := s.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"status":"draining"`)
	})
	if answer, err := s.call("tools/call", "quick"); err != nil || !strings.Contains(answer, "quick") {
		t.Errorf("a call within the delay: %s %v", answer, err)
	}
	if status, _ := s.get("/healthz"); status != http.StatusOK {
		t.Errorf("a gateway that drains is not dead: %d", status)
	}
	probe(t, "new connections are still taken", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	close(s.release)
	if got := <-s.answer; !strings.Contains(got, "the answer") {
		t.Errorf("the call in flight got %s", got)
	}
	if err := s.wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
}

// TestStopDeadline: a call that takes longer than the timeout is cut off, and
// the exit code tells.
func TestStopDeadline(t *testing.T) {
	t.Parallel()
	s := newSlowPlugin(t, "shutdown: {timeout: 100ms}\n")
	s.signal(syscall.SIGTERM)
	var exit *exec.ExitError
	if err := s.wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailure {
		t.Errorf("exit: %v", err)
	}
	if log := s.log(); !strings.Contains(log[len(log)-1].Msg, "calls in flight took longer than 100ms") {
		t.Errorf("last words %q", log[len(log)-1].Msg)
	}
}

// TestSecondSignal: whoever is impatient is heard.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := newSlowPlugin(t, "shutdown: {delay: 1h, timeout: 1h}\n")
	s.signal(os.Interrupt)
	s.logged(0, "stopping")
	s.signal(syscall.SIGTERM)
	var exit *exec.ExitError
	if err := s.wait(); !errors.As(err, &exit) {
		t.Errorf("exit: %v", err)
	}
}

// TestStopWhileReloading: a stop does not wait for a document that does not come.
func TestStopWhileReloading(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}, 1), make(chan struct{})
	defer close(release)
	url := newPlugin(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	f := folder{t, t.TempDir()}
	f.write("config.yaml", reloadConfig)
	f.write("doc.yaml", document("a"))
	p := serveProcess(t, f.path("config.yaml"))
	f.write("config.yaml", strings.Replace(reloadConfig, "doc.yaml", url+"/doc.yaml", 1))
	<-asked
	p.signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Errorf("exit: %v", err)
	}
}
