package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stagedoor/stagedoor/test/conformance/plugin"
)

// fixture is a running gateway with the conformance plugin behind it.
type fixture struct {
	url, binary, dir, config string
	plugin                   string // CONFORMANCE_PLUGIN=URL
	log                      *tail

	gateway *exec.Cmd
	service *http.Server
}

// start runs both, and returns when the gateway serves. dir is the gateway's
// working directory.
func start(ctx context.Context, binary, dir string) (*fixture, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	f := &fixture{binary: binary, dir: dir, config: filepath.Join(dir, "config.yaml"), log: &tail{}}
	service, err := plugin.New(dir, f.reload)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f.plugin = "CONFORMANCE_PLUGIN=http://" + listener.Addr().String()
	f.service = &http.Server{Handler: service, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = f.service.Serve(listener) }()
	if err := f.startGateway(); err != nil {
		return nil, errors.Join(err, f.service.Close())
	}
	return f, nil
}

// startGateway runs the binary, and reads its address from its log.
func (f *fixture) startGateway() error {
	f.gateway = exec.Command(f.binary, "serve", "--config", "config.yaml") //nolint:gosec,noctx // ends with stop, which lets it drain
	f.gateway.Dir = f.dir
	f.gateway.Env = append(os.Environ(), f.plugin)
	stderr, err := f.gateway.StderrPipe()
	if err != nil {
		return err
	}
	if err := f.gateway.Start(); err != nil {
		return err
	}
	address := make(chan string, 1)
	go f.read(stderr, address)
	select {
	case at, ok := <-address:
		if !ok {
			return fmt.Errorf("the gateway did not start: %w\n%s", f.gateway.Wait(), f.log.tail())
		}
		f.url = "http://" + at
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(fmt.Errorf("the gateway does not serve after 30 seconds:\n%s", f.log.tail()), f.gateway.Process.Kill())
	}
}

// read keeps the log, and tells the address that it names. It closes address
// at the log's end.
func (f *fixture) read(log io.Reader, address chan<- string) {
	defer close(address)
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f.log.add(lines.Text())
		var record struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "serving" {
			address <- record.Address
		}
	}
	_, _ = io.Copy(io.Discard, log) // a line that is too long
}

// reload is what an operator does after editing files.
func (f *fixture) reload() error { return f.gateway.Process.Signal(syscall.SIGHUP) }

func (f *fixture) stop() error {
	err := f.gateway.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, f.gateway.Wait(), f.service.Close())
}

// tail is the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	if len(t.lines) > 40 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) tail() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
