package mcpserver

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/internal/registry"
)

const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

func TestChecksBeforeTheBody(t *testing.T) {
	h := newTestHandler(t, Options{AllowedOrigins: []string{"https://inspector.example:8443"}})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "ada")
	for _, test := range []struct {
		name, method, path string
		headers            headers
		want               int
	}{
		{"fine", "POST", "/mcp/catalog", headers{}, 200},
		{"unknown server", "POST", "/mcp/catalogue", headers{}, 404},
		{"no server", "POST", "/mcp/", headers{}, 404},
		{"below a server", "POST", "/mcp/catalog/x", headers{}, 404},
		{"server before origin", "POST", "/mcp/nope", headers{"Origin": "https://evil.example"}, 404},
		{"our origin", "POST", "/mcp/catalog", headers{"Origin": "https://mcp.example.com"}, 200},
		{"our origin with its port", "POST", "/mcp/catalog", headers{"Origin": "https://mcp.example.com:443"}, 200},
		{"our origin in capitals", "POST", "/mcp/catalog", headers{"Origin": "https://MCP.example.com"}, 200},
		{"our origin, other scheme", "POST", "/mcp/catalog", headers{"Origin": "http://mcp.example.com"}, 403},
		{"our origin, other port", "POST", "/mcp/catalog", headers{"Origin": "https://mcp.example.com:8443"}, 403},
		{"our origin as a prefix", "POST", "/mcp/catalog", headers{"Origin": "https://mcp.example.com.evil.example"}, 403},
		{"our origin as a user", "POST", "/mcp/catalog", headers{"Origin": "https://mcp.example.com@evil.example"}, 403},
		{"allowed origin", "POST", "/mcp/catalog", headers{"Origin": "https://inspector.example:8443"}, 200},
		{"evil origin", "POST", "/mcp/catalog", headers{"Origin": "https://evil.example"}, 403},
		{"null origin", "POST", "/mcp/catalog", headers{"Origin": "null"}, 403},
		{"origin with a path", "POST", "/mcp/catalog", headers{"Origin": "https://mcp.example.com/"}, 403},
		{"garbage origin", "POST", "/mcp/catalog", headers{"Origin": "::%zz"}, 403},
		{"loopback page to loopback", "POST", "/mcp/catalog", headers{"Origin": "http://localhost:6274", "Host": "127.0.0.1:8080"}, 200},
		{"loopback page to v6 loopback", "POST", "/mcp/catalog", headers{"Origin": "http://127.0.0.1:1", "Host": "[::1]:8080"}, 200},
		{"loopback page to elsewhere", "POST", "/mcp/catalog", headers{"Origin": "http://localhost:6274", "Host": "mcp.example.com"}, 403},
		{"rebound page to loopback", "POST", "/mcp/catalog", headers{"Origin": "http://evil.example", "Host": "127.0.0.1:8080"}, 403},
		{"extension named localhost", "POST", "/mcp/catalog", headers{"Origin": "chrome-extension://localhost", "Host": "127.0.0.1:8080"}, 403},
		{"origin before principal", "POST", "/mcp/catalog", headers{"Origin": "null", "X-User": "nobody"}, 403},
		{"no principal", "POST", "/mcp/catalog", headers{"X-User": "nobody"}, 401},
		{"principal before method", "GET", "/mcp/catalog", headers{"X-User": "nobody"}, 401},
		{"GET that reads no events", "GET", "/mcp/catalog", headers{"Accept": "application/json"}, 406},
		{"GET that says nothing", "GET", "/mcp/catalog", headers{}, 406},
		{"modern GET", "GET", "/mcp/catalog", headers{"Mcp-Protocol-Version": "2026-07-28", "Accept": "text/event-stream"}, 405},
		{"HTTP+SSE by POST", "POST", "/mcp/catalog/sse", headers{}, 405},
		{"HTTP+SSE that reads no events", "GET", "/mcp/catalog/sse", headers{"Accept": "application/json"}, 406},
		{"HTTP+SSE message by GET", "GET", "/mcp/catalog/message", headers{}, 405},
		{"HTTP+SSE message to no session", "POST", "/mcp/catalog/message", headers{}, 400},
		{"HTTP+SSE message to two", "POST", "/mcp/catalog/message?sessionId=a&sessionId=b", headers{}, 400},
		{"HTTP+SSE message to another", "POST", "/mcp/catalog/message?sessionId=a", headers{}, 404},
		{"HTTP+SSE message as a form", "POST", "/mcp/catalog/message?sessionId=a", headers{"Content-Type": "text/plain"}, 415},
		{"HTTP+SSE from elsewhere", "GET", "/mcp/catalog/sse", headers{"Origin": "https://evil.example"}, 403},
		{"PUT", "PUT", "/mcp/catalog", headers{}, 405},
		{"OPTIONS", "OPTIONS", "/mcp/catalog", headers{}, 405},
		{"modern DELETE", "DELETE", "/mcp/catalog", headers{"Mcp-Protocol-Version": "2026-07-28"}, 405},
		{"no content type", "POST", "/mcp/catalog", headers{"Content-Type": ""}, 415},
		{"form", "POST", "/mcp/catalog", headers{"Content-Type": "text/plain"}, 415},
		{"charset", "POST", "/mcp/catalog", headers{"Content-Type": "Application/JSON; charset=UTF-8"}, 200},
		{"other charset", "POST", "/mcp/catalog", headers{"Content-Type": "application/json; charset=utf-16"}, 415},
		{"suffix", "POST", "/mcp/catalog", headers{"Content-Type": "application/jsonx"}, 415},
		{"compressed", "POST", "/mcp/catalog", headers{"Content-Encoding": "gzip"}, 415},
		{"no accept", "POST", "/mcp/catalog", headers{"Accept": ""}, 200},
		{"accept all", "POST", "/mcp/catalog", headers{"Accept": "text/html, */*;q=0.1"}, 200},
		{"accept application", "POST", "/mcp/catalog", headers{"Accept": "application/*"}, 200},
		{"accept streams only", "POST", "/mcp/catalog", headers{"Accept": "text/event-stream"}, 406},
		{"accept anything but", "POST", "/mcp/catalog", headers{"Accept": "application/json;q=0, text/html"}, 406},
	} {
		t.Run(test.name, func(t *testing.T) {
			hs := headers{"Mcp-Session-Id": s, "X-User": "ada"}
			for k, v := range test.headers {
				hs[k] = v
			}
			w := serve(h, test.method, test.path, hs, list)
			if w.Code != test.want {
				t.Errorf("status %d, want %d: %s", w.Code, test.want, w.Body)
			}
			if w.Code == 405 && w.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Errorf("leak: %s", w.Body)
			}
			if w.Header().Get("X-Request-Id") == "" || w.Code != 200 && decode(t, w.Body).ID != nil {
				t.Error("no reference, or an id from nowhere")
			}
		})
	}
}

