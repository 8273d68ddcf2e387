package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
	"github.com/stagedoor/stagedoor/openapi"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// fakeInvoker answers as its action's name says.
type fakeInvoker struct {
	mu   sync.Mutex
	gate chan struct{} // "wait" waits for it or for its context
	seen []string      // raw arguments
}

func (f *fakeInvoker) Invoke(ctx context.Context, call registry.Call) (*invoke.Result, error) {
	p, a, arguments := call.Principal, call.Action, call.Arguments
	f.mu.Lock()
	f.seen = append(f.seen, string(arguments))
	f.mu.Unlock()
	secret := errors.New("dial tcp db.internal:5432: password hunter2")
	switch a.Name {
	case "echo":
		return &invoke.Result{JSON: json.RawMessage(`{"you":"` + p.Subject + `","said":` + string(arguments) + `}`)}, nil
	case "owners":
		return &invoke.Result{JSON: json.RawMessage(`["ada","grace \"g\" 日本"]`)}, nil
	case "maybe":
		return &invoke.Result{JSON: json.RawMessage(`{"name":"x"}`)}, nil
	case "note":
		return &invoke.Result{Text: "line 1\nline 2 <&> \x00 \xff end"}, nil
	case "typednote":
		return &invoke.Result{Text: "words"}, nil
	case "image", "typedimage":
		return &invoke.Result{Status: 200, Binary: &invoke.Binary{MediaType: "image/png", Data: []byte("\x89PNG\x00")}}, nil
	case "audio":
		return &invoke.Result{Status: 200, Binary: &invoke.Binary{MediaType: "audio/ogg", Data: []byte("OggS\x00")}}, nil
	case "file":
		return &invoke.Result{
			Status: 201, Binary: &invoke.Binary{MediaType: "application/pdf", Data: []byte("%PDF-1.4")},
			Headers: []invoke.Header{{Name: "location", Value: `/files/7?a="b"`}, {Name: "x-ratelimit-remaining", Value: "3"}},
		}, nil
	case "cut":
		return &invoke.Result{
			Status: 200, JSON: json.RawMessage(`{"items":[1,2]}`),
			Cut: &invoke.Cut{Note: `Cut: items has its first 2 items. Ask for less with "limit".`, Reason: "size", Path: "items", Items: 2},
		}, nil
	case "cuttext":
		return &invoke.Result{Status: 200, Text: "line 1\n", Cut: &invoke.Cut{Note: "Cut.", Reason: "size", Items: -1}}, nil
	case "gone":
		return nil, &invoke.Error{Kind: invoke.Rejected, Status: 404, Message: "HTTP 404 Not Found", Err: secret}
	case "limited":
		return nil, &invoke.Error{
			Kind: invoke.Rejected, Status: 429, Message: "HTTP 429 Too Many Requests; try again in 30s", Err: secret,
			Headers: []invoke.Header{{Name: "retry-after", Value: "30"}},
		}
	case "steps":
		for i := range 3 {
			if told := invoke.ProgressOf(ctx); told != nil {
				told(invoke.Progress{Value: json.Number(fmt.Sprint(i + 1)), Message: []string{"one\n", "", "three"}[i]})
			}
		}
		return &invoke.Result{Status: 200, JSON: json.RawMessage(`[1,2,3]`)}, nil
	case "wait":
		select {
		case <-f.gate:
			return &invoke.Result{JSON: json.RawMessage(`{"waited":true}`)}, nil
		case <-ctx.Done():
			return nil, &invoke.Error{Kind: invoke.Timeout, Message: "call was cancelled", Err: ctx.Err()}
		}
	case "panic":
		panic("hunter2")
	case "odd":
		return nil, secret
	case "nothing":
		return nil, nil
	default:
		return nil, &invoke.Error{Kind: invoke.Kind(a.Name), Message: "what the caller may know", Err: secret}
	}
}

func action(name, output string) *registry.Action {
	return &registry.Action{ID: "fake:" + name, Plugin: "fake", Action: openapi.Action{
		Name: name, Title: "The " + name, Description: "Does \"" + name + "\".\nWell.",
		Attributes:   openapi.Attributes{ReadOnly: name == "echo", OpenWorld: true},
		InputSchema:  json.RawMessage(`{ "type": "object", "properties": {"z": {"type":"integer"}, "a": {"maximum": 9007199254740993} } }`),
		OutputSchema: json.RawMessage(output),
	}}
}

const ownersSchema = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array","items":{"$ref":"#/$defs/Name"},"$defs":{"Name":{"type":"string"}}}`

