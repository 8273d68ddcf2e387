package invoke

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/openapi"
)

const secret = "canary-token-12345"

var credentials = credential.Bearer(known(secret))

func known(secret string) credential.Secret {
	return func() (string, error) { return secret, nil }
}

func plain(op string) *openapi.Action {
	return &openapi.Action{Request: openapi.RequestPlan{Method: "GET", Path: []openapi.PathPart{{Literal: "/" + op}}}}
}

// reply makes a plugin that answers with one status, type and body.
func reply(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType == "" {
			w.Header()["Content-Type"] = nil
		} else {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestResults(t *testing.T) {
	for name, tt := range map[string]struct {
		handler    http.HandlerFunc
		json, text string
	}{
		"json":            {reply(200, "application/json", "{ \"a\" : [1, 9007199254740993] }\n"), `{"a":[1,9007199254740993]}`, ""},
		"problem":         {reply(200, "application/vnd.x+json; charset=utf-8", "1"), `1`, ""},
		"created":         {reply(201, "application/json", `"x"`), `"x"`, ""},
		"empty":           {reply(200, "application/json", ""), `{}`, ""},
		"no content":      {reply(204, "", ""), `{}`, ""},
		"text":            {reply(200, "text/plain", "hello"), "", "hello"},
		"xml":             {reply(200, "application/xml", "<a/>"), "", "<a/>"},
		"untyped json":    {reply(200, "", `[1]`), `[1]`, ""},
		"untyped text":    {reply(200, "", `hello`), "", "hello"},
		"invalid utf-8":   {reply(200, "application/json", "\"a\xff\""), "\"a\uFFFD\"", ""},
		"html of a proxy": {reply(200, "text/html", "<p>hi"), "", "<p>hi"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			r, err := newClient(t, Options{BaseURL: server.URL}).Invoke(context.Background(), plain("x"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if string(r.JSON) != tt.json || r.Text != tt.text {
				t.Errorf("got %s %q, want %s %q", r.JSON, r.Text, tt.json, tt.text)
			}
		})
	}
}

// TestFaults: what a caller learns of a plugin's fault, and what never.
func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind
		want    string
	}{
		"backstage": {reply(404, "application/json", `{"error":{"name":"NotFoundError","message":"no entity x","stack":"at /srv/app.js"},"response":{"statusCode":404}}`), Rejected, "HTTP 404 Not Found: NotFoundError: no entity x"},
		"backstage zod": {reply(400, "application/json; charset=utf-8", `{"error":{"name":"InputError","message":"Invalid input to action \"x:y\"; caused by [\n {\"code\": \"invalid_type\"}\n]","cause":{"name":"ZodError","message":"[\n {\"code\": \"invalid_type\"}\n]","issues":[{"code":"invalid_type","expected":"string","received":"number","path":["kind"],"message":"Expected string, received number"},{"code":"invalid_type","path":["tags",0],"message":"Required"}]}},"request":{"method":"POST","url":"/z"},"response":{"statusCode":400}}`), Rejected,
			`HTTP 400 Bad Request: InputError: Invalid input to action "x:y": invalid_type: Expected string, received number (path ["kind"]); invalid_type: Required (path ["tags",0])`},
		"passed on":         {reply(404, "application/json", `{"error":{"name":"ResponseError","message":"Request failed with 404 Not Found","cause":{"name":"NotFoundError","message":"No task","stack":"at /x"}}}`), Rejected, "HTTP 404 Not Found: NotFoundError: No task"},
		"passed on, unsaid": {reply(404, "application/json", `{"error":{"name":"ResponseError","message":"Request failed with 404 Not Found","cause":{}}}`), Rejected, "HTTP 404 Not Found: ResponseError: Request failed with 404 Not Found"},
		"caused by another": {reply(409, "application/json", `{"error":{"name":"ConflictError","message":"taken; caused by Error: x","cause":{"name":"Error","message":"x"}}}`), Rejected, "HTTP 409 Conflict: ConflictError: taken; caused by Error: x"},
		"problem":           {reply(422, "application/problem+json", `{"type":"about:blank","title":"Invalid","detail":"size is wrong","errors":[{"field":"size"}]}`), Rejected, `HTTP 422 Unprocessable Entity: Invalid: size is wrong: [{"field":"size"}]`},
		"oauth":             {reply(400, "application/json", `{"error":"invalid_request","error_description":"x missing"}`), Rejected, "HTTP 400 Bad Request: invalid_request: x missing"},
		"other json":        {reply(400, "application/json", `{"fields":{"a":"bad"},"stack":"at /srv"}`), Rejected, `HTTP 400 Bad Request: {"fields":{"a":"bad"}}`},
		"text":              {reply(409, "text/plain", "already there"), Rejected, "HTTP 409 Conflict: already there"},
		"html":              {reply(403, "text/html", "<html>forbidden by proxy-17.internal"), Rejected, "HTTP 403 Forbidden"},
		"binary":            {reply(400, "application/octet-stream", "\xff\xfe"), Rejected, "HTTP 400 Bad Request"},
		"echoed basic":      {reply(400, "text/plain", "bad password "+secret), Rejected, "HTTP 400 Bad Request: bad password [redacted]"},
		"echoed secret":     {reply(400, "application/json", `{"message":"bad token `+secret+`"}`), Rejected, "HTTP 400 Bad Request: bad token [redacted]"},
		"unauthorized":      {reply(401, "application/json", `{"message":"token `+secret+` expired"}`), Unavailable, "the plugin does not accept the gateway's credentials (HTTP 401)"},
		"server error":      {reply(500, "application/json", `{"message":"db password is hunter2"}`), Unavailable, "the plugin failed (HTTP 500)"},
		"unavailable":       {reply(503, "text/plain", "try later"), Unavailable, "the plugin failed (HTTP 503)"},
		"not json":          {reply(200, "application/json", `{"a":`), Unavailable, "the plugin's answer is not the JSON that it says it is"},
		"too large":         {reply(200, "application/json", `"`+strings.Repeat("x", 2000)+`"`), TooLarge, "the answer is larger than 1000 bytes"},
		"large and long": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write(make([]byte, 5000))
		}, TooLarge, "larger than 1000 bytes"},
		"gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 10<<20))
			_ = z.Close()
		}, TooLarge, "larger than 1000 bytes"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		}, Unavailable, "the plugin redirects (HTTP 302), which is not followed"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		}, Unavailable, "the plugin cannot be reached"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Unavailable, "the plugin cannot be reached"},
		"hangs":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, Timeout, "the plugin did not answer within 50ms"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			a := plain("x")
			if name == "hangs" {
				a.Timeout = 50 * time.Millisecond
			}
			_, err := newClient(t, Options{BaseURL: server.URL, MaxResponse: 1000, Credentials: credentials}).Invoke(context.Background(), a, nil)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Kind != tt.kind || !strings.Contains(e.Message, tt.want) {
				t.Errorf("got %s %q, want %s %q", e.Kind, e.Message, tt.kind, tt.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the log would tell the secret: %v", err)
			}
			for _, leak := range []string{secret, "hunter2", "/srv", strings.TrimPrefix(server.URL, "http://"), "169.254", "proxy-17"} {
				if strings.Contains(e.Message, leak) {
					t.Errorf("message %q tells %q", e.Message, leak)
				}
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, err = newClient(t, Options{BaseURL: "http://" + address}).Invoke(context.Background(), plain("x"), nil)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unavailable || strings.Contains(e.Message, address) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = newClient(t, Options{BaseURL: "http://" + address}).Invoke(ctx, plain("x"), nil)
	if !errors.As(err, &e) || e.Message != "the call was cancelled" {
		t.Errorf("got %v", err)
	}
}

func TestSuccessAndSelect(t *testing.T) {
	actions := actionsOf(t, `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /x:
    get:
      x-action:
        - {name: pick, output: {select: .a.b}}
        - {name: status, output: {success: [400], select: '{ok: ($status == 200), asked: $arguments.q, errors: .errors}'}}
        - {name: none, output: {select: 'if .a.b == 1 then error("nothing found") else . end'}}
        - {name: wrong, output: {select: '.a | tonumber'}}
      parameters: [{name: q, in: query, schema: {}}]
      responses: {}
`)
	status, body := 200, `{"a":{"b":1},"errors":[]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(status, "application/json", body)(w, r) }))
	defer server.Close()
	c := newClient(t, Options{BaseURL: server.URL})
	call := func(name string) string {
		r, err := c.Invoke(context.Background(), actions[name], map[string]any{"q": "x"})
		if err != nil {
			return err.Error()
		}
		return string(r.JSON)
	}
	if got := call("pick"); got != "1" {
		t.Error(got)
	}
	if got := call("none"); got != "rejected: nothing found" {
		t.Error(got)
	}
	if got := call("wrong"); !strings.HasPrefix(got, "unavailable: the plugin's answer does not have the shape") {
		t.Error(got)
	}
	if got := call("status"); !strings.HasPrefix(got, "unavailable: the plugin failed (HTTP 200)") {
		t.Error(got)
	}
	status = 400
	if got := call("status"); got != `{"asked":"x","errors":[],"ok":false}` {
		t.Error(got)
	}
	body = ""
	if got := call("status"); got != `{"asked":"x","errors":null,"ok":false}` {
		t.Error(got)
	}
}

func TestCredentialsAreSentAndMasked(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	defer server.Close()
	c := newClient(t, Options{BaseURL: server.URL, Credentials: credentials})
	if _, err := c.Invoke(context.Background(), plain("x"), nil); err != nil || got != "Bearer "+secret {
		t.Errorf("sent %q, %v", got, err)
	}
	req, err := c.Request(context.Background(), plain("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Masked(plain("x"), req); req.Header.Get("Authorization") != "[redacted]" {
		t.Errorf("masked %v", req.Header)
	}
	broken := newClient(t, Options{BaseURL: server.URL, Credentials: credential.Bearer(func() (string, error) { return "", errors.New("file /run/secret is gone") })})
	_, err = broken.Invoke(context.Background(), plain("x"), nil)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unavailable || strings.Contains(e.Message, "/run") {
		t.Errorf("got %v", err)
	}
}

func TestInProcess(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("boom")
		case "/hang":
			select {} // not even its context ends it
		case "/large":
			for range 100 {
				_, _ = w.Write(make([]byte, 100))
			}
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"uri":%q}`, r.RequestURI)
		}
	})
	c := newClient(t, Options{BaseURL: "http://plugin.invalid", Transport: InProcess(h, 1000), MaxResponse: 1000, Timeout: 50 * time.Millisecond})
	if r, err := c.Invoke(context.Background(), plain("a"), nil); err != nil || string(r.JSON) != `{"uri":"/a"}` {
		t.Errorf("got %v %v", r, err)
	}
	for path, kind := range map[string]Kind{"panic": Unavailable, "hang": Timeout, "large": TooLarge} {
		_, err := c.Invoke(context.Background(), plain(path), nil)
		var e *Error
		if !errors.As(err, &e) || e.Kind != kind {
			t.Errorf("%s: got %v, want %s", path, err, kind)
		}
	}
}