func TestPagesOfAllowedOrigins(t *testing.T) {
	h := newTestHandler(t, Options{})
	ask := headers{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "mcp-method,mcp-param-x", "X-User": "nobody"}
	ask["Origin"] = "https://mcp.example.com"
	w := serve(h, "OPTIONS", "/mcp/catalog", ask, "")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != ask["Origin"] ||
		w.Header().Get("Access-Control-Allow-Headers") != "mcp-method,mcp-param-x" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	ask["Origin"] = "https://evil.example"
	if w := serve(h, "OPTIONS", "/mcp/catalog", ask, ""); w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("evil preflight: %d %v", w.Code, w.Header())
	}
	w = serve(h, "POST", "/mcp/catalog", headers{"Origin": "https://mcp.example.com"}, initializeBody("2025-11-25"))
	if w.Header().Get("Access-Control-Allow-Origin") == "" || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "Mcp-Session-Id") {
		t.Errorf("answer: %v", w.Header())
	}
	if w := serve(h, "POST", "/mcp/catalog", nil, initializeBody("2025-11-25")); w.Header().Get("Vary") != "" {
		t.Errorf("answer to a program: %v", w.Header())
	}
}

func TestHostBehindLoopback(t *testing.T) {
	h := newTestHandler(t, Options{LoopbackOnly: true})
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "localhost": 200, "LOCALHOST:1": 200, "[::1]:8080": 200, "127.8.8.8": 200, "mcp.example.com": 200,
		"evil.example": 403, "evil.example:8080": 403, "127.0.0.1.evil.example": 403, "10.0.0.1": 403, "": 403,
	} {
		if w := serve(h, "POST", "/mcp/catalog", headers{"Host": host}, initializeBody("2025-11-25")); w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}

