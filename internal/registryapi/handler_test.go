package registryapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/registryapi"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
)

const (
	token   = "tok-billing-0123456789"
	foreign = "tok-foreign-0123456789"
	base    = "https://billing.internal/api"
	doc     = "{openapi: 3.1.0, action: pay}"
)

// registrar judges by what the document says, and keeps registrations in a real
// database.
type registrar struct {
	*store.DB
	mu       sync.Mutex
	away     error
	there    publication.Registration // that comes with away
	statuses []publication.Status
	judged   []string
	wait     chan struct{} // where set, judging waits for it
}

func (f *registrar) gone() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away
}

func (f *registrar) Register(ctx context.Context, r publication.Registration, lease time.Duration, c publication.Content) (registryapi.Registered, error) {
	text := string(c.Documents[0].Data)
	f.mu.Lock()
	f.judged = append(f.judged, text)
	f.mu.Unlock()
	if f.wait != nil {
		<-f.wait
	}
	if strings.Contains(text, "broken") {
		return registryapi.Registered{}, &registryapi.RefusedError{Reason: "document has no usable operation", Findings: json.RawMessage(`[{"severity":"error","location":{"file":"billing","line":3,"column":7}}]`)}
	}
	g := publication.Generation{Plugin: r.Plugin, Hash: c.Hash(), Content: c, Source: "registered", Verdict: publication.Accepted, Actions: []string{"pay"}, Findings: json.RawMessage(`[{"severity":"info"}]`)}
	if strings.Contains(text, "breaking") {
		g.Verdict = publication.Quarantined
	}
	return registryapi.Registered{Registration: r, Verdict: g.Verdict, Actions: g.Actions, Findings: g.Findings}, f.DB.Register(ctx, r, lease, g)
}

func (f *registrar) Renew(ctx context.Context, plugin, publisher, hash string, lease time.Duration) (registryapi.Registered, error) {
	if err := f.gone(); err != nil {
		return registryapi.Registered{Registration: f.there}, err
	}
	r, err := f.DB.Renew(ctx, plugin, publisher, hash, lease)
	if err != nil {
		return registryapi.Registered{Registration: r}, err
	}
	g, err := f.DB.Generation(ctx, plugin, hash)
	return registryapi.Registered{Registration: r, Verdict: g.Verdict, Actions: g.Actions, Findings: g.Findings}, err
}

func (f *registrar) Statuses() []publication.Status { return f.statuses }

// fixture is the API on a real socket.
type fixture struct {
	t testing.TB
	*registrar
	handler *registryapi.Handler
	url     string
	log     *bytes.Buffer
	records []audit.Call
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := &fixture{t: t, registrar: &registrar{DB: db}, log: &bytes.Buffer{}}
	f.handler = f.fresh()
	server := httptest.NewServer(f.handler)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// publisher may register what is called billing.
func publisher(name, token string) registryapi.Publisher {
	return registryapi.Publisher{
		Name: name, Token: token,
		MayRegister: func(plugin string) bool { return strings.HasPrefix(plugin, "billing") },
		Admits:      func(baseURL string) bool { return strings.HasPrefix(baseURL, "https://billing.internal") },
	}
}

// fresh is a handler that remembers nothing.
func (f *fixture) fresh() *registryapi.Handler {
	return registryapi.New(registryapi.Options{
		Registrar: f.registrar,
		Publishers: func() []registryapi.Publisher {
			return []registryapi.Publisher{publisher("team", token), publisher("other", foreign), publisher("unset", "")}
		},
		Logger: slog.New(slog.NewTextHandler(f.log, nil)),
		Record: func(_ context.Context, c audit.Call) { f.records = append(f.records, c) },
	})
}

// request is one with a token and the usual query, to be changed.
func (f *fixture) request(method, path string, body io.Reader) *http.Request {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+registryapi.Path+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if method == http.MethodPut && req.URL.RawQuery == "" {
		req.URL.RawQuery = url.Values{"baseURL": {base}}.Encode()
	}
	return req
}

type answer struct {
	status                    int
	header                    http.Header
	text                      string
	Plugin, Generation, State string
	Actions                   json.RawMessage
	Findings                  []any
	Lease                     struct {
		Until               time.Time
		Seconds, RenewAfter int
	}
	Error struct{ Code, Message, Hint string }
}

func (f *fixture) send(req *http.Request) (a answer) {
	f.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	a.status, a.header, a.text = resp.StatusCode, resp.Header, string(text)
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a); err != nil {
			f.t.Fatalf("%v: %s", err, text)
		}
	}
	if strings.Contains(a.text+f.log.String(), "tok-") {
		f.t.Errorf("a token leaves: %s %s", a.text, f.log)
	}
	return a
}

