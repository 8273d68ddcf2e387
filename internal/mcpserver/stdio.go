package mcpserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// maxAtOnce bounds how many requests of a stdio client are worked on together.
const maxAtOnce = 64

// lastWords is what a stdio client has to read the last answers when the gateway stops.
const lastWords = 2 * time.Second

// stdio is one client on standard input and output: a JSON-RPC message a line
// (2025-11-25 and 2026-07-28, basic/transports/stdio).
type stdio struct {
	h         *Handler
	server    string
	principal principal.Principal

	mu      sync.Mutex
	session session.Session
	broken  error

	out     io.Writer
	writing chan struct{} // has a token while somebody writes
	ended   chan struct{} // closed when nothing more can be read
	places  chan struct{}
	work    sync.WaitGroup
	listens sync.WaitGroup // what only ends with the client
}

// ServeStdio answers the messages on in until it ends, and what was asked for
// before that is answered; or until the context ends.
func (h *Handler) ServeStdio(ctx context.Context, server string, principal principal.Principal, in io.Reader, out io.Writer) error {
	if h.server(server) == nil {
		return fmt.Errorf("server %q is unknown", server)
	}
	c := &stdio{h: h, server: server, principal: principal, out: out, places: make(chan struct{}, maxAtOnce)}
	c.writing, c.ended = make(chan struct{}, 1), make(chan struct{})
	c.session = session.Session{ID: channelPrefix + newSessionID(), Server: server, Principal: principal.Key()}
	if err := h.sessions.create(ctx, c.session); err != nil {
		return err
	}
	defer h.endStdio(c.session.ID)
	done := make(chan error, 1)
	go func() { done <- c.serve(ctx, in) }() // not even the context frees it from a client that does not read
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(lastWords):
		return errors.New("client does not read what it is told")
	}
}

// serve works until the input or the context ends.
func (c *stdio) serve(ctx context.Context, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	id := c.session.ID // of which initialize says more, later
	c.listens.Go(func() { c.listen(ctx, id) })
	err := c.read(ctx, in)
	close(c.ended)
	c.work.Wait()
	cancel()
	c.listens.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(err, c.broken)
}

func (h *Handler) endStdio(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), signalTimeout)
	defer cancel()
	_ = h.sessions.end(ctx, id) // purged some time
	h.ended(id)
}

// read takes the messages one after the other. It returns when the context
// ends, too, though the reading goes on: nothing can interrupt it.
func (c *stdio) read(ctx context.Context, in io.Reader) error {
	lines, failed := make(chan []byte), make(chan error, 1)
	go func() {
		defer close(lines)
		reader := bufio.NewReaderSize(in, 64<<10)
		for {
			line, err := readLine(reader, c.h.options.MaxBody)
			if len(bytes.TrimSpace(line)) > 0 {
				select {
				case lines <- line:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					failed <- err
				}
				return
			}
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				select {
				case err := <-failed:
					return err
				default:
					return nil
				}
			}
			c.message(ctx, line)
		case <-ctx.Done():
			return nil
		}
	}
}

// readLine reads a line; of one that is too long only the beginning, which is no
// JSON, is given.
func readLine(r *bufio.Reader, limit int64) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if int64(len(line)) <= limit {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if int64(len(line)) > limit {
				line = line[:limit]
			}
			return line, err
		}
	}
}

// message begins the work on one message, and does not wait for a place to do it:
// the next one may be the answer, or the cancellation, that others wait for.
// What must come before the next one is done at once.
func (c *stdio) message(ctx context.Context, line []byte) {
	x := c.exchange(ctx)
	m, fault := parseMessage(line, x.session.ProtocolVersion)
	switch {
	case x.server == nil:
		x.fail(m.id, invalidRequest("server "+c.server+" is no more"))
	case fault != nil:
		x.fail(m.id, fault)
	case m.id == nil && m.batch == nil || m.response || m.method == string(mcp.MethodInitialize), m.method == string(mcp.MethodSetLogLevel):
		c.answer(x, &m)
	case m.method == string(mcp.MethodSubscriptionsListen):
		c.listens.Go(func() { c.answer(x, &m) })
	default:
		c.work.Go(func() {
			select {
			case c.places <- struct{}{}:
				defer func() { <-c.places }()
				c.answer(x, &m)
			case <-ctx.Done():
			}
		})
	}
}

func (c *stdio) exchange(ctx context.Context) *exchange {
	ctx, ref := telemetry.WithRef(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	x := &exchange{
		handler: c.h, r: (&http.Request{Header: http.Header{}}).WithContext(ctx), ref: ref,
		server: c.h.server(c.server).unguarded(), principal: c.principal, key: c.session.Principal, session: c.session,
	}
	x.stream.forward, x.stream.silent = c.write, c.ended
	return x
}

func (c *stdio) answer(x *exchange, m *envelope) {
	ctx := x.r.Context()
	if m.id != nil && !m.response && isModern(x.r.Header, m) {
		c.answerModern(x, m)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.h.options.CallTimeout)
	defer cancel()
	c.h.converse(ctx, x, m)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.method {
	case string(mcp.MethodInitialize):
		c.session = x.session
	case string(mcp.MethodSetLogLevel):
		c.session.LogLevel = x.session.LogLevel
	}
}

// answerModern is of 2026-07-28, which has no headers here to be compared.
func (c *stdio) answerModern(x *exchange, m *envelope) {
	if !mcp.IsModernProtocol(m.version) || !mcp.IsValidProtocolVersion(m.version) {
		x.fail(m.id, unsupportedVersion(m.version))
		return
	}
	if fault := checkCapabilities(m); fault != nil {
		x.fail(m.id, fault)
		return
	}
	key := inflightKey{x.session.ID, requestKey(m.id)}
	x.session, x.request = session.Session{}, m.id
	if m.method == string(mcp.MethodSubscriptionsListen) {
		ctx, done := c.h.inflight.start(x.r.Context(), x, key)
		defer done()
		x.r = x.r.WithContext(ctx)
		c.h.listenModern(x, m)
		return
	}
	c.h.answerModern(x, m, key)
}

// write puts a message on a line of its own.
func (c *stdio) write(message []byte) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	c.mu.Lock()
	broken := c.broken
	c.mu.Unlock()
	if broken != nil {
		return
	}
	_, err := c.out.Write(append(message[:len(message):len(message)], '\n'))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = err
}

// listen tells of changed lists, once the client has initialized a session.
func (c *stdio) listen(ctx context.Context, id string) {
	l := &listener{server: c.server, session: id, lists: toolsList | promptsList | resourcesList}
	defer c.h.listeners.add(l)()
	out := &notices{h: c.h, listener: l, subscribed: c.h.subscribed(id)}
	out.deliver = func(message []byte) bool {
		c.mu.Lock()
		initialized := c.session.ProtocolVersion != ""
		c.mu.Unlock()
		if initialized {
			c.write(message)
		}
		return true
	}
	out.run(ctx)
}
