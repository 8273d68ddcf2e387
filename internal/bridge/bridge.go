// Package bridge connects an MCP client on standard input and output with a
// server over Streamable HTTP, of every protocol revision, and gives the server
// the access tokens that it asks for.
package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Bounds of what is kept in memory.
const (
	maxMessage = 64 << 20  // bytes of a message, either way
	maxHeld    = 256 << 20 // bytes of all messages that are being read or worked on, each way
	maxPending = 1024      // messages of the client that are being worked on
	maxAtOnce  = 64        // requests that are out at once, beside subscriptions
)

// Tokens gives the access tokens for a server.
type Tokens interface {
	// Token is what to send; "" when there is none so far.
	Token(ctx context.Context) (string, error)
	// Refresh gives another token than the one that the server answered with 401;
	// rejected is "" when the request had none. It may take as long as a person
	// needs to log in.
	Refresh(ctx context.Context, rejected string) (string, error)
	// StepUp gets a token with the scopes that a 403 asks for; challenge is the
	// value of its WWW-Authenticate (RFC 6750, section 3.1).
	StepUp(ctx context.Context, challenge string) error
}

// Options are what a bridge has to know.
type Options struct {
	URL    string      // of the server: https://gateway.example.com/mcp/catalog
	Header http.Header // goes with each request
	Tokens Tokens      // nil: there are none
	// Background is for what no client waits for, and begins no login; nil: Tokens.
	Background Tokens
	Log        io.Writer // lines for a person
}

// bridge is one client and its server.
type bridge struct {
	url    string
	header http.Header
	http   *http.Client
	access access
	idle   access // for what no client waits for
	log    *log
	out    *output
	delays delays

	calls   calls
	places  chan struct{}
	reading budget // of what the server sends
	flights flights
	work    sync.WaitGroup
	listens sync.WaitGroup // what ends with the client's input
	// life is that of logins and sessions, which serve more than the request that
	// began them; listening ends with the client's input.
	life, listening context.Context
	barrier         <-chan struct{} // closed when what came before is done; only the reader's

	mu       sync.Mutex
	session  *session                   // nil: none
	mirrors  map[string]json.RawMessage // input schemas with x-mcp-header, by tool
	mirrored int                        // their bytes
	asked    int                        // requests of our own
}

// delays are how long the bridge waits.
type delays struct {
	backoff, maxBackoff time.Duration // after a failed attempt
	connect             time.Duration // how long a server may be unreachable
	retryAfter          time.Duration // how long a server may put a request off
	resume, leastResume time.Duration // before a stream is resumed, where the server does not say, and whatever it says
	notify              time.Duration // for the answer to a notification
	answers             time.Duration // for the last answers, when the client has ended
	end                 time.Duration // for the end of the session
}

func usualDelays() delays {
	return delays{
		backoff: 250 * time.Millisecond, maxBackoff: 4 * time.Second, connect: 15 * time.Second,
		retryAfter: time.Minute, resume: time.Second, leastResume: 100 * time.Millisecond, notify: time.Minute, answers: time.Minute, end: 2 * time.Second,
	}
}

// Run carries messages between the client and the server until the client's
// input ends and all that it asked for is answered, or until the context ends.
// It writes nothing but messages to out. The error says why the bridge could
// not begin, or that the client is gone.
func Run(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	b, err := newBridge(o, out)
	if err != nil {
		return err
	}
	return b.run(ctx, in)
}

func newBridge(o Options, out io.Writer) (*bridge, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("server URL: expected one like https://gateway.example.com/mcp/catalog, without credentials in it")
	}
	b := &bridge{
		url: o.URL, header: o.Header, log: newLog(o.Log), out: &output{w: out, broken: make(chan struct{})}, delays: usualDelays(),
		calls: newCalls(), places: make(chan struct{}, maxAtOnce), mirrors: map[string]json.RawMessage{},
	}
	b.reading.left.Store(maxHeld)
	b.access.tokens, b.idle.tokens = o.Tokens, o.Background
	if o.Background == nil {
		b.idle.tokens = o.Tokens
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && o.Tokens != nil && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		b.log.say("the token travels to " + u.Host + " in clear text; use https")
	}
	b.http = &http.Client{
		Transport: transport(),
		// A redirect would carry the token to where it was not meant for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b, nil
}

// transport keeps idle connections for less time than servers do: a request on
// one that was just closed cannot be told from one that was delivered.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        4 * time.Second, // Node's servers wait for five
		MaxIdleConnsPerHost:    maxAtOnce,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		DisableCompression:     true, // proxies hold compressed streams back
	}
}

