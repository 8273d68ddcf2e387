package backstage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/gateway/publish"
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
    parameters: [{name: name, in: path, required: true, schema: {type: string}}]
    get:
      operationId: get-pet
      description: Gives a pet.
      x-action: true
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
    delete:
      operationId: release-pet
      x-action: true
      responses: {"204": {description: gone}}
  /pets/{name}/picture:
    parameters: [{name: name, in: path, required: true, schema: {type: string}}]
    get:
      operationId: get-picture
      x-action: true
      responses: {"200": {description: ok, content: {image/png: {}}}}
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
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case strings.HasSuffix(name, "/picture"):
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, "\x89PNG")
	case name == "odd":
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"message":"that is no name"}`)
	case name == "foreign":
		w.WriteHeader(http.StatusUnauthorized)
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

// petSource is a gateway with the plugin pets in its config.
func petSource(t *testing.T) string {
	t.Helper()
	backstage(t)
	plugin := gateway.DefaultPlugin()
	plugin.Document, plugin.BaseURL = []byte(petDocument), pets(t)
	cfg := testConfig(t)
	cfg.Plugins["pets"] = plugin
	return serveSource(t, cfg)
}

// pets gives the base URL of a pet service.
func pets(t *testing.T) string {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(petService))
	t.Cleanup(service.Close)
	return service.URL
}

// serveSource starts a gateway where Backstage looks for the plugin pets, with
// a server of that name, and gives its URL.
func serveSource(t *testing.T, cfg gateway.Config) string {
	t.Helper()
	server := gateway.DefaultServer()
	server.Actions.Include = []gateway.Rule{{Plugin: "pets"}}
	cfg.Servers["pets"] = server
	return serveForBackstage(t, cfg)
}

// serveForBackstage starts a gateway where Backstage looks for its plugins, and
// gives its URL.
func serveForBackstage(t *testing.T, cfg gateway.Config) string {
	t.Helper()
	g := start(t, cfg)
	address := "127.0.0.1:" + os.Getenv("STAGEDOOR_TEST_GATEWAY_PORT")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	running := &http.Server{Handler: g.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = running.Serve(listener) }() // ends with Close
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + address
}

// askBackstage sends a request to Backstage as the gateway's service, and gives
// the answer, of a stream its last event.
func askBackstage(t *testing.T, method, path, body string) []byte {
	t.Helper()
	_, token := backstage(t)
	return askAs(t, token, method, path, body)
}

func askAs(t *testing.T, token, method, path, body string) []byte {
	t.Helper()
	url, _ := backstage(t)
	ctx := context.WithoutCancel(t.Context()) // clean-ups ask, too
	req, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
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
	if err != nil || resp.StatusCode >= 300 {
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
		{"pets.get-picture", "Get picture", hints(true, false, true, "Get picture")},
		{"pets.list-pets", "List pets", hints(true, false, true, "List pets")},
		{"pets.release-pet", "Release pet", hints(false, true, true, "Release pet")},
	}
	if diff := cmp.Diff(want, listed.Tools); diff != "" {
		t.Errorf("tools of Backstage (-want +got)\n%s", diff)
	}
	for call, want := range map[string]string{
		`{"name":"pets.get-pet","arguments":{"name":"Rex"}}`:             `{"name":"Rex","home":{"city":"Bruges"}}`,
		`{"name":"pets.list-pets"}`:                                      `{"result":[{"name":"Rex"},{"name":"Minka"}]}`,
		`{"name":"pets.create-pet","arguments":{"name":"Bo"}}`:           `{"name":"Bo"}`,
		`{"name":"pets.get-picture","arguments":{"name":"Bo"}}`:          `{"mediaType":"image/png","base64":"iVBORw=="}`,
		`{"name":"pets.release-pet","arguments":{"name":"Bo"}}`:          `{}`,
		`{"name":"pets.get-pet","arguments":{"name":"Ärger 灯 \"?#%2F"}}`: `{"name":"Ärger 灯 \"?#%2F","home":{"city":"Bruges"}}`,
		`{"name":"pets.get-pet","arguments":{"name":"../x"}}`:            "InputError: an argument would change the path",
		`{"name":"pets.get-pet","arguments":{"name":"odd"}}`:             "InputError: HTTP 422 Unprocessable Entity: that is no name",
		`{"name":"pets.get-pet","arguments":{"name":"foreign"}}`:         "ResponseError: the plugin does not accept the gateway's credentials",
		`{"name":"pets.get-pet","arguments":{"name":5}}`:                 "InputError: invalid arguments: name: got number, want string",
		`{"name":"pets.get-pet"}`:                                        "InputError: invalid arguments: name is missing",
		`{"name":"pets.get-pet","arguments":{"name":"nobody"}}`:          "NotFoundError: HTTP 404 Not Found: no such pet",
		`{"name":"pets.get-pet","arguments":{"name":"taken"}}`:           "ConflictError: HTTP 409 Conflict: two pets have that name",
		`{"name":"pets.get-pet","arguments":{"name":"private"}}`:         "ResponseError: HTTP 403 Forbidden",
		`{"name":"pets.get-pet","arguments":{"name":"broken"}}`:          "ResponseError: the plugin failed (HTTP 500) (reference ",
		`{"name":"pets.nothing","arguments":{}}`:                         "NotFoundError: Action",
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

// TestSourceOfNamedServer: a named server of Backstage chooses among the
// gateway's actions by their attributes, and MCP's official client uses it.
func TestSourceOfNamedServer(t *testing.T) {
	petSource(t)
	url, token := backstage(t)
	tools, call := official(t, url+"/api/mcp-actions/v1/kennel", token)
	if diff := cmp.Diff([]string{"pets.get-pet", "pets.get-picture", "pets.list-pets"}, slices.Sorted(maps.Keys(tools))); diff != "" {
		t.Errorf("tools (-want +got)\n%s", diff)
	}
	if r := call("pets.list-pets", `{}`); r.IsError || look(t, `[.result[].name]`, r.StructuredContent) != `["Rex","Minka"]` {
		t.Errorf("got %+v", r)
	}
	if r := call("pets.get-pet", `{"name":"nobody"}`); !r.IsError || r.Content[0].Text != "NotFoundError: HTTP 404 Not Found: no such pet" {
		t.Errorf("got %+v", r)
	}
	if r := call("pets.release-pet", `{"name":"Rex"}`); !r.IsError {
		t.Errorf("what only reads releases: %+v", r)
	}
}

// petTemplate calls an action that only reads, and hands on what another one that
// does more gives back: in a dry run only from its schema.
const petTemplate = `{"apiVersion": "scaffolder.backstage.io/v1beta3", "kind": "Template", "metadata": {"name": "pets"},
  "spec": {"type": "service", "owner": "group:depot/night-shift",
    "steps": [
      {"id": "own", "name": "Own", "if": "${{ parameters.name == 'stray' }}", "action": "catalog:get-catalog-entity", "input": {"name": "stray"}},
      {"id": "list", "name": "List", "action": "pets:list-pets"},
      {"id": "read", "name": "Read", "action": "pets:get-pet", "input": {"name": "${{ parameters.name }}"}},
      {"id": "make", "name": "Make", "action": "pets:create-pet", "input": {"name": "${{ steps.read.output.name }} the second", "home": "${{ steps.read.output.home }}"}}],
    "output": {"text": [{"title": "city", "content": "${{ steps.read.output.home.city }}"},
      {"title": "first", "content": "${{ steps.list.output.result[0].name }}"},
      {"title": "made", "content": "${{ steps.make.output.name }} at ${{ steps.make.output.home.city }}"}]}}}`

type text struct{ Title, Content string }

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
	if strings.Join(ids, " ") != "pets:create-pet pets:get-pet pets:get-picture pets:list-pets pets:release-pet" {
		t.Error("actions of the scaffolder:", ids)
	}
	answer := askBackstage(t, http.MethodPost, "/api/scaffolder/v2/dry-run",
		`{"template": `+petTemplate+`, "values": {"name": "Rex"}, "directoryContents": [{"path": "template.yaml", "base64Content": "e30="}]}`)
	var run struct{ Output struct{ Text []text } }
	if err := json.Unmarshal(answer, &run); err != nil {
		t.Fatal(err)
	}
	want := []text{{"city", "Bruges"}, {"first", "Rex"}, {"made", "<example> at <example>"}}
	if diff := cmp.Diff(want, run.Output.Text); diff != "" {
		t.Errorf("dry run (-want +got)\n%s\n%s", diff, answer)
	}
}

// TestPluginComesAndGoes: what a plugin registers at the gateway is in
// Backstage at once, and out of it when it is withdrawn, and all else stays.
func TestPluginComesAndGoes(t *testing.T) {
	backstage(t)
	const token = "publisher-of-pets-0123456789"
	cfg, base := testConfig(t), pets(t)
	publisher := gateway.DefaultPublisher()
	publisher.Token, publisher.Plugins, publisher.BaseURLs = gateway.SecretValue(token), []string{"pets"}, []string{base}
	cfg.Publishers = map[string]gateway.Publisher{"pets": publisher}
	gate := serveSource(t, cfg)
	names := func() (own []string, others int) {
		var listed struct{ Tools []backstageTool }
		askMCP(t, "tools/list", `{}`, &listed)
		for _, tool := range listed.Tools {
			if strings.HasPrefix(tool.Name, "pets.") {
				own = append(own, tool.Name)
			} else {
				others++
			}
		}
		return own, others
	}
	before, others := names()
	if len(before) > 0 || others < 17 {
		t.Fatalf("tools of a plugin that is not there: %v; of others: %d", before, others)
	}
	for _, document := range []string{petDocument, strings.Replace(petDocument, "operationId: release-pet", "operationId: free-pet", 1)} {
		eventually(t, "accepted", func() string { // not more than once a second
			registration, err := publish.Once(t.Context(), publish.Options{Gateway: gate, Plugin: "pets", Token: token, BaseURL: base, Document: []byte(document)})
			return fmt.Sprint(registration.State, err)
		})
		own, still := names()
		if len(own) != 5 || slices.Contains(own, "pets.release-pet") != strings.Contains(document, "release-pet") || still != others {
			t.Errorf("after registration: %v, %d of others, want %d", own, still, others)
		}
	}
	var result struct{ StructuredContent any }
	askMCP(t, "tools/call", `{"name":"pets.get-pet","arguments":{"name":"Rex"}}`, &result)
	if got := look(t, `.home.city`, result.StructuredContent); got != `"Bruges"` {
		t.Errorf("got %s", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, gate+"/registry/v1/plugins/pets", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusNoContent {
		t.Errorf("withdrawn: HTTP %d", resp.StatusCode)
	}
	if own, still := names(); len(own) > 0 || still != others {
		t.Errorf("after withdrawal: %v, %d of others, want %d", own, still, others)
	}
}

// TestServersInBackstage: Backstage's catalog lists the gateway's MCP servers.
func TestServersInBackstage(t *testing.T) {
	registerURL(t, petSource(t)+"/catalog-info.yaml?owner=group:depot/night-shift", "api:default/pets")
	entity := decode(t, askBackstage(t, http.MethodGet, "/api/catalog/entities/by-name/api/default/pets", ""))
	const expression = `[.spec.type, .spec.owner, (.spec.definition | contains("pets_get-pet")), any(.relations[]; .targetRef == "group:depot/night-shift"), (.status.items // [])]`
	if got := look(t, expression, entity); got != `["mcp-server","group:depot/night-shift",true,true,[]]` {
		t.Errorf("got %s: %v", got, entity)
	}
}

// TestTemplateRuns: a template of the catalog whose steps are actions of the
// gateway is executed, as a user does it and as a service does. Of a step that
// fails, the scaffolder keeps the status alone, whosever the action.
func TestTemplateRuns(t *testing.T) {
	petSource(t)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, petTemplate) }))
	t.Cleanup(files.Close)
	registerURL(t, files.URL+"/template.json", "template:default/pets")
	_, service := backstage(t)
	for who, token := range map[string]string{"service": service, "user": guestToken(t)} {
		for _, tt := range []struct {
			name, failure string
			output        []text
		}{
			{"Rex", "", []text{{"city", "Bruges"}, {"first", "Rex"}, {"made", "Rex the second at Bruges"}}},
			{"nobody", "ResponseError: Request failed with 404 Not Found", nil},
			{"taken", "ResponseError: Request failed with 409 Conflict", nil},
			{"stray", "ResponseError: Request failed with 400 Bad Request", nil}, // an action of Backstage's own
			{"broken", "ResponseError: Request failed with 500 Internal Server Error", nil},
		} {
			output, failure := runTemplate(t, token, "template:default/pets", tt.name)
			if diff := cmp.Diff(tt.output, output); diff != "" || failure != tt.failure {
				t.Errorf("%s, %s: failed with %q, want %q; output (-want +got)\n%s", who, tt.name, failure, tt.failure, diff)
			}
		}
	}
}

