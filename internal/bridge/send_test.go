package bridge

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestPutOff: what the server did not take is sent again when it says so, for a
// while; without a time it is an error.
func TestPutOff(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		var asked atomic.Int32
		s := scripted(t, func(w http.ResponseWriter, r received) {
			if r.method == "never" || asked.Add(1) < 4 {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(status)
				return
			}
			reply(w, r.id, `{}`)
		})
		r := start(t, s.URL, nil)
		r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
		r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
		if asked.Load() != 4 {
			t.Errorf("%d: asked %d times", status, asked.Load())
		}
		r.send(`{"jsonrpc":"2.0","id":2,"method":"never"}`)
		if f := r.fault("2"); !strings.Contains(f.Message, fmt.Sprint(status)) {
			t.Error(f)
		}
	}
	var asked atomic.Int32
	s := scripted(t, func(w http.ResponseWriter, _ received) {
		asked.Add(1)
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	r := start(t, s.URL, nil)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	if f := r.fault("1"); asked.Load() != 1 {
		t.Error("it was asked again before its time:", f)
	}
}

// TestUnreachable: a server that comes up is waited for, one that does not is
// told of, and the bridge lives on.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	r := start(t, "http://"+address, nil)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	for range 2 {
		if line := r.next(); !strings.Contains(line, "is not reachable") || !strings.Contains(line, "connection refused") {
			t.Error(line)
		}
	}
	if !strings.Contains(r.log.String(), "server "+address+" is not reachable, trying again") {
		t.Error(r.log)
	}
	r.b.delays.connect = patience
	r.send(`{"jsonrpc":"2.0","id":3,"method":"tools/call"}`)
	if l, err = net.Listen("tcp", address); err != nil {
		t.Skip("somebody took the port:", err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, []byte("3"), `{}`) })}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	r.expect(`{"jsonrpc":"2.0","id":3,"result":{}}`)
}

// TestNeverTwice: a call that the server may have got is not sent again; what
// changes nothing is.
func TestNeverTwice(t *testing.T) {
	var calls, lists atomic.Int32
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.method == "tools/call" {
			calls.Add(1)
			panic(http.ErrAbortHandler)
		}
		if lists.Add(1) < 3 {
			panic(http.ErrAbortHandler)
		}
		reply(w, r.id, `{}`)
	})
	r := start(t, s.URL, nil)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	if f := r.fault("1"); !strings.Contains(f.Message, "may have got the request") || calls.Load() != 1 {
		t.Error(f, calls.Load())
	}
	r.send(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	r.expect(`{"jsonrpc":"2.0","id":2,"result":{}}`)
}

// TestTooManyAtOnce: requests beyond the bound wait, and what is beyond all bounds
// is refused; answers and cancellations get through all the same.
func TestTooManyAtOnce(t *testing.T) {
	var at, most atomic.Int32
	open := make(chan struct{})
	passed := make(chan struct{}, maxPending)
	s := scripted(t, func(w http.ResponseWriter, r received) {
		if r.response() {
			close(open)
			w.WriteHeader(http.StatusAccepted)
			return
		}
		most.Store(max(most.Load(), at.Add(1)))
		defer at.Add(-1)
		passed <- struct{}{}
		<-open
		reply(w, r.id, `{}`)
	})
	r := start(t, s.URL, nil)
	for i := range maxPending - 1 { // one is left for the answer
		r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call"}`, i))
	}
	for range maxAtOnce {
		<-passed
	}
	r.send(`{"jsonrpc":"2.0","id":0,"method":"again"}`)
	if f := r.fault("null"); !strings.Contains(f.Message, "id is that of another request") {
		t.Error(f)
	}
	r.send(`{"jsonrpc":"2.0","id":"last","method":"tools/call"}`, `{"jsonrpc":"2.0","id":"over","method":"tools/call"}`)
	if f := r.fault(`"over"`); f.Code != codeBusy {
		t.Error(f)
	}
	r.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, maxPending-2))
	for r.b.calls.pending(fmt.Sprintf("number %d", maxPending-2)) != nil {
		r.send("")
	}
	for r.b.calls.full() {
		r.send("")
	}
	r.send(`{"jsonrpc":"2.0","id":"q","result":{}}`)
	for range maxPending - 1 {
		r.next()
	}
	if most.Load() > maxAtOnce {
		t.Errorf("%d requests at once", most.Load())
	}
}

func (s *calls) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count >= maxPending
}

