package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestRemoteResults: what another gateway's tool answers is printed as the
// plugin answered it.
func TestRemoteResults(t *testing.T) {
	const cut = `{"type":"text","text":"The answer was cut."}`
	for name, tt := range map[string]struct{ result, out, json, note string }{
		"json":  {`"content":[{"type":"text","text":"{}"}],"structuredContent":{"a":1}`, "{\n  \"a\": 1\n}\n", "{\n  \"a\": 1\n}\n", ""},
		"cut":   {`"content":[{"type":"text","text":"[1]"},` + cut + `],"structuredContent":[1]`, "[\n  1\n]\n", "[\n  1\n]\n", "The answer was cut.\n"},
		"text":  {`"content":[{"type":"text","text":"hi"}]`, "hi\n", "\"hi\"\n", ""},
		"image": {`"content":[{"type":"image","mimeType":"image/png","data":"iVA="}],"structuredContent":{"mediaType":"image/png","bytes":2}`, "\x89P", "\"iVA=\"\n", ""},
		"file":  {`"content":[{"type":"resource","resource":{"uri":"stagedoor:///p/x/1","mimeType":"application/zip","blob":"UEs="}}]`, "PK", "\"UEs=\"\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				result := `"tools":[{"name":"p_x","inputSchema":{"type":"object"},"annotations":{}}]`
				if r.Header.Get("Mcp-Method") == "tools/call" {
					result = tt.result
				}
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{%s}}`, result)
			}))
			defer server.Close()
			for flag, want := range map[string]string{"": tt.out, "--json": tt.json} {
				var out, note bytes.Buffer
				p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &note, environ: []string{}}
				args := strings.Fields("actions call p:x --url " + server.URL + "/mcp/p " + flag)
				if code := p.run(t.Context(), args); code != 0 || out.String() != want || note.String() != tt.note {
					t.Errorf("%s: exit %d, %q, %q", flag, code, out.String(), note.String())
				}
			}
		})
	}
}

// TestTokensStay: a token goes to the server that it was given for, and no
// redirect takes it elsewhere, be it to another port of the same host.
func TestTokensStay(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	for _, path := range []string{"/mcp/p", ""} {
		var out, note bytes.Buffer
		p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &note, environ: []string{"TOKEN=canary"}}
		code := p.run(t.Context(), []string{"actions", "list", "--url", server.URL + path, "--token-env", "TOKEN"})
		if want := "stagedoor: server: HTTP 307, which leads to " + elsewhere.URL + ": give that URL, if it is the right one\n"; code != 1 || note.String() != want {
			t.Errorf("exit %d, %s", code, note.String())
		}
	}
}

// TestTokenRefused: what to do about a token that a server does not take depends
// on where it is from; and nothing that a server says plays with the terminal.
func TestTokenRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		path, token, args string
		status            int
		want              string
	}{
		"server, variable":   {"/mcp/p", "canary", "--token-env TOKEN", 401, "; put a valid token into TOKEN"},
		"server, login":      {"/mcp/p", "", "", 401, "; to log in: stagedoor login URL/mcp/p"},
		"server, scope":      {"/mcp/p", "", "", 403, `; server wants the scopes mcp:write: run stagedoor login URL/mcp/p --scope "mcp:write"`},
		"source, no token":   {"", "", "", 401, "; --token-env names the variable of the environment that has one"},
		"source, variable":   {"", "canary", "--token-env TOKEN", 401, "; put a valid token into TOKEN"},
		"token with newline": {"/mcp/p", "canary\nX: y", "--token-env TOKEN", 401, "--token-env: TOKEN has a space, a line break or something else that no token has"},
		"connect, newline":   {"/mcp/p", "canary\n", "", 401, "--token-env: TOKEN has a space, a line break or something else that no token has"},
		"connect, unset":     {"/mcp/p", "", "", 401, "--token-env: TOKEN is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="mcp:write"`)
				w.WriteHeader(tt.status)
				fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"error":{"name":"X","code":-1,"message":"no\u001b[2J"}}`)
			}))
			defer server.Close()
			args := strings.Fields("actions list --url " + server.URL + tt.path + " " + tt.args)
			if strings.HasPrefix(name, "connect") {
				args = strings.Fields("connect " + server.URL + tt.path + " --token-env TOKEN")
			}
			var out, note bytes.Buffer
			t.Setenv("XDG_CONFIG_HOME", t.TempDir())
			t.Setenv("HOME", t.TempDir())
			p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &note, environ: []string{"TOKEN=" + tt.token}}
			code := p.run(t.Context(), args)
			said := strings.ReplaceAll(note.String(), server.URL, "URL")
			if code != 1 || !strings.HasSuffix(said, tt.want+"\n") || strings.Contains(said, "\x1b") || strings.Contains(said, "canary") {
				t.Errorf("exit %d, %q", code, said)
			}
		})
	}
}
