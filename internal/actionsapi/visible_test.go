package actionsapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gorilla/mux"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/openapi"
)

// petRegistry has the actions of testdata/pets.yaml, whose plugin answers {}.
func petRegistry(t testing.TB) *registry.Registry {
	t.Helper()
	document, err := os.ReadFile("testdata/pets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	client, err := invoke.New(invoke.Options{
		BaseURL: "http://pets.internal", Transport: invoke.InProcess(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), 1000),
	})
	if err != nil {
		t.Fatal(err)
	}
	actions := openapi.Read(openapi.Source{Name: "pets.yaml", Data: document}, openapi.Options{Mode: openapi.Annotated}).Actions
	part, faults := registry.Compile(registry.Plugin{Name: "pets", Actions: actions, Client: client})
	snapshot, more := registry.Build([]*registry.Part{part}, nil, registry.Options{})
	if len(faults)+len(more) > 0 {
		t.Fatal(faults, more)
	}
	return registry.New(snapshot)
}

// serve makes a handler; the principal is the word after "Bearer".
func serve(r Registry, rules ...registry.AccessRule) http.Handler {
	h := New(Options{
		Registry: r, MaxBody: 1000, Calls: 10,
		Record: func(context.Context, audit.Call) {},
	})
	return routed(h, everything(rules...))
}

// routed serves an offer.
func routed(h *Handler, o *Offer) http.Handler {
	h.Offer(o)
	router := mux.NewRouter().SkipClean(true)
	h.Routes(router, func(next http.Handler) http.Handler { return next })
	return router
}

// word is a gate that takes the word after Bearer for the subject, and those
// after it for scopes.
type word struct{}

func (word) Authenticate(r *http.Request) (principal.Principal, *principal.Refusal) {
	subject, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return principal.Principal{}, &principal.Refusal{
			Status: 401, Challenge: "Bearer", Message: "credentials are missing or not valid", Cause: errors.New("token hush-hush is not known"),
		}
	}
	subject, scopes, _ := strings.Cut(subject, " ")
	return principal.Principal{Kind: principal.User, Subject: subject, Scopes: strings.Fields(scopes)}, nil
}

func (word) StepUp(_ principal.Principal, needed, _ []string) *principal.Refusal {
	return &principal.Refusal{Status: 403, Challenge: `Bearer scope="` + strings.Join(needed, " ") + `"`, Message: "scopes are missing"}
}

func everything(rules ...registry.AccessRule) *Offer {
	return &Offer{registry.Allowlist{Include: []registry.Rule{{}}}, &registry.Door{Name: registry.ActionsAPI, Gate: word{}, Rules: rules}}
}

