package mcpserver

import (
	"context"
	"net/http"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/session"
)

// maxQueued bounds what waits for a client that does not read.
const maxQueued = 64 << 20

// channel is a client's one connection in the transports that have one for all
// messages to it: HTTP+SSE and stdio.
type channel struct {
	mu     sync.Mutex
	queue  [][]byte
	bytes  int
	closed bool
	work   int // requests that may still put something
	wake   chan struct{}
}

func newChannel() *channel { return &channel{wake: make(chan struct{}, 1)} }

// put queues a message; false says that the client has stopped reading.
func (c *channel) put(message []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.bytes+len(message) > maxQueued {
		c.closed = true
		nudge(c.wake)
		return false
	}
	c.queue = append(c.queue, message)
	c.bytes += len(message)
	nudge(c.wake)
	return true
}

func (c *channel) take() (messages [][]byte, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	messages, c.queue, c.bytes = c.queue, nil, 0
	return messages, c.closed
}

// begin and done stand around the work on a message of the client.
func (c *channel) begin() { c.add(1) }
func (c *channel) done()  { c.add(-1) }

func (c *channel) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.work += n; c.work == 0 {
		nudge(c.wake) // somebody may wait for the last of it
	}
}

// idle tells whether all that there will be was put.
func (c *channel) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.work == 0
}

// channels are the connections of this replica, by session.
type channels struct {
	mu  sync.Mutex
	all map[string]*channel
}

func (cs *channels) add(session string, c *channel) (remove func()) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all == nil {
		cs.all = map[string]*channel{}
	}
	cs.all[session] = c
	return func() {
		cs.mu.Lock()
		defer cs.mu.Unlock()
		delete(cs.all, session)
	}
}

func (cs *channels) get(session string) *channel {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.all[session]
}

// converse answers a message of a session that lives on a channel. Its
// initialize comes when the session is there already.
func (h *Handler) converse(ctx context.Context, x *exchange, m *envelope) {
	switch {
	case m.batch != nil:
		if answers := h.appendBatch(ctx, x, nil, m.batch); len(answers) > 0 {
			x.send(http.StatusOK, answers)
		}
		return
	case m.method == string(mcp.MethodInitialize) && m.id != nil:
		h.initializeChannel(ctx, x, m)
		return
	case x.session.ProtocolVersion == "" && m.id != nil && !m.response && m.method != string(mcp.MethodPing):
		x.fail(m.id, invalidRequest("initialize comes first"))
		return
	}
	if answer := h.appendLegacy(ctx, x, nil, m); len(answer) > 0 {
		x.send(http.StatusOK, answer)
	}
}

func (h *Handler) initializeChannel(ctx context.Context, x *exchange, m *envelope) {
	if x.session.ProtocolVersion != "" {
		x.fail(m.id, invalidRequest("session is initialized already"))
		return
	}
	made, result, fault := h.introduce(ctx, x, x.session.ID, m)
	if fault == nil {
		if err := h.options.Store.UpdateSession(ctx, made); err != nil {
			fault = h.storeFault(ctx, x, err)
		}
	}
	if fault != nil {
		x.fail(m.id, fault)
		return
	}
	h.sessions.change(made.ID, func(s *session.Session) {
		s.ProtocolVersion, s.ClientInfo, s.Capabilities = made.ProtocolVersion, made.ClientInfo, made.Capabilities
	})
	x.session = made
	x.send(http.StatusOK, appendAnswer(nil, m.id, result, nil))
}