// The public URL's own port may be said or not.
func TestHostOfPublicURL(t *testing.T) {
	for _, test := range []struct {
		url, host string
		want      int
	}{
		{"https://mcp.example.com:443", "mcp.example.com", 200}, {"https://MCP.example.com:443", "mcp.EXAMPLE.com:443", 200},
		{"https://mcp.example.com", "mcp.example.com:443", 200}, {"http://mcp.example.com:80", "mcp.example.com", 200},
		{"https://mcp.example.com", "mcp.example.com:80", 403}, {"https://mcp.example.com:8443", "mcp.example.com", 403},
		{"https://mcp.example.com:8443", "mcp.example.com:8443", 200}, {"https://mcp.example.com", "mcp.example.com:4430", 403},
		{"HTTPS://mcp.example.com:443", "mcp.example.com", 200},
	} {
		h := newTestHandler(t, Options{LoopbackOnly: true, PublicURL: test.url})
		if w := serve(h, "POST", "/mcp/catalog", headers{"Host": test.host}, initializeBody("2025-11-25")); w.Code != test.want {
			t.Errorf("Host %q of %s: %d, want %d", test.host, test.url, w.Code, test.want)
		}
	}
	h, err := New(Options{Store: openStore(t), Invoker: &fakeInvoker{}, LoopbackOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if h.checkHost(newRequest("POST", "/mcp/catalog", headers{"Host": ""}, "")) == nil {
		t.Error("without a public URL, no host is one of this machine")
	}
}

// countingBody tells how much of it was asked for.
type countingBody struct {
	read   int
	length int
}

func (b *countingBody) Read(p []byte) (int, error) {
	n := min(len(p), b.length-b.read)
	if n == 0 {
		return 0, io.EOF
	}
	for i := range n {
		p[i] = ' '
	}
	b.read += n
	return n, nil
}

func TestBodyLimits(t *testing.T) {
	h := newTestHandler(t, Options{MaxBody: 1000})
	for _, test := range []struct {
		name           string
		length         int
		announced      bool
		origin         string
		want, mostRead int
	}{
		{"announced", 5000, true, "", 413, 0},
		{"chunked", 100_000, false, "", 413, 10_000},
		{"not before the origin", 500, true, "https://evil.example", 403, 0},
		{"blank", 1000, true, "", 400, 1000},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := &countingBody{length: test.length}
			r := newRequest("POST", "/mcp/catalog", headers{"Origin": test.origin}, "")
			r.Body, r.ContentLength = io.NopCloser(body), -1
			if test.announced {
				r.ContentLength = int64(test.length)
			}
			w := serveRequest(h, r)
			if w.Code != test.want || body.read > test.mostRead {
				t.Errorf("status %d after %d bytes, want %d after at most %d", w.Code, body.read, test.want, test.mostRead)
			}
		})
	}
}

