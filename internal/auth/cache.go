package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxVerified bounds the tokens that a verifier remembers.
const maxVerified = 4096

// digest is what tokens are known by, so that none is kept to compare with.
func digest(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// cache remembers up to a number of values until each one's end. It is safe for
// concurrent use.
type cache[K comparable, V any] struct {
	most int

	mu  sync.RWMutex
	all map[K]entry[V]
}

type entry[V any] struct {
	value V
	end   time.Time
}

func newCache[K comparable, V any](most int) *cache[K, V] {
	return &cache[K, V]{most: most, all: map[K]entry[V]{}}
}

func (c *cache[K, V]) get(key K, now time.Time) (value V, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.all[key]
	if !ok || !now.Before(e.end) {
		return value, false
	}
	return e.value, true
}

// put makes room where there is none: of a few entries that chance picks, those
// that have ended go, or else one of them.
func (c *cache[K, V]) put(key K, value V, now, end time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) >= c.most {
		c.evict(now)
	}
	c.all[key] = entry[V]{value, end}
}

func (c *cache[K, V]) evict(now time.Time) {
	looked := 0
	for k, e := range c.all {
		if !now.Before(e.end) || looked == 7 || looked == len(c.all)-1 {
			delete(c.all, k)
		}
		if looked++; looked == 8 {
			return
		}
	}
}