// TestInProcessStreams: a handler that flushes streams as over a socket.
func TestInProcessStreams(t *testing.T) {
	next := make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for i := range 3 {
			fmt.Fprintf(w, "%d\n", i)
			w.(http.Flusher).Flush()
			if r.URL.Path == "/told" {
				<-next
			}
		}
		w.Header().Set("Content-Type", "too/late")
		switch r.URL.Path {
		case "/panic":
			panic("boom")
		case "/hang":
			select {}
		case "/endless":
			for err := error(nil); err == nil; {
				_, err = fmt.Fprintln(w, "9")
			}
			next <- struct{}{}
		}
	})
	c := newClient(t, Options{BaseURL: "http://plugin.invalid", Transport: InProcess(h, 1000), MaxResponse: 1000, Timeout: 100 * time.Millisecond})
	told := 0
	ctx := WithProgress(t.Context(), func(Progress) { told++; next <- struct{}{} })
	if r, err := c.Invoke(ctx, plain("told"), nil); err != nil || string(r.JSON) != "[0,1,2]" || r.Cut != nil || told != 3 {
		t.Errorf("got %v %v, told %d", r, err, told)
	}
	for path, reason := range map[string]string{"panic": cutBroken, "hang": cutTime, "endless": cutSize} {
		r, err := c.Invoke(t.Context(), plain(path), nil)
		if err != nil || !strings.HasPrefix(string(r.JSON), "[0,1,2") || r.Cut == nil || r.Cut.Reason != reason {
			t.Errorf("%s: got %+v %v", path, r, err)
		}
	}
	<-next // the endless one has ended
}

