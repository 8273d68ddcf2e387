package actionsapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// pets answers as its document says, and fails as it is told.
func pets(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/fail":
		fail(w, r)
	case strings.HasSuffix(r.URL.Path, "/name"):
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, "Rex <the dog>")
	case strings.HasSuffix(r.URL.Path, "/photo"):
		w.Header().Set("Content-Type", "image/png")
		fmt.Fprint(w, "\x89PNG\x00")
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPost:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	case r.URL.Path == "/pets" && r.FormValue("limit") == "1000":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `[%s{"name":"last"}]`, strings.Repeat(`{"name":"Rex"},`, 1000))
	case r.URL.Path == "/pets":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `[{"name":"Rex"}, {"name":"Minka", "weight": 12345678901234567890.50}]`)
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"name": %q}`, strings.TrimPrefix(r.URL.EscapedPath(), "/pets/"))
	}
}

func fail(w http.ResponseWriter, r *http.Request) {
	status, err := strconv.Atoi(r.FormValue("status"))
	if err != nil || status == 0 { // hangs
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "7")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":"told you","stack":"at secret.js:1"}`)
}

// config is a gateway of two plugins: pets, and shop with the same document.
func config(t testing.TB) gateway.Config {
	t.Helper()
	document, err := os.ReadFile("testdata/pets.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plugin := gateway.DefaultPlugin()
	plugin.Document, plugin.Handler, plugin.MaxResponse = document, http.HandlerFunc(pets), 2000
	server := gateway.DefaultServer()
	server.Actions.Include = []gateway.Rule{{ID: "pets:get-pet"}}
	cfg := gateway.DefaultConfig()
	cfg.Database.URL = gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "test.db"))
	cfg.Plugins = map[string]gateway.Plugin{"pets": plugin, "shop": plugin}
	cfg.Servers = map[string]gateway.Server{"pets": server}
	return cfg
}

func start(t testing.TB, cfg gateway.Config, options ...gateway.Option) (*gateway.Gateway, string) {
	t.Helper()
	g, err := gateway.New(t.Context(), cfg, options...)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g, server.Listener.Addr().String()
}

