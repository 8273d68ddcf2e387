package invoke

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func serveHTTP(t testing.TB, h http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// TestWhatCounts: which calls say that a plugin is down.
func TestWhatCounts(t *testing.T) {
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		reason  string // "": it does well
	}{
		"ok":              {reply(200, "application/json", "{}"), ""},
		"not found":       {reply(404, "", ""), ""},
		"too many":        {reply(429, "", ""), ""},
		"credentials":     {reply(401, "", ""), ""},
		"redirect":        {reply(302, "", ""), ""},
		"failed":          {reply(500, "", ""), ""},
		"not implemented": {reply(501, "", ""), ""},
		"http version":    {reply(505, "", ""), ""},
		"no json":         {reply(200, "application/json", "{"), ""},
		"bad gateway":     {reply(502, "", ""), "HTTP 502"},
		"unavailable":     {reply(503, "", ""), "HTTP 503"},
		"gateway timeout": {reply(504, "", ""), "HTTP 504"},
		"hangs up":        {abort, "its answer cannot be read"},
		"hangs":           {hang, "it did not answer in time"},
		"drips": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(700 * time.Millisecond) // never at the end of the time
			}
		}, "it did not answer in time"},
		"drips events": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", eventStream)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "data: 1\n\n")
				w.(http.Flusher).Flush()
				time.Sleep(700 * time.Millisecond)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, Options{BaseURL: "http://plugin.invalid", Transport: InProcess(tt.handler, 1000), MaxResponse: 1000})
				_, _ = c.Invoke(t.Context(), plain("x"), nil)
				if h := c.Health(); h.Reason != tt.reason || h.DownSince.IsZero() != (tt.reason == "") || h.InFlight != 0 {
					t.Errorf("%+v, want reason %q", h, tt.reason)
				}
				time.Sleep(time.Second) // the handler sees that nobody is there any more
			})
		})
	}
}

// TestCallersGiveUp: that says nothing of the plugin, and neither does a
// caller's short patience.
func TestCallersGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		c := newClient(t, Options{BaseURL: "http://plugin.invalid", Transport: InProcess(http.HandlerFunc(hang), 1000), Breaker: true})
		for i := range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if i%2 == 0 {
				time.AfterFunc(time.Second, cancel)
			}
			_, err := c.Invoke(ctx, plain("x"), nil)
			if want := []Kind{Cancelled, Timeout}[i%2]; faultOf(err).Kind != want {
				t.Errorf("got %v, want %s", err, want)
			}
			cancel()
		}
		if h := c.Health(); h.Open || !h.DownSince.IsZero() {
			t.Errorf("%+v", h)
		}
	})
}

// TestBreaker is an outage from its begin to its end, as callers see it.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken, hangs bool
		calls := 0
		h := func(w http.ResponseWriter, r *http.Request) {
			calls++
			switch {
			case hangs:
				<-r.Context().Done()
			case broken:
				w.WriteHeader(503)
			}
		}
		var logged strings.Builder
		c := newClient(t, Options{
			Name: "billing", BaseURL: "http://plugin.invalid", Transport: InProcess(http.HandlerFunc(h), 1000),
			Timeout: 10 * time.Second, Breaker: true, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		call := func() string {
			a := plain("x")
			a.Operation = []string{"GET /x", "GET /y"}[calls%2]
			_, err := c.Invoke(t.Context(), a, nil)
			synctest.Wait() // for the handler
			return messageOf(err)
		}
		expect := func(want string, made int) {
			t.Helper()
			before := calls
			if got := call(); !regexp.MustCompile("^(?:"+want+")$").MatchString(got) || calls-before != made {
				t.Errorf("got %q after %d calls, want %q", got, calls-before, want)
			}
		}
		expect("ok", 1)
		broken = true
		since := time.Now().UTC().Format(time.RFC3339)
		for range 5 {
			expect(`the plugin failed \(HTTP 503\)`, 1)
			time.Sleep(time.Second)
		}
		expect(`plugin billing has been down since `+since+` \(HTTP 503\); it is tried again in [34]s`, 0)
		time.Sleep(4 * time.Second)
		expect(`the plugin failed \(HTTP 503\)`, 1)
		expect(`plugin billing has been down since `+since+` \(HTTP 503\); it is tried again in (8|9|10)s`, 0)
		time.Sleep(10 * time.Second)
		hangs = true
		expect(`plugin billing did not answer within 10s; it has not answered since `+since, 1)
		expect(`plugin billing has been down since `+since+` \(it did not answer in time\); it is tried again in (1[6-9]|20)s`, 0)
		if h := c.Health(); !h.Open || h.Reason != "it did not answer in time" || h.RefusedOpen != 3 {
			t.Errorf("%+v", h)
		}
		hangs, broken = false, false
		c.Up() // the source has the document again
		expect("ok", 1)
		expect("ok", 1)
		if h := c.Health(); h.Open || h.Reason != "" || !h.DownSince.IsZero() {
			t.Errorf("%+v", h)
		}
		want := `^time=\S+ level=WARN msg="plugin is left alone for a while: it keeps failing" plugin=billing since=` + since + ` reason="HTTP 503"
time=\S+ level=INFO msg="plugin answers again" plugin=billing
$`
		if !regexp.MustCompile(want).MatchString(logged.String()) {
			t.Errorf("logged %s", logged.String())
		}
	})
}

