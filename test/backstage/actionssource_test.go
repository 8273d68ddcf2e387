package backstage_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/gateway"
)

// petDocument describes a service that Backstage knows only by way of the
// gateway, as its app-config.yaml says.
const petDocument = `
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets:
    get:
      operationId: list-pets
      x-action: true
      responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Pet"}}}}}}
    post:
      operationId: create-pet
      description: Makes a pet.
      x-action: {attributes: {destructive: true}}
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: {"201": {description: made, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
  /pets/{name}:
    get:
      operationId: get-pet
      description: Gives a pet.
      x-action: true
      parameters: [{name: name, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
components:
  schemas:
    Pet:
      type: object
      required: [name]
      properties:
        name: {type: string}
        home: {$ref: "#/components/schemas/Home"}
        mother: {$ref: "#/components/schemas/Pet"}
    Home: {type: object, properties: {city: {type: string}}}
`

// petService answers, or fails as its caller wants.
func petService(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/pets/")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/pets" && r.Method == http.MethodGet:
		fmt.Fprint(w, `[{"name":"Rex"},{"name":"Minka"}]`)
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	case name == "taken":
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"message":"two pets have that name"}`)
	case name == "nobody":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"no such pet"}`)
	case name == "private":
		w.WriteHeader(http.StatusForbidden)
	case name == "broken":
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"message":"stack at secret.js"}`)
	default:
		fmt.Fprintf(w, `{"name":%q,"home":{"city":"Bruges"}}`, name)
	}
}

// petSource starts a gateway where Backstage looks for the plugin pets.
func petSource(t *testing.T) {
	t.Helper()
	port := os.Getenv("STAGEDOOR_TEST_GATEWAY_PORT")
	if port == "" {
		t.Skip("STAGEDOOR_TEST_GATEWAY_PORT is not set; test/backstage/run.sh sets it")
	}
	service := httptest.NewServer(http.HandlerFunc(petService))
	t.Cleanup(service.Close)
	plugin := gateway.DefaultPlugin()
	plugin.Document, plugin.BaseURL = []byte(petDocument), service.URL
	server := gateway.DefaultServer()
	server.Actions.Include = []gateway.Rule{{Plugin: "pets"}}
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "source.db"))
	cfg.Plugins = map[string]gateway.Plugin{"pets": plugin}
	cfg.Servers = map[string]gateway.Server{"pets": server}
	g, err := gateway.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	running := &http.Server{Handler: g.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = running.Serve(listener) }() // ends with Close
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
}

// askBackstage sends a request to Backstage and gives the answer, of a stream its last
// event.
func askBackstage(t *testing.T, method, path, body string) []byte {
	t.Helper()
	url, token := backstage(t)
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %v: %s", method, path, resp.Status, err, data)
	}
	if _, event, ok := bytes.Cut(data, []byte("data: ")); ok && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return bytes.TrimSpace(event)
	}
	return data
}

// askMCP asks Backstage's MCP server.
func askMCP(t *testing.T, method, params string, result any) {
	t.Helper()
	answer := askBackstage(t, http.MethodPost, "/api/mcp-actions/v1", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params))
	var envelope struct{ Result, Error json.RawMessage }
	if err := json.Unmarshal(answer, &envelope); err != nil || envelope.Result == nil {
		t.Fatalf("%s %s: %s", method, params, answer)
	}
	if err := json.Unmarshal(envelope.Result, result); err != nil {
		t.Fatal(err)
	}
}

type backstageTool struct {
	Name, Description string
	Annotations       map[string]any
}

func TestSourceOfMCP(t *testing.T) {
	petSource(t)
	var listed struct{ Tools []backstageTool }
	askMCP(t, "tools/list", `{}`, &listed)
	listed.Tools = slices.DeleteFunc(listed.Tools, func(tool backstageTool) bool { return !strings.HasPrefix(tool.Name, "pets.") })
	hints := func(readOnly, destructive, idempotent bool, title string) map[string]any {
		return map[string]any{"readOnlyHint": readOnly, "destructiveHint": destructive, "idempotentHint": idempotent, "openWorldHint": false, "title": title}
	}
	want := []backstageTool{
		{"pets.create-pet", "Makes a pet.", hints(false, true, false, "Create pet")},
		{"pets.get-pet", "Gives a pet.", hints(true, false, true, "Get pet")},
		{"pets.list-pets", "List pets", hints(true, false, true, "List pets")},
	}
	if diff := cmp.Diff(want, listed.Tools); diff != "" {
		t.Errorf("tools of Backstage (-want +got)\n%s", diff)
	}
	for call, want := range map[string]string{
		`{"name":"pets.get-pet","arguments":{"name":"Rex"}}`:     `{"name":"Rex","home":{"city":"Bruges"}}`,
		`{"name":"pets.list-pets"}`:                              `{"result":[{"name":"Rex"},{"name":"Minka"}]}`,
		`{"name":"pets.create-pet","arguments":{"name":"Bo"}}`:   `{"name":"Bo"}`,
		`{"name":"pets.get-pet","arguments":{"name":5}}`:         "InputError: invalid arguments: name: got number, want string",
		`{"name":"pets.get-pet"}`:                                "InputError: invalid arguments: name is missing",
		`{"name":"pets.get-pet","arguments":{"name":"nobody"}}`:  "NotFoundError: HTTP 404 Not Found: no such pet",
		`{"name":"pets.get-pet","arguments":{"name":"taken"}}`:   "ConflictError: HTTP 409 Conflict: two pets have that name",
		`{"name":"pets.get-pet","arguments":{"name":"private"}}`: "ResponseError: HTTP 403 Forbidden",
		`{"name":"pets.get-pet","arguments":{"name":"broken"}}`:  "ServiceUnavailableError: the plugin failed (HTTP 500) (reference ",
		`{"name":"pets.nothing","arguments":{}}`:                 "NotFoundError: Action",
	} {
		var result struct {
			Content           []struct{ Text string }
			StructuredContent json.RawMessage
			IsError           bool
		}
		askMCP(t, "tools/call", call, &result)
		failed := !strings.HasPrefix(want, "{")
		if len(result.Content) != 1 || result.IsError != failed || !strings.HasPrefix(result.Content[0].Text, want) {
			t.Errorf("%s: got %+v, want %s", call, result, want)
		}
		if !failed && cmp.Diff(decode(t, []byte(want)), decode(t, result.StructuredContent)) != "" {
			t.Errorf("%s: structured content %s, want %s", call, result.StructuredContent, want)
		}
	}
}

// petTemplate calls an action that only reads, and hands on what another one that
// does more gives back: in a dry run only from its schema.
const petTemplate = `{
  "template": {"apiVersion": "scaffolder.backstage.io/v1beta3", "kind": "Template", "metadata": {"name": "pets"},
    "spec": {"type": "service", "owner": "guests",
      "steps": [
        {"id": "read", "name": "Read", "action": "pets:get-pet", "input": {"name": "${{ parameters.name }}"}},
        {"id": "make", "name": "Make", "action": "pets:create-pet", "input": {"name": "${{ steps.read.output.name }} the second"}}],
      "output": {"text": [{"title": "city", "content": "${{ steps.read.output.home.city }}"},
        {"title": "made", "content": "${{ steps.make.output.name }} at ${{ steps.make.output.home.city }}"}]}}},
  "values": {"name": "Rex"}, "directoryContents": [{"path": "template.yaml", "base64Content": "%s"}]}`

func TestSourceOfTemplates(t *testing.T) {
	petSource(t)
	var actions []struct {
		ID     string
		Schema struct{ Input, Output map[string]any }
	}
	if err := json.Unmarshal(askBackstage(t, http.MethodGet, "/api/scaffolder/v2/actions", ""), &actions); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, a := range actions {
		if strings.HasPrefix(a.ID, "pets:") {
			ids = append(ids, a.ID)
			if a.Schema.Input["type"] != "object" || a.Schema.Output["type"] != "object" {
				t.Errorf("%s: %+v", a.ID, a.Schema)
			}
		}
	}
	slices.Sort(ids)
	if strings.Join(ids, " ") != "pets:create-pet pets:get-pet pets:list-pets" {
		t.Error("actions of the scaffolder:", ids)
	}
	answer := askBackstage(t, http.MethodPost, "/api/scaffolder/v2/dry-run", fmt.Sprintf(petTemplate, base64.StdEncoding.EncodeToString([]byte("{}"))))
	var run struct {
		Output struct {
			Text []struct{ Title, Content string }
		}
		Log []struct{ Body struct{ Message string } }
	}
	if err := json.Unmarshal(answer, &run); err != nil {
		t.Fatal(err)
	}
	want := []struct{ Title, Content string }{{"city", "Bruges"}, {"made", "<example> at <example>"}}
	if diff := cmp.Diff(want, run.Output.Text); diff != "" {
		t.Errorf("dry run (-want +got)\n%s\n%s", diff, answer)
	}
}
