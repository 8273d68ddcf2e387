package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/openapi"
)

// inquirer is a plugin that asks, as its actions' names say, and counts its calls.
type inquirer struct {
	mu    sync.Mutex
	calls map[string]int
	seen  []invoke.Input
	gate  chan struct{} // "slow" waits for it
}

const (
	nameQuestion = `{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}}`
	urlQuestion  = `{"method":"elicitation/create","params":{"mode":"url","message":"Go","url":"https://example.com","elicitationId":"1"}}`
	capital      = `{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"?"}}],"maxTokens":9}}`
	rootsList    = `{"method":"roots/list","params":{}}`
)

func (c *inquirer) Invoke(ctx context.Context, call registry.Call) (*invoke.Result, error) {
	a, arguments := call.Action, call.Arguments
	in := invoke.InputOf(ctx)
	c.mu.Lock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[a.Name]++
	c.seen = append(c.seen, in)
	c.mu.Unlock()
	asks := func(requests, state string) (*invoke.Result, error) {
		return &invoke.Result{Status: 200, MCP: &invoke.MCP{
			Asks: &invoke.InputRequired{Requests: json.RawMessage(requests), State: state}, Meta: json.RawMessage(`{"example.com/a":1}`),
		}}, nil
	}
	switch {
	case a.Name == "name" && in.Responses == nil, a.Name == "drop_name" && in.Responses == nil:
		return asks(`{"user_name":`+nameQuestion+`}`, "")
	case a.Name == "url" && in.Responses == nil:
		return asks(`{"u":`+urlQuestion+`}`, "")
	case a.Name == "many" && in.Responses == nil:
		return asks(`{"n":`+nameQuestion+`,"c":`+capital+`,"r":`+rootsList+`}`, "plugin's own")
	case a.Name == "steps" && in.State != "2":
		return asks(`{"step`+in.State+`":`+nameQuestion+`}`, map[string]string{"": "1", "1": "2"}[in.State])
	case a.Name == "for_ever":
		return asks(`{"n":`+nameQuestion+`}`, in.State+"x")
	case a.Name == "later" && in.State == "":
		return asks("", "busy")
	case a.Name == "slow":
		select {
		case <-c.gate:
		case <-ctx.Done():
			return nil, &invoke.Error{Kind: invoke.Cancelled, Message: "the call was cancelled", Err: ctx.Err()}
		}
	}
	return &invoke.Result{JSON: json.RawMessage(fmt.Sprintf(`{"arguments":%s,"answers":%s,"state":%q}`, arguments, orNull(in.Responses), in.State))}, nil
}

func orNull(raw json.RawMessage) string {
	if raw == nil {
		return "null"
	}
	return string(raw)
}

func (c *inquirer) count(action string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[action]
}

func curiousServers() []*registry.Server {
	var tools []registry.Tool
	for _, name := range []string{"name", "url", "many", "steps", "for_ever", "later", "plain", "drop", "drop_name", "slow"} {
		speaks := name != "plain" && name != "drop" && name != "slow"
		tools = append(tools, registry.Tool{Name: name, Action: &registry.Action{ID: "curious:" + name, Plugin: "curious", Action: openapi.Action{
			Name: name, Title: "The " + name,
			Attributes:  openapi.Attributes{Destructive: strings.HasPrefix(name, "drop")},
			InputSchema: json.RawMessage(`{"type":"object"}`),
			Response:    openapi.ResponsePlan{MCP: speaks, Answers: speaks, State: speaks},
		}}})
	}
	return []*registry.Server{
		{Door: testDoor, Name: "curious", Version: "1", Tools: tools, ConfirmDestructive: true, Prompts: testPrompts()},
		{Door: testDoor, Name: "other", Version: "1", Tools: tools, ConfirmDestructive: true},
		{Door: testDoor, Name: "free", Version: "1", Tools: tools},
	}
}

func newCurious(t testing.TB, o Options) (*Handler, *inquirer) {
	t.Helper()
	plugin := &inquirer{gate: make(chan struct{})}
	if o.Invoker == nil {
		o.Invoker = plugin
	}
	h := newTestHandler(t, o)
	if err := h.SetServers(curiousServers()); err != nil {
		t.Fatal(err)
	}
	return h, plugin
}

const allCapabilities = `{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}`

// asking is a 2026-07-28 request to ask with.
type asking struct {
	server, method, tool, arguments, user string
	capabilities                          string
	more                                  string // further members of params
}