// TestOneOperation: one that fails, however often and however it is called, has
// no other pay for it, unless it is the connection that there is none of.
func TestOneOperation(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	refuse := func() error {
		return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	for name, tt := range map[string]struct {
		handler    http.HandlerFunc // nil: no connection
		operations []string
		patience   time.Duration // of the actions
		calls      int
		open       bool
	}{
		"503 of one":               {reply(503, "", ""), []string{"GET /x"}, 0, 9, false},
		"504 of one":               {reply(504, "", ""), []string{"GET /x"}, 0, 9, false},
		"503 of one, all the time": {reply(503, "", ""), []string{"GET /x"}, 0, 10, true},
		"one hangs":                {hang, []string{"GET /x"}, 0, 9, false},
		"503 of two":               {reply(503, "", ""), []string{"GET /x", "GET /y"}, 0, 5, true},
		"two hang":                 {hang, []string{"GET /x", "GET /y"}, 0, 5, true},
		"four calls of two":        {reply(503, "", ""), []string{"GET /x", "GET /y"}, 0, 4, false}, // each tried three times
		"no connection":            {nil, []string{"GET /x"}, 0, 5, true},
		"no connection, at once":   {nil, []string{"GET /x"}, 0, 4, false},
		"little patience":          {hang, []string{"GET /x", "GET /y"}, 5 * time.Second, 20, false},
		"much patience":            {hang, []string{"GET /x", "GET /y"}, 15 * time.Second, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Options{BaseURL: "http://plugin.invalid", Timeout: 10 * time.Second, Breaker: true, Retry: true}
				if o.Transport = InProcess(tt.handler, 1000); tt.handler == nil {
					o.Transport = unconnected(refuse)
				}
				c := newClient(t, o)
				for i := range tt.calls {
					a := plain("x")
					a.Operation, a.Timeout, a.Attributes.Idempotent = tt.operations[i%len(tt.operations)], tt.patience, true
					if _, err := c.Invoke(t.Context(), a, nil); err == nil {
						t.Error("no error")
					}
					time.Sleep(time.Second)
				}
				if h := c.Health(); h.Open != tt.open {
					t.Errorf("%+v", h)
				}
			})
		})
	}
}

// unconnected is a transport that only fails.
type unconnected func() error

func (f unconnected) RoundTrip(*http.Request) (*http.Response, error) { return nil, f() }

// TestSaysWhenToTryAgain: of calls that are not made, in a form for programs.
func TestSaysWhenToTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		c := newClient(t, Options{BaseURL: "http://plugin.invalid", Transport: InProcess(http.HandlerFunc(hang), 1000), Concurrency: 1, Breaker: true})
		ctx, end := context.WithCancel(t.Context())
		go func() { _, _ = c.Invoke(ctx, plain("x"), nil) }()
		synctest.Wait()
		_, err := c.Invoke(t.Context(), plain("x"), nil)
		if got := faultOf(err); !slices.Equal(got.Headers, []Header{{"retry-after", "1"}}) || !strings.Contains(got.Message, "1 call under way") {
			t.Errorf("busy: %v, %v", got, got.Headers)
		}
		end()
		synctest.Wait()
		fail(&c.standing, 5, time.Minute)
		for _, want := range []string{"5", "2", "1"} {
			_, err = c.Invoke(t.Context(), plain("x"), nil)
			if got := faultOf(err); !slices.Equal(got.Headers, []Header{{"retry-after", want}}) || !strings.HasSuffix(got.Message, "tried again in "+want+"s") {
				t.Errorf("left alone: %v, %v, want %s", got, got.Headers, want)
			}
			r := c.standing.refuses()
			time.Sleep(r.wait - map[string]time.Duration{"5": 1500 * time.Millisecond, "2": time.Nanosecond}[want])
		}
	})
}

