package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
)

// patience is how long a test waits for what must happen, at worst.
const patience = 20 * time.Second

// replica is a handler as the gateway runs it: on a socket, beating, and
// listening to the others.
type replica struct {
	*Handler
	url  string // of the catalog server
	web  *httptest.Server
	stop func() // ends what it does beside requests, as if it had died
}

// newReplica starts a replica on the database. Those of one SQLite database
// must share its handle.
func newReplica(t testing.TB, db *store.DB, o Options) *replica {
	t.Helper()
	o.Store, o.Secret = db, []byte("one secret for all the replicas!")
	h := prepareHandler(t, o)
	router := mux.NewRouter()
	h.Routes(router)
	web := httptest.NewUnstartedServer(router)
	web.Config.ReadTimeout = 300 * time.Millisecond // of a request; streams go on
	web.Start()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	heard := make(chan struct{})
	var once sync.Once
	running.Go(func() { h.Run(ctx) })
	running.Go(func() {
		_ = db.Listen(ctx, func(s session.Signal) { // it returns with the context
			once.Do(func() { close(heard) })
			h.Heard(s)
		})
	})
	beat := func(time.Time) { _ = db.Beat(ctx, session.Replica{ID: h.options.Replica, Started: time.Now()}) }
	beat(time.Now()) // before anybody could take it for dead
	running.Go(func() { every(ctx, time.Second, beat) })
	select {
	case <-heard:
	case <-time.After(patience):
		t.Fatal("the replica does not hear signals")
	}
	stop := sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		stop()
	})
	return &replica{Handler: h, url: web.URL + "/mcp/catalog", web: web, stop: stop}
}

// pair starts two replicas on one database.
func pair(t testing.TB, open func() *store.DB, o Options) (a, b *replica) {
	t.Helper()
	db := open()
	if strings.Contains(t.Name(), "postgres") {
		return newReplica(t, db, o), newReplica(t, open(), o)
	}
	return newReplica(t, db, o), newReplica(t, db, o)
}

// invokerFunc is an Invoker.
type invokerFunc func(ctx context.Context, action string, arguments json.RawMessage) (*invoke.Result, error)

func (f invokerFunc) Invoke(ctx context.Context, call registry.Call) (*invoke.Result, error) {
	a, arguments := call.Action, call.Arguments
	return f(ctx, a.Name, arguments)
}

// event is one server-sent event; comments are events of which only that is known.
type event struct {
	id, name, data, retry string
	comment               bool
}

// eventReader reads an event stream.
type eventReader struct {
	status int
	header http.Header
	close  func()
	events chan event // closed where the stream ends
	err    error      // why it ended, io.EOF for a clean end; read it after events was closed
}

// request sends a request whose answer is read as it comes.
func request(t testing.TB, method, url string, hs headers, body string) *eventReader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range hs {
		if r.Header.Set(k, v); v == "" {
			r.Header.Del(k)
		}
	}
	transport := &http.Transport{}
	response, err := transport.RoundTrip(r)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	e := &eventReader{status: response.StatusCode, header: response.Header, events: make(chan event, 10_000)}
	var done sync.WaitGroup
	done.Go(func() { e.read(response.Body) })
	e.close = sync.OnceFunc(func() {
		cancel()
		done.Wait()
		_ = response.Body.Close()
		transport.CloseIdleConnections()
	})
	t.Cleanup(e.close)
	return e
}

// read gives a body that is no event stream as one event's data.
func (e *eventReader) read(body io.Reader) {
	defer close(e.events)
	if e.header.Get("Content-Type") != eventStream {
		raw, err := io.ReadAll(body)
		e.events <- event{data: string(raw)}
		e.err = err
		return
	}
	lines := bufio.NewReader(body)
	var at event
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			e.err = err
			return
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n":
			e.events <- at
			at = event{}
		case name == "":
			at.comment = true
		case name == "id":
			at.id = value
		case name == "event":
			at.name = value
		case name == "data":
			at.data += value
		case name == "retry":
			at.retry = value
		}
	}
}

// next gives the next event that is no comment; not ok where the stream ended.
func (e *eventReader) next(t testing.TB) (event, bool) {
	t.Helper()
	for {
		select {
		case got, ok := <-e.events:
			if !ok || !got.comment {
				return got, ok
			}
		case <-time.After(patience):
			t.Fatal("no event comes")
		}
	}
}

// want is next, of which the data must contain the text.
func (e *eventReader) want(t testing.TB, text string) event {
	t.Helper()
	got, ok := e.next(t)
	if !ok || !strings.Contains(got.data, text) {
		t.Fatalf("event %+v (%v), want %s; status %d", got, ok, text, e.status)
	}
	return got
}

// wantLists is next, twice: a tool that is gone changes the list of tools, and
// that of the resources that describe them.
func (e *eventReader) wantLists(t testing.TB) event {
	t.Helper()
	e.want(t, "notifications/tools/list_changed")
	return e.want(t, "notifications/resources/list_changed")
}

// ends makes sure that nothing but comments comes before the end.
func (e *eventReader) ends(t testing.TB) {
	t.Helper()
	if got, ok := e.next(t); ok {
		t.Fatalf("event %+v after the last", got)
	}
}

// quiet makes sure that nothing more was sent than was read.
func (e *eventReader) quiet(t testing.TB) {
	t.Helper()
	for {
		select {
		case got, ok := <-e.events:
			if ok && !got.comment {
				t.Fatalf("event %+v, want none", got)
			}
			if !ok {
				return
			}
		default:
			return
		}
	}
}

// eventually waits until it is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
