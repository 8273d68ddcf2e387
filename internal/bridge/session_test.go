package bridge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// office is a fake server with sessions: it ends them when its test says so, and
// keeps a list of what came.
type office struct {
	mu      sync.Mutex
	begun   int
	current string // the session that lives
	log     []string
	stream  func(w http.ResponseWriter, r received)
	call    func(w http.ResponseWriter, r received)
}

func (o *office) serve(w http.ResponseWriter, r received) {
	o.mu.Lock()
	what := r.Request.Method
	if r.method != "" {
		what = r.method
	}
	if r.response() {
		what = "answer"
	}
	id := r.Header.Get("Mcp-Session-Id")
	o.log = append(o.log, strings.TrimSpace(what+" "+id+" "+r.Header.Get("MCP-Protocol-Version")))
	alive := id == o.current && id != ""
	if r.method == methodInitialize {
		o.begun++
		o.current = fmt.Sprintf("s%d", o.begun)
		w.Header().Set("Mcp-Session-Id", o.current)
		o.mu.Unlock()
		reply(w, r.id, initialResult)
		return
	}
	o.mu.Unlock()
	switch {
	case !alive:
		w.WriteHeader(http.StatusNotFound)
	case r.Request.Method == http.MethodGet && o.stream != nil:
		o.stream(w, r)
	case r.Request.Method == http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case r.Request.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.id == nil || r.response():
		w.WriteHeader(http.StatusAccepted)
	case o.call != nil:
		o.call(w, r)
	default:
		reply(w, r.id, `{}`)
	}
}

// lose ends the session that lives.
func (o *office) lose() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.current = ""
}

// heard is what came, but for requests for the session's own stream.
func (o *office) heard() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var log []string
	for _, line := range o.log {
		if !strings.HasPrefix(line, "GET") {
			log = append(log, line)
		}
	}
	return strings.Join(log, "\n")
}

func (o *office) count(prefix string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range o.log {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func (r *rig) open() {
	r.t.Helper()
	r.send(initialize25)
	r.expect(`{"jsonrpc":"2.0","id":"init","result":` + initialResult + `}`)
	r.send(initialized)
}

// TestSession: everything after initialize is in the session and the revision
// that it began, in order, and the session is ended at the end.
func TestSession(t *testing.T) {
	o := &office{}
	r := start(t, scripted(t, o.serve).URL, nil)
	// A client that waits for nothing.
	r.send(initialize25, initialized, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	r.expect(`{"jsonrpc":"2.0","id":"init","result":` + initialResult + `}`)
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	r.end()
	want := `initialize
notifications/initialized s1 2025-11-25
tools/list s1 2025-11-25
DELETE s1 2025-11-25`
	if got := o.heard(); got != want {
		t.Errorf("got\n%s", got)
	}
	if n := o.count("GET s1 2025-11-25"); n != 1 {
		t.Errorf("the stream was asked for %d times of a server that has none", n)
	}
}

// TestSessionLost: when the server forgets a session, another one takes its
// place: with what the client said at first and since then, once for all that
// wait, and the client sees nothing of it.
func TestSessionLost(t *testing.T) {
	o := &office{}
	r := start(t, scripted(t, o.serve).URL, nil)
	r.open()
	r.send(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}`)
	r.next()
	r.send(`{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"a:b"}}`)
	r.next()
	r.send(`{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"a:c"}}`)
	r.next()
	r.send(`{"jsonrpc":"2.0","id":4,"method":"resources/unsubscribe","params":{"uri":"a:c"}}`)
	r.next()
	o.lose()
	for i := range 10 {
		r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":"c%d","method":"tools/call","params":{"name":"x"}}`, i))
	}
	for range 10 {
		if line := r.next(); !strings.Contains(line, `"result":{}`) {
			t.Error(line)
		}
	}
	for what, want := range map[string]int{
		"initialize": 2, "notifications/initialized s2": 1, "logging/setLevel s2": 1, "resources/subscribe s2": 1, "resources/unsubscribe s2": 0, "tools/call s2": 10,
	} {
		if got := o.count(what); got != want {
			t.Errorf("%s came %d times, want %d\n%s", what, got, want, o.heard())
		}
	}
	// An answer to a question of the old session is for nobody.
	o.lose()
	r.send(`{"jsonrpc":"2.0","id":"q","result":{}}`, `{"jsonrpc":"2.0","id":9,"method":"ping"}`)
	r.expect(`{"jsonrpc":"2.0","id":9,"result":{}}`)
	if n := o.count("answer s3"); n != 0 {
		t.Error("the answer went to another session")
	}
}

