package bridge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// rig is a bridge with a test in the place of its client.
type rig struct {
	t     *testing.T
	b     *bridge
	in    *io.PipeWriter
	lines chan string
	log   *safeBuffer
	stop  context.CancelFunc
	done  chan error
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a bridge to the URL that waits for little.
func start(t *testing.T, url string, tokens Tokens, change ...func(*bridge)) *rig {
	t.Helper()
	in, write := io.Pipe()
	read, out := io.Pipe()
	r := &rig{t: t, in: write, lines: make(chan string, 10_000), log: &safeBuffer{}, done: make(chan error, 1)}
	b, err := newBridge(Options{URL: url, Tokens: tokens, Log: r.log, Header: http.Header{"X-Test": {t.Name()}}}, out)
	if err != nil {
		t.Fatal(err)
	}
	b.delays = delays{
		backoff: time.Millisecond, maxBackoff: 10 * time.Millisecond, connect: 300 * time.Millisecond, retryAfter: 3 * time.Second,
		resume: time.Millisecond, notify: patience, answers: patience, end: time.Second,
	}
	for _, f := range change {
		f(b)
	}
	r.b = b
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() {
		r.done <- b.run(ctx, in)
		out.Close()
	}()
	go func() {
		defer close(r.lines)
		for lines := bufio.NewReader(read); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			r.lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	t.Cleanup(func() {
		cancel()
		write.Close()
		for range r.lines { // until the bridge has ended
		}
	})
	return r
}

// send writes lines as the client.
func (r *rig) send(lines ...string) {
	r.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(r.in, line+"\n"); err != nil {
			r.t.Fatal(err)
		}
	}
}

// next is the next line that the client reads.
func (r *rig) next() string {
	r.t.Helper()
	select {
	case line, ok := <-r.lines:
		if !ok {
			r.t.Fatal("the output has ended")
		}
		return line
	case <-time.After(patience):
		r.t.Fatalf("nothing came; the log:\n%s", r.log)
		return ""
	}
}

func (r *rig) expect(want string) {
	r.t.Helper()
	if got := r.next(); got != want {
		r.t.Fatalf("got  %.500s\nwant %.500s\nlog: %s", got, want, r.log)
	}
}

// fault is the next line, which has to be an error with the id.
func (r *rig) fault(id string) *fault {
	r.t.Helper()
	line := r.next()
	var m struct {
		ID    json.RawMessage
		Error *fault
	}
	if json.Unmarshal([]byte(line), &m) != nil || m.Error == nil || string(m.ID) != id {
		r.t.Fatalf("got %.500s, want an error for %s", line, id)
	}
	return m.Error
}

// end closes the client's output and gives what else it reads.
func (r *rig) end() (rest []string) {
	r.t.Helper()
	r.in.Close()
	for line := range r.lines {
		rest = append(rest, line)
	}
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
	return rest
}

// received is a request as a server got it.
type received struct {
	*http.Request
	body []byte
	message
}

// scripted is a server whose test says what it answers.
func scripted(t *testing.T, answer func(w http.ResponseWriter, r received)) *httptest.Server {
	t.Helper()
	ended := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := received{Request: r, body: body}
		got.message, _ = decodeMessage(body)
		go func() { // a handler that waits for its client must not outlive the test
			select {
			case <-ended:
				s := http.NewResponseController(w)
				_ = s.SetReadDeadline(time.Now())
			case <-r.Context().Done():
			}
		}()
		answer(w, got)
	}))
	t.Cleanup(func() {
		close(ended)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func reply(w http.ResponseWriter, id json.RawMessage, result string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}

// events writes a part of a stream of events.
func events(w http.ResponseWriter, text string) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

const (
	initialize25  = `{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`
	initialized   = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	initialResult = `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"fake","version":"1"}}`
)

// TestAnswers: what a server answers a request with, and what its client reads.
func TestAnswers(t *testing.T) {
	const ok = `{"jsonrpc":"2.0","id":1,"result":{}}`
	for name, tt := range map[string]struct {
		kind   string
		status int
		body   string
		want   []string // lines; one that begins with ! is a part of an error's message
	}{
		"json":                    {"application/json", 200, ok, []string{ok}},
		"json with a charset":     {"application/json; charset=utf-8", 200, ok, []string{ok}},
		"numbers stay":            {"application/json", 200, `{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890.10e+5,"z":-0,"s":"<\u2028\/"}}`, []string{`{"jsonrpc":"2.0","id":1,"result":{"n":12345678901234567890.10e+5,"z":-0,"s":"<\u2028\/"}}`}},
		"lines are joined":        {"application/json", 200, "{\n \"jsonrpc\": \"2.0\",\r\n\t\"id\": 1, \"result\": {\"a\": [1, 2]}\n}\n", []string{`{"jsonrpc":"2.0","id":1,"result":{"a":[1,2]}}`}},
		"an id in other digits":   {"application/json", 200, `{"jsonrpc":"2.0","id":1.0,"result":{}}`, []string{`{"jsonrpc":"2.0","id":1.0,"result":{}}`}},
		"bytes that are no UTF-8": {"application/json", 200, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\xff\"}}", []string{"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\uFFFD\"}}"}},
		"an error":                {"application/json", 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no","data":{"x":1}}}`, []string{`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no","data":{"x":1}}}`}},
		"an error, refused":       {"application/json", 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"no","data":{"supported":["x"]}}}`, []string{`{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"no","data":{"supported":["x"]}}}`}},
		"an error without id":     {"application/json", 400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}`, []string{`{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}`}},
		"the same with 200":       {"application/json", 200, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}`, []string{`{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}`}},
		"a list":                  {"application/json", 200, `[{"jsonrpc":"2.0","method":"notifications/message"},` + ok + `]`, []string{`{"jsonrpc":"2.0","method":"notifications/message"}`, ok}},
		"of another request":      {"application/json", 200, `{"jsonrpc":"2.0","id":2,"result":{}}`, []string{"!without a result"}},
		"no JSON":                 {"application/json", 200, `{"jsonrpc":`, []string{"!no JSON"}},
		"nothing":                 {"application/json", 200, ``, []string{"!no JSON"}},
		"no JSON-RPC":             {"application/json", 200, `{"id":1,"result":{}}`, []string{"!no JSON-RPC"}},
		"neither":                 {"application/json", 200, `{"jsonrpc":"2.0","id":1}`, []string{"!no JSON-RPC"}},
		"a web page":              {"text/html", 200, `<html>log in</html>`, []string{"!neither JSON nor"}},
		"no type":                 {"", 200, ok, []string{"!neither JSON nor"}},
		"accepted":                {"", 202, ``, []string{"!HTTP 202"}},
		"not found":               {"text/plain", 404, `nothing here`, []string{"!is the URL that of an MCP server"}},
		"a fault":                 {"text/plain", 500, `stack`, []string{"!HTTP 500"}},
		"a gateway's fault":       {"text/html", 502, `<html>`, []string{"!HTTP 502"}},
		"forbidden":               {"text/html", 403, `<html>`, []string{"!HTTP 403"}},
		"busy, no time said":      {"text/html", 503, ``, []string{"!HTTP 503"}},
		"a stream":                {"text/event-stream", 200, "data: " + ok + "\n\n", []string{ok}},
		"a stream in CRLF":        {"text/event-stream", 200, "\xEF\xBB\xBFdata:" + ok + "\r\n\r\n", []string{ok}},
		"a stream in CR":          {"text/event-stream", 200, ": hi\r\rdata:" + ok + "\r\r", []string{ok}},
		"data in lines":           {"text/event-stream", 200, "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\ndata: \"result\":{}}\n\n", []string{ok}},
		"progress, then that":     {"text/event-stream", 200, "id: 1\ndata:\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\ndata: " + ok + "\n\n", []string{`{"jsonrpc":"2.0","method":"notifications/progress"}`, ok}},
		"junk in between":         {"text/event-stream", 200, "data: junk\n\nevent: ping\ndata: {}\n\nnonsense\nretry: soon\n\ndata: 12\n\ndata: " + ok + "\n\n", []string{ok}},
		"answered twice":          {"text/event-stream", 200, "data: " + ok + "\n\ndata: " + ok + "\n\n", []string{ok}},
		"a stream that ends":      {"text/event-stream", 200, ": hi\n\n", []string{"!before the answer was there"}},
		"cut in its answer":       {"text/event-stream", 200, "data: " + ok, []string{"!before the answer was there"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, func(w http.ResponseWriter, _ received) {
				w.Header()["Content-Type"] = []string{tt.kind}
				if tt.kind == "" {
					w.Header()["Content-Type"] = nil
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			r := start(t, s.URL, nil)
			r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`)
			for _, want := range tt.want {
				if part, isFault := strings.CutPrefix(want, "!"); isFault {
					if f := r.fault("1"); f.Code != codeInternal || !strings.Contains(f.Message, part) {
						t.Errorf("%d %s", f.Code, f.Message)
					}
					continue
				}
				r.expect(want)
			}
			if rest := r.end(); len(rest) > 0 {
				t.Error(rest)
			}
		})
	}
}

// TestClientMessages: what is no message is answered with an error, and does not
// keep others from being heard.
func TestClientMessages(t *testing.T) {
	s := scripted(t, func(w http.ResponseWriter, r received) { reply(w, r.id, `{}`) })
	r := start(t, s.URL, nil)
	for _, c := range []struct {
		line, id string
		code     int
	}{
		{`{"jsonrpc":`, "null", codeParse},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", "null", codeParse},
		{`hello`, "null", codeParse},
		{`"hello"`, "null", codeInvalidRequest},
		{`[]`, "null", codeInvalidRequest},
		{`[1]`, "null", codeInvalidRequest},
		{`{"id":1,"method":"ping"}`, "1", codeInvalidRequest},
		{`{"jsonrpc":"2.0","id":"x","method":5}`, `"x"`, codeInvalidRequest},
		{`{"jsonrpc":"2.0","id":{},"method":"ping"}`, "null", codeInvalidRequest},
		{`{"jsonrpc":"2.0","id":1}`, "1", codeInvalidRequest},
		{`{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, "1", codeInvalidRequest},
		{`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":1,"method":"ping"}]`, "null", codeInvalidRequest},
	} {
		r.send(c.line)
		if f := r.fault(c.id); f.Code != c.code {
			t.Errorf("%s: %d %s", c.line, f.Code, f.Message)
		}
	}
	r.send("", "  ", "\t"+`{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\r")
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
}

// TestLists: the messages of a list (2025-03-26) go together, and each request
// in it has its answer.
func TestLists(t *testing.T) {
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if string(r.body) != `[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"b"},{"jsonrpc":"2.0","id":"2","method":"c"}]` {
			t.Errorf("%s", r.body)
		}
		events(w, "data: {\"jsonrpc\":\"2.0\",\"id\":\"2\",\"result\":{}}\n\n")
	})
	r := start(t, s.URL, nil)
	r.send(`[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"b"},{"jsonrpc":"2.0","id":"2","method":"c"}]`)
	r.expect(`{"jsonrpc":"2.0","id":"2","result":{}}`)
	if f := r.fault("1"); !strings.Contains(f.Message, "before the answer was there") {
		t.Error(f)
	}
}

// TestLargeMessages: ten megabytes go either way, as JSON and as an event; what
// is over the bound is refused, and the bridge goes on.
func TestLargeMessages(t *testing.T) {
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.method == "echo" {
			reply(w, r.id, string(r.given))
			return
		}
		if r.method == "endless" {
			events(w, "data: ")
			junk := strings.Repeat("x", 1<<20)
			for i := 0; i < 70 && r.Context().Err() == nil; i++ {
				_, _ = io.WriteString(w, junk)
			}
			return
		}
		events(w, fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", r.id, r.given))
	})
	r := start(t, s.URL, nil)
	size := 10 << 20
	if racing {
		size = 1 << 20
	}
	big := `{"text":"` + strings.Repeat("x", size) + `"}`
	for _, method := range []string{"echo", "stream"} {
		r.send(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + big + `}`)
		if got := r.next(); got != `{"jsonrpc":"2.0","id":1,"result":`+big+`}` {
			t.Errorf("%s: %d bytes came back: %.100s", method, len(got), got)
		}
	}
	if !racing {
		r.send(`{"jsonrpc":"2.0","id":2,"method":"endless"}`)
		if f := r.fault("2"); !strings.Contains(f.Message, "64 MiB") {
			t.Error(f)
		}
	}
	r.send(strings.Repeat("x", maxMessage+1))
	if f := r.fault("null"); f.Code != codeInvalidRequest {
		t.Error(f)
	}
	r.send(`{"jsonrpc":"2.0","id":3,"method":"echo","params":{}}`)
	r.expect(`{"jsonrpc":"2.0","id":3,"result":{}}`)
	r.end()
	if left := r.b.reading.left.Load(); left != maxHeld {
		t.Errorf("%d bytes of the budget are gone", maxHeld-left)
	}
}

// TestRedirects are not followed: the token would go along.
func TestRedirects(t *testing.T) {
	elsewhere := scripted(t, func(http.ResponseWriter, received) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := scripted(t, func(w http.ResponseWriter, r received) {
			http.Redirect(w, r.Request, elsewhere.URL+"/x?secret=1", status)
		})
		r := start(t, s.URL, &fakeTokens{token: "secret"})
		r.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
		if f := r.fault("1"); !strings.Contains(f.Message, elsewhere.URL+"/x") || strings.Contains(f.Message, "secret") {
			t.Error(f)
		}
		r.end()
	}
}

// TestBadURLs are refused before anything is read.
func TestBadURLs(t *testing.T) {
	for _, url := range []string{"", "catalog", "ftp://x/mcp", "http://", "https://user:pass@x/mcp", "https://x/mcp#a", "http://x:port/"} {
		if err := Run(t.Context(), strings.NewReader(""), io.Discard, Options{URL: url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}
