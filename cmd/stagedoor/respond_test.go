package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

const askingDocument = `
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets/{id}:
    delete:
      operationId: delete-pet
      description: Deletes a pet.
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}, x-mcp-header: Pet}
      responses: {'200': {description: Gone., content: {application/json: {schema: {type: object}}}}}
    get:
      operationId: get-pet
      description: Gets a pet.
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}, x-mcp-header: Pet}
      responses: {'200': {description: The pet., content: {application/json: {schema: {type: object}}}}}
`

// askingServer serves the pets one tool a page, and asks before it deletes.
func askingServer(t *testing.T) string {
	t.Helper()
	p, s := gateway.DefaultPlugin(), gateway.DefaultServer()
	p.Document, p.Actions = []byte(askingDocument), "all"
	p.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"asked":%q}`, r.Method+" "+r.URL.Path)
	})
	s.Actions.Include, s.ListPage, s.Confirm = []gateway.Rule{{ID: "*"}}, 1, "destructive"
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + t.TempDir() + "/test.db")
	cfg.Plugins, cfg.Servers = map[string]gateway.Plugin{"p": p}, map[string]gateway.Server{"s": s}
	g, err := gateway.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	t.Cleanup(func() { server.Close(); _ = g.Close() })
	return server.URL + "/mcp/s"
}

// TestRemoteCalls: the command finds tools on every page, repeats arguments in
// headers, and asks its user before something is destroyed.
func TestRemoteCalls(t *testing.T) {
	url := askingServer(t)
	for name, tt := range map[string]struct {
		id, pet string
		answer  string // of the user, "" where there is no terminal
		want    string
		fault   string
	}{
		"second page":  {"p:get-pet", "rex", "", "GET /pets/rex", ""},
		"base64":       {"p:get-pet", "réx ", "", "GET /pets/réx ", ""},
		"like base64":  {"p:get-pet", "=?base64?eA==?=", "", "GET /pets/=?base64?eA==?=", ""},
		"no terminal":  {"p:delete-pet", "rex", "", "", "without a terminal: Delete pet"},
		"yes":          {"p:delete-pet", "rex", "Y\n", "DELETE /pets/rex", ""},
		"no":           {"p:delete-pet", "rex", "\n", "", "chose: decline"},
		"nobody there": {"p:delete-pet", "rex", " ", "", "chose: decline"},
		"unknown tool": {"p:get-cat", "rex", "", "", `did you mean "p_get-pet"?`},
	} {
		t.Run(name, func(t *testing.T) {
			p := &program{stdin: strings.NewReader(tt.answer), stderr: io.Discard}
			r := p.remote(url)
			if tt.answer != "" {
				r.confirm = p.confirm
			}
			arguments, _ := json.Marshal(map[string]string{"id": tt.pet})
			result, err := r.call(t.Context(), tt.id, arguments)
			switch {
			case tt.fault != "":
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Errorf("%+v %v", result, err)
				}
			case err != nil || !strings.Contains(string(result.JSON), tt.want):
				t.Errorf("%+v %v", result, err)
			}
		})
	}
}

// TestRemoteQuestions: what is more than a yes or no is told, without the
// control characters that a server may put into it.
func TestRemoteQuestions(t *testing.T) {
	r := &remote{confirm: func(string) (bool, error) { t.Error("asked"); return true, nil }}
	for request, want := range map[string]string{
		`{"method":"elicitation/create","params":{"message":"Which \u001b[2J?","requestedSchema":{"properties":{"a":{"type":"string"}}}}}`: "(elicitation/create): Which �[2J?",
		`{"method":"elicitation/create","params":{"requestedSchema":{"properties":{"a":{"type":"boolean"},"b":{"type":"boolean"}}}}}`:      "(elicitation/create)",
		`{"method":"elicitation/create","params":{"mode":"url","message":"Go there"}}`:                                                     "Go there",
		`{"method":"sampling/createMessage"}`: "(sampling/createMessage)",
	} {
		var q remoteRequest
		if err := json.Unmarshal([]byte(request), &q); err != nil {
			t.Fatal(err)
		}
		if _, err := r.respond(map[string]remoteRequest{"k": q}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", request, err)
		}
	}
	var asked bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stderr: &asked}
	if _, err := p.confirm("Delete?"); err == nil || asked.String() != "Delete?\nGo on? [y/N] " {
		t.Errorf("%q %v", asked.String(), err)
	}
}

// TestRemoteStreams: a slow answer is the last event of a stream.
func TestRemoteStreams(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, ": hello\n\ndata: {\"method\":\"notifications/progress\"}\n\nevent: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\r\ndata: \"result\":{\"a\":1}}\r\n\r\n: bye\n\n")
	}))
	defer server.Close()
	var result struct{ A int }
	if err := (&program{}).remote(server.URL).ask(t.Context(), "x", http.Header{}, map[string]any{}, &result); err != nil || result.A != 1 {
		t.Error(result, err)
	}
}

// TestRemotePages: a server that goes round in circles, or on and on, ends the
// command.
func TestRemotePages(t *testing.T) {
	for cursor, want := range map[string]string{"again": "was there before", "%d": "has more than 1000 pages"} {
		var page atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next := strings.ReplaceAll(cursor, "%d", strconv.Itoa(int(page.Add(1))))
			fmt.Fprintf(w, `{"id":1,"result":{"tools":[],"nextCursor":%q}}`, next)
		}))
		if _, err := (&program{}).remote(server.URL).list(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Error(err)
		}
		server.Close()
	}
}