// TestSessionKeepsDying: a server that forgets every session at once is not
// asked for ever.
func TestSessionKeepsDying(t *testing.T) {
	o := &office{}
	r := start(t, scripted(t, func(w http.ResponseWriter, rec received) {
		o.serve(w, rec)
		if rec.method == methodInitialize || rec.method == methodInitialized {
			o.lose()
		}
	}).URL, nil)
	r.open()
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	if f := r.fault("1"); !strings.Contains(f.Message, "session has ended") {
		t.Error(f)
	}
	if n := o.count("initialize"); n > 5 {
		t.Errorf("%d sessions were begun", n)
	}
}

// TestOwnStream: what the server says by itself arrives; the stream is resumed
// where it broke, after the time that the server says.
func TestOwnStream(t *testing.T) {
	var opened atomic.Int32
	var last sync.Map
	o := &office{stream: func(w http.ResponseWriter, r received) {
		n := opened.Add(1)
		last.Store(n, r.Header.Get("Last-Event-ID"))
		events(w, fmt.Sprintf("retry: 1\nid: e%d\ndata:\n\nid: f%d\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"n%d\"}\n\n", n, n, n))
		if n == 3 {
			<-r.Context().Done()
		}
	}}
	r := start(t, scripted(t, o.serve).URL, nil)
	r.open()
	for i := range 3 {
		r.expect(fmt.Sprintf(`{"jsonrpc":"2.0","method":"n%d"}`, i+1))
	}
	for n, want := range map[int32]string{1: "", 2: "f1", 3: "f2"} {
		if got, _ := last.Load(n); got != want {
			t.Errorf("stream %d resumed after %v, want %q", n, got, want)
		}
	}
	r.end()
	if n := o.count("DELETE s1"); n != 1 {
		t.Error("the session was not ended")
	}
}

// TestQuestions: the server asks in the middle of a call, the client answers, and
// the call goes on.
func TestQuestions(t *testing.T) {
	answered := make(chan string, 1)
	o := &office{call: func(w http.ResponseWriter, r received) {
		events(w, "data: {\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"elicitation/create\",\"params\":{}}\n\n")
		events(w, fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"it\":%s}}\n\n", r.id, <-answered))
	}}
	r := start(t, scripted(t, func(w http.ResponseWriter, rec received) {
		if rec.response() {
			answered <- string(rec.result)
		}
		o.serve(w, rec)
	}).URL, nil)
	r.open()
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	r.expect(`{"jsonrpc":"2.0","id":77,"method":"elicitation/create","params":{}}`)
	r.send(`{"jsonrpc":"2.0","id":77,"result":{"action":"accept"}}`)
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{"it":{"action":"accept"}}}`)
}

// TestResume: the answer to a call whose stream the server closes, or that
// breaks, is fetched by its event id; the call is not made again.
func TestResume(t *testing.T) {
	var calls atomic.Int32
	o := &office{}
	o.call = func(w http.ResponseWriter, r received) {
		calls.Add(1)
		events(w, "id: p/"+string(r.id)+"\nretry: 1\ndata:\n\n")
		panic(http.ErrAbortHandler)
	}
	var polls atomic.Int32
	o.stream = func(w http.ResponseWriter, r received) {
		id, found := strings.CutPrefix(r.Header.Get("Last-Event-ID"), "p/")
		if !found {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if polls.Add(1) < 4 {
			events(w, "") // not yet
			return
		}
		events(w, fmt.Sprintf("id: q\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"done\":true}}\n\n", id))
	}
	r := start(t, scripted(t, o.serve).URL, nil)
	r.open()
	r.send(`{"jsonrpc":"2.0","id":5,"method":"tools/call"}`)
	r.expect(`{"jsonrpc":"2.0","id":5,"result":{"done":true}}`)
	if calls.Load() != 1 || polls.Load() != 4 {
		t.Errorf("%d calls, %d polls", calls.Load(), polls.Load())
	}
}

// TestBroken: a call whose stream breaks and cannot be resumed is not made again;
// what only reads is.
func TestBroken(t *testing.T) {
	var asked sync.Map
	o := &office{call: func(w http.ResponseWriter, r received) {
		n, _ := asked.LoadOrStore(r.method, new(atomic.Int32))
		if n.(*atomic.Int32).Add(1) == 1 {
			events(w, ": hi\n\n")
			panic(http.ErrAbortHandler)
		}
		reply(w, r.id, `{}`)
	}}
	r := start(t, scripted(t, o.serve).URL, nil)
	r.open()
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	if f := r.fault("1"); !strings.Contains(f.Message, "before the answer was there") {
		t.Error(f)
	}
	for _, method := range []string{"tools/list", "resources/read", "ping"} {
		r.send(`{"jsonrpc":"2.0","id":2,"method":"` + method + `"}`)
		r.expect(`{"jsonrpc":"2.0","id":2,"result":{}}`)
	}
	for method, want := range map[string]int32{"tools/call": 1, "tools/list": 2} {
		if n, _ := asked.Load(method); n.(*atomic.Int32).Load() != want {
			t.Errorf("%s came %v times", method, n)
		}
	}
}

// TestResumeRefused: the answer is lost when the server knows nothing of the stream.
func TestResumeRefused(t *testing.T) {
	o := &office{call: func(w http.ResponseWriter, _ received) { events(w, "id: x\ndata:\n\n") }}
	r := start(t, scripted(t, o.serve).URL, nil)
	r.open()
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	if f := r.fault("1"); !strings.Contains(f.Message, "does not go on with it") {
		t.Error(f)
	}
}

// TestCancel: the server is told, and a call that nobody waits for any more has
// no answer, whatever comes.
func TestCancel(t *testing.T) {
	calling, cancelled := make(chan struct{}), make(chan struct{})
	o := &office{call: func(w http.ResponseWriter, r received) {
		if r.method == "ping" {
			reply(w, r.id, `{}`)
			return
		}
		events(w, ": hi\n\n")
		close(calling)
		<-r.Context().Done()
	}}
	r := start(t, scripted(t, func(w http.ResponseWriter, rec received) {
		o.serve(w, rec)
		if rec.method == methodCancelled {
			if string(rec.params.RequestID) != "1" {
				t.Errorf("%s", rec.body)
			}
			close(cancelled)
		}
	}).URL, nil)
	r.open()
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	<-calling
	r.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":55}}`)
	<-cancelled
	r.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	r.expect(`{"jsonrpc":"2.0","id":2,"result":{}}`)
	if rest := r.end(); len(rest) > 0 {
		t.Error(rest)
	}
	if n := o.count(methodCancelled + " s1 2025-11-25"); n != 1 {
		t.Errorf("%d cancellations", n)
	}
}

