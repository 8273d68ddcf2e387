package mcpserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// The rows of the authorization checklist that the transport answers for, and the tests that hold it to them:
//
//	RS06 authorization on every request, RS20 none by a session id         TestRS06EveryRequestAsksTheGate
//	RS12 insufficient_scope, RS13 all scopes in one challenge              TestRS12StepUp, TestRS13AllScopesInOneChallenge
//	RS14 hierarchies of scopes                                             TestRS14Hierarchy
//	RS16 Origin, RS18 Host, both before the gate and the body              TestRS16OriginComesFirst, TestRS18HostComesFirst
//	RS19 session ids cannot be guessed                                     TestRS19SessionIDs
//	RS21 another principal's session is unknown                            TestRS21SessionsOfOthers, TestRS21NoOracle
//	RS22 so are its tasks and states                                       TestRS22HandlesOfOthers
//	RS23 the body decides, not the header                                  TestRS23TheBodyDecides
//	RS24 streams end with the token                                        watch_test.go

// tokens is a gate with bearer tokens that come and go.
type tokens struct {
	mu    sync.Mutex
	known map[string]principal.Principal
	away  bool // the issuer does not answer
	asked int
}

const metadataURL = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp/catalog"

func (g *tokens) Authenticate(r *http.Request) (principal.Principal, *principal.Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	token, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p, ok := g.known[token]
	switch {
	case g.away:
		return p, &principal.Refusal{Status: 503, RetryAfter: 5 * time.Second, Message: "tokens cannot be verified now"}
	case !given:
		return p, &principal.Refusal{Status: 401, Challenge: `Bearer resource_metadata="` + metadataURL + `", scope="mcp:read"`, Message: "a bearer token is needed"}
	case !ok:
		return p, &principal.Refusal{Status: 401, Challenge: `Bearer error="invalid_token"`, Message: "token is not valid", Cause: errors.New("hunter2")}
	}
	return p, nil
}

func (g *tokens) StepUp(_ principal.Principal, needed, missing []string) *principal.Refusal {
	return &principal.Refusal{
		Status: 403, Message: "token lacks a scope: " + strings.Join(missing, " "),
		Challenge: `Bearer error="insufficient_scope", scope="` + strings.Join(needed, " ") + `", resource_metadata="` + metadataURL + `"`,
	}
}

func (g *tokens) change(change func(g *tokens)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
}

// people have tokens of their names; ada2 is ada's next one, and adaElsewhere a
// subject of the same name of another issuer.
func people() *tokens {
	user := func(subject string, scopes ...string) principal.Principal {
		return principal.Principal{Kind: principal.User, Subject: subject, Issuer: "https://idp", Scopes: scopes}
	}
	elsewhere := user("ada", "mcp:destructive")
	elsewhere.Issuer = "https://other"
	return &tokens{known: map[string]principal.Principal{
		"ada": user("ada", "mcp:destructive"), "ada2": user("ada", "mcp:read"), "adaElsewhere": elsewhere, "eve": user("eve", "mcp:destructive"),
		"reader": user("reader", "mcp:read"), "writer": user("writer", "mcp:write"), "nothing": user("nothing"),
		"odd": user("odd", "mcp:read", "other"),
	}}
}

// door is the catalog's, with the usual scopes.
func (g *tokens) door(rules ...registry.AccessRule) *registry.Door {
	return &registry.Door{Name: "catalog", Gate: g, Rules: rules, Scopes: registry.Scopes{
		Read: "mcp:read", Write: "mcp:write", Destructive: "mcp:destructive", Names: map[string]string{"plain": "renamed"},
	}}
}

// behind are all test servers behind one door; the actions image and file ask
// for scopes of their own, and audio is destructive.
func behind(door *registry.Door) []*registry.Server {
	servers := taskServers(time.Hour)
	servers = append(testServers(), servers...)
	for _, s := range servers {
		s.Door = door
		for _, t := range s.Tools {
			switch t.Action.Name {
			case "image":
				t.Action.Scopes = []string{"images", "plain"}
			case "file":
				t.Action.Scopes = []string{"files", "images"}
			case "audio":
				t.Action.Attributes.Destructive = true
			}
		}
	}
	return servers
}

// guarded is a replica behind the door.
func guarded(t testing.TB, door *registry.Door, o Options) *replica {
	t.Helper()
	r := newReplica(t, openStore(t), o)
	if err := r.SetServers(behind(door)); err != nil {
		t.Fatal(err)
	}
	return r
}