// TestEnd: what was asked before the input ended is answered.
func TestEnd(t *testing.T) {
	begun, open := make(chan struct{}), make(chan struct{})
	s := scripted(t, func(w http.ResponseWriter, r received) {
		close(begun)
		<-open
		reply(w, r.id, `{}`)
	})
	r := start(t, s.URL, nil)
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	<-begun
	r.in.Close()
	close(open)
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

// TestStopped: a signal ends the bridge, and the session with it, whatever the
// server still works on.
func TestStopped(t *testing.T) {
	begun := make(chan struct{})
	o := &office{call: func(_ http.ResponseWriter, r received) {
		close(begun)
		<-r.Context().Done()
	}}
	r := start(t, scripted(t, o.serve).URL, nil)
	r.open()
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	<-begun
	r.stop()
	if f := r.fault("1"); !strings.Contains(f.Message, "being closed") {
		t.Error(f)
	}
	if err := <-r.done; err != nil || o.count("DELETE s1") != 1 {
		t.Error(err, o.heard())
	}
}

// TestLastAnswers are not waited for without end, nor is a client that does not read.
func TestLastAnswers(t *testing.T) {
	s := scripted(t, func(_ http.ResponseWriter, r received) { <-r.Context().Done() })
	r := start(t, s.URL, nil, func(b *bridge) { b.delays.answers = time.Millisecond })
	r.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	r.in.Close()
	if f := r.fault("1"); !strings.Contains(f.Message, "being closed") {
		t.Error(f)
	}
	if err := <-r.done; err != nil || !strings.Contains(r.log.String(), "answers are still missing") {
		t.Error(err, r.log)
	}
	fast := scripted(t, func(w http.ResponseWriter, r received) { reply(w, r.id, `{}`) })
	for _, line := range []string{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `junk`} {
		read, write := io.Pipe() // nobody reads
		defer read.Close()
		b, err := newBridge(Options{URL: fast.URL}, write)
		if err != nil {
			t.Fatal(err)
		}
		b.delays.answers, b.delays.end = time.Millisecond, time.Millisecond
		if err := b.run(t.Context(), strings.NewReader(line)); err != nil {
			t.Error(err)
		}
	}
}

// TestDeafClient: a client that is gone ends the bridge.
func TestDeafClient(t *testing.T) {
	s := scripted(t, func(w http.ResponseWriter, r received) { reply(w, r.id, `{}`) })
	read, write := io.Pipe()
	read.Close()
	in, client := io.Pipe()
	defer client.Close()
	go func() { _, _ = io.WriteString(client, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n") }()
	if err := Run(t.Context(), in, write, Options{URL: s.URL}); err == nil || !strings.Contains(err.Error(), "standard output") {
		t.Error(err)
	}
}

// TestNothingStays: when a bridge has ended, with streams and calls under way,
// nothing of it goes on.
func TestNothingStays(t *testing.T) {
	before := runtime.NumGoroutine()
	var stopped atomic.Int32
	o := &office{
		stream: func(w http.ResponseWriter, r received) { events(w, ": hi\n\n"); <-r.Context().Done(); stopped.Add(1) },
		call:   func(w http.ResponseWriter, r received) { events(w, ": hi\n\n"); <-r.Context().Done(); stopped.Add(1) },
	}
	s := scripted(t, o.serve)
	for range 5 {
		r := start(t, s.URL, nil)
		r.open()
		for i := range 20 {
			r.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call"}`, i))
		}
		for o.count("GET") == 0 || o.count("tools/call") < 20 {
			runtime.Gosched()
		}
		r.stop()
		for range r.lines { // until the end
		}
		<-r.done
		r.in.Close()
		o.mu.Lock()
		o.log = nil
		o.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for runtime.NumGoroutine() > before+3 { // the server's own
		s.CloseClientConnections()
		if ctx.Err() != nil {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

// TestEndlessBodies of answers that say all with their status hold nobody up.
func TestEndlessBodies(t *testing.T) {
	s := scripted(t, func(w http.ResponseWriter, r received) {
		status := http.StatusOK
		switch {
		case r.Header.Get("Authorization") != "Bearer new":
			status = http.StatusUnauthorized
		case r.id == nil:
			status = http.StatusAccepted
		case r.method == methodToolsCall:
			reply(w, r.id, `{}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(status)
		events(w, ": hi\n")
		<-r.Context().Done()
	})
	r := start(t, s.URL, &fakeTokens{token: "old", refresh: func(context.Context, string) (string, error) { return "new", nil }})
	r.send(`{"jsonrpc":"2.0","method":"notifications/x"}`, `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`)
	r.expect(`{"jsonrpc":"2.0","id":1,"result":{}}`)
}
