package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// crowd is an Invoker that answers when as many calls are in flight as there
// will be, and then tells of its progress first.
type crowd struct {
	left atomic.Int64
	full chan struct{}
}

const crowdSteps = 5

func (c *crowd) invoke(ctx context.Context, _ string, arguments json.RawMessage) (*invoke.Result, error) {
	if c.left.Add(-1) == 0 {
		close(c.full)
	}
	select {
	case <-c.full:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	said := unquote(member(arguments, "said"))
	for i := range crowdSteps {
		invoke.ProgressOf(ctx)(invoke.Progress{Value: json.Number(strconv.Itoa(i + 1)), Message: said})
	}
	return &invoke.Result{JSON: arguments}, nil
}

// TestTenThousandCalls: 10,000 calls at the same time, with progress, over 50
// sessions and two replicas, with the same ids everywhere: nothing is lost, and
// nothing reaches anybody else.
func TestTenThousandCalls(t *testing.T) {
	sessions, each, bar := 50, 200, time.Minute
	if racing || testing.Short() {
		sessions, each = 10, 50
	}
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		all := &crowd{full: make(chan struct{})}
		all.left.Store(int64(sessions * each))
		a, b := pair(t, open, Options{Invoker: invokerFunc(all.invoke)})
		urls := [2]string{listenHTTP2(t, a), listenHTTP2(t, b)}
		var lost, crossed atomic.Int64
		var wg sync.WaitGroup
		begun := time.Now()
		for s := range sessions {
			user := fmt.Sprintf("user%d", s)
			id := startSession(t, a, "/mcp/catalog", "2025-11-25", user)
			client := [2]http.Client{{Transport: http2Transport(t)}, {Transport: http2Transport(t)}}
			for i := range each {
				wg.Go(func() {
					said := fmt.Sprintf("%s-%d", user, i)
					body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"fake_echo","arguments":{"said":%q},"_meta":{"progressToken":%d}}}`, i, said, i)
					r := newRequest("POST", urls[i%2], inSession(id, user), body)
					r.RequestURI = ""
					l, c := readCrowd(&client[i%2], r, i, said)
					lost.Add(l)
					crossed.Add(c)
				})
			}
		}
		wg.Wait()
		took := time.Since(begun)
		t.Logf("%d calls in %v", sessions*each, took)
		if lost.Load() > 0 || crossed.Load() > 0 {
			t.Errorf("%d messages lost, %d crossed", lost.Load(), crossed.Load())
		}
		if took > bar {
			t.Errorf("took %v, the bar is %v", took, bar)
		}
		if n := a.inflight.count() + b.inflight.count() + a.live.count() + b.live.count(); n != 0 {
			t.Errorf("%d calls and streams are left", n)
		}
	})
}

// readCrowd counts what is missing of an answer, and what does not belong to it.
func readCrowd(client *http.Client, r *http.Request, id int, said string) (lost, crossed int64) {
	response, err := client.Do(r)
	if err != nil {
		return crowdSteps + 1, 0
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return crowdSteps + 1, 0
	}
	var progress, answers int64
	for line := range strings.Lines(string(raw)) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || strings.TrimSpace(data) == "" {
			continue
		}
		switch {
		case strings.Contains(data, fmt.Sprintf(`"progressToken":%d,"progress":%d,"message":%q}`, id, progress+1, said)):
			progress++
		case strings.HasPrefix(data, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":`, id)) && strings.Contains(data, fmt.Sprintf(`{"said":%q}`, said)):
			answers++
		default:
			crossed++
		}
	}
	return max(crowdSteps-progress, 0) + max(1-answers, 0), crossed + max(answers-1, 0)
}

// listenHTTP2 serves the replica over HTTP/2 too: 10,000 calls at once are more
// connections than a process may have.
func listenHTTP2(t *testing.T, r *replica) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: r.web.Config.Handler, Protocols: new(http.Protocols), ReadHeaderTimeout: patience}
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }() // until it is closed
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String() + "/mcp/catalog"
}

func http2Transport(t *testing.T) *http.Transport {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (l *liveStreams) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.streams)
}

