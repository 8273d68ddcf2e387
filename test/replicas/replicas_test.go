package replicas_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "let Postgres be away for 30 s, and kill more often")

// eventually waits until it is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (c *cluster) must(s *stream, err error) *stream {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(s.close)
	return s
}

// TestReplicasAreOne: a client behind the balancer does not notice that there are two.
func TestReplicasAreOne(t *testing.T) {
	c := startCluster(t)
	ada := c.connect()
	for i := range 6 {
		if got, what := ada.call(t.Context(), i, "echo", fmt.Sprintf("ada%d", i), 0, 0); got != right {
			t.Fatalf("call %d: %v %s", i, got, what)
		}
		if got, what := ada.call(t.Context(), i, "steps", fmt.Sprintf("ada%d", i), 1, 5); got != right {
			t.Fatalf("call %d: %v %s", i, got, what)
		}
	}
	t.Run("resumption", c.resumes)
	t.Run("cancellation", c.cancels)
	t.Run("HTTP+SSE", c.speaksSSE)
	t.Run("list_changed", c.changes)
	t.Run("DELETE", func(t *testing.T) {
		c.must(ada.open(t.Context(), http.MethodDelete, "", ""))
		eventually(t, "no replica knows the session", func() bool {
			for range 2 {
				if s := c.must(ada.open(t.Context(), http.MethodPost, "", `{"jsonrpc":"2.0","id":1,"method":"ping"}`)); s.status != http.StatusNotFound {
					return false
				}
			}
			return true
		})
	})
}

const steps = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"steps","arguments":{"say":"s","ms":%d,"n":%d},"_meta":{"progressToken":7}}}`

// resumes: an answer is read a part here and a part there.
func (c *cluster) resumes(t *testing.T) {
	a := c.connect()
	s := c.must(a.open(t.Context(), http.MethodPost, "", fmt.Sprintf(steps, 100, 12)))
	last := s.want(t, "s-1").id
	s.close()
	for i := 2; i <= 10; i++ { // each time at the other replica
		s = c.must(a.open(t.Context(), http.MethodGet, last, ""))
		last = s.want(t, fmt.Sprintf(`"s-%d"`, i)).id
		s.close()
	}
	s = c.must(a.open(t.Context(), http.MethodGet, last, ""))
	s.want(t, `"s-11"`)
	s.want(t, `"s-12"`)
	s.want(t, `"id":7,"result"`)
	if e, err := s.next(); err == nil {
		t.Errorf("%+v after the answer", e)
	}
	other := c.connect()
	if got := c.must(other.open(t.Context(), http.MethodGet, last, "")); got.status != http.StatusBadRequest {
		t.Errorf("another session reads on: %d", got.status)
	}
}

// cancels: the notification arrives where the call is not.
func (c *cluster) cancels(t *testing.T) {
	a := c.connect()
	for range 4 {
		s := c.must(a.open(t.Context(), http.MethodPost, "", fmt.Sprintf(steps, 30_000, 2)))
		s.want(t, "s-1")
		c.must(a.open(t.Context(), http.MethodPost, "", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`))
		s.want(t, "cancelled")
	}
}