func bearer(token string, more ...headers) headers {
	hs := headers{"Authorization": "Bearer " + token}
	if token == "" {
		hs = headers{}
	}
	for _, m := range more {
		for name, value := range m {
			hs[name] = value
		}
	}
	return hs
}

// open begins a session with a token, at a server.
func open(t testing.TB, h http.Handler, path, version, token string) string {
	t.Helper()
	w := serve(h, "POST", path, bearer(token), initializeBody(version))
	id := w.Header().Get(sessionHeader)
	if w.Code != 200 || id == "" {
		t.Fatalf("initialize: %d %s", w.Code, w.Body)
	}
	return id
}

// TestRS06EveryRequestAsksTheGate sends every kind of request without a token,
// with one that is not valid, and with the right one, in a session and without.
func TestRS06EveryRequestAsksTheGate(t *testing.T) {
	g := people()
	r := guarded(t, g.door(), Options{})
	s := open(t, r, "/mcp/catalog", "2025-11-25", "ada")
	batching := open(t, r, "/mcp/catalog", "2025-03-26", "ada")
	stream := request(t, "GET", r.url+"/sse", bearer("ada"), "")
	first, _ := stream.next(t)
	_, message, _ := strings.Cut(first.data, "/mcp/catalog")
	inside, resumed := headers{sessionHeader: s}, headers{sessionHeader: s, "Last-Event-ID": "x.1"}
	for name, test := range map[string]struct {
		method, path string
		more         headers
		body         string
		want         int // with a token
	}{
		"initialize":       {"POST", "", nil, initializeBody("2025-11-25"), 200},
		"call":             {"POST", "", inside, callBody("1", "fake_echo", "{}"), 200},
		"notification":     {"POST", "", inside, initialized, 202},
		"batch":            {"POST", "", headers{sessionHeader: batching}, "[" + callBody("1", "fake_echo", "{}") + "]", 200},
		"no JSON":          {"POST", "", nil, "{", 400},
		"no type":          {"POST", "", headers{"Content-Type": ""}, "", 415},
		"2026-07-28":       {"POST", "", modernHeaders("tools/call", "fake_echo"), modernCall("1", "fake_echo", "{}"), 200},
		"resume":           {"GET", "", resumed, "", 400},
		"no session":       {"GET", "", nil, "", 400},
		"HTTP+SSE message": {"POST", message, nil, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 202},
		"no endpoint":      {"GET", "/sse/x", nil, "", 404},
		"OPTIONS":          {"OPTIONS", "", nil, "", 405},
		"PUT":              {"PUT", "", nil, "", 405},
		"HEAD":             {"HEAD", "", nil, "", 405},
	} {
		for token, want := range map[string]int{"": 401, "forged": 401, "ada": test.want} {
			if name == "no endpoint" && token == "ada" {
				continue // the router's
			}
			got := request(t, test.method, r.url+test.path, bearer(token, test.more), test.body)
			challenge := got.header.Get("WWW-Authenticate")
			if name == "no endpoint" {
				want = 404
			}
			if got.status != want || (want == 401) != strings.HasPrefix(challenge, "Bearer ") || (token == "forged" && want == 401) != strings.Contains(challenge, "invalid_token") {
				t.Errorf("%s with token %q: %d, want %d; %s", name, token, got.status, want, challenge)
			}
			if want == 401 && test.method != "HEAD" {
				if body, _ := got.next(t); strings.Contains(body.data, "hunter2") || !strings.Contains(body.data, `"error":{"code":-32600`) {
					t.Errorf("%s with token %q: %s", name, token, body.data)
				}
			}
		}
	}
	for _, path := range []string{"", "/sse"} { // streams
		for token, want := range map[string]int{"": 401, "forged": 401, "ada": 200} {
			if got := request(t, "GET", r.url+path, bearer(token, inside), ""); got.status != want {
				t.Errorf("stream %s with token %q: %d", path, token, got.status)
			}
		}
	}
	for token, want := range map[string]int{"": 401, "forged": 401} { // RS20
		if got := request(t, "DELETE", r.url, bearer(token, inside), ""); got.status != want {
			t.Errorf("DELETE with token %q: %d", token, got.status)
		}
	}
	if got := request(t, "POST", r.url, bearer("ada2", inside), callBody("1", "fake_echo", "{}")); got.status != 200 {
		t.Errorf("the session has ended, or is bound to a token: %d", got.status)
	}
	if got := request(t, "DELETE", r.url, bearer("ada", inside), ""); got.status != 204 {
		t.Errorf("DELETE: %d", got.status)
	}
	// An issuer that is away is nobody's fault.
	g.change(func(g *tokens) { g.away = true })
	if got := request(t, "POST", r.url, bearer("ada"), initializeBody("2025-11-25")); got.status != 503 || got.header.Get("Retry-After") != "5" {
		t.Errorf("issuer is away: %d %v", got.status, got.header)
	}
}