func testServers() []*registry.Server {
	catalog := &registry.Server{Door: testDoor, Name: "catalog", Title: "Software catalog", Version: "1.2.3", Instructions: "Ask me."}
	outputs := map[string]string{
		"echo": `{"type":"object"}`, "owners": ownersSchema, "typednote": `{"type":"string"}`, "typedimage": `{"type":"object"}`,
		"maybe": `{"anyOf":[{"type":"object"},{"type":"null"}]}`,
	}
	for _, name := range []string{
		"steps", "image", "typedimage", "audio", "file", "cut", "cuttext", "limited",
		"owners", "echo", "maybe", "note", "typednote", "wait", "panic", "odd", "nothing",
		"invalid_arguments", "rejected", "unavailable", "timeout", "too_large", "denied", "internal",
	} {
		catalog.Tools = append(catalog.Tools, registry.Tool{Name: "fake_" + name, Action: action(name, outputs[name])})
	}
	offers := &registry.Server{
		Door: testDoor, Name: "offers", Version: "0", ListPage: 2, Description: "Offers.", WebsiteURL: "https://example.com/offers",
		Icons:   []registry.Icon{{Src: "https://example.com/icon.svg", MIMEType: "image/svg+xml", Sizes: []string{"any"}, Theme: "dark"}},
		Prompts: testPrompts(), Resources: testResources(),
	}
	for _, name := range []string{"owners", "echo", "note", "audio", "wait"} {
		a := action(name, "")
		a.Icons = []registry.Icon{{Src: "data:image/png;base64,AA=="}}
		offers.Tools = append(offers.Tools, registry.Tool{Name: name, Action: a})
	}
	admin := &registry.Server{Door: testDoor, Name: "admin", Version: "0", Tools: []registry.Tool{{Name: "admin.echo", Action: action("echo", "")}}}
	return []*registry.Server{catalog, admin, offers, {Door: testDoor, Name: "empty", Version: "0"}}
}

func mustText(s string) *registry.Text {
	text, err := registry.ParseText(s)
	if err != nil {
		panic(err)
	}
	return &text
}

func testPrompts() []registry.Prompt {
	return []registry.Prompt{
		{Name: "ask", Arguments: []registry.PromptArgument{
			{Name: "team", Title: "Team", Description: "Whose?", Required: true, Ask: true, Enum: []string{"blue", "red"}},
			{Name: "why", Required: true, Ask: true},
		}, Messages: []registry.PromptMessage{{Role: "user", Text: mustText("{team}: {why}")}}},
		{Name: "embed", Arguments: []registry.PromptArgument{{Name: "uri", Required: true}}, Messages: []registry.PromptMessage{
			{Role: "user", Resource: mustText("{uri}")}, {Role: "assistant", Text: mustText("Read.")},
		}},
		{
			Name: "review", Title: "Review", Description: "Reviews a thing.",
			Arguments: []registry.PromptArgument{
				{Name: "thing", Title: "Thing", Description: "What to review.", Required: true},
				{Name: "tone", Enum: []string{"Kind", "kindest", "harsh"}},
			},
			Messages: []registry.PromptMessage{
				{Role: "user", Text: mustText("Review {thing} in {{braces}}, {tone}: {thing}")},
				{Role: "assistant", Media: &registry.PromptMedia{Type: "image", MIMEType: "image/png", Data: []byte("\x89PNG")}},
				{Role: "user", Resource: mustText("things://echo/{thing}")},
			},
		},
	}
}

func testResources() []registry.Resource {
	template := func(s string) *registry.URITemplate {
		parsed, err := registry.ParseURITemplate(s)
		if err != nil {
			panic(err)
		}
		return parsed
	}
	echo := action("echo", "")
	echo.InputSchema = json.RawMessage(`{"type":"object","properties":{"z":{"type":"integer"},"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string","enum":["red","rose","blue"]}}}`)
	return []registry.Resource{
		{URI: "docs://note", Name: "note", Title: "A note", Description: "Words.", Action: action("note", "")},
		{URI: "docs://html", Name: "html", MIMEType: "text/html", Action: action("note", "")},
		{URI: "docs://image", Name: "image", Action: action("image", "")},
		{URI: "docs://cut", Name: "cut", Action: action("cut", "")},
		{Template: template("things://echo/{thing}"), Name: "things", Action: echo, Arguments: []registry.ResourceArgument{
			{Name: "a", Variable: "thing"}, {Name: "z", Value: json.RawMessage("7")},
		}},
		{Template: template("numbers://{n}"), Name: "numbers", Action: echo, Arguments: []registry.ResourceArgument{{Name: "z", Variable: "n"}}},
		{Template: template("fails://{kind}"), Name: "fails", Action: action("timeout", ""), Arguments: nil},
		{URI: "fails://rejected", Name: "rejected", Action: action("rejected", "")},
		{URI: "fails://gone", Name: "gone", Action: action("gone", "")},
		{URI: "fails://odd", Name: "odd", Action: action("odd", "")},
		{URI: "fails://panic", Name: "panic", Action: action("panic", "")},
		{URI: "fails://arguments", Name: "arguments", Action: action("invalid_arguments", "")},
	}
}

