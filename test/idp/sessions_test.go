package idp

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/auth/authtest"
	"github.com/stagedoor/stagedoor/internal/config"
)

// TestRS16Origin (and threat 8): a page of another origin gets nowhere, before
// anything is asked for and any of the body is read.
func TestRS16Origin(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, "allowedOrigins: [https://inspector.example.com]\n"+twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	for origin, status := range map[string]int{
		"": 200, f.url: 200, "https://inspector.example.com": 200, "http://localhost:6274": 200, // a page of this machine, to this machine
		"https://evil.example": 403, "null": 403, "http://localhost.evil.example": 403, "http://127.0.0.1.evil.example": 403,
		"http://inspector.example.com": 403, "https://inspector.example.com:8443": 403, "https://inspector.example.com.evil.example": 403, f.url + ".evil.example": 403,
	} {
		for _, given := range []string{token, "", "bad"} {
			r := ask{token: given, body: initialize}
			if origin != "" {
				r.header = http.Header{"Origin": {origin}}
			}
			want := status
			if status == 200 && given != token {
				want = 401
			}
			f.want("origin "+origin, r, want, "")
		}
	}
	c := f.dial()
	if _, err := fmt.Fprintf(c, "POST /mcp/a HTTP/1.1\r\nHost: %s\r\nOrigin: https://evil.example\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n", strings.TrimPrefix(f.url, "http://")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, " 403 ") {
		t.Errorf("the body is asked for: %q %v", line, err)
	}
}

// TestThreat8ContentType: what a page can send without asking is not taken.
func TestThreat8ContentType(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		f.want(kind, ask{token: token, header: http.Header{"Content-Type": {kind}}, body: initialize}, http.StatusUnsupportedMediaType, "")
	}
}

// TestRS17Loopback: the gateway listens on this machine alone where nothing
// else is said, and does not start open to others.
func TestRS17Loopback(t *testing.T) {
	if got := gateway.DefaultConfig().Listen; got != "127.0.0.1:8080" {
		t.Errorf("listens on %s", got)
	}
	for listen, open := range map[string]bool{"127.0.0.1:0": true, "'[::1]:0'": true, "localhost:0": true, "0.0.0.0:0": false, "':8080'": false, "'[::]:0'": false, "10.0.0.1:80": false} {
		path := configure(t, t.TempDir(), "http://127.0.0.1:1", "http://127.0.0.1:1", "", "listen: "+listen+"\nauth: none\nservers: {a: {actions: {include: ['things:*']}}}\n")
		if _, err := config.Load(path, nil); open != (err == nil) || err != nil && !strings.Contains(err.Error(), "none lets everybody call") {
			t.Errorf("%s: %v", listen, err)
		}
	}
}

// TestRS18Host (and threat 8): a name that is not the gateway's is not served,
// and no URL in an answer is made of what the request says.
func TestRS18Host(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	for _, host := range []string{"evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "evil.example:" + f.url[strings.LastIndex(f.url, ":")+1:]} {
		for _, given := range []string{token, ""} {
			got := f.do(ask{token: given, header: http.Header{"Host": {host}}, body: initialize})
			if got.status != http.StatusMisdirectedRequest && got.status != http.StatusForbidden || strings.Contains(fmt.Sprint(got.header, got.body), "evil") {
				t.Errorf("%s: %+v", host, got)
			}
		}
	}
	forwarded := http.Header{"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"host=evil.example;proto=https"}, "X-Original-Host": {"evil.example"}}
	for _, r := range []ask{{body: ping, header: forwarded}, {method: http.MethodGet, path: "/.well-known/oauth-protected-resource/mcp/a", header: forwarded}} {
		if got := f.do(r); strings.Contains(fmt.Sprint(got.header, got.body), "evil") || !strings.Contains(fmt.Sprint(got.header, got.body), f.url) {
			t.Errorf("%+v", got)
		}
	}
}

// TestRS19SessionIDs: nobody guesses one.
func TestRS19SessionIDs(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	seen := map[string]bool{}
	first := [64]map[byte]bool{}
	for range 200 {
		id := f.session("a", token)
		if len(id) < 22 || seen[id] || strings.ContainsFunc(id, func(r rune) bool { return r < '!' || r > '~' }) {
			t.Fatalf("session %q", id)
		}
		seen[id] = true
		for i := range min(len(id), len(first)) {
			if first[i] == nil {
				first[i] = map[byte]bool{}
			}
			first[i][id[i]] = true
		}
	}
	for i, values := range first[:21] {
		if len(values) < 10 {
			t.Errorf("character %d has %d values in 200 sessions", i, len(values))
		}
	}
	f.want("an id that the client made", ask{token: token, session: "made-by-the-client", body: initialize}, http.StatusOK, "")
	f.want("and then uses", ask{token: token, session: "made-by-the-client", body: ping}, http.StatusNotFound, "")
}

// TestRS20SessionsAuthenticateNobody: also not at the legacy transport.
func TestRS20SessionsAuthenticateNobody(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	session, endpoint := f.session("a", token), f.legacyEndpoint(token)
	for name, r := range map[string]ask{
		"POST": {session: session, body: ping}, "GET": {method: http.MethodGet, session: session}, "DELETE": {method: http.MethodDelete, session: session},
		"message": {path: endpoint, body: ping},
	} {
		f.want(name, r, http.StatusUnauthorized, "")
		r.token = session
		f.want(name+" with the id as a token", r, http.StatusUnauthorized, "")
	}
}

// legacyEndpoint opens a session of HTTP+SSE that lasts as long as the test.
func (f *front) legacyEndpoint(token string) string {
	f.t.Helper()
	response, err := f.listen(ask{method: http.MethodGet, path: "/mcp/a/sse", token: token})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = response.Body.Close() })
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if endpoint, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			return endpoint
		}
	}
	f.t.Fatalf("no endpoint (%s)", response.Status)
	return ""
}

