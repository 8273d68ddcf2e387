package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
	"github.com/stagedoor/stagedoor/openapi"
)

func TestConfirmModern(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	r := asking{tool: "drop", arguments: `{"id":7,"password":"hunter2"}`}
	p := r.asks(t, h, "confirm")
	question := string(p.InputRequests["confirm"])
	for _, want := range []string{"The drop", "curious", `\"id\":7`, `"required":["confirm"]`, `"mode":"form"`} {
		if !strings.Contains(question, want) {
			t.Errorf("question %s has no %s", question, want)
		}
	}
	if strings.Contains(question, "hunter2") {
		t.Errorf("question shows a password: %s", question)
	}
	for _, no := range []string{declined, `{"confirm":{"action":"cancel"}}`, `{"confirm":{"action":"accept","content":{"confirm":false}}}`, `{"confirm":{"action":"accept","content":{}}}`, `{"confirm":{"action":"accept","content":{"confirm":"true"}}}`} {
		p := r.asks(t, h, "confirm")
		if got := r.with(no, p.RequestState).completes(t, h); !got.IsError || !strings.Contains(got.Content[0].Text, "not confirmed") {
			t.Errorf("%s: %+v", no, got)
		}
		r.with(agreed, p.RequestState).fails(t, h, -32602, "used before") // nobody is asked until they agree
	}
	r.with(agreed, "").asks(t, h, "confirm") // no agreement without a question
	again := r.with(`{"other":{}}`, p.RequestState).asks(t, h, "confirm")
	if plugin.count("drop") != 0 {
		t.Fatal("the plugin was called without a confirmation")
	}
	changed := r
	changed.arguments = `{"id":8,"password":"hunter2"}`
	changed.with(agreed, p.RequestState).fails(t, h, -32602, "does not belong")
	if got := r.with(agreed, p.RequestState).completes(t, h); got.IsError || plugin.count("drop") != 1 {
		t.Errorf("got %+v", got)
	}
	r.with(agreed, p.RequestState).fails(t, h, -32602, "used before")
	r.with(agreed, again.RequestState).fails(t, h, -32602, "used before") // it is the same question
	if plugin.count("drop") != 1 {
		t.Error("a confirmation counted twice")
	}
	asking{tool: "plain"}.completes(t, h)
	asking{tool: "drop", server: "free"}.completes(t, h)
}

// A plugin that asks after the confirmation is not called twice with it either.
func TestConfirmedPluginAsks(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	r := asking{tool: "drop_name"}
	p := r.asks(t, h, "confirm")
	p = r.with(agreed, p.RequestState).asks(t, h, "user_name")
	r.with(`{"user_name":`+ada+`}`, p.RequestState).completes(t, h)
	r.with(`{"user_name":`+ada+`}`, p.RequestState).fails(t, h, -32602, "used before")
	if plugin.count("drop_name") != 2 {
		t.Errorf("%d calls", plugin.count("drop_name"))
	}
	// What was begun where nobody has to confirm does not go on here.
	free := asking{tool: "drop_name", server: "free"}.asks(t, h, "user_name")
	r.with(`{"user_name":`+ada+`}`, free.RequestState).fails(t, h, -32602, "does not belong")
	if err := h.SetServers(unconfirmed()); err != nil {
		t.Fatal(err)
	}
	p = r.asks(t, h, "user_name")
	if err := h.SetServers(curiousServers()); err != nil {
		t.Fatal(err)
	}
	r.with(`{"user_name":`+ada+`,`+agreed[1:], p.RequestState).asks(t, h, "confirm")
	if plugin.count("drop_name") != 4 {
		t.Errorf("%d calls", plugin.count("drop_name"))
	}
}

func unconfirmed() []*registry.Server {
	servers := curiousServers()
	servers[0].ConfirmDestructive = false
	return servers
}

// Many retries with one confirmation, at two replicas: one call.
func TestConfirmOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		secret := []byte("0123456789abcdef0123456789abcdef")
		a, plugin := newCurious(t, Options{Store: db, Secret: secret})
		b, _ := newCurious(t, Options{Store: db, Secret: secret, Invoker: plugin})
		r := asking{tool: "drop"}
		p := r.asks(t, a, "confirm")
		var refused atomic.Int64
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				h := []http.Handler{a, b}[i%2]
				if _, answer := r.with(agreed, p.RequestState).do(t, h); answer.code() == -32602 {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if plugin.count("drop") != 1 || refused.Load() != 19 {
			t.Errorf("%d calls, %d refused", plugin.count("drop"), refused.Load())
		}
	})
}

// amnesiac is a store that cannot remember what was used.
type amnesiac struct{ Store }

func (amnesiac) Spend(context.Context, string, time.Time) (bool, error) {
	return false, errors.New("connection refused")
}

func TestConfirmWithoutDatabase(t *testing.T) {
	h, plugin := newCurious(t, Options{Store: amnesiac{openStore(t)}})
	r := asking{tool: "drop"}
	p := r.asks(t, h, "confirm")
	r.with(agreed, p.RequestState).fails(t, h, -32603, "not available")
	if plugin.count("drop") != 0 {
		t.Error("the plugin was called")
	}
}