// send writes a request byte for byte: no client mends its path.
func send(t testing.TB, address, request string) *http.Response {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	head = strings.ReplaceAll(strings.TrimSpace(head), "\n", "\r\n") + "\r\nConnection: close\r\n"
	if !strings.Contains(head, "\r\nHost:") {
		head += "Host: " + address + "\r\n"
	}
	if body = strings.TrimSuffix(body, "\n"); body != "" || strings.HasPrefix(head, "POST") {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, head+"\r\n"+body); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(head, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp
}

func bodyOf(t testing.TB, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func post(t testing.TB, address, path, body string) *http.Response {
	t.Helper()
	return send(t, address, "POST "+path+" HTTP/1.1\nContent-Type: application/json\n\n"+body)
}

type listed struct {
	Actions []struct {
		ID, Name, Title, Description, PluginID string
		Attributes                             map[string]bool
		Tags                                   []string
		Schema                                 struct{ Input, Output map[string]any }
	}
}

func list(t testing.TB, address, target string) (ids []string, all listed) {
	t.Helper()
	resp := send(t, address, "GET "+target+" HTTP/1.1")
	body := bodyOf(t, resp)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", target, resp.Status, body)
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatal(err)
	}
	for _, a := range all.Actions {
		ids = append(ids, a.ID)
	}
	return ids, all
}

const root = "/.backstage/actions/v1/actions"

func TestFilters(t *testing.T) {
	_, address := start(t, config(t))
	everything, _ := list(t, address, root)
	if len(everything) != 14 || !slices.IsSorted(everything) {
		t.Fatal(everything)
	}
	for target, want := range map[string]string{
		root + "?id=pets:get-*":                                             "pets:get-name pets:get-pet pets:get-photo",
		root + "?id=*:get-pet":                                              "pets:get-pet shop:get-pet",
		root + "?id=pets%3Aget-pet":                                         "pets:get-pet",
		root + "?plugin=shop&tag=read":                                      "shop:get-pet shop:list-pets",
		root + "?tag=read&tag=one":                                          "pets:get-pet shop:get-pet",
		root + "?attributes.readOnly=false&plugin=pets":                     "pets:create-pet pets:delete-pet",
		root + "?attributes.destructive=true&attributes.idempotent=true":    "pets:delete-pet shop:delete-pet",
		root + "?attributes.openWorld=false&id=nothing":                     "",
		"/api/shop" + root + "?attributes.readOnly=false&id=*:delete-pet":   "shop:delete-pet",
		"/api/shop" + root + "?plugin=pets":                                 "",
		"/api/pets" + root + "?attributes.destructive=true&id={pets,shop}*": "pets:create-pet pets:delete-pet",
	} {
		if ids, _ := list(t, address, target); strings.Join(ids, " ") != want {
			t.Errorf("%s: got %v, want %s", target, ids, want)
		}
	}
}

// TestEntries: what Backstage relies on holds for every entry.
func TestEntries(t *testing.T) {
	_, address := start(t, config(t))
	_, all := list(t, address, "/api/pets"+root)
	for _, a := range all.Actions {
		if a.ID != "pets:"+a.Name || a.PluginID != "pets" || a.Title == "" || a.Description == "" {
			t.Errorf("%+v", a)
		}
		for _, name := range []string{"readOnly", "destructive", "idempotent"} { // its filters need all three
			if _, there := a.Attributes[name]; !there {
				t.Errorf("%s has no %s", a.ID, name)
			}
		}
		if a.Schema.Input["type"] != "object" || a.Schema.Output["type"] != "object" {
			t.Errorf("%s: schemas of no objects: %v", a.ID, a.Schema)
		}
		if _, bad := a.Schema.Input["$schema"]; bad {
			t.Errorf("%s: $schema", a.ID)
		}
	}
}

func TestETag(t *testing.T) {
	cfg := config(t)
	g, address := start(t, cfg)
	_, again := start(t, config(t))
	etag := func(address, target string) string {
		return send(t, address, "GET "+target+" HTTP/1.1").Header.Get("ETag")
	}
	first := etag(address, root)
	if !regexp.MustCompile(`^"[\w-]{24}"$`).MatchString(first) {
		t.Fatalf("ETag %q", first)
	}
	if other := etag(again, root); other != first {
		t.Errorf("two replicas disagree: %s and %s", first, other)
	}
	if below := etag(address, "/api/pets"+root); below == first {
		t.Error("two lists share an ETag")
	}
	for header, want := range map[string]int{
		first: 304, "W/" + first: 304, `"x", ` + first: 304, "*": 304, `"x"`: 200, "": 200, strings.Trim(first, `"`): 200,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			resp := send(t, address, method+" "+root+" HTTP/1.1\nIf-None-Match: "+header)
			if body := bodyOf(t, resp); resp.StatusCode != want || want == 304 && body != "" || method == "HEAD" && body != "" {
				t.Errorf("%s If-None-Match %s: %s with %d bytes, want %d", method, header, resp.Status, len(body), want)
			}
		}
	}
	plugin := cfg.Plugins["shop"]
	plugin.Attributes = map[string]gateway.AttributeRule{"get-pet": {Destructive: new(true)}}
	cfg.Plugins["shop"] = plugin
	if err := g.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if etag(address, root) == first {
		t.Error("the list changed, its ETag did not")
	}
}