// TestRS21SessionsOfOthers: another user who knows a session's id is told the
// same as of one that never was, whatever is asked for.
func TestRS21SessionsOfOthers(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	ada, eve := p.user(t, "ada", f.resource("a"), "mcp:write").Access, p.user(t, "eve", f.resource("a"), "mcp:write").Access
	ofB := p.user(t, "ada", f.resource("b"), "mcp:write").Access
	session, endpoint := f.session("a", ada), f.legacyEndpoint(ada)
	unknown := session[:len(session)-4] + "AAAA"
	strangeEndpoint := endpoint[:len(endpoint)-4] + "AAAA"
	for name, r := range map[string]ask{
		"POST":   {body: ping},
		"call":   legacy("", "", "make", `{"name":"x"}`),
		"notify": {body: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`},
		"GET":    {method: http.MethodGet},
		"resume": {method: http.MethodGet, header: http.Header{"Last-Event-Id": {"1-1"}}},
		"DELETE": {method: http.MethodDelete},
	} {
		r.token, r.session = eve, session
		one := f.want(name, r, http.StatusNotFound, "")
		r.session = unknown
		if two := f.want(name+", unknown", r, http.StatusNotFound, ""); one.body != two.body {
			t.Errorf("%s: %s and %s", name, one.body, two.body)
		}
		r.path, r.token, r.session = "/mcp/b", ofB, session
		f.want(name+" at another server", r, http.StatusNotFound, "")
	}
	one, two := f.do(ask{path: endpoint, token: eve, body: ping}), f.do(ask{path: strangeEndpoint, token: eve, body: ping})
	if one.status != http.StatusNotFound || two.status != one.status || one.body != two.body {
		t.Errorf("message: %d %s and %d %s", one.status, one.body, two.status, two.body)
	}
	f.want("ada's own", ask{token: ada, session: session, body: ping}, http.StatusOK, "")
	again := p.user(t, "ada", f.resource("a"), "mcp:read").Access
	f.want("ada with another token", ask{token: again, session: session, body: ping}, http.StatusOK, "")
	if len(f.plugin.requests()) > 0 {
		t.Error("a call of eve arrived")
	}
}

// TestRS22TasksOfOthers: a task's id is good for who began it.
func TestRS22TasksOfOthers(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, strings.Replace(twoServers, `  a: {`, `  a: {tasks: {after: 10ms}, `, 1))
	ada, eve := p.user(t, "ada", f.resource("a"), "mcp:write").Access, p.user(t, "eve", f.resource("a"), "mcp:write").Access
	got := f.want("begin", modern(ada, "list", `{"ms":30000}`), http.StatusOK, `"resultType":"task"`)
	var made struct{ Result struct{ TaskID string } }
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.Result.TaskID == "" {
		t.Fatalf("no task: %s", got.body)
	}
	about := func(token, method, id string) answer {
		t.Helper()
		return f.do(ask{
			token: token, header: http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {method}, "Mcp-Name": {id}},
			body: `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"taskId":"` + id + `","inputResponses":{},` + modernMeta + `}}`,
		})
	}
	id := made.Result.TaskID
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		unknown := id[:len(id)-4] + "AAAA"
		one, two := about(eve, method, id), about(eve, method, unknown)
		if one.status != two.status || !strings.Contains(one.body, "-32602") || strings.ReplaceAll(one.body, id, "") != strings.ReplaceAll(two.body, unknown, "") {
			t.Errorf("%s: %+v and %+v", method, one, two)
		}
	}
	if got := about(ada, "tasks/get", id); !strings.Contains(got.body, `"status":"working"`) {
		t.Errorf("ada's own: %+v", got)
	}
	if got := about(ada, "tasks/cancel", id); got.status != http.StatusOK {
		t.Errorf("ada's own: %+v", got)
	}
}

// TestRS23Headers (and threat 23): headers that say something else than the body
// are refused, and what the body says is what is decided on.
func TestRS23Headers(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	for name, edit := range map[string]func(r *ask){
		"another tool":    func(r *ask) { r.header.Set("Mcp-Name", "list") },
		"another method":  func(r *ask) { r.header.Set("Mcp-Method", "tools/list") },
		"another version": func(r *ask) { r.header.Set("Mcp-Protocol-Version", "2025-11-25") },
		"no name":         func(r *ask) { r.header.Del("Mcp-Name") },
		"no method":       func(r *ask) { r.header.Del("Mcp-Method") },
	} {
		r := modern(token, "make", "{}")
		edit(&r)
		if got := f.do(r); got.status != http.StatusBadRequest && got.status != http.StatusForbidden {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if len(f.plugin.requests()) > 0 {
		t.Errorf("the plugin had %+v", f.plugin.requests())
	}
}

// streams are the ways to listen.
func (f *front) streams(token string) map[string]ask {
	return map[string]ask{
		"GET": {method: http.MethodGet, token: token, session: f.session("a", token)},
		"SSE": {method: http.MethodGet, path: "/mcp/a/sse", token: token},
		"listen": {
			token: token, header: http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"subscriptions/listen"}},
			body: `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + modernMeta + `}}`,
		},
	}
}

