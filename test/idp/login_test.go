package idp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// home is a user with the program and a folder, who agrees to each login that
// the program asks for.
type home struct {
	t     *testing.T
	dir   string
	name  string
	said  record // what programs said on standard error
	asked sync.WaitGroup
	times int // how often the user was asked
}

var (
	codeShown = regexp.MustCompile(`(?s)open\s+(http://\S+)\s+and enter the code\s+(\S+)\s`)
	pageShown = regexp.MustCompile(`http://127\.0\.0\.1:\d+/auth\?\S+`)
)

// command is a program that the user starts: stagedoor, or what is named.
func (h *home) command(name string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.CommandContext(context.Background(), name, args...) // #nosec G204 -- our own programs
	cmd.Dir, cmd.Env, cmd.Stderr = folder(), environment(h.dir), &screen{home: h}
	return cmd
}

// run runs the program to its end, and gives what it printed.
func (h *home) run(args ...string) (string, error) {
	h.t.Helper()
	out, err := h.command(binary(h.t), args...).Output()
	h.asked.Wait()
	return string(out), err
}

func (h *home) must(args ...string) string {
	h.t.Helper()
	out, err := h.run(args...)
	if err != nil {
		h.t.Fatalf("%q: %v: %s", args, err, &h.said)
	}
	return out
}

// screen is what the user reads: of codes, pages to open.
type screen struct {
	home *home
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.text.Write(p)
	page := ""
	if shown := codeShown.FindSubmatchIndex(s.text.Bytes()); len(shown) == 6 {
		text := s.text.String()
		page = text[shown[2]:shown[3]] + "?user_code=" + text[shown[4]:shown[5]]
		s.text.Next(shown[1])
	} else if shown := pageShown.FindIndex(s.text.Bytes()); len(shown) == 2 && bytes.ContainsRune(s.text.Bytes()[shown[1]:], '\n') {
		page = string(s.text.Bytes()[shown[0]:shown[1]])
		s.text.Next(shown[1])
	}
	if page != "" {
		s.home.times++
		s.home.asked.Go(func() {
			if err := approve(page, s.home.name); err != nil {
				s.home.t.Errorf("%s: %v", page, err)
			}
		})
	}
	return s.home.said.Write(p)
}

// client is a TypeScript client over stdio, with stagedoor connect as its
// server.
type client struct {
	t     *testing.T
	in    io.WriteCloser
	lines *bufio.Reader
}

// said is a line of client.mjs.
type said struct {
	Result struct {
		Tools             []struct{ Name string }
		StructuredContent map[string]any
		IsError           bool
	}
	Error *struct {
		Code    int
		Message string
	}
}

func (h *home) connect(kind string, args ...string) *client {
	h.t.Helper()
	cmd := h.command("node", append([]string{"client.mjs", kind, binary(h.t), "connect"}, args...)...)
	c := &client{t: h.t}
	out, err := cmd.StdoutPipe()
	if err == nil {
		c.in, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	c.lines = bufio.NewReader(out)
	h.t.Cleanup(func() {
		_ = c.in.Close() // it has ended then
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			h.t.Errorf("client.mjs: %v: %s", err, &h.said)
		}
	})
	if first := c.next(); len(first.Result.Tools) != 4 {
		h.t.Fatalf("tools/list: %+v", first)
	}
	return c
}

func (c *client) next() (s said) {
	c.t.Helper()
	line, err := c.lines.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &s)
	}
	if err != nil {
		c.t.Fatalf("client.mjs: %v: %s", err, line)
	}
	return s
}

// call gives a tool's structured content.
func (c *client) call(tool, arguments string) map[string]any {
	c.t.Helper()
	if _, err := io.WriteString(c.in, `{"name":"`+tool+`","arguments":`+arguments+"}\n"); err != nil {
		c.t.Fatal(err)
	}
	got := c.next()
	if got.Error != nil || got.Result.IsError || got.Result.StructuredContent == nil {
		c.t.Fatalf("%s: %+v", tool, got)
	}
	return got.Result.StructuredContent
}