func ask(h http.Handler, method, path, subject, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if subject != "" {
		r.Header.Set("Authorization", "Bearer "+subject)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestVisibility: whom an action is not visible to, learns in no way that it is
// there.
func TestVisibility(t *testing.T) {
	r := petRegistry(t)
	h := serve(r, registry.AccessRule{Who: registry.Who{Subject: "ada"}},
		registry.AccessRule{Who: registry.Who{Subject: "bob"}, Actions: []registry.Rule{{Attributes: registry.AttributeSet{ReadOnly: new(true)}}}})
	const list, invocation = "/api/pets/.backstage/actions/v1/actions", "/.backstage/actions/v1/actions/pets:delete-pet/invoke"
	for subject, want := range map[string]struct{ list, invoke, hidden int }{
		"": {401, 401, 0}, "ada": {200, 200, 0}, "bob": {200, 404, 1}, "eve": {404, 404, 1},
	} {
		w := ask(h, http.MethodGet, list, subject, "")
		if w.Code != want.list || want.hidden == 1 && strings.Contains(w.Body.String(), "delete-pet") {
			t.Errorf("list for %q: %d %s", subject, w.Code, w.Body)
		}
		if w = ask(h, http.MethodPost, invocation, subject, `{"id":"1"}`); w.Code != want.invoke {
			t.Errorf("invoke for %q: %d %s", subject, w.Code, w.Body)
		}
		unknown := ask(h, http.MethodPost, strings.Replace(invocation, "delete-pet", "deleet-pet", 1), subject, `{"id":"1"}`)
		if want.hidden == 1 && strings.ReplaceAll(unknown.Body.String(), "deleet", "delete") != w.Body.String() {
			t.Errorf("for %q hidden and unknown differ: %s %s", subject, w.Body, unknown.Body)
		}
	}
	w := ask(h, http.MethodGet, list, "", "")
	if w.Header().Get("WWW-Authenticate") == "" || strings.Contains(w.Body.String(), "hush") || !strings.Contains(w.Body.String(), `"AuthenticationError"`) {
		t.Errorf("nobody: %v %s", w.Header(), w.Body)
	}
	ada, bob := ask(h, http.MethodGet, list, "ada", ""), ask(h, http.MethodGet, list, "bob", "")
	if ada.Header().Get("ETag") == bob.Header().Get("ETag") {
		t.Error("two lists share an ETag")
	}
}

// TestStepUp: rules come first, and then scopes, before anything of the body.
func TestStepUp(t *testing.T) {
	offer := everything(registry.AccessRule{Who: registry.Who{Subject: "ada"}})
	offer.Door.Scopes = registry.Scopes{Read: "actions:read", Write: "actions:write", Destructive: "actions:destructive"}
	h := routed(New(Options{
		Registry: petRegistry(t), MaxBody: 1000, Calls: 10, Record: func(context.Context, audit.Call) {},
	}), offer)
	for subject, want := range map[string]struct {
		status    int
		challenge string
	}{
		"ada": {403, `Bearer scope="actions:destructive"`}, "ada actions:write": {403, `Bearer scope="actions:destructive"`},
		"ada actions:destructive": {200, ""}, "eve": {404, ""}, "eve actions:destructive": {404, ""},
	} {
		w := ask(h, http.MethodPost, "/.backstage/actions/v1/actions/pets:delete-pet/invoke", subject, `{"id":"1"}`)
		if w.Code != want.status || w.Header().Get("WWW-Authenticate") != want.challenge || (want.status == 403) != strings.Contains(w.Body.String(), `"NotAllowedError"`) {
			t.Errorf("%s: %d %v %s", subject, w.Code, w.Header(), w.Body)
		}
	}
	if w := ask(h, http.MethodGet, "/.backstage/actions/v1/actions", "ada", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "delete-pet") {
		t.Errorf("list: %d %s", w.Code, w.Body)
	}
}

// TestLimits: calls beyond a principal's limits are 429 in Backstage's words,
// and nobody else's are.
func TestLimits(t *testing.T) {
	offer := everything()
	offer.Door.Limits = registry.Limits{CallsPerMinute: 1, Burst: 2}
	var told []string
	h := routed(New(Options{
		Registry: petRegistry(t), MaxBody: 1000, Calls: 10,
		Record: func(_ context.Context, c audit.Call) { told = append(told, c.Action+" "+c.Outcome) },
	}), offer)
	const invocation = "/.backstage/actions/v1/actions/pets:get-pet/invoke"
	for _, subject := range []string{"ada", "eve"} {
		for i, want := range []int{200, 200, 429, 429} {
			w := ask(h, http.MethodPost, invocation, subject, `{"id":"1"}`)
			if w.Code != want || (want == 429) != (w.Header().Get("Retry-After") != "") || (want == 429) != strings.Contains(w.Body.String(), `"name":"ServiceUnavailableError","message":"you have made too many calls`) {
				t.Errorf("call %d of %s: %d %v %s", i, subject, w.Code, w.Header(), w.Body)
			}
		}
	}
	if want := "pets:get-pet ok pets:get-pet ok pets:get-pet rate_limited pets:get-pet rate_limited"; strings.Join(told[:4], " ") != want {
		t.Errorf("told %v", told)
	}
	offer.Door.Limits = registry.Limits{Concurrent: 1}
	for range 5 { // one after the other
		if w := ask(h, http.MethodPost, invocation, "ada", `{"id":"1"}`); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// broken fails in ways in which the real registry should not.
type broken struct {
	*registry.Registry
	err error
}

func (b broken) Invoke(context.Context, registry.Call) (*invoke.Result, error) {
	if b.err == nil {
		panic("hush-hush")
	}
	return nil, b.err
}

func TestFaultOf(t *testing.T) {
	r := petRegistry(t)
	for _, tt := range []struct {
		err    error
		status int
		name   string
		text   string
	}{
		{nil, 500, "Error", "internal error (reference "},
		{errors.New("hush-hush"), 500, "Error", "internal error (reference "},
		{&invoke.Error{Kind: invoke.Internal, Message: "hush-hush"}, 500, "Error", "internal error (reference "},
		{&invoke.Error{Kind: invoke.Denied, Message: "you may not"}, 403, "NotAllowedError", "you may not"},
		{&invoke.Error{Kind: invoke.TooLarge, Message: "ask for less", Err: errors.New("hush-hush")}, 400, "InputError", "ask for less"},
		{&invoke.Error{Kind: invoke.Cancelled, Message: "gone"}, 500, "ResponseError", "gone"},
		{&invoke.Error{Kind: invoke.Timeout, Message: "slow"}, 504, "ResponseError", "slow (reference "},
		{&invoke.Error{Kind: invoke.Unavailable, Message: "down"}, 503, "ServiceUnavailableError", "down (reference "},
		{&invoke.Error{Kind: invoke.Unavailable, Status: 200, Message: "nonsense"}, 500, "ResponseError", "nonsense (reference "},
		{&invoke.Error{Kind: "new", Message: "what?"}, 500, "Error", "what?"},
	} {
		w := ask(serve(broken{r, tt.err}), http.MethodPost, "/.backstage/actions/v1/actions/pets:get-pet/invoke", "ada", `{"id":"1"}`)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), `"name":"`+tt.name+`"`) ||
			!strings.Contains(w.Body.String(), `"message":"`+tt.text) || strings.Contains(w.Body.String(), "hush") {
			t.Errorf("%v: %d %s", tt.err, w.Code, w.Body)
		}
	}
}

// TestEntriesAreMadeOnce: a list costs nothing anew while nothing changes.
func TestEntriesAreMadeOnce(t *testing.T) {
	r := petRegistry(t)
	h := New(Options{Registry: r, Calls: 1})
	if h.listing() != nil {
		t.Error("a handler that was offered nothing has a list")
	}
	all := everything()
	h.Offer(all)
	first := h.listing()
	if h.listing() != first {
		t.Error("the same snapshot is listed anew")
	}
	h.Offer(&Offer{registry.Allowlist{Include: []registry.Rule{{ID: "*:get-*"}}}, registry.Unguarded})
	second := h.listing()
	if second == first || len(second.entries) != 3 || second.byID["pets:get-pet"] != first.byID["pets:get-pet"] {
		t.Errorf("%d entries of another list, or made anew", len(second.entries))
	}
}

func TestOutput(t *testing.T) {
	object, wrapped := &entry{}, &entry{wrap: true}
	cut := &invoke.Cut{Note: `first "2" of <many>`}
	for _, tt := range []struct {
		entry  *entry
		result invoke.Result
		want   string
	}{
		{object, invoke.Result{JSON: []byte(`{"a":1.50}`)}, `{"a":1.50}`},
		{object, invoke.Result{JSON: []byte(`[1]`)}, `{"result":[1]}`},
		{object, invoke.Result{JSON: []byte(`null`)}, `{"result":null}`},
		{wrapped, invoke.Result{JSON: []byte(`{"a":1}`)}, `{"result":{"a":1}}`},
		{object, invoke.Result{Text: "a <b>\n"}, `{"result":"a <b>\n"}`},
		{object, invoke.Result{}, `{"result":""}`},
		{object, invoke.Result{JSON: []byte(`{"a":1}`), Cut: cut}, `{"_truncated":"first \"2\" of <many>","a":1}`},
		{object, invoke.Result{JSON: []byte(`{}`), Cut: cut}, `{"_truncated":"first \"2\" of <many>"}`},
		{wrapped, invoke.Result{JSON: []byte(`[1]`), Cut: cut}, `{"_truncated":"first \"2\" of <many>","result":[1]}`},
	} {
		if got := string(tt.entry.output(&tt.result)); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.result, got, tt.want)
		}
	}
}

// TestErrorsTellNoSecrets: what an error says back of a URL has no values that
// are secrets by their names.
func TestErrorsTellNoSecrets(t *testing.T) {
	h := serve(petRegistry(t))
	for sent, want := range map[string]string{
		"?access_token=k&a=%41&API-Key=k": "?access_token=[redacted]&a=%41&API-Key=[redacted]",
		"?token":                          "?token=[redacted]",
		"?%74oken=k":                      "?%74oken=[redacted]",
		"?id=[&pageToken=k":               "?id=[&pageToken=k",
	} {
		for _, base := range []string{"", "/api/pets"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("PATCH", base+"/.backstage/actions/v1/actions"+sent, nil))
			if !strings.Contains(w.Body.String(), `"url":"/.backstage/actions/v1/actions`+want+`"`) {
				t.Errorf("%s%s: %s", base, sent, w.Body)
			}
		}
	}
}