// TestAllowlist: what is not offered is not there, and a reload changes it.
func TestAllowlist(t *testing.T) {
	cfg := config(t)
	cfg.ActionsAPI.Actions = gateway.Allowlist{
		Include: []gateway.Rule{{Plugin: "pets"}}, Exclude: []gateway.Rule{{Attributes: gateway.AttributeRule{Destructive: new(true)}}},
	}
	g, address := start(t, cfg)
	if ids, _ := list(t, address, root); len(ids) != 5 || slices.Contains(ids, "pets:delete-pet") {
		t.Error(ids)
	}
	for path, want := range map[string]int{
		root + "/pets:get-pet/invoke":               200,
		root + "/pets:delete-pet/invoke":            404,
		root + "/shop:get-pet/invoke":               404,
		"/api/shop" + root + "/shop:get-pet/invoke": 404,
	} {
		if resp := post(t, address, path, `{"id":"1"}`); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
	if resp := send(t, address, "GET /api/shop"+root+" HTTP/1.1"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a plugin without offered actions: %s", resp.Status)
	}
	cfg.ActionsAPI.Actions = gateway.Allowlist{}
	if err := g.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if ids, _ := list(t, address, root); len(ids) != 14 {
		t.Error("after the reload:", ids)
	}
	cfg.ActionsAPI.Support = "off"
	if err := g.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if resp := send(t, address, "GET "+root+" HTTP/1.1"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("switched off: %s", resp.Status)
	}
	cfg.ActionsAPI = gateway.ActionsAPI{Actions: gateway.Allowlist{Exclude: []gateway.Rule{{ID: "pets:nothing-*"}, {ID: "shop:nope"}}}}
	if err := g.Reload(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "actionsAPI.actions.exclude[1]") ||
		strings.Contains(err.Error(), "exclude[0]") { // a pattern may wait for actions to come
		t.Errorf("excludes that match nothing: %v", err)
	}
	cfg.ActionsAPI = gateway.ActionsAPI{Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "pets:gte-pet"}}}}
	if err := g.Reload(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "actionsAPI.actions.include[0]") ||
		!strings.Contains(err.Error(), "pets:get-pet") {
		t.Errorf("a rule that matches nothing: %v", err)
	}
}

// TestPluginFaults: what a plugin's status comes to for a caller. Names other
// than these do not get through Backstage.
func TestPluginFaults(t *testing.T) {
	_, address := start(t, config(t))
	for plugin, want := range map[int]struct {
		status int
		name   string
	}{
		400: {400, "InputError"}, 422: {400, "InputError"}, 418: {400, "InputError"},
		404: {404, "NotFoundError"}, 410: {404, "NotFoundError"},
		409: {409, "ConflictError"}, 412: {409, "ConflictError"},
		401: {500, "ResponseError"}, // the gateway's credentials
		403: {500, "ResponseError"}, 405: {500, "ResponseError"},
		429: {503, "ServiceUnavailableError"}, 502: {503, "ServiceUnavailableError"}, 503: {503, "ServiceUnavailableError"},
		// of one operation; another gateway is not to take it for an outage
		500: {500, "ResponseError"}, 501: {500, "ResponseError"}, 302: {500, "ResponseError"},
		504: {504, "ResponseError"}, 0: {504, "ResponseError"}, // hangs
	} {
		resp := post(t, address, root+"/pets:fail/invoke", fmt.Sprintf(`{"status":%d}`, plugin))
		body := bodyOf(t, resp)
		var got struct {
			Error    struct{ Name, Message string }
			Response struct{ StatusCode int }
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%d: %v: %s", plugin, err, body)
		}
		if resp.StatusCode != want.status || got.Response.StatusCode != want.status || got.Error.Name != want.name || got.Error.Message == "" {
			t.Errorf("plugin's %d: got %s %+v, want %+v", plugin, resp.Status, got, want)
		}
		if strings.Contains(body, "secret") {
			t.Errorf("plugin's %d: %s", plugin, body)
		}
		ref := resp.Header.Get("X-Request-Id")
		if want.status >= 500 && plugin != 429 && plugin != 403 && plugin != 405 && (ref == "" || !strings.Contains(got.Error.Message, ref)) {
			t.Errorf("plugin's %d: no reference %q in %q", plugin, ref, got.Error.Message)
		}
		if plugin == 429 && resp.Header.Get("Retry-After") != "7" {
			t.Errorf("Retry-After %q", resp.Header.Get("Retry-After"))
		}
	}
}

