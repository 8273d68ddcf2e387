package main

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stagedoor/stagedoor/internal/login/logintest"
)

// TestConnectLogsIn: the first message of a client begins the login, whose page
// and code stand on standard error. The token is renewed when the server takes it
// no more, and a login that ended is begun anew; the client sees nothing of all this.
func TestConnectLogsIn(t *testing.T) {
	provider, server := logintest.Start(func(p *logintest.Provider) { p.Interval = 0.01 })
	defer server.Close()
	cmd := stagedoorAt(t, t.TempDir(), "connect", provider.Server(), "--device", "--store", "file")
	var told bytes.Buffer
	cmd.Stderr = &told
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	ask := func() {
		t.Helper()
		if _, err := io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil || !strings.Contains(line, `"result":{}`) {
			t.Fatalf("%s %v", line, err)
		}
	}
	provider.Do(func() { provider.Polls = []string{"authorization_pending", ""} })
	logins := func() int { return len(provider.Requests(logintest.DevicePath)) }
	ask()
	ask()
	if n := logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
	provider.EndAccess()
	ask()
	if n := len(provider.Grants("refresh_token")); n != 1 || logins() != 1 {
		t.Errorf("%d refreshes, %d logins", n, logins())
	}
	provider.End()
	ask()
	if n := logins(); n != 2 {
		t.Errorf("%d logins", n)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil || len(rest) > 0 {
		t.Errorf("%v, %q", err, rest)
	}
	if text := told.String(); strings.Count(text, "WDJB-MJHT") < 2 || strings.Contains(text, logintest.Canary) {
		t.Error(text)
	}
}