// put sends a document, and waits until the plugin may send another.
func (f *fixture) put(document string, change ...func(*http.Request)) answer {
	f.t.Helper()
	for {
		req := f.request(http.MethodPut, "/billing", strings.NewReader(document))
		for _, c := range change {
			c(req)
		}
		if a := f.send(req); a.status != http.StatusTooManyRequests {
			return a
		}
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func query(values string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery = values }
}

func (f *fixture) wants(what string, a answer, status int) {
	f.t.Helper()
	if a.status != status {
		f.t.Errorf("%s: status %d, want %d: %s", what, a.status, status, a.text)
	}
}

// The life of a registration: it comes, is renewed, changes, and goes.
func TestLife(t *testing.T) {
	f := newFixture(t)
	first := f.put(doc, query("lease=90s&baseURL="+url.QueryEscape(base)))
	f.wants("first", first, http.StatusCreated)
	tag := first.header.Get("Etag")
	if first.Plugin != "billing" || first.State != "accepted" || string(first.Actions) != `["pay"]` || len(first.Findings) != 1 || tag[1:13] != first.Generation {
		t.Errorf("%s, ETag %s", first.text, tag)
	}
	if left := time.Until(first.Lease.Until); first.Lease.Seconds != 90 || first.Lease.RenewAfter != 30 || left > 91*time.Second || left < time.Minute {
		t.Errorf("lease %+v", first.Lease)
	}
	for what, a := range map[string]answer{
		"renewal":         f.put("", header("If-None-Match", tag)),
		"weak tag":        f.put("", header("If-None-Match", "W/"+tag)),
		"same document":   f.put(doc),
		"same and tag":    f.put(doc, header("If-None-Match", tag)),
		"plain seconds":   f.put(doc, query("lease=10&baseURL="+url.QueryEscape(base))),
		"no type, bigger": f.put(doc, header("Content-Type", "application/vnd.oai.openapi+json; charset=utf-8")),
	} {
		f.wants(what, a, http.StatusOK)
		if a.header.Get("Etag") != tag || a.Generation != first.Generation || a.State != "accepted" || string(a.Actions) != `["pay"]` {
			t.Errorf("%s: %s", what, a.text)
		}
	}
	if len(f.judged) != 1 {
		t.Errorf("judged %d times", len(f.judged))
	}
	second := f.put("breaking " + doc)
	f.wants("second", second, http.StatusOK)
	if second.State != "quarantined" || second.Generation == first.Generation {
		t.Error(second.text)
	}
	old := f.put("", header("If-None-Match", tag))
	f.wants("renewal of the old one", old, http.StatusPreconditionFailed)
	if old.header.Get("Etag") != second.header.Get("Etag") || !strings.Contains(old.Error.Hint, "send the document") {
		t.Errorf("%s, ETag %s", old.text, old.header.Get("Etag"))
	}
	f.wants("another body than the tag says", f.put(doc, header("If-None-Match", second.header.Get("Etag"))), http.StatusPreconditionFailed)
	withdraw := func(tag string) answer {
		req := f.request(http.MethodDelete, "/billing", nil)
		if tag != "" {
			req.Header.Set("If-Match", tag)
		}
		return f.send(req)
	}
	f.wants("withdrawal of the old one", withdraw(tag), http.StatusPreconditionFailed)
	f.wants("withdrawal", withdraw(second.header.Get("Etag")), http.StatusNoContent)
	f.wants("withdrawal again", withdraw(second.header.Get("Etag")), http.StatusPreconditionFailed)
	f.wants("withdrawal of anything", withdraw(""), http.StatusNotFound)
	gone := f.put("", header("If-None-Match", tag))
	f.wants("renewal of what is gone", gone, http.StatusPreconditionFailed)
	if gone.header.Get("Etag") != "" {
		t.Error("something is registered")
	}
	f.wants("back again", f.put(doc), http.StatusCreated)
	f.wants("withdrawal", withdraw(""), http.StatusNoContent)
}

// Who has no token learns nothing: not by status, text or header.
func TestNoToken(t *testing.T) {
	f := newFixture(t)
	f.wants("first", f.put(doc), http.StatusCreated)
	var all []answer
	for _, value := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + token, token, "Bearer " + token + "x", "Bearer " + token[1:], "bearer,Bearer " + token} {
		for _, plugin := range []string{"/billing", "/unknown", "/UPPER", "/a/b"} {
			for _, method := range []string{http.MethodPut, http.MethodDelete} {
				req := f.request(method, plugin, strings.NewReader("broken"))
				req.Header.Set("Authorization", value)
				if value == "" {
					req.Header.Del("Authorization")
				}
				all = append(all, f.send(req))
			}
		}
	}
	two := f.request(http.MethodPut, "/billing", nil)
	two.Header.Add("Authorization", "Bearer "+token)
	for _, a := range append(all, f.send(two)) {
		if a.status != http.StatusUnauthorized || a.text != all[0].text || !strings.HasPrefix(a.header.Get("Www-Authenticate"), "Bearer") {
			t.Errorf("status %d, %s", a.status, a.text)
		}
	}
	lower := f.request(http.MethodDelete, "/billing", nil)
	lower.Header.Set("Authorization", "bearer "+token)
	f.wants("scheme in lower case", f.send(lower), http.StatusNoContent)
}