// TestProbesAreAlone: of many callers after a pause one tries, and the others
// learn at once.
func TestProbesAreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, release := 0, make(chan struct{})
		h := func(http.ResponseWriter, *http.Request) { calls++; <-release }
		c := newClient(t, Options{BaseURL: "http://plugin.invalid", Transport: InProcess(http.HandlerFunc(h), 1000), Breaker: true, Concurrency: 5})
		fail(&c.standing, 5, time.Minute)
		time.Sleep(shortestPause)
		var all sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for range 50 {
			all.Go(func() {
				begin := time.Now()
				if _, err := c.Invoke(t.Context(), plain("x"), nil); err != nil && time.Since(begin) == 0 {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		if calls != 1 {
			t.Errorf("%d probes", calls)
		}
		close(release)
		all.Wait()
		if refused != 49 || calls != 1 {
			t.Errorf("%d refused at once, %d calls", refused, calls)
		}
		if _, err := c.Invoke(t.Context(), plain("x"), nil); err != nil {
			t.Error(err)
		}
	})
}

// TestTellsWhatIsDown: a call that gets no connection says which plugin, and
// since when it is down, and neither host nor port.
func TestTellsWhatIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	c := newClient(t, Options{Name: "billing", BaseURL: "http://" + address})
	c.Down(time.Date(2026, 11, 22, 12, 3, 4, 5e8, time.FixedZone("", 3600)), "GET http://"+address+"/openapi.json: connection refused")
	if h := c.Health(); strings.Contains(h.Reason, address) || !strings.Contains(h.Reason, "connection refused") {
		t.Errorf("%+v", h)
	}
	_, err = c.Invoke(t.Context(), plain("x"), nil)
	if want := "plugin billing cannot be reached (connection refused); it has not answered since 2026-11-22T11:03:04Z"; messageOf(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	c = newClient(t, Options{Name: "billing", BaseURL: strings.Replace(serveHTTP(t, reply(200, "", "")), "http:", "https:", 1)})
	if _, err = c.Invoke(t.Context(), plain("x"), nil); messageOf(err) != "plugin billing cannot be reached (it does not speak TLS)" {
		t.Errorf("got %v", err)
	}
	server := httptest.NewUnstartedServer(reply(200, "", ""))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // it does not like the client either
	server.StartTLS()
	defer server.Close()
	c = newClient(t, Options{Name: "billing", BaseURL: server.URL})
	if _, err = c.Invoke(t.Context(), plain("x"), nil); messageOf(err) != "plugin billing cannot be reached (its TLS certificate is not valid)" {
		t.Errorf("got %v", err)
	}
}

// TestReasons: why there was no answer, and whether there may be one the next
// time.
func TestReasons(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("wrapped: %w", &net.OpError{Op: "dial", Net: "tcp", Err: err})
	}
	for _, tt := range []struct {
		err     error
		reason  string
		passing bool
	}{
		{dial(syscall.ECONNREFUSED), "connection refused", true},
		{dial(syscall.EHOSTUNREACH), "no route to it", true},
		{dial(&net.DNSError{Err: "no such host", Name: "billing.internal", IsNotFound: true}), "its host name is unknown", true},
		{dial(os.ErrDeadlineExceeded), "no connection in time", false},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "connection reset", true},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, "connection reset", true},
		{io.ErrUnexpectedEOF, "it hung up", true},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{}}, "its TLS certificate is not valid", false},
		{errors.New("billing.internal: something else"), "its answer cannot be read", false},
	} {
		if reason, passing := reasonOf(tt.err), isConnection(tt.err); reason != tt.reason || passing != tt.passing {
			t.Errorf("%v: %q, passing %v", tt.err, reason, passing)
		}
	}
}

