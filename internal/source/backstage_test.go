package source_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// fakeBackstage serves the actions of a plugin "depot" as backend-defaults
// 0.18.0 does: lists, status codes and error bodies.
type fakeBackstage struct {
	*httptest.Server
	sync.Mutex
	list    string   // the whole answer, when it is not the usual one
	actions []string // entries of the list
	calls   []string // method, path and body
}

const depotToken, depotSecret = "static-token-123456", "carrier-key-123456"

func newFakeBackstage(t *testing.T) *fakeBackstage {
	t.Helper()
	closed := func(properties string) string {
		return `{"type":"object","properties":` + properties + `,"additionalProperties":false,"$schema":"http://json-schema.org/draft-07/schema#"}`
	}
	entry := func(name, more, input, output string) string {
		return `{"id":"depot:` + name + `","name":"` + name + `","title":"T","description":"D","pluginId":"depot","attributes":{"destructive":false,"idempotent":true,"readOnly":true},"schema":{"input":` + input + `,"output":` + output + more + `}}`
	}
	text := `{"s":{"type":"string"},"n":{"type":"number"}}`
	f := &fakeBackstage{actions: []string{
		entry("echo", "", closed(text), `{"type":"object"}`), entry("list", "", closed(`{}`), `{"type":"array"}`), entry("count", "", closed(`{}`), `{"type":"integer"}`),
		entry("nothing", "", closed(`{}`), `{}`), entry("lost", "", closed(text), `{}`), entry("broken", "", closed(`{}`), `{}`), entry("EchoAll", "", `{"type":"object","additionalProperties":{}}`, `{}`),
		entry("secret", `,"secrets":{"type":"object","properties":{"carrierKey":{"type":"string"}},"required":["carrierKey"]}`, closed(text), `{"type":"object"}`),
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /base/api/depot/.backstage/actions/v1/actions", f.lists)
	mux.HandleFunc("POST /base/api/depot/.backstage/actions/v1/actions/{id}/invoke", f.invokes)
	mux.HandleFunc("POST /base/api/depot/.backstage/actions/v2/actions/{id}/invoke", f.invokesWrapped)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.Header.Get("Authorization") != "Bearer "+depotToken {
			fail(w, r, http.StatusUnauthorized, "AuthenticationError", "Missing credentials")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func fail(w http.ResponseWriter, r *http.Request, status int, name, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"name":%q,"message":%q,"stack":"Error\n  at /app/node_modules/x.js:1"},"request":{"method":%q,"url":%q},"response":{"statusCode":%d}}`, name, message, r.Method, r.URL.Path, status)
}

func (f *fakeBackstage) publish(list string, actions ...string) {
	f.Lock()
	defer f.Unlock()
	f.list = list
	if actions != nil {
		f.actions = actions
	}
}

func (f *fakeBackstage) lists(w http.ResponseWriter, _ *http.Request) {
	f.Lock()
	defer f.Unlock()
	if f.list != "" {
		fmt.Fprint(w, f.list)
		return
	}
	fmt.Fprintf(w, `{"actions":[%s]}`, strings.Join(f.actions, ","))
}

func (f *fakeBackstage) invokes(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.Lock()
	f.calls = append(f.calls, r.URL.EscapedPath()+" "+string(body))
	f.Unlock()
	switch r.PathValue("id") {
	case "depot:echo", "depot:EchoAll":
		fmt.Fprintf(w, `{"output":%s}`, body)
	case "depot:list":
		fmt.Fprint(w, `{"output":["a","b"]}`)
	case "depot:count":
		fmt.Fprint(w, `{"output":12345678901234567890}`)
	case "depot:nothing":
		fmt.Fprint(w, `{}`)
	case "depot:lost":
		fail(w, r, http.StatusNotFound, "NotFoundError", "No order is called x")
	case "depot:broken":
		fail(w, r, http.StatusInternalServerError, "Error", "password of db-17.internal is hunter2")
	default:
		fail(w, r, http.StatusNotFound, "NotFoundError", `Action "`+r.PathValue("id")+`" not found`)
	}
}

func (f *fakeBackstage) invokesWrapped(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Input   json.RawMessage
		Secrets map[string]string
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Secrets["carrierKey"] != depotSecret {
		fail(w, r, http.StatusBadRequest, "InputError", `Action "depot:secret" requires secrets but none were provided`)
		return
	}
	fmt.Fprintf(w, `{"output":{"input":%s,"said":"the key is %s"}}`, body.Input, body.Secrets["carrierKey"])
}

func (f *fakeBackstage) source(secrets ...string) source.Source {
	return source.FromBackstage(source.BackstageOptions{BaseURL: f.URL + "/base/", Plugin: "depot", Header: bearer(depotToken), Secrets: secrets})
}

func bearer(token string) func(context.Context) (http.Header, error) {
	return func(context.Context) (http.Header, error) {
		return http.Header{"Authorization": {"Bearer " + token}}, nil
	}
}

// TestBackstageActions goes the whole way, from the list to results.
func TestBackstageActions(t *testing.T) {
	f := newFakeBackstage(t)
	p, err := f.source("carrierKey").Poll(t.Context())
	if err != nil || len(p.Findings) > 0 || p.BaseURL != f.URL+"/base/api/depot" {
		t.Fatal(p, err)
	}
	doc := openapi.Read(p.Documents[0], openapi.Options{TrustAttributes: true, Secrets: []string{"carrierKey"}})
	client, err := invoke.New(invoke.Options{
		BaseURL: p.BaseURL, Credentials: credential.Bearer(func() (string, error) { return depotToken, nil }), Secrets: func() (map[string]string, error) { return map[string]string{"carrierKey": depotSecret}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	call := func(name string, arguments map[string]any) string {
		i := slices.IndexFunc(doc.Actions, func(a openapi.Action) bool { return a.Name == name })
		if i < 0 {
			t.Fatalf("no action %s: %v", name, doc.Findings)
		}
		r, err := client.Invoke(t.Context(), &doc.Actions[i], arguments)
		var fault *invoke.Error
		if errors.As(err, &fault) {
			return string(fault.Kind) + ": " + fault.Message
		}
		return string(r.JSON)
	}
	for _, tt := range []struct {
		name      string
		arguments map[string]any
		want      string
	}{
		{"echo", map[string]any{"s": "é/\"<", "n": json.Number("1.50")}, `{"n":1.50,"s":"é/\"<"}`},
		{"echo", nil, `{}`},
		{"list", nil, `["a","b"]`},
		{"count", nil, `12345678901234567890`},
		{"nothing", nil, `null`},
		{"echo-all", map[string]any{"input": map[string]any{"a": []any{nil}}}, `{"a":[null]}`},
		{"lost", map[string]any{"s": "x"}, "rejected: HTTP 404 Not Found: NotFoundError: No order is called x"},
		{"broken", nil, "unavailable: the plugin failed (HTTP 500)"},
		{"secret", map[string]any{"s": "x"}, `{"input":{"s":"x"},"said":"the key is [redacted]"}`},
		{"secret", nil, `{"input":{},"said":"the key is [redacted]"}`},
	} {
		if got := call(tt.name, tt.arguments); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
	if want := `/base/api/depot/.backstage/actions/v1/actions/depot%3Alist/invoke {}`; f.calls[2] != want {
		t.Errorf("sent %s, want %s", f.calls[2], want)
	}
}

// TestBackstagePolls: what a source says as its Backstage changes.
func TestBackstagePolls(t *testing.T) {
	f := newFakeBackstage(t)
	s := f.source()
	poll := func() *source.Publication {
		t.Helper()
		p, err := s.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := poll()
	if len(first.Findings) != 1 || first.Findings[0].Code != "backstage-secrets" || !strings.Contains(first.Findings[0].Message, `"depot:secret"`) {
		t.Errorf("findings %v", first.Findings)
	}
	if poll() != nil {
		t.Error("nothing changed")
	}
	usual := f.actions
	f.publish("", usual[:2]...)
	if p := poll(); p == nil || p.Content().Hash() == first.Content().Hash() {
		t.Error("the change is not seen")
	}
	for body, want := range map[string]string{
		"<html>":     "is a web page",
		`{"a": []}`:  "is no list of actions",
		`{"actions"`: "is no list of actions",
	} {
		f.publish(body)
		if _, err := s.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), f.URL) {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
	f.publish("", usual[:2]...)
	if poll() != nil {
		t.Error("it is what was given last")
	}
	f.publish("", usual...)
	if p := poll(); p == nil || cmp.Diff(p.Documents, first.Documents) != "" {
		t.Error("it is what it was first")
	}
	if s.String() != f.URL+"/base/api/depot/.backstage/actions/v1/actions" {
		t.Errorf("called %s", s)
	}
}

func TestBackstageThatDoesNotAnswer(t *testing.T) {
	f := newFakeBackstage(t)
	poll := func(ctx context.Context, o source.BackstageOptions) string {
		p, err := source.FromBackstage(o).Poll(ctx)
		if err == nil {
			return fmt.Sprint("gave ", p)
		}
		return err.Error()
	}
	for want, o := range map[string]source.BackstageOptions{
		"answered with HTTP 401; it wants credentials (auth or specAuth)": {BaseURL: f.URL + "/base", Plugin: "depot", Header: bearer("wrong")},
		"answered with HTTP 404": {BaseURL: f.URL + "/base", Plugin: "other", Header: bearer(depotToken)},
		"file is gone":           {BaseURL: f.URL, Plugin: "depot", Header: func(context.Context) (http.Header, error) { return nil, errors.New("file is gone") }},
	} {
		if got := poll(t.Context(), o); !strings.Contains(got, want) || strings.Contains(got, "wrong") || strings.Contains(got, depotToken) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := poll(ctx, source.BackstageOptions{BaseURL: f.URL + "/base", Plugin: "depot", Header: bearer(depotToken)}); !strings.Contains(got, "canceled") {
		t.Errorf("got %s", got)
	}
}