// untouched is a body that nobody may read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) { u.t.Error("the body is read"); return 0, io.EOF }

func TestRS16OriginComesFirst(t *testing.T) {
	g := people()
	h := newTestHandler(t, Options{})
	if err := h.SetServers(behind(g.door())); err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{"https://evil.example", "null", "http://localhost.evil", "https://mcp.example.com:8443", "https://mcp.example.com.evil"} {
		for _, method := range []string{"POST", "GET", "DELETE", "OPTIONS"} {
			r := httptest.NewRequest(method, "/mcp/catalog", untouched{t})
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "POST")
			r.Header.Set("Authorization", "Bearer ada")
			w := serveRequest(h, r)
			if w.Code != 403 || w.Header().Get("WWW-Authenticate")+w.Header().Get("Access-Control-Allow-Origin") != "" || g.asked != 0 {
				t.Errorf("%s from %s: %d %v, the gate was asked %d times", method, origin, w.Code, w.Header(), g.asked)
			}
		}
	}
	if w := serve(h, "POST", "/mcp/unknown", headers{"Origin": "https://evil.example"}, ""); w.Code != 404 || g.asked != 0 {
		t.Errorf("an unknown server: %d", w.Code) // names of servers are public, by their metadata
	}
	r := httptest.NewRequest("POST", "/mcp/catalog", untouched{t})
	if w := serveRequest(h, r); w.Code != 401 {
		t.Errorf("no token: %d", w.Code)
	}
}

func TestRS18HostComesFirst(t *testing.T) {
	g := people()
	h := newTestHandler(t, Options{LoopbackOnly: true})
	if err := h.SetServers(behind(g.door())); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/mcp/catalog", untouched{t})
	r.Host = "evil.example"
	if w := serveRequest(h, r); w.Code != 403 || g.asked != 0 {
		t.Errorf("a foreign host: %d", w.Code)
	}
	r = httptest.NewRequest("POST", "/mcp/catalog", untouched{t})
	r.Host = "127.0.0.1:8080"
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("Forwarded", "host=evil.example")
	w := serveRequest(h, r)
	if said := fmt.Sprint(w.Header(), w.Body); w.Code != 401 || strings.Contains(said, "evil") || strings.Contains(said, "127.0.0.1") {
		t.Errorf("%d %s", w.Code, said)
	}
}

// Browsers ask without credentials whether they may send some, and show pages
// what they have to know.
func TestBrowsers(t *testing.T) {
	g := people()
	h := newTestHandler(t, Options{})
	if err := h.SetServers(behind(g.door())); err != nil {
		t.Fatal(err)
	}
	page := headers{"Origin": "https://mcp.example.com"}
	for _, path := range []string{"", "/sse", "/message"} {
		w := serve(h, "OPTIONS", "/mcp/catalog"+path, headers{
			"Origin": "https://mcp.example.com", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,mcp-session-id",
		}, "")
		if w.Code != 204 || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "authorization") || g.asked != 0 {
			t.Errorf("preflight of %q: %d %v", path, w.Code, w.Header())
		}
	}
	w := serve(h, "POST", "/mcp/catalog", page, initializeBody("2025-11-25"))
	exposed := w.Header().Get("Access-Control-Expose-Headers")
	if w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") != "https://mcp.example.com" || w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, name := range []string{"WWW-Authenticate", "Mcp-Session-Id", "Retry-After", "X-Request-Id"} {
		if !slices.Contains(strings.Split(exposed, ", "), name) {
			t.Errorf("%s is not exposed: %s", name, exposed)
		}
	}
}