// TestHangingPluginHarmsNoOther: of a plugin that drips its answers byte by byte,
// no more calls are under way than there are places, the others learn soon that it is busy, and
// the calls of the plugin beside it take no longer. Afterwards nothing is left.
func TestHangingPluginHarmsNoOther(t *testing.T) {
	before := runtime.NumGoroutine()
	var mu sync.Mutex
	under, most := 0, 0
	dripping := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		under++
		most = max(most, under)
		mu.Unlock()
		defer func() { mu.Lock(); under--; mu.Unlock() }()
		for tick := time.NewTicker(20 * time.Millisecond); r.Context().Err() == nil; <-tick.C {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
		}
	}))
	healthy := httptest.NewServer(reply(200, "application/json", "{}"))
	bad := newClient(t, Options{Name: "bad", BaseURL: dripping.URL, Concurrency: 8, Timeout: 2500 * time.Millisecond, Breaker: true, Retry: true})
	good := newClient(t, Options{Name: "good", BaseURL: healthy.URL, Breaker: true, Retry: true})

	alone := median(t, good)
	var callers sync.WaitGroup
	kinds := map[string]int{}
	for i := range 40 {
		callers.Go(func() {
			a := plain("x")
			a.Operation = "GET /" + strconv.Itoa(i)
			_, err := bad.Invoke(t.Context(), a, nil)
			mu.Lock()
			defer mu.Unlock()
			switch message := messageOf(err); {
			case strings.HasPrefix(message, "plugin bad did not answer within 2.5s"):
				kinds["timeout"]++
			case message == "plugin bad has 8 calls under way, which is all it may have; try again in a moment":
				kinds["busy"]++
			default:
				t.Errorf("got %q", message)
			}
		})
	}
	for bad.Health().InFlight < 8 {
		runtime.Gosched()
	}
	beside := median(t, good)
	callers.Wait()
	if most > 8 || kinds["timeout"] != 8 || kinds["busy"] != 32 {
		t.Errorf("at most %d under way, %v", most, kinds)
	}
	if alone = max(alone, median(t, good)); beside > 2*alone+time.Millisecond {
		t.Errorf("the other plugin takes %v, and %v when it is alone", beside, alone)
	}
	if h := bad.Health(); !h.Open || h.InFlight != 0 || h.Waiting != 0 || h.RefusedBusy != 32 {
		t.Errorf("%+v", h)
	}
	bad.Close()
	good.Close()
	dripping.Close()
	healthy.Close()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// median is how long a call takes.
func median(t *testing.T, c *Client) time.Duration {
	t.Helper()
	var all []time.Duration
	for range 201 {
		begin := time.Now()
		if _, err := c.Invoke(t.Context(), plain("x"), nil); err != nil {
			t.Fatal(err)
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// TestCancelledWhileWaiting: who gives up while it waits for a place is told so.
func TestCancelledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		c := newClient(t, Options{BaseURL: "http://plugin.invalid", Transport: InProcess(http.HandlerFunc(hang), 1000), Concurrency: 1})
		first, end := context.WithCancel(t.Context())
		go func() { _, _ = c.Invoke(first, plain("x"), nil) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		var e *Error
		if _, err := c.Invoke(ctx, plain("x"), nil); !errors.As(err, &e) || e.Kind != Cancelled {
			t.Errorf("got %v", err)
		}
		end()
	})
}

func BenchmarkInvoke(b *testing.B) {
	url := serveHTTP(b, reply(200, "application/json", `{"a":1}`))
	for name, o := range map[string]Options{"plain": {}, "guarded": {Retry: true, Breaker: true}} {
		b.Run(name, func(b *testing.B) {
			o.BaseURL = url
			c, a := newClient(b, o), plain("x")
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Invoke(b.Context(), a, nil); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkGuard is what isolation costs a call of a plugin that does well.
func BenchmarkGuard(b *testing.B) {
	c, a := newClient(b, Options{Retry: true, Breaker: true}), plain("x")
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if e := c.enter(b.Context(), time.Second); e != nil {
				b.Error(e)
			}
			probe, _ := c.standing.admit()
			c.judge(a, nil, time.Now(), probe)
			c.places.leave()
		}
	})
}