// TestRS24StreamsEnd: a stream is not longer than the token that it was opened
// with.
func TestRS24StreamsEnd(t *testing.T) {
	p := providerOf(t, brief)
	f := openGateway(t, p.issuer, twoServers)
	token := p.robot(t, f.resource("a"), "mcp:read")
	ends := time.Unix(int64(payload(t, token)["exp"].(float64)), 0)
	open := map[string]*http.Response{}
	for name, r := range f.streams(token) {
		response, err := f.listen(r)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(name, response, err)
		}
		defer response.Body.Close()
		open[name] = response
	}
	for name, response := range open {
		said, err := io.ReadAll(response.Body)
		if late := time.Since(ends); err != nil || late < -time.Second || late > 5*time.Second {
			t.Errorf("%s ends %v after its token: %v %s", name, late, err, said)
		}
	}
	f.want("and nothing goes on", ask{token: token, body: ping}, http.StatusUnauthorized, "")
}

// TestThreat14Log: whatever a caller sends, a line of the log is one line of
// JSON, and it is ours.
func TestThreat14Log(t *testing.T) {
	p := providerOf(t, lasting)
	own := authtest.NewIssuer(t)
	f := openGateway(t, p.issuer, strings.ReplaceAll(twoServers, "IDP", own.URL))
	const forged = "x\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\r\n\u001b[31m\u202e"
	quoted, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	token := own.Token(f.resource("a"), map[string]any{"sub": forged, "client_id": forged, "groups": []string{forged}})
	session := f.session("a", token)
	f.do(ask{token: token, session: session, body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":` + string(quoted) + `,"arguments":{}}}`})
	f.do(ask{token: token, session: session, body: `{"jsonrpc":"2.0","id":` + string(quoted) + `,"method":` + string(quoted) + `}`})
	f.do(ask{token: token, session: session, body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list","arguments":{"say":` + string(quoted) + `}}}`})
	f.do(ask{token: own.Token(f.resource("b"), map[string]any{"sub": forged, "aud": forged}), body: ping})
	f.do(ask{token: own.Newest().Sign(map[string]any{"typ": forged, "kid": forged}, own.Claims(f.resource("a"), map[string]any{"iss": forged})), body: ping})
	f.do(ask{token: token, path: "/mcp/%0a%7b%22msg%22%3a%22forged%22%7d", body: ping, header: http.Header{"User-Agent": {`x\n{"msg":"forged"}`}}})
	log := f.log.String()
	for line := range strings.Lines(log) {
		var entry struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg == "forged" || strings.ContainsAny(line, "\u001b\r") {
			t.Errorf("%v: %q", err, line)
		}
	}
	if !strings.Contains(log, "forged") {
		t.Error("nothing of it was logged, so that this shows nothing")
	}
}

// TestRS09NoPassThrough (and threat 6): what a caller showed is shown to no
// plugin, and is in no log.
func TestRS09NoPassThrough(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, twoServers)
	got := p.user(t, "ada", f.resource("a"), "mcp:destructive billing:admin")
	session := f.session("a", got.Access)
	for _, tool := range []string{"list", "make", "clear", "bill"} {
		r := legacy(got.Access, session, tool, "{}")
		r.header = http.Header{"Cookie": {"session=" + got.Access}, "X-Forwarded-Authorization": {"Bearer " + got.Access}, "Proxy-Authorization": {"Bearer " + got.Access}}
		f.want(tool, r, http.StatusOK, `"structuredContent"`)
		f.want(tool, modern(got.Access, tool, "{}"), http.StatusOK, `"structuredContent"`)
	}
	f.want("a bad one", ask{token: got.Access[:len(got.Access)-5] + "AAAAA", body: ping}, http.StatusUnauthorized, "")
	all := f.plugin.requests()
	if len(all) != 8 {
		t.Fatalf("%d requests", len(all))
	}
	secret := got.Access[strings.LastIndex(got.Access, ".")+1:][:40] // of its signature
	for _, r := range all {
		if strings.Contains(fmt.Sprint(r), secret) || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("the plugin had %+v", r)
		}
	}
	if strings.Contains(f.log.String(), secret) {
		t.Error("the token is in the log")
	}
}

// TestThreat22TwoUsers: the same call of two users is two calls, and each has
// its own answer.
func TestThreat22TwoUsers(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, `
auth: [{jwt: {issuer: "IDP"}}]
plugins:
  things: {spec: things.yaml, baseURL: PLUGIN, auth: assertion}
servers:
  a: {toolNames: "{action}", actions: {include: ["things:*"]}}
`)
	for _, name := range []string{"ada", "eve", "ada"} {
		token := p.user(t, name, f.resource("a"), "mcp:read").Access
		f.want(name, modern(token, "list", `{"say":"same"}`), http.StatusOK, `"said":"same"`)
	}
	var told []any
	for _, r := range f.plugin.requests() {
		told = append(told, payload(t, r.Header.Get("Stagedoor-Assertion"))["sub"])
	}
	if fmt.Sprint(told) != "[ada eve ada]" {
		t.Errorf("the plugin is told of %v", told)
	}
}

// TestThreat24Limits: one caller's excess is that caller's own.
func TestThreat24Limits(t *testing.T) {
	p := providerOf(t, lasting)
	f := openGateway(t, p.issuer, strings.Replace(twoServers, `  a: {`, `  a: {limits: {callsPerMinute: 60, burst: 5}, `, 1))
	greedy, modest := p.user(t, "eve", f.resource("a"), "mcp:read").Access, p.user(t, "ada", f.resource("a"), "mcp:read").Access
	taken, refused := 0, 0
	for range 20 {
		switch got := f.do(modern(greedy, "list", "{}")); got.status {
		case http.StatusOK:
			taken++
		case http.StatusTooManyRequests:
			if refused++; got.header.Get("Retry-After") == "" {
				t.Errorf("no Retry-After: %+v", got)
			}
		default:
			t.Errorf("%+v", got)
		}
	}
	if taken < 5 || taken > 10 || taken != len(f.plugin.requests()) {
		t.Errorf("%d calls were taken, %d refused, the plugin had %d", taken, refused, len(f.plugin.requests()))
	}
	f.want("another user", modern(modest, "list", "{}"), http.StatusOK, `"result"`)
	f.want("another server", func() ask {
		r := modern(p.user(t, "eve", f.resource("b"), "mcp:read").Access, "list", "{}")
		r.path = "/mcp/b"
		return r
	}(), http.StatusOK, `"result"`)
}