// TestDeviceLogin is the whole way: a login with a code on another device, a
// client that knows nothing of it, tokens that end between its calls, two
// replicas, and the end of the login.
func TestDeviceLogin(t *testing.T) {
	p := providerOf(t, brief)
	f := startReplicas(t, p.issuer, twoServers)
	h := &home{t: t, dir: t.TempDir(), name: "ada"}
	url := f.resource("a")
	h.must("login", url, "--device", "--client-id", "stagedoor-cli", "--store", "file")
	if h.times != 1 {
		t.Fatalf("the user was asked %d times: %s", h.times, &h.said)
	}
	who := h.must("whoami", url)
	for _, want := range []string{"ada", p.issuer, "mcp:read", "dev"} {
		if !strings.Contains(who, want) {
			t.Errorf("whoami does not tell %s:\n%s", want, who)
		}
	}
	clients := []*client{h.connect("old", url), h.connect("new", url)}
	for range 2 {
		for _, c := range clients {
			if got := c.call("list", `{"say":"hello"}`); got["said"] != "hello" {
				t.Errorf("got %v", got)
			}
		}
		token := strings.TrimSpace(h.must("token", url))
		wait(t, payload(t, token))
		f.want("a token that ended", modern(token, "list", "{}"), http.StatusUnauthorized, "")
	}
	if h.times != 1 {
		t.Errorf("the user was asked %d times: %s", h.times, &h.said)
	}
	for _, r := range f.plugin.requests() {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("the plugin had %+v", r)
		}
	}
	h.must("logout", url)
	if out, err := h.run("token", url); err == nil || !strings.Contains(h.said.String(), "stagedoor login "+url) {
		t.Errorf("after the logout: %s, %s", out, &h.said)
	}
	if strings.Contains(f.log.String()+h.said.String(), "eyJ") {
		t.Error("a token was logged")
	}
}

// wait is until a token has ended.
func wait(t *testing.T, claims map[string]any) {
	t.Helper()
	exp, ok := claims["exp"].(float64)
	if !ok {
		t.Fatalf("a token without an end: %v", claims)
	}
	time.Sleep(time.Until(time.Unix(int64(exp), 0)))
}

// TestStepUpLogin: a call that needs more than the login has asks the user once
// more, and goes through.
func TestStepUpLogin(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	h := &home{t: t, dir: t.TempDir(), name: "admin-ada"}
	// It logs in. The new client would first ask a process whose standard error it throws away.
	c := h.connect("old", f.resource("a"), "--device", "--client-id", "stagedoor-cli", "--store", "file")
	c.call("list", "{}")
	if got := c.call("bill", "{}"); got["method"] != http.MethodPost {
		t.Errorf("got %v", got)
	}
	if h.times != 2 {
		t.Errorf("the user was asked %d times: %s", h.times, &h.said)
	}
	c.call("list", "{}")
	c.call("clear", "{}") // mcp:destructive came with it
	if who := h.must("whoami", f.resource("a")); h.times != 2 || !strings.Contains(who, "billing:admin") || !strings.Contains(who, "mcp:read") {
		t.Errorf("asked %d times, and is\n%s", h.times, who)
	}
}

// TestBrowserLogin: with a code and PKCE, by a client that registers itself.
func TestBrowserLogin(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	h := &home{t: t, dir: t.TempDir(), name: "ada"}
	h.must("login", f.resource("b"), "--browser", "--no-open", "--store", "file")
	token := strings.TrimSpace(h.must("token", f.resource("b")))
	if claims := payload(t, token); claims["aud"] != f.resource("b") || claims["sub"] != "ada" || claims["client_id"] == "stagedoor-cli" {
		t.Errorf("token has %v", claims)
	}
	f.want("at b", ask{path: "/mcp/b", token: token, body: initialize}, http.StatusOK, "")
	if out, err := h.run("token", f.resource("a")); err == nil {
		t.Errorf("a login at b is one at a: %s", out)
	}
	if matches, err := filepath.Glob(filepath.Join(h.dir, "stagedoor", "tokens.json")); err != nil || len(matches) != 1 {
		t.Errorf("%v %v", matches, err)
	}
}
