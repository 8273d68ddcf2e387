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
