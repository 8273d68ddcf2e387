package bridge

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
)

// call is a message of the client, or of the bridge itself, on its way.
type call struct {
	message
	ctx     context.Context //nolint:containedctx // it is what cancels this call
	cancel  context.CancelFunc
	through chan<- struct{} // closed when the call is over; nil: nobody waits for it
	out     atomic.Bool     // the server has it, as far as anybody knows
	header  http.Header     // of the last answer

	session *session // a message for this one, whatever the current one is
	quiet   bool     // the bridge's own: the answer is its result, and nobody else's
	result  []byte

	left map[string]json.RawMessage // ids that want an answer, by key; guarded by calls
}

func newCall(ctx context.Context, m message) *call {
	c := &call{message: m, left: map[string]json.RawMessage{}}
	c.ctx, c.cancel = context.WithCancel(ctx)
	for _, id := range m.ids {
		c.left[keyOf(id)] = id
	}
	return c
}

// calls are all calls that are not over, by the ids that want answers.
type calls struct {
	mu    sync.Mutex
	byKey map[string]*call
	count int
	bytes int
}

func newCalls() calls { return calls{byKey: map[string]*call{}} }

// add takes a call in, unless there are too many or its ids are in use.
func (s *calls) add(c *call) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count >= maxPending || s.count > 0 && s.bytes+len(c.raw) > maxHeld {
		return newFault(codeBusy, "too much is going on at once; try again when something has been answered")
	}
	if len(c.left) < len(c.ids) {
		return newFault(codeInvalidRequest, "id stands more than once in the list")
	}
	for key := range c.left {
		if s.byKey[key] != nil {
			return newFault(codeInvalidRequest, "id is that of another request, which is not answered yet")
		}
	}
	for key := range c.left {
		s.byKey[key] = c
	}
	s.count++
	s.bytes += len(c.raw)
	return nil
}

// remove ends a call.
func (s *calls) remove(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range c.left {
		s.drop(c, key)
	}
	s.count--
	s.bytes -= len(c.raw)
	c.cancel()
	if c.through != nil {
		close(c.through)
	}
}

// pending is the call that has not answered the request with the key; nil: none.
func (s *calls) pending(key string) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key]
}

// abandon forgets that a request wants an answer, and tells whether it was the
// call's last one.
func (s *calls) abandon(c *call, key string) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c, key)
	return len(c.left) == 0
}

func (s *calls) drop(c *call, key string) {
	delete(c.left, key)
	if s.byKey[key] == c {
		delete(s.byKey, key)
	}
}

// take gives the call that waits for the answer with the key, and answers it:
// nobody else can. nil: nobody waits.
func (s *calls) take(key string) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byKey[key]
	if c != nil {
		s.drop(c, key)
	}
	return c
}

// takeAll answers all that is left of a call, and gives the ids in their order.
func (s *calls) takeAll(c *call) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []json.RawMessage
	for _, id := range c.ids {
		if key := keyOf(id); c.left[key] != nil {
			ids = append(ids, id)
			s.drop(c, key)
		}
	}
	return ids
}

// answered tells whether nothing of a call wants an answer any more.
func (s *calls) answered(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(c.left) == 0
}