// No way to call a destructive action goes past the user.
func TestConfirmEverywhere(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	url := listen(t, h).URL + "/mcp/curious"
	refused := func(t *testing.T, a answer) {
		t.Helper()
		got := resultOfAnswer(t, a)
		if !got.IsError || !strings.Contains(got.Content[0].Text, "cannot ask the user") || plugin.count("drop") != 0 {
			t.Errorf("got %+v after %d calls", got, plugin.count("drop"))
		}
	}
	t.Run("modern, no capability", func(t *testing.T) {
		_, a := asking{tool: "drop", capabilities: `{"elicitation":{"url":{}}}`}.do(t, h)
		refused(t, a)
	})
	all := strings.Replace(initializeBody("2025-11-25"), `{"roots":{}}`, allCapabilities, 1)
	for name, c := range map[string]struct {
		initialize string
		hs         headers
	}{
		"no capability": {initializeBody("2025-11-25"), nil},
		"2024-11-05":    {initializeBody("2024-11-05"), nil},
		"no events":     {all, headers{"Accept": "application/json"}},
	} {
		t.Run(name, func(t *testing.T) {
			id := serve(h, "POST", "/mcp/curious", nil, c.initialize).Header().Get("Mcp-Session-Id")
			hs := headers{"Mcp-Session-Id": id}
			for k, v := range c.hs {
				hs[k] = v
			}
			refused(t, decode(t, serve(h, "POST", "/mcp/curious", hs, callBody("1", "drop", `{}`)).Body))
		})
	}
	t.Run("batch", func(t *testing.T) {
		id := serve(h, "POST", "/mcp/curious", nil, strings.Replace(all, "2025-11-25", "2025-03-26", 1)).Header().Get("Mcp-Session-Id")
		w := serve(h, "POST", "/mcp/curious", headers{"Mcp-Session-Id": id}, "["+callBody("1", "drop", `{}`)+"]")
		var answers []answer
		if err := json.Unmarshal(w.Body.Bytes(), &answers); err != nil || len(answers) != 1 {
			t.Fatal(w.Body, err)
		}
		refused(t, answers[0])
	})
	t.Run("mcp-go", func(t *testing.T) { // it has no tools, whoever comes to it
		x := &exchange{handler: h, server: h.server("curious"), r: newRequest("POST", "/", nil, "")}
		for version, body := range map[string]string{"2025-11-25": callBody("1", "drop", `{}`), "2026-07-28": modernCall("1", "drop", `{}`)} {
			m, fault := parseEnvelope([]byte(body))
			if fault != nil {
				t.Fatal(fault)
			}
			if result, fault := h.ask(t.Context(), x, newClientSession("s", version), &m); fault == nil || plugin.count("drop") != 0 {
				t.Errorf("%s: got %s after %d calls", version, result, plugin.count("drop"))
			}
		}
	})
	t.Run("stdio", func(t *testing.T) {
		refused(t, overStdio(t, h, initializeBody("2025-11-25"), callBody("1", "drop", `{}`)))
		asked := overStdio(t, h, strings.Replace(modernCall("1", "drop", `{}`), `Capabilities":{}`, `Capabilities":`+allCapabilities, 1))
		if p := resultOfAnswer(t, asked); p.ResultType != "input_required" {
			t.Errorf("got %s", asked.Result)
		}
	})
	if plugin.count("drop") != 0 {
		t.Fatal("the plugin was called")
	}
	for answered, want := range map[string]int{`{"action":"decline"}`: 0, `{"action":"accept","content":{"confirm":true}}`: 1} {
		c := converse(t, url, "2025-11-25", allCapabilities)
		c.answers["elicitation/create"] = answered
		before := plugin.count("drop")
		got := resultOfAnswer(t, c.call(callBody("1", "drop", `{}`)))
		if plugin.count("drop")-before != want || got.IsError != (want == 0) || len(c.asked) != 1 {
			t.Errorf("%s: %+v, asked %q", answered, got, c.asked)
		}
	}
}

// overStdio sends messages and gives the answer to the last.
func overStdio(t *testing.T, h *Handler, messages ...string) answer {
	t.Helper()
	out := &strings.Builder{}
	if err := h.ServeStdio(t.Context(), "curious", principal.Principal{}, strings.NewReader(strings.Join(messages, "\n")+"\n"), out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return decode(t, strings.NewReader(lines[len(lines)-1]))
}

// A client on stdio is asked on its own line, and answers there.
func TestConfirmOnStdio(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	in, say := io.Pipe()
	heard, out := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.ServeStdio(t.Context(), "curious", principal.Principal{}, in, out); err != nil {
			t.Error(err)
		}
		out.Close()
	})
	read := json.NewDecoder(heard)
	next := func() (m struct {
		ID     json.RawMessage
		Method string
		Result pendingResult
	}) {
		if err := read.Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	tell := func(message string) { _, _ = io.WriteString(say, message+"\n") }
	tell(strings.Replace(initializeBody("2025-11-25"), `{"roots":{}}`, allCapabilities, 1))
	next()
	tell(callBody("1", "drop", `{}`))
	asked := next()
	if asked.Method != "elicitation/create" || plugin.count("drop") != 0 {
		t.Fatalf("%+v", asked)
	}
	tell(`{"jsonrpc":"2.0","id":` + string(asked.ID) + `,"result":{"action":"accept","content":{"confirm":true}}}`)
	if done := next(); done.Result.IsError || plugin.count("drop") != 1 {
		t.Errorf("%+v", done)
	}
	say.Close()
	wg.Wait()
}