// TestStrangers: pages of elsewhere and names of elsewhere are turned away, and
// so is what a page could send without being asked (CSRF).
func TestStrangers(t *testing.T) {
	_, address := start(t, config(t))
	for request, want := range map[string]int{
		"GET " + root + " HTTP/1.1\nOrigin: https://evil.example":                                                                                         403,
		"GET " + root + " HTTP/1.1\nHost: evil.example":                                                                                                   403,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: text/plain\n\n{\"id\":\"1\"}":                                                      415,
		"POST " + root + "/pets:list-pets/invoke HTTP/1.1":                                                                                                200,
		"POST /.backstage/actions/v2/actions/pets:list-pets/invoke HTTP/1.1":                                                                              200,
		"POST " + root + "/pets:list-pets/invoke HTTP/1.1\nContent-Type: application/json":                                                                200,
		"POST " + root + "/pets:list-pets/invoke HTTP/1.1\nContent-Type: text/plain":                                                                      415,
		"POST " + root + "/pets:list-pets/invoke HTTP/1.1\nOrigin: https://evil.example":                                                                  403,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\n\n{\"id\":\"1\"}":                                                                                415,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\nid=1":                                         415,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json; charset=latin1\n\n{\"id\":\"1\"}":                                415,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json\nContent-Encoding: gzip\n\n{\"id\":\"1\"}":                        415,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json; charset=UTF-8\n\n{\"id\":\"1\"}":                                 200,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json\nOrigin: http://" + address + "\n\n{\"id\":\"1\"}":                200,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json\nOrigin: null\n\n{\"id\":\"1\"}":                                  403,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json\n\n{\"id\":\"" + strings.Repeat("x", 5<<20) + "\"}":               413,
		"OPTIONS " + root + " HTTP/1.1\nOrigin: https://evil.example\nAccess-Control-Request-Method: POST":                                                403,
		"POST " + root + "/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json\n\n{\"id\":\"1\",\"id\":\"2\"}":                                   400,
		"POST /.backstage/actions/v2/actions/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json\n\n{\"input\":{},\"input\":{\"id\":\"1\"}}":     400,
		"POST /.backstage/actions/v2/actions/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json\n\n{\"id\":\"1\"}":                              400,
		"POST /.backstage/actions/v2/actions/pets:get-pet/invoke HTTP/1.1\nContent-Type: application/json\n\n{\"input\":{\"id\":\"1\"},\"secrets\":null}": 200,
	} {
		if resp := send(t, address, request); resp.StatusCode != want {
			t.Errorf("%.150s\ngot %s, want %d: %s", request, resp.Status, want, bodyOf(t, resp))
		}
	}
}

// TestManyCalls: many at once each get their own answer, and what is over the
// limit is refused and not queued.
func TestManyCalls(t *testing.T) {
	cfg := config(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	plugin := cfg.Plugins["pets"]
	plugin.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-leave
		pets(w, r)
	})
	cfg.Plugins["pets"], cfg.Limits.Calls = plugin, 4
	_, address := start(t, cfg)
	var calls sync.WaitGroup
	for i := range 4 {
		calls.Go(func() {
			resp := post(t, address, root+"/pets:get-pet/invoke", fmt.Sprintf(`{"id":"%d"}`, i))
			if body := bodyOf(t, resp); body != fmt.Sprintf(`{"output":{"name":"%d"}}`, i) {
				t.Errorf("call %d: %s", i, body)
			}
		})
	}
	for range 4 {
		<-entered
	}
	resp := post(t, address, root+"/shop:get-pet/invoke", `{"id":"5"}`)
	if body := bodyOf(t, resp); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "too many calls") {
		t.Errorf("one too many: %s %s", resp.Status, body)
	}
	close(leave)
	calls.Wait()
	if resp := post(t, address, root+"/shop:get-pet/invoke", `{"id":"5"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", resp.Status)
	}
}

// TestSlowSenders: bodies that do not arrive take nobody's place.
func TestSlowSenders(t *testing.T) {
	cfg := config(t)
	cfg.Limits.Calls = 1
	_, address := start(t, cfg)
	for range 3 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		head := "POST " + root + "/pets:get-pet/invoke HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/json\r\n"
		if _, err := io.WriteString(conn, head+"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		// that it is asked for shows that the body is being read
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatal(line, err)
		}
	}
	if resp := post(t, address, root+"/pets:get-pet/invoke", `{"id":"1"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", resp.Status, bodyOf(t, resp))
	}
}

// TestLeftAlone: a plugin that is down says when to try again, as it does where
// its places are taken.
func TestLeftAlone(t *testing.T) {
	cfg := config(t)
	plugin := cfg.Plugins["pets"]
	entered := make(chan struct{})
	plugin.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { entered <- struct{}{}; <-r.Context().Done() })
	plugin.Concurrency = 1
	cfg.Plugins["pets"] = plugin
	_, address := start(t, cfg)
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+root+"/pets:get-pet/invoke", strings.NewReader(`{"id":"1"}`))
		r.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	resp := post(t, address, root+"/pets:get-pet/invoke", `{"id":"1"}`)
	if body := bodyOf(t, resp); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, "ServiceUnavailableError") {
		t.Errorf("busy: %s %v %s", resp.Status, resp.Header, body)
	}
}