func TestMalformedMessages(t *testing.T) {
	h := newTestHandler(t, Options{})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	for name, test := range map[string]struct {
		body string
		code int
		id   string
	}{
		"empty":             {"", -32700, "null"},
		"half":              {`{"jsonrpc":"2.0"`, -32700, "null"},
		"two":               {list + list, -32700, "null"},
		"not UTF-8":         {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", -32700, "null"},
		"deep":              {strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), -32700, "null"},
		"deep in arguments": {callBody("1", "fake_echo", strings.Repeat(`{"a":`, 20_000)+"1"+strings.Repeat("}", 20_000)), -32700, "null"},
		"number":            {"17", -32600, "null"},
		"string":            {`"tools/list"`, -32600, "null"},
		"null":              {"null", -32600, "null"},
		"no version":        {`{"id":1,"method":"ping"}`, -32600, "1"},
		"version 1":         {`{"jsonrpc":"1.0","id":1,"method":"ping"}`, -32600, "1"},
		"no method":         {`{"jsonrpc":"2.0","id":"a"}`, -32600, `"a"`},
		"method number":     {`{"jsonrpc":"2.0","id":1,"method":1}`, -32600, "1"},
		"null id":           {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, -32600, "null"},
		"object id":         {`{"jsonrpc":"2.0","id":{},"method":"ping"}`, -32600, "null"},
		"params array":      {`{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, -32600, "1"},
		"meta array":        {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}`, -32600, "1"},
		"method and result": {`{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, -32600, "1"},
		"method twice":      {`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`, -32600, "1"},
		"method shadowed":   {`{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}`, -32600, "1"},
		"method escaped":    {`{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call"}`, -32600, "1"},
		"name shadowed":     {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","NAME":"b"}}`, -32600, "1"},
		"batch":             {`[` + list + `]`, -32600, "null"},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": s}, test.body)
			a := decode(t, w.Body)
			if w.Code != 400 || a.code() != test.code || string(a.ID) != test.id && test.id != "null" {
				t.Errorf("%d, code %d, id %s; want 400, %d, %s", w.Code, a.code(), a.ID, test.code, test.id)
			}
		})
	}
}

func TestIDsAreKept(t *testing.T) {
	h := newTestHandler(t, Options{})
	s := startSession(t, h, "/mcp/catalog", "2025-11-25", "")
	for _, id := range []string{`1`, `0`, `-5`, `9007199254740993`, `123456789012345678901234567890`, `""`, `"1"`, `"a\u00e9\"b"`} {
		for _, request := range []string{
			`{"jsonrpc":"2.0","id":%s,"method":"ping"}`, `{"jsonrpc":"2.0","id":%s,"method":"tools/list"}`,
			`{"method":"tools/call","params":{"name":"fake_echo"}, "id" : %s ,"jsonrpc":"2.0"}`,
			`{"jsonrpc":"2.0","id":%s,"method":"nope"}`, `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"nope"}}`,
		} {
			w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Session-Id": s}, fmt.Sprintf(request, id))
			if got := string(decode(t, w.Body).ID); got != id {
				t.Errorf("%s with id %s: answered %s", request, id, got)
			}
		}
	}
}

func TestModernChecks(t *testing.T) {
	h := newTestHandler(t, Options{})
	sentinel := "=?base64?" + base64.StdEncoding.EncodeToString([]byte("fake_echo")) + "?="
	call := modernCall("1", "fake_echo", "{}")
	bare := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fake_echo"%s}}`
	for _, test := range []struct {
		name         string
		change       headers
		body         string
		status, code int
	}{
		{"fine", nil, call, 200, 0},
		{"session is ignored", headers{"Mcp-Session-Id": "never-issued"}, call, 200, 0},
		{"last event is ignored", headers{"Last-Event-Id": "7"}, call, 200, 0},
		{"base64 name", headers{"Mcp-Name": sentinel}, call, 200, 0},
		{"broken base64", headers{"Mcp-Name": "=?base64?###?="}, call, 400, -32020},
		{"other name", headers{"Mcp-Name": "fake_note"}, call, 400, -32020},
		{"no name", headers{"Mcp-Name": ""}, call, 400, -32020},
		{"odd name", headers{"Mcp-Name": "fake_echo\x80"}, call, 400, -32020},
		{"no method", headers{"Mcp-Method": ""}, call, 400, -32020},
		{"other method", headers{"Mcp-Method": "tools/list"}, call, 400, -32020},
		{"method in another case", headers{"Mcp-Method": "Tools/Call"}, call, 400, -32020},
		{"base64 is for names only", headers{"Mcp-Method": "=?base64?dG9vbHMvY2FsbA==?="}, call, 400, -32020},
		{"no version header", headers{"Mcp-Protocol-Version": ""}, call, 400, -32020},
		{"other version header", headers{"Mcp-Protocol-Version": "2025-11-25"}, call, 400, -32020},
		{"version only in the header", nil, fmt.Sprintf(bare, ""), 400, -32602},
		{"no capabilities", nil, fmt.Sprintf(bare, `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`), 400, -32602},
		{"future", headers{"Mcp-Protocol-Version": "2099-01-01"}, strings.ReplaceAll(call, "2026-07-28", "2099-01-01"), 400, -32022},
		{"past", headers{"Mcp-Protocol-Version": "1900-01-01"}, strings.ReplaceAll(call, "2026-07-28", "1900-01-01"), 400, -32022},
		{"unknown in body only", headers{"Mcp-Protocol-Version": ""}, strings.ReplaceAll(call, "2026-07-28", "1900-01-01"), 400, -32020},
		{"future in header only", headers{"Mcp-Protocol-Version": "2099-01-01"}, fmt.Sprintf(bare, ""), 400, -32022},
		{"unknown tool", headers{"Mcp-Name": "nope"}, modernCall("1", "nope", "{}"), 200, -32602},
		{"unknown method", headers{"Mcp-Method": "tools/nope", "Mcp-Name": ""}, strings.Replace(call, "tools/call", "tools/nope", 1), 404, -32601},
		{"ping was removed", headers{"Mcp-Method": "ping", "Mcp-Name": ""}, strings.Replace(call, "tools/call", "ping", 1), 404, -32601},
		{"initialize was removed", headers{"Mcp-Method": "initialize"}, strings.Replace(call, "tools/call", "initialize", 1), 404, -32601},
		{"subscription to what", headers{"Mcp-Method": "subscriptions/listen"}, strings.Replace(call, "tools/call", "subscriptions/listen", 1), 200, -32602},
		{"response", nil, `{"jsonrpc":"2.0","id":1,"result":{}}`, 400, -32600},
		{"batch", nil, "[" + call + "]", 400, -32600},
	} {
		t.Run(test.name, func(t *testing.T) {
			hs := modernHeaders("tools/call", "fake_echo")
			for k, v := range test.change {
				hs[k] = v
			}
			w := serve(h, "POST", "/mcp/catalog", hs, test.body)
			a := decode(t, w.Body)
			if w.Code != test.status || a.code() != test.code {
				t.Errorf("%d, code %d; want %d, %d: %+v", w.Code, a.code(), test.status, test.code, a.Error)
			}
			if w.Header().Get("Mcp-Session-Id") != "" {
				t.Error("a session was minted")
			}
			if a.code() == -32022 && !strings.Contains(string(a.Error.Data), `"2025-11-25"`) {
				t.Errorf("versions are not listed: %s", a.Error.Data)
			}
		})
	}
	r := newRequest("POST", "/mcp/catalog", modernHeaders("tools/call", "fake_echo"), call)
	r.Header.Add("Mcp-Name", "fake_note")
	if w := serveRequest(h, r); w.Code != 400 {
		t.Errorf("two names: %d", w.Code)
	}
}

func TestModernNotificationsAreAccepted(t *testing.T) {
	h := newTestHandler(t, Options{})
	body := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	if w := serve(h, "POST", "/mcp/catalog", headers{"Mcp-Protocol-Version": "2026-07-28"}, body); w.Code != 202 || w.Body.Len() > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// x-mcp-header arguments must be mirrored by modern clients.
func TestMirroredArguments(t *testing.T) {
	h := newTestHandler(t, Options{})
	a := action("echo", "")
	a.InputSchema = []byte(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}`)
	if err := h.SetServers([]*registry.Server{{Door: testDoor, Name: "s", Tools: []registry.Tool{{Name: "echo", Action: a}}}}); err != nil {
		t.Fatal(err)
	}
	for region, want := range map[string]int{"eu": 200, "=?base64?ZXU=?=": 200, "us": 400, "": 400} {
		hs := modernHeaders("tools/call", "echo")
		hs["Mcp-Param-Region"] = region
		if w := serve(h, "POST", "/mcp/s", hs, modernCall("1", "echo", `{"region":"eu"}`)); w.Code != want {
			t.Errorf("region %q: %d, want %d: %s", region, w.Code, want, w.Body)
		}
	}
	a = action("echo", "")
	a.InputSchema = []byte(`{"type":"object","properties":{"region":{"type":"array","x-mcp-header":"Region"}}}`)
	if err := h.SetServers([]*registry.Server{{Door: testDoor, Name: "s", Tools: []registry.Tool{{Name: "echo", Action: a}}}}); err == nil {
		t.Error("an invalid x-mcp-header was accepted")
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	db := openStore(t)
	for name, o := range map[string]Options{
		"no sessions": {Invoker: &fakeInvoker{}},
		"no invoker":  {Store: db},
		"public URL":  {Store: db, Invoker: &fakeInvoker{}, PublicURL: "mcp.example.com"},
		"origin":      {Store: db, Invoker: &fakeInvoker{}, AllowedOrigins: []string{"https://a.example/path"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What the engine does wrong costs its caller an answer, not the process.
func TestEnginePanic(t *testing.T) {
	h := newTestHandler(t, Options{})
	broken := &server{name: "broken"} // no engine
	x := &exchange{server: broken, ref: "abcdefghjk"}
	_, fault := h.ask(context.Background(), x, newClientSession("s", "2025-11-25"), &envelope{method: "ping", id: []byte("1")})
	if fault == nil || fault.status != http.StatusInternalServerError || strings.Contains(fault.message, "nil pointer") {
		t.Errorf("%+v", fault)
	}
}
