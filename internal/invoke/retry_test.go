package invoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// says makes a plugin that answers one call after the other with the given
// statuses, the last for ever, and counts.
func says(calls *int, retryAfter string, statuses ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		status := statuses[min(*calls, len(statuses)-1)]
		*calls++
		if retryAfter != "" && status >= 400 {
			w.Header().Set("Retry-After", retryAfter)
		}
		reply(status, "application/json", "{}")(w, nil)
	}
}

// TestRetries: what is tried again, how often, and after what time.
func TestRetries(t *testing.T) {
	idempotent, readOnly, neither := openapi.Attributes{Idempotent: true}, openapi.Attributes{ReadOnly: true}, openapi.Attributes{Destructive: true}
	for name, tt := range map[string]struct {
		attributes openapi.Attributes
		statuses   []int
		after      string
		want       string // outcome, and how often it was called
		least      time.Duration
	}{
		"well":                   {idempotent, []int{200}, "", "ok 1", 0},
		"bad gateway":            {idempotent, []int{502, 200}, "", "ok 2", 0},
		"unavailable":            {readOnly, []int{503, 200}, "", "ok 2", 0},
		"gateway timeout twice":  {idempotent, []int{504, 503, 200}, "", "ok 3", 0},
		"three times":            {idempotent, []int{503, 503, 503, 200}, "", "the plugin failed (HTTP 503); it was tried 3 times 3", 0},
		"then no more":           {idempotent, []int{503, 404}, "", "HTTP 404 Not Found: {}; it was tried 2 times 2", 0},
		"its fault":              {idempotent, []int{500, 200}, "", "the plugin failed (HTTP 500) 1", 0},
		"not implemented":        {idempotent, []int{501, 200}, "", "the plugin failed (HTTP 501) 1", 0},
		"the caller's fault":     {idempotent, []int{400, 200}, "", "HTTP 400 Bad Request: {} 1", 0},
		"too many, says not":     {idempotent, []int{429, 200}, "", "HTTP 429 Too Many Requests: {} 1", 0},
		"too many, says when":    {idempotent, []int{429, 200}, "1", "ok 2", time.Second},
		"too many, says at once": {idempotent, []int{429, 200}, "0", "ok 2", 0},
		"too many, says nonsense": {
			idempotent, []int{429, 200}, "soon", "HTTP 429 Too Many Requests: {} 1", 0,
		},
		"too many, for long":      {idempotent, []int{429, 200}, "6", "HTTP 429 Too Many Requests: {}; try again in 6s 1", 0},
		"unavailable, says when":  {idempotent, []int{503, 503, 200}, "3", "ok 3", 6 * time.Second},
		"unavailable, beyond":     {idempotent, []int{503, 503, 503, 200}, "4", "the plugin failed (HTTP 503); try again in 4s; it was tried 3 times 3", 8 * time.Second},
		"unavailable, for long":   {idempotent, []int{503, 200}, "3600", "the plugin failed (HTTP 503); try again in 1h0m0s 1", 0},
		"not to be repeated":      {neither, []int{503, 200}, "", "the plugin failed (HTTP 503) 1", 0},
		"not even when told when": {neither, []int{429, 200}, "1", "HTTP 429 Too Many Requests: {}; try again in 1s 1", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := newClient(t, Options{
					BaseURL: "http://plugin.invalid", Transport: InProcess(says(&calls, tt.after, tt.statuses...), 1000),
					Timeout: 10 * time.Second, Retry: true,
				})
				a, begin := plain("x"), time.Now()
				a.Attributes = tt.attributes
				_, err := c.Invoke(t.Context(), a, nil)
				if took := time.Since(begin); took < tt.least || took > tt.least+250*time.Millisecond {
					t.Errorf("took %v, want %v", took, tt.least)
				}
				if got := fmt.Sprintf("%s %d", messageOf(err), calls); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// faultOf is the error of a call.
func faultOf(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Message: "ok"}
	}
	return e
}

func messageOf(err error) string { return faultOf(err).Message }

// TestRetriesEnd: within the call's time, with its caller, over the budget,
// and where nobody wants any.
func TestRetriesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		o := Options{BaseURL: "http://plugin.invalid", Transport: InProcess(says(&calls, "4", 503), 1000), Timeout: 10 * time.Second, Retry: true}
		a := plain("x")
		a.Attributes.Idempotent, a.Timeout = true, 4*time.Second
		c := newClient(t, o)
		if _, err := c.Invoke(t.Context(), a, nil); calls != 1 || messageOf(err) != "the plugin failed (HTTP 503); try again in 4s" {
			t.Errorf("%d calls in less time than the plugin asks for: %v", calls, err)
		}
		a.Timeout = 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Invoke(ctx, a, nil); calls != 2 || err == nil {
			t.Errorf("%d calls in the caller's time: %v", calls, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		if _, err := c.Invoke(ctx, a, nil); calls != 3 || err == nil || time.Since(begin) != time.Second {
			t.Errorf("%d calls after the caller gave up, %v: %v", calls, time.Since(begin), err)
		}
		o.Transport, calls = InProcess(says(&calls, "", 503), 1000), 0
		c = newClient(t, o)
		for range 100 {
			_, _ = c.Invoke(t.Context(), a, nil)
		}
		if h := c.Health(); calls > 100+10+10 || calls < 100+10 || h.RetriesFailed != uint64(calls-100) || h.RetriesRefused == 0 {
			t.Errorf("%d calls are made of 100 to a plugin that is down, %+v", calls, h)
		}
		o.Retry, calls = false, 0
		if _, err := newClient(t, o).Invoke(t.Context(), a, nil); calls != 1 || err == nil {
			t.Errorf("%d calls without retries: %v", calls, err)
		}
	})
}

