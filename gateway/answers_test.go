package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
)

const answersDocument = `
openapi: 3.1.0
info: {title: Answers, version: "1"}
paths:
  /thing:
    get:
      operationId: thing
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, required: [name], properties: {name: {type: string, pattern: "(?i)x"}}}}}}}
  /image:
    get: {operationId: image, responses: {"200": {description: ok, content: {image/png: {}}}}}
  /file:
    get: {operationId: file, responses: {"200": {description: ok, content: {application/zip: {}}}}}
  /page:
    get:
      operationId: page
      parameters: [{name: per_page, in: query, schema: {type: integer}}]
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object}}}}}
  /events:
    get: {operationId: events, responses: {"200": {description: ok, content: {text/event-stream: {}}}}}
`

// answersPlugin is a plugin with every kind of answer; its /thing breaks its
// own document. accepted gets each request's Accept.
func answersPlugin(accepted map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		accepted[r.URL.Path] = r.Header.Get("Accept")
		h := w.Header()
		switch r.URL.Path {
		case "/thing":
			h.Set("Content-Type", "application/json; charset=iso-8859-1")
			h.Set("Location", "http://"+r.Host+"/thing/7")
			_, _ = io.WriteString(w, "{\"name\":null,\"caf\xe9\":1}")
		case "/image":
			h.Set("Content-Type", "image/png")
			_, _ = io.WriteString(w, "\x89PNG\r\n\x1a\n\x00")
		case "/file":
			h.Set("Content-Type", "application/zip")
			_, _ = io.WriteString(w, "PK\x03\x04\x00")
		case "/page":
			h.Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"items":["%s"]}`, strings.Join(strings.Split(strings.Repeat("x", 1000), ""), `","`))
		case "/events":
			h.Set("Content-Type", "text/event-stream")
			for i := range 3 {
				fmt.Fprintf(w, "event: step\ndata: {\"message\":\"step %d\"}\n\n", i)
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
}

func answersGateway(t *testing.T, log io.Writer) (url string, accepted map[string]string) {
	t.Helper()
	accepted = map[string]string{}
	server := httptest.NewServer(answersPlugin(accepted))
	t.Cleanup(server.Close)
	p, s := gateway.DefaultPlugin(), gateway.DefaultServer()
	p.Document, p.BaseURL, p.Actions, p.MaxResponse = []byte(answersDocument), server.URL, "all", 1000
	s.Actions.Include = []gateway.Rule{{ID: "*"}}
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + t.TempDir() + "/test.db")
	cfg.Plugins = map[string]gateway.Plugin{"p": p}
	cfg.Servers = map[string]gateway.Server{"s": s}
	g := start(t, cfg, gateway.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	served := httptest.NewServer(g.Handler())
	t.Cleanup(served.Close)
	return served.URL, accepted
}

// TestAnswers: what a plugin answers arrives, from socket to socket.
func TestAnswers(t *testing.T) {
	url, accepted := answersGateway(t, io.Discard)
	for _, tt := range []struct{ action, accept, want string }{
		{"thing", "application/json", `"io.github.stagedoor/http":{"status":200,"headers":{"location":"/thing/7"}}},` +
			`"content":[{"type":"text","text":"{\"name\":null,\"café\":1}"}],"structuredContent":{"name":null,"café":1}}}`},
		{"image", "image/png", `"content":[{"type":"image","mimeType":"image/png","data":"iVBORw0KGgoA"}]}}`},
		{"file", "application/zip", `"content":[{"type":"resource","resource":{"uri":"stagedoor:///p/file/ab26c88d690490a5","mimeType":"application/zip","blob":"UEsDBAA="}}]}}`},
		{"page", "application/json", `{"type":"text","text":"The plugin's answer is larger than 1000 bytes and was cut: items has its first 247 items, and what follows is missing. Ask for less with per_page."}]`},
		{"events", "text/event-stream", `"structuredContent":[{"event":"step","data":{"message":"step 0"}},{"event":"step","data":{"message":"step 1"}},{"event":"step","data":{"message":"step 2"}}]}}`},
	} {
		status, body := rpc(t, url+"/mcp/s", "tools/call", "p_"+tt.action, `"name":"p_`+tt.action+`",`)
		if status != 200 || !strings.Contains(body, tt.want) || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d\n%s\nwant\n%s", tt.action, status, body, tt.want)
		}
		if got := accepted["/"+tt.action]; got != tt.accept {
			t.Errorf("%s: Accept %q, want %q", tt.action, got, tt.accept)
		}
	}
}

// lines is a log that a test reads line by line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestMismatch: an answer that breaks its document is delivered, told once and
// counted each time.
func TestMismatch(t *testing.T) {
	log := make(lines, 100)
	url, _ := answersGateway(t, log)
	for range 3 {
		if _, body := rpc(t, url+"/mcp/s", "tools/call", "p_thing", `"name":"p_thing",`); !strings.Contains(body, `"structuredContent":{"name":null`) || strings.Contains(body, "isError") {
			t.Fatal(body)
		}
	}
	const want = `"level":"WARN","msg":"answer breaks its output schema","plugin":"p","action":"thing","operation":"GET /thing","document":"document:7:7","complaint":"name: got null, want string"}`
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said := ""
	for !strings.Contains(said, want) {
		select {
		case line := <-log:
			said += line
		case <-ctx.Done():
			t.Fatal("not told: ", said)
		}
	}
	for metric := ""; !strings.Contains(metric, `stagedoor_output_mismatches_total{action="thing",plugin="p"} 3`); {
		if ctx.Err() != nil {
			t.Fatal("not counted: ", metric)
		}
		resp, err := http.Get(url + "/metrics") //nolint:noctx // the loop has a limit
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		metric = string(text)
	}
	for len(log) > 0 {
		if line := <-log; strings.Contains(line, "breaks its output schema") {
			t.Error("told again: ", line)
		}
	}
}