func (c *cluster) speaksSSE(t *testing.T) {
	a := c.client()
	s := c.must(a.openAt(t.Context(), http.MethodGet, a.url+"/sse", "", ""))
	endpoint := s.want(t, "sessionId=")
	say := func(body string) {
		t.Helper()
		if got := c.must(a.openAt(t.Context(), http.MethodPost, c.url+endpoint.data, "", body)); got.status != http.StatusAccepted {
			t.Fatalf("message: %d", got.status)
		}
	}
	say(strings.Replace(initialize, "2025-11-25", "2024-11-05", 1))
	s.want(t, `"protocolVersion":"2024-11-05"`)
	for i := range 6 {
		say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"say":"é%d"}}}`, i, i))
		s.want(t, fmt.Sprintf(`"id":%d,`, i))
	}
	say(fmt.Sprintf(steps, 10, 3))
	for _, text := range []string{"s-1", "s-2", "s-3", `"id":7,"result"`} {
		s.want(t, text)
	}
}

// changes: the config changes at both replicas, and whoever listens is told.
func (c *cluster) changes(t *testing.T) {
	a := c.connect()
	s := c.must(a.open(t.Context(), http.MethodGet, "", ""))
	modern := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	b := c.client()
	b.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("MCP-Protocol-Version", "2026-07-28")
		r.Header.Set("Mcp-Method", "subscriptions/listen")
		return http.DefaultTransport.RoundTrip(r)
	})
	l := c.must(b.open(t.Context(), http.MethodPost, "", modern))
	l.want(t, "acknowledged")
	c.configure(`["p:echo"]`)
	s.want(t, "notifications/tools/list_changed")
	l.want(t, "notifications/tools/list_changed")
	eventually(t, "both replicas have the new list", func() bool {
		for range 2 {
			got := c.must(a.open(t.Context(), http.MethodPost, "", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
			if e, err := got.next(); err != nil || strings.Contains(e.data, `"steps"`) {
				return false
			}
		}
		return true
	})
	c.configure(`["p:*"]`)
}

// load is clients that call and call.
type load struct {
	counts [crossed + 1]atomic.Int64
	mu     sync.Mutex
	said   []string // of what went wrong
	stop   context.CancelFunc
	all    sync.WaitGroup
}

// newLoad starts clients, half of whose calls tell of their progress.
func (c *cluster) newLoad(clients int) *load {
	ctx, stop := context.WithCancel(c.t.Context())
	l := &load{stop: stop}
	for n := range clients {
		one := c.connect()
		l.all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				tool, ms := "echo", rand.IntN(100)
				if rand.IntN(2) == 0 {
					tool, ms = "steps", rand.IntN(20)
				}
				// Ids are the same in all sessions.
				got, what := one.call(c.t.Context(), i, tool, fmt.Sprintf("client%d.%d", n, i), ms, 1+rand.IntN(8))
				l.counts[got].Add(1)
				if got != right {
					l.mu.Lock()
					l.said = append(l.said, fmt.Sprintf("%d: %s", got, what))
					l.mu.Unlock()
				}
			}
		})
	}
	c.t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	l.stop()
	l.all.Wait()
}

// check says how the calls ended, and that no session was lost and nothing crossed.
func (l *load) check(t *testing.T, mostFailed int64) {
	t.Helper()
	t.Logf("%d calls were answered, %d failed", l.counts[right].Load(), l.counts[failed].Load())
	if l.counts[lost].Load()+l.counts[hung].Load()+l.counts[crossed].Load() > 0 || l.counts[failed].Load() > mostFailed || l.counts[right].Load() == 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Errorf("%d failed (at most %d may), %d lost their session, %d hung, %d got another's answer:\n%s", l.counts[failed].Load(), mostFailed,
			l.counts[lost].Load(), l.counts[hung].Load(), l.counts[crossed].Load(), strings.Join(l.said[:min(len(l.said), 20)], "\n"))
	}
}

// more waits until as many more calls were answered.
func (l *load) more(t *testing.T, calls int64) {
	t.Helper()
	before := l.counts[right].Load()
	eventually(t, "calls go on", func() bool { return l.counts[right].Load() >= before+calls })
}

// TestKill: a replica dies under load, again and again. Its calls end with a
// broken connection, and nothing else does.
func TestKill(t *testing.T) {
	c := startCluster(t)
	const clients = 20
	l := c.newLoad(clients)
	kills := 4
	if *long {
		kills = 20
	}
	for i := range kills {
		l.more(t, 100)
		_ = c.replicas[i%2].end(t, os.Kill)
		l.more(t, 50)
		c.start(i % 2)
	}
	l.more(t, 100)
	l.end()
	l.check(t, int64(kills*clients)) // each client has one call at a time
	t.Run("a call whose replica died", c.losesCall)
}

// losesCall: who comes back for an answer that will never be is told so.
func (c *cluster) losesCall(t *testing.T) {
	a := c.connect()
	s := c.must(a.open(t.Context(), http.MethodPost, "", fmt.Sprintf(steps, 60_000, 2)))
	last := s.want(t, "s-1").id
	at := int(c.balancer.turn.Load()) % 2
	time.Sleep(100 * time.Millisecond) // the event is in the log by then
	_ = c.replicas[at].end(t, os.Kill)
	if _, err := s.next(); err == nil {
		t.Fatal("the answer goes on though its replica is dead")
	}
	again := c.must(a.open(t.Context(), http.MethodGet, last, ""))
	again.want(t, "call was lost")
	c.start(at)
}

// TestTerminate: a replica is replaced under load, and no call fails.
func TestTerminate(t *testing.T) {
	c := startCluster(t)
	l := c.newLoad(20)
	rounds := 2
	if *long {
		rounds = 10
	}
	for i := range rounds {
		l.more(t, 100)
		if err := c.replicas[i%2].end(t, syscall.SIGTERM); err != nil {
			t.Errorf("exit: %v", err)
		}
		l.more(t, 50)
		c.start(i % 2)
	}
	l.more(t, 100)
	l.end()
	l.check(t, 0)
}

// TestPostgresAway: cached sessions go on, new ones are told when to come back,
// and all is well again by itself.
func TestPostgresAway(t *testing.T) {
	c := startCluster(t)
	away := 6 * time.Second
	if *long {
		away = 30 * time.Second
	}
	var known []*client
	both := func(one *client) { // makes it known to both replicas
		for i := range 4 {
			if got, what := one.call(t.Context(), i, "echo", "x", 0, 0); got != right {
				t.Fatalf("call: %v %s", got, what)
			}
		}
	}
	for range 5 {
		one := c.connect()
		both(one)
		known = append(known, one)
	}
	c.database.Cut()
	silence := time.Now().Add(away / 2) // from when on nobody says that it is away
	for end, i := time.Now().Add(away), 10; time.Now().Before(end); i++ {
		if time.Now().After(silence) {
			c.database.Silence()
			silence = end
		}
		for _, one := range known {
			begun := time.Now()
			if got, what := one.call(t.Context(), i, "echo", "x", 10, 0); got != right || time.Since(begun) > 4*time.Second {
				t.Fatalf("a call of a cached session: %v %s after %v", got, what, time.Since(begun))
			}
		}
		begun := time.Now()
		s := c.must(c.client().open(t.Context(), http.MethodPost, "", initialize))
		if s.status != http.StatusServiceUnavailable || s.header.Get("Retry-After") == "" || time.Since(begun) > 4*time.Second {
			t.Fatalf("initialize: %d, Retry-After %q, after %v", s.status, s.header.Get("Retry-After"), time.Since(begun))
		}
		s.close()
	}
	if got, what := known[0].call(t.Context(), 1, "steps", "y", 10, 5); got != right {
		t.Errorf("progress without a database: %v %s", got, what)
	}
	c.database.Restore()
	eventually(t, "new sessions are made again", func() bool {
		s := c.must(c.client().open(t.Context(), http.MethodPost, "", initialize))
		defer s.close()
		return s.status == http.StatusOK
	})
	fresh := c.connect()
	both(fresh)
	for i, one := range known {
		if got, what := one.call(t.Context(), i, "echo", "x", 0, 0); got != right {
			t.Errorf("afterwards: %v %s", got, what)
		}
	}
	eventually(t, "signals are heard again", func() bool {
		s := c.must(fresh.open(t.Context(), http.MethodPost, "", fmt.Sprintf(steps, 3000, 2)))
		defer s.close()
		s.want(t, "s-1")
		c.must(fresh.open(t.Context(), http.MethodPost, "", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`))
		e, err := s.next()
		return err == nil && strings.Contains(e.data, "cancelled")
	})
	eventually(t, "answers are kept again, by both", func() bool {
		for range 4 {
			s := c.must(fresh.open(t.Context(), http.MethodPost, "", fmt.Sprintf(steps, 10, 1)))
			first := s.want(t, "s-1").id
			s.close()
			if first == "" {
				return false
			}
		}
		return true
	})
	c.cancels(t)
	c.resumes(t)
}
