package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stagedoor/stagedoor/internal/login/logintest"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// databases are the package's tests with the Postgres that they start.
type databases struct{ *testing.M }

func (d databases) Run() int { return storetest.Main(d.M) }

// TestMain lets tests run this program as the command "stagedoor".
func TestMain(m *testing.M) {
	testscript.Main(databases{m}, map[string]func(){"stagedoor": main})
}

// TestScripts runs testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	example, err := os.ReadFile(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serving": serving, "audited": audited, "plugin": plugin, "idp": idp, "jsonvalid": jsonvalid, "jsonlines": jsonlines,
		},
		Setup: func(env *testscript.Env) error {
			return os.WriteFile(filepath.Join(env.WorkDir, "config.example.yaml"), example, 0o600)
		},
		RequireExplicitExec: true,
	})
}

// plugin VAR starts a plugin on loopback that answers with what it was asked,
// and sets VAR to its URL.
func plugin(ts *testscript.TestScript, _ bool, args []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/missing") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"message":"no such pet"}`))
			return
		}
		if strings.HasSuffix(r.URL.Path, "/picture") {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("\x89PNG\r\n\x1a\n\x00"))
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"asked": r.Method + " " + r.URL.EscapedPath()})
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// idp VAR starts an authorization server, with an MCP server at /mcp/demo that
// trusts it, and sets VAR to their URL. Whoever logs in is let in at once.
func idp(ts *testscript.TestScript, _ bool, args []string) {
	_, server := logintest.Start(func(p *logintest.Provider) { p.Interval = 0.01 })
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// jsonvalid FILE... checks that each line or the whole of a file is JSON.
func jsonvalid(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		if json.Valid([]byte(ts.ReadFile(file))) == neg {
			ts.Fatalf("%s: JSON valid is %v", file, neg)
		}
	}
}

// jsonlines FILE... checks that each line of a file is JSON.
func jsonlines(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		for line := range strings.Lines(ts.ReadFile(file)) {
			if json.Valid([]byte(line)) == neg {
				ts.Fatalf("%s: %s: JSON valid is %v", file, line, neg)
			}
		}
	}
}

// serving VAR CONFIG starts "stagedoor serve" and sets VAR to its address, as
// its log tells it.
func serving(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	read, write, err := os.Pipe()
	ts.Check(err)
	p := &program{stdin: strings.NewReader(""), stdout: write, stderr: write, environ: []string{}}
	exit := make(chan int, 1)
	go func() {
		exit <- p.run(ctx, []string{"serve", "--config", ts.MkAbs(args[1])})
		_ = write.Close()
	}()
	ts.Defer(func() { cancel(); <-exit })
	address := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(read); lines.Scan(); {
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				address <- line.Address
			}
		}
	}()
	select {
	case a := <-address:
		ts.Setenv(args[0], "http://"+a)
	case code := <-exit:
		exit <- code
		ts.Fatalf("serve ended with %d", code)
	}
}

// audited N CONFIG waits until the config's database has N audit records.
func audited(ts *testscript.TestScript, _ bool, args []string) {
	var out, complaints strings.Builder
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		out.Reset()
		p := &program{stdout: &out, stderr: &complaints, environ: []string{}}
		p.run(context.Background(), []string{"audit", "--json", "--config", ts.MkAbs(args[1])})
		if fmt.Sprint(strings.Count(out.String(), "\n")) == args[0] {
			return
		}
	}
	ts.Fatalf("not %s records:\n%s%s", args[0], out.String(), complaints.String())
}