func TestRS19SessionIDs(t *testing.T) {
	seen, visible := map[string]bool{}, regexp.MustCompile(`^[[:graph:]]{22,}$`)
	for range 1000 {
		id := newSessionID()
		if seen[id] || !visible.MatchString(id) {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

// asks are the ways to call a tool, and what tells what came of it: the HTTP
// status and the body.
type way struct {
	name string
	ask  func(t *testing.T, token, tool string) (status int, header http.Header, body string)
}

func ways(t *testing.T, r *replica) []way {
	sessions := map[string]string{}
	session := func(version, token string) string {
		key := version + token
		if sessions[key] == "" {
			sessions[key] = open(t, r, "/mcp/catalog", version, token)
		}
		return sessions[key]
	}
	read := func(got *eventReader) (int, http.Header, string) {
		body, _ := got.next(t)
		return got.status, got.header, body.data
	}
	return []way{
		{"2025-11-25", func(t *testing.T, token, tool string) (int, http.Header, string) {
			return read(request(t, "POST", r.url, bearer(token, headers{sessionHeader: session("2025-11-25", token)}), callBody(`"id 7"`, tool, "{}")))
		}},
		{"2026-07-28", func(t *testing.T, token, tool string) (int, http.Header, string) {
			return read(request(t, "POST", r.url, bearer(token, modernHeaders("tools/call", tool)), modernCall(`"id 7"`, tool, "{}")))
		}},
		{"batch", func(t *testing.T, token, tool string) (int, http.Header, string) {
			body := "[" + callBody(`"id 7"`, tool, "{}") + "]"
			return read(request(t, "POST", r.url, bearer(token, headers{sessionHeader: session("2025-03-26", token)}), body))
		}},
		{"HTTP+SSE", func(t *testing.T, token, tool string) (int, http.Header, string) {
			stream := request(t, "GET", r.url+"/sse", bearer(token), "")
			defer stream.close()
			first, _ := stream.next(t)
			url := r.web.URL + first.data
			request(t, "POST", url, bearer(token), initializeBody("2024-11-05"))
			stream.want(t, "protocolVersion")
			got := request(t, "POST", url, bearer(token), callBody(`"id 7"`, tool, "{}"))
			if got.status != 202 {
				return read(got)
			}
			answer, _ := stream.next(t)
			return 200, got.header, answer.data
		}},
	}
}

func TestRS12StepUp(t *testing.T) {
	invoker := &fakeInvoker{}
	g := people()
	hidden := registry.AccessRule{Path: "rules[1]", Deny: true, Actions: []registry.Rule{{ID: "fake:cut"}}}
	r := guarded(t, g.door(registry.AccessRule{Path: "rules[0]"}, hidden), Options{Invoker: invoker})
	for _, way := range ways(t, r) {
		for _, test := range []struct {
			token, tool, scope string // "": it is called
		}{
			{"reader", "fake_echo", ""},
			{"reader", "fake_note", "mcp:write"},
			{"nothing", "fake_echo", "mcp:read"},
			{"writer", "fake_audio", "mcp:destructive"},
			{"ada", "fake_audio", ""},
		} {
			invoker.seen = nil
			status, header, body := way.ask(t, test.token, test.tool)
			challenge := header.Get("WWW-Authenticate")
			if test.scope == "" {
				if status != 200 || !strings.Contains(body, `"result"`) || challenge != "" || len(invoker.seen) != 1 {
					t.Errorf("%s, %s, %s: %d %s", way.name, test.token, test.tool, status, body)
				}
				continue
			}
			want := `Bearer error="insufficient_scope", scope="` + test.scope + `", resource_metadata="` + metadataURL + `"`
			if status != 403 || challenge != want || header.Get("Content-Type") != "application/json" || len(invoker.seen) != 0 {
				t.Errorf("%s, %s, %s: %d %q %v", way.name, test.token, test.tool, status, challenge, invoker.seen)
			}
			if !strings.Contains(body, `"id":"id 7","error":{"code":-32600,"message":"token lacks a scope`) {
				t.Errorf("%s, %s, %s: %s", way.name, test.token, test.tool, body)
			}
		}
		// Rules come before scopes: what they hide is unknown.
		for _, tool := range []string{"fake_cut", "fake_never"} {
			if status, header, body := way.ask(t, "nothing", tool); status != 200 || header.Get("WWW-Authenticate") != "" || !strings.Contains(body, `unknown tool: \"`+tool) {
				t.Errorf("%s, %s: %d %s", way.name, tool, status, body)
			}
		}
	}
}

// TestRS13AllScopesInOneChallenge: what one message needs, and what all messages
// of a batch do; a prompt reads what it embeds.
func TestRS13AllScopesInOneChallenge(t *testing.T) {
	invoker := &fakeInvoker{}
	r := guarded(t, people().door(), Options{Invoker: invoker})
	for _, way := range ways(t, r) {
		_, header, _ := way.ask(t, "odd", "fake_file")
		if got := header.Get("WWW-Authenticate"); !strings.Contains(got, `scope="mcp:write files images"`) {
			t.Errorf("%s: %s", way.name, got)
		}
		_, header, _ = way.ask(t, "writer", "fake_image") // with what the token has of it
		if got := header.Get("WWW-Authenticate"); !strings.Contains(got, `scope="mcp:write images renamed"`) {
			t.Errorf("%s: %s", way.name, got)
		}
	}
	s := open(t, r, "/mcp/catalog", "2025-03-26", "reader")
	batch := "[" + callBody("1", "fake_echo", "{}") + "," + callBody("2", "fake_note", "{}") + `,{"jsonrpc":"2.0","id":3,"method":"ping"},7,` +
		initialized + "," + callBody(`"4"`, "fake_file", "{}") + "," + callBody("5", "fake_never", "{}") + "]"
	got := request(t, "POST", r.url, bearer("reader", headers{sessionHeader: s}), batch)
	body, _ := got.next(t)
	var answers []answer
	if err := json.Unmarshal([]byte(body.data), &answers); err != nil {
		t.Fatal(err)
	}
	var answered []string
	for _, a := range answers {
		answered = append(answered, string(a.ID))
		if a.code() != -32600 {
			t.Errorf("%s: %+v", a.ID, a)
		}
	}
	if got.status != 403 || !strings.Contains(got.header.Get("WWW-Authenticate"), `scope="mcp:read mcp:write files images"`) || len(invoker.seen) != 0 ||
		!slices.Equal(answered, []string{"1", "2", "3", `"4"`, "5"}) {
		t.Errorf("%d %v %v %v", got.status, got.header, answered, invoker.seen)
	}
}

// The challenge has all that is needed, the message only what is missing, also
// where a greater scope has a smaller one in it.
func TestStepUpNamesWhatIsMissing(t *testing.T) {
	r := guarded(t, people().door(), Options{})
	for _, token := range []string{"writer", "eve"} {
		got := request(t, "POST", r.url, bearer(token, modernHeaders("tools/call", "fake_image")), modernCall("1", "fake_image", "{}"))
		body, _ := got.next(t)
		if challenge := got.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `scope="mcp:write images renamed"`) {
			t.Errorf("%s: challenge %s", token, challenge)
		}
		if !strings.Contains(body.data, `"token lacks a scope: images renamed"`) {
			t.Errorf("%s: %s", token, body.data)
		}
	}
}

// What is read from a plugin needs scopes, too, and what is not needs none.
func TestStepUpOfResourcesAndPrompts(t *testing.T) {
	invoker := &fakeInvoker{}
	r := guarded(t, people().door(), Options{Invoker: invoker})
	s := open(t, r, "/mcp/offers", "2025-11-25", "reader")
	for _, test := range []struct {
		method, name, params string
		want                 int
	}{
		{"resources/read", "docs://note", `"uri":"docs://note"`, 403},
		{"resources/read", "things://echo/1", `"uri":"things://echo/1"`, 200},
		{"resources/read", "stagedoor://actions/fake:note", `"uri":"stagedoor://actions/fake:note"`, 200}, // a document of the gateway
		{"resources/read", "no://where", `"uri":"no://where"`, 200},
		{"prompts/get", "embed", `"name":"embed","arguments":{"uri":"docs://note"}`, 403},
		{"prompts/get", "embed", `"name":"embed","arguments":{"uri":"things://echo/1"}`, 200},
		{"prompts/get", "embed", `"name":"embed"`, 200}, // an error, but no matter of scopes
		{"prompts/get", "review", `"name":"review","arguments":{"thing":"x"}`, 200},
		{"completion/complete", "", `"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"tone","value":""}`, 200},
		{"tools/list", "", "", 200},
	} {
		for _, era := range []string{"2025-11-25", "2026-07-28"} {
			hs, params := headers{sessionHeader: s}, test.params
			if era == "2026-07-28" {
				hs, params = modernHeaders(test.method, test.name), strings.TrimPrefix(test.params+","+modernMeta, ",")
			}
			got := request(t, "POST", r.web.URL+"/mcp/offers", bearer("reader", hs), `{"jsonrpc":"2.0","id":7,"method":"`+test.method+`","params":{`+params+`}}`)
			body, _ := got.next(t)
			if got.status != test.want || (test.want == 403) != strings.Contains(got.header.Get("WWW-Authenticate"), `scope="mcp:write"`) || !strings.Contains(body.data, `"id":7`) {
				t.Errorf("%s %s of %s: %d %v %s", test.method, test.params, era, got.status, got.header, body.data)
			}
		}
	}
}

// A prompt whose arguments are asked for is decided on when they are known.
func TestStepUpAfterAsking(t *testing.T) {
	invoker := &fakeInvoker{}
	g := people()
	servers := behind(g.door())
	for _, s := range servers {
		if s.Name == "offers" {
			s.Prompts = []registry.Prompt{{
				Name: "embed", Arguments: []registry.PromptArgument{{Name: "uri", Required: true, Ask: true}},
				Messages: []registry.PromptMessage{{Role: "user", Resource: mustText("{uri}")}},
			}}
		}
	}
	h := newTestHandler(t, Options{Invoker: invoker})
	if err := h.SetServers(servers); err != nil {
		t.Fatal(err)
	}
	get := func(token, more string) (int, http.Header, string) {
		meta := strings.Replace(modernMeta, `clientCapabilities":{}`, `clientCapabilities":{"elicitation":{}}`, 1)
		w := serve(h, "POST", "/mcp/offers", bearer(token, modernHeaders("prompts/get", "embed")),
			`{"jsonrpc":"2.0","id":7,"method":"prompts/get","params":{"name":"embed"`+more+`,`+meta+`}}`)
		return w.Code, w.Header(), w.Body.String()
	}
	status, _, body := get("reader", "")
	state := regexp.MustCompile(`"requestState":"([^"]*)"`).FindStringSubmatch(body)
	if status != 200 || state == nil {
		t.Fatalf("%d %s", status, body)
	}
	answer := func(uri string) string {
		return `,"requestState":"` + state[1] + `","inputResponses":{"arguments":{"action":"accept","content":{"uri":"` + uri + `"}}}`
	}
	status, header, body := get("reader", answer("docs://note"))
	if status != 403 || !strings.Contains(header.Get("WWW-Authenticate"), `scope="mcp:write"`) || !strings.Contains(body, `"id":7,"error"`) || len(invoker.seen) != 0 {
		t.Errorf("%d %v %s", status, header, body)
	}
	if status, _, body = get("reader", answer("things://echo/1")); status != 200 || !strings.Contains(body, `"messages"`) || len(invoker.seen) != 1 {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body = get("writer", answer("things://echo/1")); !strings.Contains(body, "does not belong") {
		t.Errorf("another principal goes on with a state: %d %s", status, body)
	}
}

func TestRS14Hierarchy(t *testing.T) {
	r := guarded(t, people().door(), Options{})
	for _, way := range ways(t, r) {
		for token, tools := range map[string][]string{
			"writer": {"fake_echo", "fake_note"}, "ada": {"fake_echo", "fake_note", "fake_audio"},
		} {
			for _, tool := range tools {
				if status, _, body := way.ask(t, token, tool); status != 200 || !strings.Contains(body, `"result"`) {
					t.Errorf("%s, %s, %s: %d %s", way.name, token, tool, status, body)
				}
			}
		}
	}
}

// TestRS23TheBodyDecides: in 2026-07-28 headers that say something else are
// refused, and before it they say nothing.
func TestRS23TheBodyDecides(t *testing.T) {
	invoker := &fakeInvoker{}
	r := guarded(t, people().door(), Options{Invoker: invoker})
	hs := bearer("reader", modernHeaders("tools/call", "fake_echo"))
	got := request(t, "POST", r.url, hs, modernCall("1", "fake_audio", "{}"))
	if body, _ := got.next(t); got.status != 400 || !strings.Contains(body.data, "-32020") {
		t.Errorf("%d %s", got.status, body.data)
	}
	s := open(t, r, "/mcp/catalog", "2025-11-25", "reader")
	hs = bearer("reader", headers{sessionHeader: s, "Mcp-Method": "tools/list", "Mcp-Name": "fake_echo"})
	if got = request(t, "POST", r.url, hs, callBody("1", "fake_audio", "{}")); got.status != 403 {
		t.Errorf("%d", got.status)
	}
	if len(invoker.seen) != 0 {
		t.Errorf("called with %v", invoker.seen)
	}
}