// runTemplate executes a template to its end.
func runTemplate(t *testing.T, token, ref, name string) (output []text, failure string) {
	t.Helper()
	var task struct{ ID string }
	body := fmt.Sprintf(`{"templateRef": %q, "values": {"name": %q}}`, ref, name)
	if err := json.Unmarshal(askAs(t, token, http.MethodPost, "/api/scaffolder/v2/tasks", body), &task); err != nil {
		t.Fatal(err)
	}
	eventually(t, "completion", func() string {
		var events []struct {
			Type string
			Body struct {
				Output struct{ Text []text }
				Error  struct{ Name, Message string }
			}
		}
		answer := askAs(t, token, http.MethodGet, "/api/scaffolder/v2/tasks/"+task.ID+"/events", "")
		if err := json.Unmarshal(answer, &events); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Type == "completion" {
				output = e.Body.Output.Text
				if e.Body.Error.Message != "" {
					failure = e.Body.Error.Name + ": " + e.Body.Error.Message
				}
				return e.Type
			}
		}
		return string(answer)
	})
	return output, failure
}

// registerURL has Backstage's catalog read a URL until the test ends, and
// waits for the entity that is read there.
func registerURL(t *testing.T, url, entity string) {
	t.Helper()
	there := func() string {
		refs := fmt.Sprintf(`{"entityRefs":[%q],"fields":["kind"]}`, entity)
		return string(askBackstage(t, http.MethodPost, "/api/catalog/entities/by-refs", refs))
	}
	var registered struct{ Location struct{ ID string } }
	answer := askBackstage(t, http.MethodPost, "/api/catalog/locations", fmt.Sprintf(`{"type":"url","target":%q}`, url))
	if err := json.Unmarshal(answer, &registered); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		askBackstage(t, http.MethodDelete, "/api/catalog/locations/"+registered.Location.ID, "")
		eventually(t, "null", there)
	})
	eventually(t, "kind", there)
}
