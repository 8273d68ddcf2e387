package mcpserver

import (
	lru "container/list"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	// cacheSize and cacheBytes bound the sessions that a replica remembers.
	cacheSize  = 16 << 10
	cacheBytes = 32 << 20
	// cachedCost is what a session takes beside what its client said.
	cachedCost = 512
)

// sessionCache remembers the sessions that were used last. Those that nobody
// used since they were made go first: making many costs the others nothing.
type sessionCache struct {
	all         map[string]*lru.Element // of *cachedSession
	fresh, used lru.List                // the last used first
	bytes       int
}

type cachedSession struct {
	session session.Session
	until   time.Time // after it, the database is asked again
	used    bool
	// ended sessions are remembered, so that no lookup that began before the end
	// brings them back.
	ended bool
}

func (c *cachedSession) size() int {
	return cachedCost + len(c.session.ClientInfo) + len(c.session.Capabilities)
}

// get gives the session, nil where it is not remembered.
func (c *sessionCache) get(id string) *cachedSession {
	if at := c.all[id]; at != nil {
		return at.Value.(*cachedSession)
	}
	return nil
}

// use notes that a session was wanted, where it is remembered.
func (c *sessionCache) use(id string) {
	at := c.all[id]
	if at == nil {
		return
	}
	found := at.Value.(*cachedSession)
	if found.used {
		c.used.MoveToFront(at)
		return
	}
	c.fresh.Remove(at)
	found.used = true
	c.all[id] = c.used.PushFront(found)
}

// put remembers a session; what is too much goes.
func (c *sessionCache) put(made cachedSession) {
	c.drop(made.session.ID)
	at := &c.fresh
	if made.used {
		at = &c.used
	}
	c.all[made.session.ID] = at.PushFront(&made)
	c.bytes += made.size()
	for len(c.all) > cacheSize || c.bytes > cacheBytes {
		last := c.fresh.Back()
		if last == nil {
			last = c.used.Back()
		}
		c.drop(last.Value.(*cachedSession).session.ID)
	}
}

func (c *sessionCache) drop(id string) {
	at := c.all[id]
	if at == nil {
		return
	}
	found := at.Value.(*cachedSession)
	c.bytes -= found.size()
	if found.used {
		c.used.Remove(at)
	} else {
		c.fresh.Remove(at)
	}
	delete(c.all, id)
}

// each visits all; they may be dropped meanwhile.
func (c *sessionCache) each(visit func(id string, found *cachedSession)) {
	for id, at := range c.all {
		visit(id, at.Value.(*cachedSession))
	}
}