func TestRefusals(t *testing.T) {
	large := strings.Repeat(" ", registryapi.MaxDocument+1)
	escaped := url.QueryEscape(base)
	for _, test := range []struct {
		name   string
		path   string
		body   string
		change []func(*http.Request)
		status int
		want   string
	}{
		{"another name", "/shop", doc, nil, 403, "publishers.team.plugins"},
		{"no name", "/Billing", doc, nil, 400, "plugin name"},
		{"path", "/billing/x", doc, nil, 400, "plugin name"},
		{"no base URL", "/billing", doc, []func(*http.Request){query("lease=60s")}, 400, "baseURL"},
		{"relative", "/billing", doc, []func(*http.Request){query("baseURL=/api")}, 400, "baseURL"},
		{"credentials", "/billing", doc, []func(*http.Request){query("baseURL=https://u:p@billing.internal")}, 400, "baseURL"},
		{"no UTF-8", "/billing", doc, []func(*http.Request){query("baseURL=" + escaped + "/%ff")}, 400, "baseURL"},
		{"zero", "/billing", doc, []func(*http.Request){query("baseURL=" + escaped + "/%00")}, 400, "baseURL"},
		{"scheme", "/billing", doc, []func(*http.Request){query("baseURL=file:///etc/passwd")}, 400, "baseURL"},
		{"endless", "/billing", doc, []func(*http.Request){query("baseURL=" + escaped + strings.Repeat("x", 2000))}, 400, "baseURL"},
		{"elsewhere", "/billing", doc, []func(*http.Request){query("baseURL=https://evil.example")}, 403, "publishers.team.baseURLs"},
		{"typo", "/billing", doc, []func(*http.Request){query("baseurl=" + escaped)}, 400, "baseurl"},
		{"twice", "/billing", doc, []func(*http.Request){query("baseURL=" + escaped + "&baseURL=x")}, 400, "twice"},
		{"bad query", "/billing", doc, []func(*http.Request){query("baseURL=%zz")}, 400, "query"},
		{"short lease", "/billing", doc, []func(*http.Request){query("lease=9s&baseURL=" + escaped)}, 400, "lease"},
		{"long lease", "/billing", doc, []func(*http.Request){query("lease=3601&baseURL=" + escaped)}, 400, "lease"},
		{"negative lease", "/billing", doc, []func(*http.Request){query("lease=-60&baseURL=" + escaped)}, 400, "lease"},
		{"huge lease", "/billing", doc, []func(*http.Request){query("lease=99999999999999999&baseURL=" + escaped)}, 400, "lease"},
		{"no lease", "/billing", doc, []func(*http.Request){query("lease=soon&baseURL=" + escaped)}, 400, "lease"},
		{"nothing", "/billing", "", nil, 400, "no document"},
		{"any", "/billing", doc, []func(*http.Request){header("If-None-Match", "*")}, 400, "If-None-Match"},
		{"two tags", "/billing", doc, []func(*http.Request){header("If-None-Match", `"aa", "bb"`)}, 400, "If-None-Match"},
		{"no quotes", "/billing", "", []func(*http.Request){header("If-None-Match", `aa`)}, 400, "If-None-Match"},
		{"strange tag", "/billing", "", []func(*http.Request){header("If-None-Match", "\"\xff\"")}, 400, "If-None-Match"},
		{"if match", "/billing", doc, []func(*http.Request){header("If-Match", `"aa"`)}, 400, "If-Match"},
		{"form", "/billing", doc, []func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded")}, 415, "JSON nor YAML"},
		{"type of nothing", "/billing", doc, []func(*http.Request){header("Content-Type", ";")}, 415, "JSON nor YAML"},
		{"encoding", "/billing", doc, []func(*http.Request){header("Content-Encoding", "br")}, 415, "gzip"},
		{"no gzip", "/billing", doc, []func(*http.Request){header("Content-Encoding", "gzip")}, 400, "cannot be read"},
		{"half a gzip", "/billing", zipped(doc)[:20], []func(*http.Request){header("Content-Encoding", "gzip")}, 400, "cannot be read"},
		{"large", "/billing", large, nil, 413, "32 MiB"},
		{"large in gzip", "/billing", zipped(large), []func(*http.Request){header("Content-Encoding", "gzip")}, 413, "32 MiB"},
		{"broken", "/billing", "broken", nil, 422, "no usable operation"},
		{"method", "/billing", "", []func(*http.Request){func(r *http.Request) { r.Method = http.MethodPost }}, 405, "method"},
		{"method of all", "", "", []func(*http.Request){func(r *http.Request) { r.Method = http.MethodDelete }}, 405, "method"},
		{"beside", "x/billing", doc, nil, 404, "nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t)
			req := f.request(http.MethodPut, test.path, strings.NewReader(test.body))
			for _, c := range test.change {
				c(req)
			}
			a := f.send(req)
			f.wants(test.name, a, test.status)
			if !strings.Contains(a.Error.Message+a.Error.Hint, test.want) || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s does not say %q", a.text, test.want)
			}
			if strings.Contains(a.text, "internal/") {
				t.Errorf("%s names a host inside", a.text)
			}
			if all, err := f.Registrations(t.Context()); len(all) != 0 || err != nil {
				t.Errorf("%d are registered, %v", len(all), err)
			}
		})
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text)) // to memory
	_ = z.Close()
	return b.String()
}