// TestIdleSessionsCostNoMemory: 100,000 idle sessions in SQLite change resident
// memory by less than 20 MB.
func TestIdleSessionsCostNoMemory(t *testing.T) {
	if racing || testing.Short() {
		t.Skip("is about memory, of which the race detector takes its own")
	}
	db, err := store.Open(t.Context(), storetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	clock := newClock()
	h := newTestHandler(t, Options{Store: db, Now: clock.Now})
	fill := func(n int) {
		for range n {
			made := session.Session{
				ID: newSessionID(), Server: "catalog", Principal: "ada", ProtocolVersion: "2025-11-25",
				ClientInfo: json.RawMessage(`{"name":"test","version":"1"}`), Capabilities: json.RawMessage(`{}`),
			}
			if err := h.sessions.create(t.Context(), made); err != nil {
				t.Fatal(err)
			}
		}
		h.flush(t.Context())
		clock.advance(cacheLife + staleLife + 1)
		h.flush(t.Context())
		debug.FreeOSMemory()
	}
	fill(1000) // what the database and the cache take in any case
	before := residentBytes(t)
	fill(100_000)
	after := residentBytes(t)
	t.Logf("resident: %d MB before, %d MB after", before>>20, after>>20)
	if after-before >= 20<<20 {
		t.Errorf("100,000 idle sessions cost %d MB", (after-before)>>20)
	}
}

func residentBytes(t *testing.T) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestDroppedStreams: what 10,000 streams took, of each kind and however their
// clients leave, is there again when they are gone.
func TestDroppedStreams(t *testing.T) {
	total := 10_000
	if racing || testing.Short() {
		total = 800
	}
	r := newReplica(t, openStore(t), Options{StreamsPerSession: 1000})
	var connections atomic.Int64
	web := listenCounted(t, r, &connections)
	s := startSession(t, r, "/mcp/catalog", "2025-11-25", "")
	hs, body := withToken(legacy, "1")
	hs["Mcp-Session-Id"] = s
	call := request(t, "POST", web, hs, body)
	answered, _ := call.next(t)
	for ok := true; ok; _, ok = call.next(t) { // to its end
	}
	call.close()
	listen := modernHeaders("subscriptions/listen", "")
	listen["Accept"] = eventStream + ", application/json"
	kinds := []*http.Request{
		newRequest("GET", web, headers{"Mcp-Session-Id": s, "Accept": eventStream}, ""),
		newRequest("GET", web, headers{"Mcp-Session-Id": s, "Accept": eventStream, "Last-Event-ID": answered.id}, ""),
		newRequest("GET", web+"/sse", headers{"Accept": eventStream}, ""),
		newRequest("POST", web, listen, listenBody("1", `{"toolsListChanged":true}`)),
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	wave := func(n int) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				q := kinds[i%len(kinds)].Clone(ctx)
				if q.RequestURI = ""; q.Method == http.MethodPost {
					q.Body = io.NopCloser(strings.NewReader(listenBody("1", `{"toolsListChanged":true}`)))
				}
				response, err := client.Do(q)
				if err != nil {
					t.Error(err)
					return
				}
				defer response.Body.Close()
				first := [1]byte{}
				if _, err := response.Body.Read(first[:]); response.StatusCode != 200 || err != nil {
					t.Errorf("%s %s: %d, %v", q.Method, q.URL, response.StatusCode, err)
				}
			})
		}
		wg.Wait()
	}
	settled := func() bool { return r.listeners.count() == 0 && connections.Load() == 0 }
	wave(200)
	eventually(t, "the first streams are gone", settled)
	before := runtime.NumGoroutine()
	for range total / 200 {
		wave(200)
	}
	eventually(t, "all streams are gone", settled)
	eventually(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= before+2 })
	if n := len(r.channels.all) + len(r.mail.keys) + len(r.followers.keys) + len(r.listeners.bySession) + r.live.count() + r.inflight.count(); n != 0 {
		t.Errorf("%d things are left", n)
	}
}

// listenCounted serves the replica on a socket whose open connections are counted.
func listenCounted(t *testing.T, r *replica, open *atomic.Int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: r.web.Config.Handler, ReadHeaderTimeout: patience, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}}
	go func() { _ = s.Serve(l) }() // until it is closed
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String() + "/mcp/catalog"
}