func (r asking) do(t testing.TB, h http.Handler) (int, answer) {
	t.Helper()
	with := func(s *string, or string) {
		if *s == "" {
			*s = or
		}
	}
	with(&r.server, "curious")
	with(&r.method, "tools/call")
	with(&r.arguments, "{}")
	with(&r.capabilities, allCapabilities)
	hs := modernHeaders(r.method, r.tool)
	hs["X-User"] = r.user
	w := serve(h, "POST", "/mcp/"+r.server, hs, `{"jsonrpc":"2.0","id":1,"method":"`+r.method+`","params":{"name":"`+r.tool+`","arguments":`+r.arguments+r.more+
		`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":`+r.capabilities+`}}}`)
	return w.Code, decode(t, w.Body)
}

// pendingResult is an InputRequiredResult.
type pendingResult struct {
	ResultType        string
	InputRequests     map[string]json.RawMessage
	RequestState      string
	IsError           bool
	Content           []struct{ Text string }
	StructuredContent json.RawMessage
	Messages          json.RawMessage
	Meta              map[string]json.RawMessage `json:"_meta"`
}

func resultOfAnswer(t testing.TB, a answer) (p pendingResult) {
	t.Helper()
	if a.Error != nil {
		t.Fatalf("error %d %s %s", a.Error.Code, a.Error.Message, a.Error.Data)
	}
	if err := json.Unmarshal(a.Result, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// asks makes the request and expects a question.
func (r asking) asks(t testing.TB, h http.Handler, keys ...string) pendingResult {
	t.Helper()
	_, a := r.do(t, h)
	p := resultOfAnswer(t, a)
	if p.ResultType != "input_required" || len(p.InputRequests) != len(keys) || p.RequestState == "" {
		t.Fatalf("want a question for %q, got %s", keys, a.Result)
	}
	for _, key := range keys {
		if p.InputRequests[key] == nil {
			t.Fatalf("want a question for %q, got %s", keys, a.Result)
		}
	}
	return p
}

// with adds answers and a state to a request.
func (r asking) with(answers, state string) asking {
	if answers != "" {
		r.more += `,"inputResponses":` + answers
	}
	if state != "" {
		r.more += `,"requestState":"` + state + `"`
	}
	return r
}

// completes makes the request and expects a result.
func (r asking) completes(t testing.TB, h http.Handler) pendingResult {
	t.Helper()
	_, a := r.do(t, h)
	p := resultOfAnswer(t, a)
	if p.ResultType != "complete" {
		t.Fatalf("want a result, got %s", a.Result)
	}
	return p
}

// fails makes the request and expects an error of the protocol.
func (r asking) fails(t testing.TB, h http.Handler, code int, words string) {
	t.Helper()
	if _, a := r.do(t, h); a.code() != code || !strings.Contains(a.Error.Message, words) {
		t.Errorf("want error %d %q, got %s %+v", code, words, a.Result, a.Error)
	}
}

const (
	ada      = `{"action":"accept","content":{"name":"Ada"}}`
	sampled  = `{"role":"assistant","content":{"type":"text","text":"Paris"},"model":"m"}`
	rooted   = `{"roots":[{"uri":"file:///x"}]}`
	agreed   = `{"confirm":{"action":"accept","content":{"confirm":true}}}`
	declined = `{"confirm":{"action":"decline"}}`
)

func TestPluginAsksModern(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	r := asking{tool: "name", arguments: `{"z":12345678901234567890}`}
	p := r.asks(t, h, "user_name")
	if string(p.Meta["example.com/a"]) != "1" || p.Meta["io.modelcontextprotocol/serverInfo"] == nil {
		t.Errorf("_meta %s", p.Meta)
	}
	done := r.with(`{"user_name":`+ada+`,"unknown":{"action":"accept"}}`, p.RequestState).completes(t, h)
	if want := `{"arguments":{"z":12345678901234567890},"answers":{"user_name":` + ada + `},"state":""}`; string(done.StructuredContent) != want {
		t.Errorf("got %s, want %s", done.StructuredContent, want)
	}
	if got := string(plugin.seen[0].Capabilities); got != allCapabilities {
		t.Errorf("capabilities %s", got)
	}
	// A decline is an answer, too.
	done = r.with(`{"user_name":{"action":"decline"}}`, p.RequestState).completes(t, h)
	if !strings.Contains(string(done.StructuredContent), "decline") {
		t.Errorf("got %s", done.StructuredContent)
	}
	// Answers that came before the question are answers to it.
	done = r.with(`{"user_name":`+ada+`,"x":1}`, "").completes(t, h)
	if !strings.Contains(string(done.StructuredContent), "Ada") {
		t.Errorf("got %s", done.StructuredContent)
	}
	r.with(`{"wrong":`+ada+`}`, "").asks(t, h, "user_name")
}

func TestPluginAsksMany(t *testing.T) {
	h, _ := newCurious(t, Options{})
	r := asking{tool: "many"}
	p := r.asks(t, h, "n", "c", "r")
	if strings.Contains(p.RequestState, "own") {
		t.Error("the plugin's state can be read")
	}
	rest := r.with(`{"c":`+sampled+`}`, p.RequestState).asks(t, h, "n", "r")
	done := r.with(`{"n":`+ada+`,"r":`+rooted+`,"c":{"ignored":true}}`, rest.RequestState).completes(t, h)
	want := `{"arguments":{},"answers":{"c":` + sampled + `,"n":` + ada + `,"r":` + rooted + `},"state":"plugin's own"}`
	if string(done.StructuredContent) != want {
		t.Errorf("got %s, want %s", done.StructuredContent, want)
	}
}

func TestPluginAsksInRounds(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	r := asking{tool: "steps"}
	first := r.asks(t, h, "step")
	second := r.with(`{"step":`+ada+`}`, first.RequestState).asks(t, h, "step1")
	done := r.with(`{"step1":`+ada+`}`, second.RequestState).completes(t, h)
	if !strings.Contains(string(done.StructuredContent), `"state":"2"`) || plugin.count("steps") != 3 {
		t.Errorf("got %s", done.StructuredContent)
	}
	p := asking{tool: "for_ever"}.asks(t, h, "n")
	for range maxRounds - 1 {
		p = asking{tool: "for_ever"}.with(`{"n":`+ada+`}`, p.RequestState).asks(t, h, "n")
	}
	if end := (asking{tool: "for_ever"}).with(`{"n":`+ada+`}`, p.RequestState).completes(t, h); !end.IsError {
		t.Errorf("got %+v", end)
	}
	p = asking{tool: "later"}.asks(t, h)
	if done := (asking{tool: "later"}).with("", p.RequestState).completes(t, h); !strings.Contains(string(done.StructuredContent), "busy") {
		t.Errorf("got %s", done.StructuredContent)
	}
}

func TestForeignStates(t *testing.T) {
	clock := newClock()
	db := openStore(t)
	secret := []byte("0123456789abcdef0123456789abcdef")
	h, plugin := newCurious(t, Options{Now: clock.Now, Store: db, Secret: secret})
	r := asking{tool: "many", arguments: `{"a":1}`, user: "ada"}
	all := `{"n":` + ada + `,"r":` + rooted + `,"c":` + sampled + `}`
	state := r.asks(t, h, "n", "c", "r").RequestState
	before := plugin.count("many")
	const foreign = "does not belong"
	for name, change := range map[string]func(*asking){
		"tool":      func(r *asking) { r.tool = "steps" },
		"arguments": func(r *asking) { r.arguments = `{"a":2}` },
		"principal": func(r *asking) { r.user = "eve" },
		"server":    func(r *asking) { r.server = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			changed := r
			change(&changed)
			changed.with(all, state).fails(t, h, -32602, foreign)
		})
	}
	for name, bad := range map[string]string{
		"flipped": state[:20] + string(state[20]^1) + state[21:], "cut": state[:len(state)-4], "empty": " ", "long": state + state, "nonsense": "%%%",
	} {
		t.Run(name, func(t *testing.T) { r.with(all, bad).fails(t, h, -32602, foreign) })
	}
	wrong := r
	wrong.more = `,"requestState":7`
	wrong.fails(t, h, -32602, foreign)
	for _, bad := range []string{`7`, `null`, `[]`, `"x"`} {
		wrong.more = `,"inputResponses":` + bad
		wrong.fails(t, h, -32602, "must be an object")
	}
	for _, bad := range []string{
		`{"n":12345}`, `{"n":{}}`, `{"n":{"action":"perhaps"}}`, `{"n":{"action":"accept"}}`, `{"n":{"action":"accept","content":[]}}`, `{"c":{}}`,
		`{"c":{"role":"assistant","content":"x","model":"m"}}`, `{"c":{"role":"assistant","content":{}}}`, `{"r":{"roots":7}}`, `{"r":{"roots":[7]}}`,
	} {
		r.with(bad, state).fails(t, h, -32602, "inputResponses")
	}
	if plugin.count("many") != before {
		t.Error("the plugin was called")
	}
	clock.advance(turnLife)
	r.with(all, state).fails(t, h, -32602, "expired")
	// Another replica with the same secret goes on, in spite of blanks.
	state = r.asks(t, h, "n", "c", "r").RequestState
	second, _ := newCurious(t, Options{Now: clock.Now, Store: db, Secret: secret})
	r.arguments = ` { "a" : 1 } `
	r.with(all, state).completes(t, second)
	third, _ := newCurious(t, Options{Now: clock.Now, Store: db})
	r.with(all, state).fails(t, third, -32602, foreign)
}

func TestUndeclaredCapabilities(t *testing.T) {
	h, _ := newCurious(t, Options{})
	for _, c := range []struct{ tool, capabilities, want string }{
		{"name", `{}`, `{"requiredCapabilities":{"elicitation":{"form":{}}}}`},
		{"name", `{"elicitation":{"url":{}}}`, `{"requiredCapabilities":{"elicitation":{"form":{}}}}`},
		{"name", `{"elicitation":true}`, `{"requiredCapabilities":{"elicitation":{"form":{}}}}`},
		{"url", `{"elicitation":{}}`, `{"requiredCapabilities":{"elicitation":{"url":{}}}}`},
		{"many", `{"elicitation":{}}`, `{"requiredCapabilities":{"sampling":{},"roots":{}}}`},
	} {
		status, a := asking{tool: c.tool, capabilities: c.capabilities}.do(t, h)
		if status != 400 || a.code() != -32021 || string(a.Error.Data) != c.want {
			t.Errorf("%s with %s: %d %+v", c.tool, c.capabilities, status, a.Error)
		}
	}
	asking{tool: "name", capabilities: `{"elicitation":{}}`}.asks(t, h, "user_name")
	asking{tool: "url", capabilities: `{"elicitation":{"url":{}}}`}.asks(t, h, "u")
}

func TestPromptAsks(t *testing.T) {
	h, _ := newCurious(t, Options{})
	name, missing := "", ""
	for _, p := range testPrompts() {
		for _, a := range p.Arguments {
			if a.Ask {
				name, missing = p.Name, a.Name
			}
		}
	}
	if name == "" {
		t.Fatal("no prompt asks", missing)
	}
	r := asking{method: "prompts/get", tool: name}
	p := r.asks(t, h, "arguments")
	r.with(`{"arguments":{"action":"accept","content":{"team":"blue","why":"so"}}}`, p.RequestState).completes(t, h)
	r.with(`{"arguments":{"action":"accept","content":{"team":"green","why":"so"}}}`, p.RequestState).fails(t, h, -32602, "team")
	r.with(`{"arguments":{"action":"accept","content":{"team":"blue"}}}`, p.RequestState).fails(t, h, -32602, "why")
	r.with(`{"arguments":{"action":"cancel"}}`, p.RequestState).fails(t, h, -32602, "cancel")
	r.capabilities = `{}`
	r.fails(t, h, -32021, "elicitation form")
}

// conversation is a client with a session that reads events and is asked.
type conversation struct {
	t       *testing.T
	url, id string
	answers map[string]string // by method: a result, or an error that begins with "!"
	asked   []string
}

func converse(t *testing.T, url, version, capabilities string) *conversation {
	t.Helper()
	c := &conversation{t: t, url: url, answers: map[string]string{
		"elicitation/create": ada, "sampling/createMessage": sampled, "roots/list": rooted,
	}}
	body := strings.Replace(initializeBody(version), `{"roots":{}}`, capabilities, 1)
	response := c.send(body)
	c.id = response.Header.Get("Mcp-Session-Id")
	response.Body.Close()
	return c
}

func (c *conversation) send(body string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), "POST", c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if c.id != "" {
		r.Header.Set("Mcp-Session-Id", c.id)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return response
}

// call makes a call and answers what it is asked meanwhile.
func (c *conversation) call(body string) answer {
	c.t.Helper()
	response := c.send(body)
	defer response.Body.Close()
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return decode(c.t, response.Body)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "" {
			continue
		}
		var m struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		if err := json.Unmarshal([]byte(data), &m); err != nil {
			c.t.Fatal(err)
		}
		switch {
		case m.Method == "":
			return decode(c.t, strings.NewReader(data))
		case m.ID != nil:
			c.answer(m.ID, m.Method, m.Params)
		}
	}
	c.t.Fatal("stream ended without an answer", lines.Err())
	return answer{}
}