func TestShownArguments(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`:                         `{}`,
		`{ "a" : [ 1, {"b":null} ]}`: `{"a":[1,{"b":null}]}`,
		`{"password":"x","userToken":{"a":1},"API_KEY":"x","Api-Key":7,"clientSecret":[1],"pin":1,"pins":1,"nested":{"passphrase":"y"}}`: `{"password":"•••","userToken":"•••","API_KEY":"•••","Api-Key":"•••","clientSecret":"•••","pin":"•••","pins":1,"nested":{"passphrase":"•••"}}`,
		"{\"a\":\"\u202egnp.exe\u200b\\n\"}": `{"a":"\u202egnp.exe\u200b\n"}`,
		`{"n":12345678901234567890.0}`:       `{"n":12345678901234567890.0}`,
		`{"a":[],"b":{}}`:                    `{"a":[],"b":{}}`,
		`{"tokenId":"production","credentialName":"root","secret_ids":["a"],"token-name":"b","username":"c","tokenid":"d"}`: `{"tokenId":"production","credentialName":"root","secret_ids":["a"],"token-name":"b","username":"c","tokenid":"•••"}`,
	} {
		if got, ok := shown(json.RawMessage(raw)); got != want || !ok {
			t.Errorf("%s: got %s, %v, want %s", raw, got, ok, want)
		}
	}
	long := strings.Repeat("é", 3000)
	for raw, want := range map[string]string{
		`{"note":"` + long + `","id":"production"}`:              `","id":"production"}`,
		`{"path":"` + long + `/../production"}`:                  `/../production"}`,
		`{"a":["` + long + `",{"b":"` + long + `"}]}`:            ` (5800 bytes cut) …`,
		`{"a":"` + strings.Repeat("x", maxShown-8) + `"}`:        strings.Repeat("x", maxShown-8), // all of it
		`{"many":[` + strings.Repeat(`"x",`, maxShown/4) + `1]}`: "",
		`{"` + long + `":1}`:                                     "",
		`{"n":1` + strings.Repeat("0", maxShown) + `}`:           "",
	} {
		got, ok := shown(json.RawMessage(raw))
		if ok != (want != "") || !strings.Contains(got, want) || len(got) > maxShown || !utf8.ValidString(got) {
			t.Errorf("%.20s…: %v, %d bytes, %s", raw, ok, len(got), got)
		}
	}
}

// Nobody is asked about what they cannot be shown.
func TestConfirmTooMuch(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	got := asking{tool: "drop", arguments: `{"ids":[` + strings.Repeat(`"x",`, maxShown) + `1]}`}.completes(t, h)
	if !got.IsError || !strings.Contains(got.Content[0].Text, "too many to be shown") || plugin.count("drop") != 0 {
		t.Errorf("got %+v", got)
	}
}

// What was confirmed is what happens: a reload that gives the tool's name to
// something else, or something else to the tool, makes people decide anew.
func TestConfirmedMeaning(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	r := asking{tool: "drop"}
	for what, change := range map[string]func(*registry.Action){
		"another action": func(a *registry.Action) { a.ID = "curious:other" },
		"another method": func(a *registry.Action) { a.Request.Method = "DELETE" },
		"another path":   func(a *registry.Action) { a.Request.Path = []openapi.PathPart{{Literal: "/all"}} },
		"another parameter": func(a *registry.Action) {
			a.Request.Path = []openapi.PathPart{{Parameter: &openapi.Parameter{Name: "all"}}}
		},
		"another fixed value": func(a *registry.Action) {
			a.Request.Parameters = []openapi.Parameter{{Name: "force", Value: openapi.Value{Fixed: json.RawMessage("true")}}}
		},
		"another schema": func(a *registry.Action) { a.InputSchema = json.RawMessage(`{"type":"object","maxProperties":1}`) },
	} {
		p := r.asks(t, h, "confirm")
		changed := curiousServers()
		for _, t := range changed[0].Tools {
			if t.Name == "drop" {
				change(t.Action)
			}
		}
		if err := h.SetServers(changed); err != nil {
			t.Fatal(err)
		}
		r.with(agreed, p.RequestState).fails(t, h, -32602, "does not belong")
		if err := h.SetServers(curiousServers()); err != nil {
			t.Fatal(err)
		}
		if plugin.count("drop") != 0 {
			t.Fatalf("%s was called with a confirmation of what it was before", what)
		}
	}
}
