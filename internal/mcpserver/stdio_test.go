package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// line is a client of stdio.
type line struct {
	in    *io.PipeWriter
	lines chan string
	ended chan error
}

func startStdio(t *testing.T, o Options) (*line, *Handler) {
	t.Helper()
	h := newTestHandler(t, o)
	in, write := io.Pipe()
	read, out := io.Pipe()
	l := &line{in: write, lines: make(chan string, 1000), ended: make(chan error, 1)}
	go func() {
		l.ended <- h.ServeStdio(t.Context(), "catalog", principal.Principal{}, in, out)
		_ = out.Close()
	}()
	go func() {
		defer close(l.lines)
		scanner := bufio.NewScanner(read)
		scanner.Buffer(nil, 64<<20)
		for scanner.Scan() {
			l.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() { _ = write.Close(); _ = read.Close() })
	return l, h
}

func (l *line) send(t *testing.T, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if _, err := io.WriteString(l.in, m+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *line) want(t *testing.T, texts ...string) string {
	t.Helper()
	select {
	case got, ok := <-l.lines:
		for _, text := range texts {
			if !ok || !strings.Contains(got, text) {
				t.Fatalf("line %s (%v), want %s", got, ok, text)
			}
		}
		return got
	case <-time.After(patience):
		t.Fatalf("no line comes, want %v", texts)
		return ""
	}
}

// end closes the input and waits for the program to end.
func (l *line) end(t *testing.T) {
	t.Helper()
	_ = l.in.Close()
	select {
	case err := <-l.ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on though its client is gone")
	}
}

const initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`

func listenBody(id, notifications string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"subscriptions/listen","params":{"notifications":` + notifications + `,` + modernMeta + `}}`
}

func cancelBody(id string) string {
	return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `}}`
}

// Both eras on one line, one after the other.
func TestStdio(t *testing.T) {
	l, h := startStdio(t, Options{})
	l.send(t, callBody("1", "fake_echo", "{}"))
	l.want(t, `"id":1`, "initialize comes first")
	l.send(t, initializeBody("2025-11-25"), initialized, callBody(`"a b"`, "fake_echo", `{"said":"é"}`))
	l.want(t, `"id":0`, `"protocolVersion":"2025-11-25"`)
	l.want(t, `"id":"a b"`, `"said":"é"`)
	l.send(t, initializeBody("2025-11-25"))
	l.want(t, "initialized already")
	l.send(t, modernCall("2", "fake_echo", "{}"), modernCall("3", "nope", "{}"))
	for range 2 { // in any order
		l.want(t, `"jsonrpc":"2.0"`)
	}
	l.send(t, strings.Replace(modernCall("4", "fake_echo", "{}"), "2026-07-28", "2027-01-01", 1))
	l.want(t, `"id":4`, "-32022")
	_, body := withToken(legacy, `"p"`)
	l.send(t, body)
	for _, progress := range []string{`"progress":1`, `"progress":2`, `"progress":3`} {
		l.want(t, "notifications/progress", progress)
	}
	l.want(t, `"id":7`, `"result"`)
	if err := h.SetServers(changedServers()); err != nil {
		t.Fatal(err)
	}
	l.want(t, "notifications/tools/list_changed")
	l.want(t, "notifications/resources/list_changed")
	l.end(t)
}

// changedServers are the test's servers with a tool less on catalog.
func changedServers() []*registry.Server {
	servers := testServers()
	servers[0].Tools = servers[0].Tools[1:]
	return servers
}

func TestStdioGarbage(t *testing.T) {
	l, _ := startStdio(t, Options{MaxBody: 1 << 10})
	for _, test := range []struct{ send, want string }{
		{"{", "-32700"},
		{"\xff", "-32700"},
		{"[]", "-32600"},
		{"7", "-32600"},
		{`{"jsonrpc":"1.0","id":1,"method":"ping"}`, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 200<<10) + `"}}`, "-32700"},
	} {
		l.send(t, test.send)
		l.want(t, test.want)
	}
	l.send(t, "", "  ", `{"jsonrpc":"2.0","id":1,"result":{}}`, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	l.want(t, `"id":2`, `"result":{}`) // the other lines ask for nothing
	l.end(t)
}

// What was asked for before the end of the input is answered; who only listens
// does not hold up the end.
func TestStdioEnd(t *testing.T) {
	fake := &fakeInvoker{gate: make(chan struct{})}
	l, h := startStdio(t, Options{Invoker: fake})
	l.send(t, listenBody("1", `{"toolsListChanged":true}`))
	l.want(t, "notifications/subscriptions/acknowledged", `"toolsListChanged":true`, `subscriptionId":1`)
	l.send(t, modernCall("2", "fake_wait", "{}"))
	eventually(t, "the call runs", func() bool { return h.inflight.count() == 2 })
	_ = l.in.Close()
	close(fake.gate)
	l.want(t, `"id":2`, "waited")
	l.end(t)
	if n := h.inflight.count() + h.listeners.count(); n != 0 {
		t.Errorf("%d calls and streams are left", n)
	}
}

func TestStdioListens(t *testing.T) {
	l, h := startStdio(t, Options{})
	l.send(t, listenBody(`"s"`, `{"toolsListChanged":true}`))
	l.want(t, "acknowledged", `subscriptionId":"s"`)
	if err := h.SetServers(changedServers()); err != nil {
		t.Fatal(err)
	}
	l.want(t, "notifications/tools/list_changed", `subscriptionId":"s"`)
	l.send(t, cancelBody(`"s"`))
	eventually(t, "the stream is closed", func() bool { return h.inflight.count() == 0 })
	l.send(t, listenBody(`"t"`, `{"promptsListChanged":true}`))
	l.want(t, "acknowledged", `subscriptionId":"t"`)
	if err := h.SetServers(testServers()); err != nil {
		t.Fatal(err)
	}
	h.Drain()
	l.want(t, `"id":"t"`, `"resultType":"complete"`, `subscriptionId":"t"`)
	l.end(t)
}

// However many calls wait, the reader reads on: their cancellations and the
// answers that they wait for come behind them.
func TestStdioReadsOn(t *testing.T) {
	l, h := startStdio(t, Options{})
	l.send(t, initializeBody("2025-11-25"), initialized)
	l.want(t, `"id":0`)
	for i := range maxAtOnce + 10 {
		l.send(t, callBody(fmt.Sprint(i+1), "fake_wait", "{}"))
	}
	eventually(t, "the calls run", func() bool { return h.inflight.count() >= maxAtOnce })
	l.send(t, cancelBody("1"))
	for i := range maxAtOnce {
		l.send(t, cancelBody(fmt.Sprint(i+1)))
	}
	for range maxAtOnce {
		l.want(t, "call was cancelled")
	}
	for i := range 10 {
		id := fmt.Sprint(maxAtOnce + i + 1)
		eventually(t, "the rest runs", func() bool { return h.inflight.hasID(id) })
		l.send(t, cancelBody(id))
		l.want(t, "call was cancelled")
	}
	l.end(t)
}

// unread is an output that nobody reads.
type unread struct {
	begun chan struct{}
	end   <-chan struct{}
}

func (u unread) Write([]byte) (int, error) {
	u.begun <- struct{}{}
	<-u.end
	return 0, io.ErrClosedPipe
}

// A client that does not read does not keep the gateway from stopping.
func TestStdioClientThatDoesNotRead(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newTestHandler(t, Options{})
	for name, first := range map[string]string{"answer at once": initializeBody("2025-11-25"), "work": modernCall("1", "fake_echo", "{}")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, write := io.Pipe()
			out := unread{begun: make(chan struct{}, 1), end: t.Context().Done()}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- h.ServeStdio(ctx, "catalog", principal.Principal{}, in, out) }()
			_, _ = io.WriteString(write, first+"\n"+initialized+"\n")
			<-out.begun
			cancel()
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), "does not read") {
					t.Errorf("ended with %v", err)
				}
			case <-time.After(patience):
				t.Fatal("it does not stop")
			}
		})
	}
}