func TestNewRefusesBaseURLs(t *testing.T) {
	for _, bad := range []string{"", "billing", "/api", "ftp://x", "http://", "http://u:p@x", "http://x/#f", "http://[::1"} {
		if _, err := New(Options{BaseURL: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%v tells credentials", err)
		}
	}
}

// TestEchoedSecrets: a plugin that echoes its request tells nobody.
func TestEchoedSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"authorization":%q,"key":%q,"password":%q}`, r.Header.Get("Authorization"), r.Header.Get("X-Key"), password)
	}))
	defer server.Close()
	for i, source := range []credential.Source{
		credentials, credential.Header("X-Key", known(secret+" with space")), credential.Basic("user", known(secret)),
	} {
		c := newClient(t, Options{BaseURL: server.URL, Credentials: source})
		r, err := c.Invoke(context.Background(), plain("x"), nil)
		if err != nil || strings.Contains(string(r.JSON), secret) || !strings.Contains(string(r.JSON), redacted) {
			t.Errorf("%d: got %s %v", i, r.JSON, err)
		}
	}
}

func TestHead(t *testing.T) {
	server := httptest.NewServer(reply(200, "application/json", `{"a":1}`))
	defer server.Close()
	a := plain("x")
	a.Request.Method = http.MethodHead
	r, err := newClient(t, Options{BaseURL: server.URL}).Invoke(context.Background(), a, nil)
	if err != nil || string(r.JSON) != "{}" {
		t.Errorf("got %v %v", r, err)
	}
}

// TestRunawayPrograms: a document's jq program ends, whatever it does.
func TestRunawayPrograms(t *testing.T) {
	actions := actionsOf(t, `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /x:
    get:
      x-action:
        - {name: loop, request: {query.q: 'def f: f; f'}}
        - {name: grow, request: {query.q: '[range(1000000000)] | length'}}
        - {name: answer, output: {select: 'last(range(1; infinite))'}}
      parameters: [{name: q, in: query, schema: {}}]
      responses: {}
`)
	server := httptest.NewServer(reply(200, "application/json", `{}`))
	defer server.Close()
	c := newClient(t, Options{BaseURL: server.URL})
	for name, a := range actions {
		_, err := c.Invoke(context.Background(), a, nil)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Timeout || e.Message != "the action's jq program took too long" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