// run takes the client's messages one after the other, and sees off all that
// hangs on them.
func (b *bridge) run(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.life = ctx
	var silence context.CancelFunc
	b.listening, silence = context.WithCancel(ctx)
	err := b.read(ctx, in)
	silence()
	if err == nil && ctx.Err() == nil {
		b.await(ctx, b.delays.answers, "the client has ended, and answers are still missing")
	}
	cancel()
	b.await(context.WithoutCancel(ctx), b.delays.end, "the client does not read what it is told")
	b.endSession(context.WithoutCancel(ctx), b.current())
	b.http.CloseIdleConnections()
	return err
}

// await gives the work that is going on some time to end.
func (b *bridge) await(ctx context.Context, limit time.Duration, late string) {
	done := make(chan struct{})
	go func() {
		b.work.Wait()
		b.listens.Wait()
		close(done)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-b.out.broken:
	case <-timer.C:
		b.log.say(late)
	}
}

// take begins the work on one line of the client. Requests run side by side; but
// what comes after an initialize, a log level or a notification waits until that is through,
// for it may depend on it. Nothing here waits: not for the server, and not for a
// client that does not read.
func (b *bridge) take(ctx context.Context, line []byte) {
	m, fault := parseMessage(line)
	switch {
	case fault != nil:
		b.work.Go(func() { b.out.write(answerWith(m.id, fault)) })
		return
	case m.method == methodCancelled && m.id == nil:
		b.cancel(ctx, m)
		return
	}
	c := newCall(ctx, m)
	if fault := b.calls.add(c); fault != nil {
		b.work.Go(func() { b.reject(c, fault) })
		return
	}
	before := b.barrier
	if m.method == methodInitialize || m.method == methodSetLevel || m.notification() {
		through := make(chan struct{})
		b.barrier, c.through = through, through
	}
	group := &b.work
	if m.method == methodListen {
		group = &b.listens
		context.AfterFunc(b.listening, c.cancel)
	}
	group.Go(func() {
		defer b.calls.remove(c)
		b.settle(c, b.inTurn(c, before))
	})
}

// reject answers a call that was not taken in.
func (b *bridge) reject(c *call, f *fault) {
	defer c.cancel()
	if f.Code == codeInvalidRequest { // its id would answer another request
		b.out.write(answerWith(nil, f))
		return
	}
	b.settle(c, f)
}

// inTurn answers a message when what came before it is through and there is a
// place for it.
func (b *bridge) inTurn(c *call, before <-chan struct{}) error {
	if before != nil {
		select {
		case <-before:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	if len(c.ids) > 0 && c.method != methodInitialize && c.method != methodListen {
		select {
		case b.places <- struct{}{}:
			defer func() { <-b.places }()
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	if len(c.ids) == 0 {
		ctx, cancel := context.WithTimeout(c.ctx, b.delays.notify)
		defer cancel()
		return b.converse(ctx, c)
	}
	return b.converse(c.ctx, c)
}

// settle answers what has no answer yet. What nobody waits for is told to a person.
func (b *bridge) settle(c *call, err error) {
	if len(c.ids) == 0 {
		if err != nil && c.ctx.Err() == nil {
			b.log.say("the server did not take a message of the client (" + c.kind() + "): " + err.Error())
		}
		return
	}
	if err == nil {
		err = errors.New("server ended its answer without a result")
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("connection is being closed")
	}
	b.refuse(c, faultOf(err))
}

// refuse answers the requests of a call that are not answered yet with an error.
func (b *bridge) refuse(c *call, f *fault) {
	for _, id := range b.calls.takeAll(c) {
		if c.quiet {
			c.result = answerWith(id, f)
			continue
		}
		b.out.write(answerWith(id, f))
	}
}

// cancel gives up a request of the client. A server of the newest revision knows
// it by the connection that is closed (2026-07-28, basic/transports/streamable-http,
// "Cancellation"), others are told; one that was not sent yet is not sent at all.
func (b *bridge) cancel(ctx context.Context, m message) {
	c := b.calls.pending(keyOf(m.params.RequestID))
	if c == nil || c.method == methodInitialize {
		return
	}
	last := b.calls.abandon(c, keyOf(m.params.RequestID))
	if c.modern() || !c.out.Load() {
		if last {
			c.cancel()
		}
		return
	}
	note := newCall(ctx, m)
	b.work.Go(func() {
		defer note.cancel()
		if last {
			defer c.cancel()
		}
		ctx, cancel := context.WithTimeout(ctx, b.delays.notify)
		defer cancel()
		b.settle(note, b.converse(ctx, note))
	})
}

// kind names a message for people.
func (c *call) kind() string {
	if c.method == "" {
		return "an answer"
	}
	return fmt.Sprintf("%.100q", c.method)
}