// TestWithoutActions: of a plugin that has none now, there is an empty list, as
// Backstage has it; of one that nobody knows, there is none.
func TestWithoutActions(t *testing.T) {
	cfg := config(t)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	idle := gateway.DefaultPlugin()
	idle.Spec = away.URL + "/openapi.yaml" // it did not come up yet
	cfg.Plugins["idle"] = idle
	_, address := start(t, cfg)
	resp := send(t, address, "GET /api/idle"+root+" HTTP/1.1")
	if body := bodyOf(t, resp); resp.StatusCode != http.StatusOK || body != `{"actions":[]}` || resp.Header.Get("ETag") == "" {
		t.Errorf("%s %s", resp.Status, body)
	}
	if resp := send(t, address, "GET /api/nobody"+root+" HTTP/1.1"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("unknown: %s", resp.Status)
	}
}

// TestReloadMeanwhile: lists and calls beside reloads see one generation or the
// other, whole.
func TestReloadMeanwhile(t *testing.T) {
	cfg := config(t)
	g, address := start(t, cfg)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if ids, _ := list(t, address, root); len(ids) != 14 && len(ids) != 7 {
					t.Errorf("half a list: %v", ids)
				}
				if resp := post(t, address, root+"/pets:get-pet/invoke", `{"id":"1"}`); resp.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", resp.Status, bodyOf(t, resp))
				}
			}
		})
	}
	both := cfg.Plugins
	for i := range 10 {
		cfg.Plugins = both
		if i%2 == 0 {
			cfg.Plugins = map[string]gateway.Plugin{"pets": both["pets"]}
		}
		if err := g.Reload(t.Context(), cfg); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

// TestTelling: a failure is in the log under the reference that the caller got,
// and metrics count no id that is not there.
func TestTelling(t *testing.T) {
	var log bytes.Buffer
	_, address := start(t, config(t), gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	resp := post(t, address, root+"/pets:fail/invoke", `{"status":500}`)
	ref := resp.Header.Get("X-Request-Id")
	post(t, address, root+"/pets:made-up-"+ref+"/invoke", `{}`)
	post(t, address, "/.backstage/actions/v2/actions/pets:get-pet/invoke", `{"input":{"id":"1"},"secrets":{"token":"hush-hush"}}`)
	post(t, address, root+"/pets:get-pet/invoke", `{"id":"1"}`)
	metrics := bodyOf(t, send(t, address, "GET /metrics HTTP/1.1"))
	for _, want := range []string{
		`stagedoor_action_calls_total{action="fail",outcome="unavailable",plugin="pets"} 1`,
		`stagedoor_action_calls_total{action="unknown",outcome="unknown_action",plugin="unknown"} 1`,
		`stagedoor_action_calls_total{action="get-pet",outcome="invalid_request",plugin="pets"} 1`,
		`stagedoor_action_calls_total{action="get-pet",outcome="ok",plugin="pets"} 1`,
		`stagedoor_action_call_duration_seconds_count{action="fail",plugin="pets"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	said := log.String()
	if !strings.Contains(said, "level=WARN msg=call face=actions-api server=actions-api method=invoke tool=pets:fail") || !strings.Contains(said, "ref="+ref) || !strings.Contains(said, "secret.js") {
		t.Errorf("log:\n%s", said)
	}
	if strings.Contains(said+metrics, "hush-hush") || strings.Contains(metrics, "made-up") {
		t.Error("a secret, or a caller's word, is told")
	}
}

// TestPanic: a plugin in Go that panics costs its caller an error and no more.
func TestPanic(t *testing.T) {
	cfg := config(t)
	plugin := cfg.Plugins["pets"]
	plugin.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("at the disco") })
	cfg.Plugins["pets"] = plugin
	_, address := start(t, cfg)
	resp := post(t, address, root+"/pets:get-pet/invoke", `{"id":"1"}`)
	if body := bodyOf(t, resp); resp.StatusCode < 500 || strings.Contains(body, "disco") {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// BenchmarkList: a list of many actions that nobody changed, and one behind an
// ETag.
func BenchmarkList(b *testing.B) {
	g, err := gateway.New(b.Context(), config(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = g.Close() })
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+root, nil)
		g.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
}