func TestGzip(t *testing.T) {
	f := newFixture(t)
	a := f.put(zipped(doc), header("Content-Encoding", "gzip"))
	f.wants("gzip", a, http.StatusCreated)
	f.wants("plain", f.put("", header("If-None-Match", a.header.Get("Etag")), header("Content-Encoding", "gzip")), http.StatusOK)
	f.wants("the same, plain", f.put(doc), http.StatusOK)
	if len(f.judged) != 1 || f.judged[0] != doc {
		t.Errorf("judged %q", f.judged)
	}
}

// A document that cannot be used changes nothing: neither what is registered
// nor its lease.
func TestRefusedKeepsWhatWasRegistered(t *testing.T) {
	f := newFixture(t)
	first := f.put(doc)
	before, err := f.Registrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := f.put("broken")
	f.wants("broken", a, http.StatusUnprocessableEntity)
	if len(a.Findings) != 1 || !strings.Contains(a.Error.Hint, "stays") {
		t.Error(a.text)
	}
	after, err := f.Registrations(t.Context())
	if err != nil || len(after) != 1 || after[0].Until != before[0].Until || after[0].Hash != before[0].Hash {
		t.Errorf("%+v became %+v, %v", before, after, err)
	}
	f.wants("renewal", f.put("", header("If-None-Match", first.header.Get("Etag"))), http.StatusOK)
}

func TestAnotherBaseURLNeedsTheDocument(t *testing.T) {
	f := newFixture(t)
	first := f.put(doc)
	before, err := f.Registrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	moved := query("lease=1h&baseURL=" + url.QueryEscape("https://billing.internal/v2"))
	a := f.put("", header("If-None-Match", first.header.Get("Etag")), moved)
	f.wants("renewal", a, http.StatusPreconditionFailed)
	if a.header.Get("Etag") != "" {
		t.Error("another document is said to be registered")
	}
	if after, err := f.Registrations(t.Context()); err != nil || len(after) != 1 || after[0].Until != before[0].Until {
		t.Errorf("the lease was renewed: %+v became %+v, %v", before, after, err)
	}
	second := f.put(doc, moved)
	f.wants("document", second, http.StatusOK)
	if second.Generation == first.Generation || len(f.judged) != 2 {
		t.Errorf("%s, judged %d", second.text, len(f.judged))
	}
}