func (c *conversation) answer(id json.RawMessage, method string, params json.RawMessage) {
	c.asked = append(c.asked, method+" "+string(params))
	said, isError := strings.CutPrefix(c.answers[method], "!")
	member := `"result":` + said
	if isError {
		member = `"error":{"code":-1,"message":"` + said + `"}`
	}
	response := c.send(`{"jsonrpc":"2.0","id":` + string(id) + `,` + member + `}`)
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		c.t.Errorf("answer: %d", response.StatusCode)
	}
}

func TestPluginAsksLegacy(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	url := listen(t, h).URL + "/mcp/curious"
	for _, version := range []string{"2025-06-18", "2025-11-25"} {
		t.Run(version, func(t *testing.T) {
			c := converse(t, url, version, allCapabilities)
			got := resultOfAnswer(t, c.call(callBody("7", "many", `{"a":1}`)))
			want := `{"arguments":{"a":1},"answers":{"c":` + sampled + `,"n":` + ada + `,"r":` + rooted + `},"state":"plugin's own"}`
			if string(got.StructuredContent) != want || len(c.asked) != 3 || !strings.HasPrefix(c.asked[0], "elicitation/create") {
				t.Errorf("got %s, asked %q", got.StructuredContent, c.asked)
			}
			got = resultOfAnswer(t, c.call(callBody("8", "steps", `{}`)))
			if got.IsError || len(c.asked) != 5 {
				t.Errorf("got %+v, asked %q", got, c.asked)
			}
			before := plugin.count("for_ever")
			got = resultOfAnswer(t, c.call(callBody("9", "for_ever", `{}`)))
			if !got.IsError || plugin.count("for_ever") != before+maxRounds+1 {
				t.Errorf("got %+v after %d calls", got, plugin.count("for_ever")-before)
			}
			got = resultOfAnswer(t, c.call(callBody("10", "later", `{}`)))
			if got.IsError {
				t.Errorf("got %+v", got)
			}
		})
	}
	for name, c := range map[string]struct{ capabilities, elicited, want string }{
		"nothing declared": {`{}`, ada, "elicitation form"},
		"an error":         {allCapabilities, "!no thanks", "no thanks"},
		"no answer":        {allCapabilities, `{}`, "action must be"},
		"declined":         {allCapabilities, `{"action":"decline"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := converse(t, url, "2025-11-25", c.capabilities)
			client.answers["elicitation/create"] = c.elicited
			got := resultOfAnswer(t, client.call(callBody("1", "name", `{}`)))
			if got.IsError != (c.want != "") || !strings.Contains(got.Content[0].Text, c.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// What waits for an answer ends with the call's time.
func TestNobodyAnswers(t *testing.T) {
	h, _ := newCurious(t, Options{CallTimeout: 50 * time.Millisecond})
	w := serve(h, "POST", "/mcp/curious", nil, strings.Replace(initializeBody("2025-11-25"), `{"roots":{}}`, allCapabilities, 1))
	w = serve(h, "POST", "/mcp/curious", headers{"Mcp-Session-Id": w.Header().Get("Mcp-Session-Id")}, callBody("1", "name", `{}`))
	if !strings.Contains(w.Body.String(), "in time") {
		t.Errorf("got %s", w.Body)
	}
}

func FuzzRequestState(f *testing.F) {
	h, _ := newCurious(f, Options{Secret: []byte("0123456789abcdef0123456789abcdef")})
	x := &exchange{handler: h, server: h.server("curious")}
	m := &envelope{method: "tools/call", capabilities: []byte(allCapabilities)}
	d, fault := h.newDialogue(x, modern, m, json.RawMessage(`{}`), "name")
	if fault != nil {
		f.Fatal(fault)
	}
	f.Add(h.states.seal([]byte(`{"about":"plugin","expires":9}`), d.bound...), `{}`)
	f.Add("", `null`)
	f.Add("AAAA", `{"a":1}`)
	f.Fuzz(func(t *testing.T, state, answers string) {
		quoted, _ := json.Marshal(state)
		params := `{"requestState":` + string(quoted) + `,"inputResponses":` + answers + `}`
		if !json.Valid([]byte(params)) {
			return
		}
		m.params = []byte(params)
		d, fault := h.newDialogue(x, modern, m, json.RawMessage(`{}`), "name")
		if fault == nil && d.turn != nil {
			t.Errorf("%s was taken for ours", params) // unless it is the seed, which has expired
		}
		at := &turn{Asked: json.RawMessage(`{"a":` + nameQuestion + `,"b":` + capital + `,"c":` + rootsList + `}`)}
		if fault == nil {
			if missing, fault := at.take(d.given, true); fault == nil && missing != nil && !json.Valid(missing) {
				t.Errorf("%s", missing)
			}
		}
	})
}