// TestAnotherInitialize ends the session before.
func TestAnotherInitialize(t *testing.T) {
	o := &office{}
	r := start(t, scripted(t, o.serve).URL, nil)
	r.open()
	r.open()
	r.end()
	if o.count("DELETE s1") != 1 || o.count("DELETE s2") != 1 {
		t.Error(o.heard())
	}
}

// TestRefusedInitialize begins nothing.
func TestRefusedInitialize(t *testing.T) {
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.method == methodInitialize {
			w.Header().Set("Mcp-Session-Id", "x")
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"no"}}`, r.id)
			return
		}
		if r.Header.Get("Mcp-Session-Id") != "" {
			t.Error("there is no session")
		}
		reply(w, r.id, `{}`)
	})
	r := start(t, s.URL, nil)
	r.send(initialize25, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if f := r.fault(`"init"`); f.Message != "no" {
		t.Error(f)
	}
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
}

// TestSessionIDs that no header can carry are none.
func TestSessionIDs(t *testing.T) {
	for text, want := range map[string]string{"a-Z~!": "a-Z~!", "a b": "", "ä": "", "": "", "a\tb": ""} {
		if got := headerSafe(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
	s := newSession(&call{}, message{result: json.RawMessage(`{"protocolVersion":1}`)})
	if s != nil {
		t.Error("a result that is none began a session")
	}
}

// TestOwnStreamLost: a session that ends while nobody asks for anything is begun
// anew as well, so that the client goes on hearing.
func TestOwnStreamLost(t *testing.T) {
	lost := make(chan struct{})
	o := &office{}
	o.stream = func(w http.ResponseWriter, r received) {
		events(w, "retry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"heard/"+r.Header.Get("Mcp-Session-Id")+"\"}\n\n")
		if r.Header.Get("Mcp-Session-Id") == "s1" {
			<-lost
			return
		}
		<-r.Context().Done()
	}
	r := start(t, scripted(t, o.serve).URL, nil)
	r.open()
	r.expect(`{"jsonrpc":"2.0","method":"heard/s1"}`)
	o.lose()
	close(lost)
	r.expect(`{"jsonrpc":"2.0","method":"heard/s2"}`)
}

// TestOwnStreamStorm: a server that closes its stream at once and wants it opened
// again at once is not asked all the time.
func TestOwnStreamStorm(t *testing.T) {
	for name, event := range map[string]string{"moves on": "retry: 1\nid: N\ndata:\n\n", "says nothing": "retry: 1\n\n"} {
		t.Run(name, func(t *testing.T) {
			var opened atomic.Int32
			o := &office{stream: func(w http.ResponseWriter, _ received) {
				events(w, strings.ReplaceAll(event, "N", strconv.Itoa(int(opened.Add(1)))))
			}}
			r := start(t, scripted(t, o.serve).URL, nil, func(b *bridge) {
				b.delays.resume, b.delays.leastResume = 50*time.Millisecond, 50*time.Millisecond
			})
			began := time.Now()
			r.open()
			for opened.Load() < 3 {
				if time.Since(began) > patience {
					t.Fatal("the stream is not opened again")
				}
				runtime.Gosched()
			}
			if took := time.Since(began); took < 100*time.Millisecond {
				t.Errorf("opened three times in %s", took)
			}
			r.end()
		})
	}
}