// hangsUp listens, and does to each connection what it is told.
func hangsUp(t *testing.T, do func(net.Conn)) (address string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int32{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			do(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String(), connections
}

// TestConnectErrors: of plugins on real sockets that have no answer to give,
// what is tried again, and what a caller learns.
func TestConnectErrors(t *testing.T) {
	read := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1000)) }
	send := func(text string) func(net.Conn) {
		return func(conn net.Conn) { read(conn); _, _ = io.WriteString(conn, text) }
	}
	for name, tt := range map[string]struct {
		do    func(net.Conn)
		want  string
		tries int32
	}{
		"hangs up":       {read, "plugin billing cannot be reached (it hung up)", 3},
		"in the header":  {send("HTTP/1.1 200 OK\r\nX: 1\r\n"), "plugin billing cannot be reached (it hung up)", 3},
		"in the body":    {send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "plugin billing cannot be reached (it hung up)", 1},
		"is no HTTP":     {send("220 mail.internal ESMTP\r\n\r\n"), "plugin billing cannot be reached (its answer cannot be read)", 1},
		"endless header": {send("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10)), "plugin billing cannot be reached (its answer cannot be read)", 1},
		"resets": {func(conn net.Conn) {
			read(conn)
			_ = conn.(*net.TCPConn).SetLinger(0)
		}, "plugin billing cannot be reached (connection reset)", 3},
	} {
		t.Run(name, func(t *testing.T) {
			address, connections := hangsUp(t, tt.do)
			c := newClient(t, Options{Name: "billing", BaseURL: "http://" + address, Retry: true})
			for _, idempotent := range []bool{true, false} {
				a, tries := plain("x"), tt.tries
				a.Request.Method, a.Attributes.Idempotent = http.MethodPost, idempotent
				if !idempotent {
					tries = 1
				}
				before := connections.Load()
				_, err := c.Invoke(t.Context(), a, nil)
				if got := messageOf(err); !strings.HasPrefix(got, tt.want) || strings.Contains(got, address) || strings.Contains(got, "mail") {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if tried := strings.Contains(messageOf(err), "tried 3 times"); tried != (tries == 3) || connections.Load()-before != tries {
					t.Errorf("idempotent %v: %d connections: %v", idempotent, connections.Load()-before, err)
				}
			}
		})
	}
}

// TestRetriedBody: each try has the whole body, also where the first was cut
// off while it was read.
func TestRetriedBody(t *testing.T) {
	actions := actionsOf(t, `
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /x:
    put:
      x-action: {name: put}
      requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {text: {type: string}}}}}}
      responses: {"200": {description: ok}}
`)
	body, bodies := strings.Repeat("x", 1<<20), make(chan string, 3)
	var calls atomic.Int32
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			_, _ = io.ReadFull(r.Body, make([]byte, 1000))
			panic(http.ErrAbortHandler)
		}
		text, _ := io.ReadAll(r.Body)
		bodies <- string(text)
		reply(map[bool]int{true: 503, false: 200}[calls.Load() == 2], "application/json", "{}")(w, nil)
	})
	c := newClient(t, Options{BaseURL: address, Retry: true})
	if _, err := c.Invoke(t.Context(), actions["put"], map[string]any{"text": body}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := <-bodies; got != `{"text":"`+body+`"}` {
			t.Errorf("sent %.100s, %d bytes", got, len(got))
		}
	}
	if h := c.Health(); h.RetriesOK != 1 || h.RetriesFailed != 1 || !h.DownSince.IsZero() {
		t.Errorf("%+v", h)
	}
}
