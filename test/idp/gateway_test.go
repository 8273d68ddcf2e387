package idp

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func TestMain(m *testing.M) {
	code := storetest.Main(m)
	stopProviders()
	removeBinary()
	os.Exit(code)
}

// patience is how long a test waits for what must happen, at worst.
const patience = 60 * time.Second

// document is of a plugin with an action of each kind.
const document = `
openapi: 3.1.0
info: {title: Things, version: "1"}
paths:
  /things:
    get:
      operationId: list
      x-action: true
      parameters: [{name: say, in: query, schema: {type: string}}, {name: ms, in: query, schema: {type: integer}}]
      responses: {'200': {description: Things., content: {application/json: {schema: {type: object}}}}}
    post:
      operationId: make
      x-action: true
      requestBody: {content: {application/json: {schema: {type: object, properties: {name: {type: string}}}}}}
      responses: {'200': {description: It., content: {application/json: {schema: {type: object}}}}}
    delete:
      operationId: clear
      x-action: true
      responses: {'200': {description: Gone., content: {application/json: {schema: {type: object}}}}}
  /bills:
    post:
      operationId: bill
      x-action: {scopes: ["billing:admin"]}
      responses: {'200': {description: It., content: {application/json: {schema: {type: object}}}}}
`

// seen is a request as the plugin had it.
type seen struct {
	Method, URL, Body string
	Header            http.Header
}

// spy is the plugin, which writes down all that it is sent.
type spy struct {
	url string
	mu  sync.Mutex
	all []seen
}

func startSpy(t *testing.T) *spy {
	t.Helper()
	s := &spy{}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.url = server.URL
	return s
}

// ServeHTTP answers with what it was sent, after the milliseconds that ms says.
func (s *spy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what came is looked at
	s.mu.Lock()
	s.all = append(s.all, seen{r.Method, r.URL.String(), string(body), r.Header.Clone()})
	s.mu.Unlock()
	d, _ := time.ParseDuration(r.FormValue("ms") + "ms") // none where it is not given
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"method": r.Method, "said": r.FormValue("say"), "assertion": r.Header.Get("Stagedoor-Assertion"), "authorization": r.Header.Get("Authorization")})
}

func (s *spy) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen{}, s.all...)
}

// record is a log that may be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// front is a gateway on a socket, made of YAML as a user writes it.
type front struct {
	*gateway.Gateway
	t      *testing.T
	url    string
	plugin *spy
	log    *record
}

// configure writes a config and its documents, of which others.yaml claims to be
// at the plugin of things.yaml: ORIGIN, PLUGIN and IDP in it
// become URLs.
func configure(t *testing.T, dir, origin, plugin, issuer, yaml string) string {
	t.Helper()
	path := filepath.Join(dir, "config.yaml")
	text := "publicURL: ORIGIN\n" + yaml
	if !strings.Contains(yaml, "\nplugins:") {
		text += "plugins: {things: {spec: things.yaml, baseURL: PLUGIN, attributes: {make: {destructive: false}}}}\n"
	}
	text = strings.NewReplacer("ORIGIN", origin, "PLUGIN", plugin, "IDP", issuer).Replace(text)
	claims := strings.Replace(document, "paths:", "servers: [{url: "+plugin+"}]\npaths:", 1)
	for name, content := range map[string]string{path: text, filepath.Join(dir, "things.yaml"): document, filepath.Join(dir, "others.yaml"): claims} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// twoServers are resources of one issuer: a has all actions, b only list.
const twoServers = `
auth:
  - jwt: {issuer: "IDP"}
servers:
  a: {toolNames: "{action}", actions: {include: ["things:*"]}}
  b: {toolNames: "{action}", actions: {include: ["things:list"]}}
`

func openGateway(t *testing.T, issuer, yaml string) *front {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	f := &front{t: t, url: "http://" + server.Listener.Addr().String(), plugin: startSpy(t), log: &record{}}
	dir := t.TempDir()
	file, err := config.Load(configure(t, dir, f.url, f.plugin.url, issuer, yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Gateway, err = gateway.New(t.Context(), file.Config, gateway.WithLogger(slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})))); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = f.Handler()
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			log := f.log.String()
			t.Logf("the log ends with\n%s", log[max(0, len(log)-4000):])
		}
	})
	return f
}

// resource is the URL of a server: what its tokens are for.
func (f *front) resource(server string) string { return f.url + "/mcp/" + server }

// ask is a request to the gateway.
type ask struct {
	method  string // POST where it is not said
	path    string // /mcp/a where it is not said
	token   string // "": no Authorization
	session string
	header  http.Header
	body    string
}

// answer is what came of one.
type answer struct {
	status int
	header http.Header
	body   string
}

// challenge is a parameter of WWW-Authenticate.
func (a answer) challenge(name string) string {
	for _, p := range strings.Split(strings.TrimPrefix(a.header.Get("WWW-Authenticate"), "Bearer "), ", ") {
		if value, ok := strings.CutPrefix(p, name+"="); ok {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

func (f *front) request(r ask) *http.Request {
	f.t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.path == "" {
		r.path = "/mcp/a"
	}
	request, err := http.NewRequestWithContext(f.t.Context(), r.method, f.url+r.path, strings.NewReader(r.body))
	if err != nil {
		f.t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Session-Id": r.session} {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	for name, values := range r.header {
		request.Header[http.CanonicalHeaderKey(name)] = values
		if name == "Host" {
			request.Host = values[0]
		}
	}
	return request
}

func (f *front) do(r ask) answer {
	f.t.Helper()
	client := http.Client{Timeout: patience}
	response, err := client.Do(f.request(r))
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// want is do, for an answer that has a status and a text in its body.
func (f *front) want(what string, r ask, status int, text string) answer {
	f.t.Helper()
	got := f.do(r)
	if got.status != status || !strings.Contains(got.body, text) {
		f.t.Errorf("%s: %d %s, want %d and %q (%s)", what, got.status, got.body, status, text, got.header.Get("WWW-Authenticate"))
	}
	return got
}

const (
	initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	ping       = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`
)

// session begins one at a server.
func (f *front) session(server, token string) string {
	f.t.Helper()
	got := f.want("initialize", ask{path: "/mcp/" + server, token: token, body: initialize}, http.StatusOK, "protocolVersion")
	return got.header.Get("Mcp-Session-Id")
}

// modern is a call of 2026-07-28, which needs no session.
func modern(token, tool, arguments string) ask {
	return ask{
		token:  token,
		header: http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {tool}},
		body:   `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `,` + modernMeta + `}}`,
	}
}

// legacy is a call in a session.
func legacy(token, session, tool, arguments string) ask {
	return ask{token: token, session: session, body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`}
}

// listen opens a stream.
func (f *front) listen(r ask) (*http.Response, error) {
	f.t.Helper()
	return (&http.Client{}).Do(f.request(r)) // #nosec G704 -- the gateway under test
}

// dial is a bare connection.
func (f *front) dial() net.Conn {
	f.t.Helper()
	c, err := (&net.Dialer{}).DialContext(f.t.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	return c
}