func TestAnotherPublisher(t *testing.T) {
	f := newFixture(t)
	first := f.put(doc)
	other := header("Authorization", "Bearer "+foreign)
	for what, a := range map[string]answer{
		"same document": f.put(doc, other), "document": f.put(doc+" ", other), "renewal": f.put("", other, header("If-None-Match", first.header.Get("Etag"))),
	} {
		if f.wants(what, a, http.StatusConflict); a.Error.Code != "held" {
			t.Errorf("%s: %s", what, a.text)
		}
	}
	if len(f.judged) != 1 {
		t.Error("the document was judged")
	}
	req := f.request(http.MethodDelete, "/billing", nil)
	other(req)
	f.wants("withdrawal", f.send(req), http.StatusNotFound)
	f.wants("withdrawal of its own", f.send(f.request(http.MethodDelete, "/billing", nil)), http.StatusNoContent)
	f.wants("then", f.put(doc, other), http.StatusCreated)
}

func TestRegistrarsErrors(t *testing.T) {
	f := newFixture(t)
	for _, test := range []struct {
		err    error
		status int
		retry  string
		code   string
	}{
		{registryapi.ErrConfigured, 409, "", "configured"},
		{publication.ErrTooMany, 429, "60", "too-many"},
		{session.ErrAway, 503, "2", ""},
		{io.ErrUnexpectedEOF, 500, "", ""},
	} {
		f.away = test.err
		a := f.send(f.request(http.MethodPut, "/billing", strings.NewReader(doc)))
		f.wants(test.err.Error(), a, test.status)
		if a.Error.Code != test.code || a.header.Get("Retry-After") != test.retry || strings.Contains(a.text, "EOF") || test.status == 500 && !strings.Contains(f.log.String(), "EOF") {
			t.Errorf("%v: %s", test.err, a.text)
		}
	}
}

// A registration that counts no more is not another one that a publisher should
// wait for.
func TestRegistrationThatIsNotAdmitted(t *testing.T) {
	f := newFixture(t)
	f.away = publication.ErrNotFound
	f.there = publication.Registration{Plugin: "billing", Publisher: "team", Hash: "aa", Until: time.Now().Add(time.Minute), Now: time.Now()}
	for tag, want := range map[string]string{`"aa"`: "", `"bb"`: `"aa"`} {
		a := f.put("", header("If-None-Match", tag))
		f.wants(tag, a, http.StatusPreconditionFailed)
		if got := a.header.Get("Etag"); got != want {
			t.Errorf("%s: ETag %s, want %s", tag, got, want)
		}
	}
}

func TestShow(t *testing.T) {
	f := newFixture(t)
	f.statuses = []publication.Status{
		{Name: "auth", State: publication.Unreachable, Source: "https://auth.internal/openapi.json", Cause: "its server cannot be reached", Reason: "dial tcp 10.0.0.7:443: connection refused"},
		{Name: "billing", State: publication.Serving, Source: "registered", Reason: "none"},
	}
	f.put(doc)
	get := func(path, authorization string) answer {
		req := f.request(http.MethodGet, path, nil)
		if req.Header.Del("Authorization"); authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		return f.send(req)
	}
	for _, path := range []string{"", "/", "/auth", "/billing"} {
		a := get(path, "")
		f.wants(path, a, http.StatusOK)
		for _, secret := range []string{".internal", "10.0.0.7", "severity", "history", "verdict", `"pay"`} {
			if strings.Contains(a.text, secret) {
				t.Errorf("anybody learns %s", a.text)
			}
		}
		if strings.Contains(a.text, `"auth"`) != strings.Contains(a.text, "its server cannot be reached") {
			t.Errorf("nobody learns why: %s", a.text)
		}
		f.wants(path, get(path, "Bearer wrong"), http.StatusUnauthorized)
	}
	if a := get("", ""); !strings.Contains(a.text, `{"plugins":[{"name":"auth","state":"unreachable"`) {
		t.Error(a.text)
	}
	if a := get("", "Bearer "+token); !strings.Contains(a.text, `"source":"registered"`) || strings.Contains(a.text, "auth.internal") {
		t.Errorf("the publisher learns %s", a.text)
	}
	a := get("/billing", "Bearer "+token)
	if !strings.Contains(a.text, `"history":[{"generation":"`) || !strings.Contains(a.text, `"verdict":"accepted"`) || !strings.Contains(a.text, "severity") {
		t.Errorf("the publisher learns %s", a.text)
	}
	if a := get("/auth", "Bearer "+token); strings.Contains(a.text, "history") || strings.Contains(a.text, "10.0.0.7") {
		t.Errorf("another publisher learns %s", a.text)
	}
	f.wants("unknown", get("/shop", ""), http.StatusNotFound)
}