// When the input ends, nobody waits for answers that cannot come; the last one
// on it counts.
func TestStdioEndsWithQuestions(t *testing.T) {
	h, plugin := newCurious(t, Options{})
	initialize := strings.Replace(initializeBody("2025-11-25"), `{"roots":{}}`, allCapabilities, 1)
	if got := resultOfAnswer(t, overStdio(t, h, initialize, callBody("1", "drop", "{}"))); !got.IsError || !strings.Contains(got.Content[0].Text, "ended its input") || plugin.count("drop") != 0 {
		t.Errorf("got %+v", got)
	}
	in, say := io.Pipe()
	heard, out := io.Pipe()
	go func() {
		_ = h.ServeStdio(t.Context(), "curious", principal.Principal{}, in, out)
		_ = out.Close()
	}()
	lines := bufio.NewScanner(heard)
	last := ""
	_, _ = io.WriteString(say, initialize+"\n"+callBody("1", "drop", "{}")+"\n")
	for lines.Scan() {
		last = lines.Text()
		if m := json.RawMessage(last); methodOf(m) == "elicitation/create" {
			_, _ = io.WriteString(say, `{"jsonrpc":"2.0","id":`+string(member(m, "id"))+`,"result":{"action":"accept","content":{"confirm":true}}}`+"\n")
			_ = say.Close()
		}
	}
	if got := resultOfAnswer(t, decode(t, strings.NewReader(last))); got.IsError || plugin.count("drop") != 1 {
		t.Errorf("got %s", last)
	}
}