// clock is a time that only moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func openStore(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// newTestHandler fills in what a test does not care about. The principal is
// whatever the header X-User says.
func newTestHandler(t testing.TB, o Options) *Handler {
	t.Helper()
	h := prepareHandler(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return h
}

// testGate takes X-User for who calls, and nobody for nobody.
type testGate struct{}

func (testGate) Authenticate(r *http.Request) (principal.Principal, *principal.Refusal) {
	switch user := r.Header.Get("X-User"); user {
	case "":
		return principal.Principal{}, nil
	case "nobody":
		return principal.Principal{}, &principal.Refusal{
			Status: 401, Challenge: `Bearer resource_metadata="https://mcp.example.com/meta"`, Message: "credentials are missing or not valid",
			Cause: errors.New("token hunter2 is not valid"),
		}
	default:
		return principal.Principal{Kind: principal.User, Subject: user}, nil
	}
}

func (testGate) StepUp(_ principal.Principal, needed, _ []string) *principal.Refusal {
	return &principal.Refusal{
		Status: 403, Challenge: `Bearer error="insufficient_scope", scope="` + strings.Join(needed, " ") + `"`, Message: "scopes are missing",
	}
}

var testDoor = &registry.Door{Name: "test", Gate: testGate{}}

// newTestHandlerBehind is newTestHandler with all servers behind another door.
func newTestHandlerBehind(t testing.TB, door *registry.Door, o Options) *Handler {
	t.Helper()
	h := newTestHandler(t, o)
	servers := testServers()
	for _, s := range servers {
		s.Door = door
	}
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	return h
}

// prepareHandler is newTestHandler without what goes on beside requests.
func prepareHandler(t testing.TB, o Options) *Handler {
	t.Helper()
	if o.Store == nil {
		o.Store = openStore(t)
	}
	if o.Invoker == nil {
		o.Invoker = &fakeInvoker{}
	}
	if o.PublicURL == "" {
		o.PublicURL = "https://mcp.example.com"
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SetServers(testServers()); err != nil {
		t.Fatal(err)
	}
	return h
}

type headers map[string]string

func newRequest(method, path string, h headers, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	for name, value := range h {
		switch {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Set(name, value)
		}
	}
	return r
}

func serve(h http.Handler, method, path string, hs headers, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, newRequest(method, path, hs, body))
	return w
}

func initializeBody(version string) string {
	return `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"` + version +
		`","capabilities":{"roots":{}},"clientInfo":{"name":"test","version":"1","x-own":true}}}`
}

// startSession gives the id of a new session.
func startSession(t testing.TB, h http.Handler, path, version, user string) string {
	t.Helper()
	w := serve(h, "POST", path, headers{"X-User": user}, initializeBody(version))
	id := w.Header().Get("Mcp-Session-Id")
	if w.Code != 200 || id == "" {
		t.Fatalf("initialize: %d %s", w.Code, w.Body)
	}
	return id
}

func callBody(id, tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}`

func modernHeaders(method, name string) headers {
	hs := headers{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": method}
	if name != "" {
		hs["Mcp-Name"] = name
	}
	return hs
}

func modernCall(id, tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `,` + modernMeta + `}}`
}

// answer is a JSON-RPC answer taken apart.
type answer struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

func (a answer) code() int {
	if a.Error == nil {
		return 0
	}
	return a.Error.Code
}

func decode(t testing.TB, body io.Reader) answer {
	t.Helper()
	var a answer
	raw, err := io.ReadAll(body)
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		t.Fatalf("answer %q: %v", raw, err)
	}
	return a
}

// normal is JSON with its keys in order and its references masked.
func normal(t testing.TB, raw []byte) string {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return maskRefs(string(out))
}

func maskRefs(s string) string {
	return regexp.MustCompile(`\(reference [0-9a-z]{10}\)`).ReplaceAllString(s, "(reference REF)")
}

func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i)
	}
	return all
}

func serveRequest(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// count is how many requests are being answered.
func (f *inflight) count() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, own := range f.calls {
		n += len(own)
	}
	return n
}

// hasID tells whether some session's request of the id is being answered.
func (f *inflight) hasID(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, own := range f.calls {
		if own[id] != nil {
			return true
		}
	}
	return false
}
