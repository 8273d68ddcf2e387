package credential

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// maxTokens bounds the tokens that one source holds. Of more, the one that was
	// not used for the longest time goes.
	maxTokens = 4096
	// A token is renewed so long before its end, or a quarter of its life, and
	// somewhat earlier by chance, so that replicas do not all ask at once.
	renewBefore = 30 * time.Second
	// After a failure nobody asks again for a second, and twice as long each time.
	firstBackoff, longestBackoff = time.Second, 30 * time.Second
	// dropAfter is the age from which a token can be refused for having been
	// revoked: a plugin that refuses all has nobody ask for more of them.
	dropAfter = 5 * time.Second
)

// tokens are bearer tokens that were asked for, by key. However many want the
// same one, it is asked for once.
type tokens struct {
	now func() time.Time

	mu      sync.Mutex
	held    map[string]*token
	flights singleflight.Group
}

// token is what came of asking.
type token struct {
	credentials *Credentials // nil: there never were any
	made        time.Time
	renew, end  time.Time // a new one is asked for, this one is used no more
	used        time.Time

	err      error // of the last try, where that failed
	failures int
	again    time.Time // not before that
}

func newTokens(now func() time.Time) *tokens {
	if now == nil {
		now = time.Now
	}
	return &tokens{now: now, held: map[string]*token{}}
}

// get gives the token of a key as credentials, and asks for it where there is
// none that is good. Who gives up waiting stops nobody else.
func (t *tokens) get(ctx context.Context, key string, ask func(context.Context) (grant, error)) (*Credentials, error) {
	if c, known, err := t.look(key); known {
		return c, err
	}
	done := t.flights.DoChan(key, func() (any, error) {
		if c, known, err := t.look(key); known { // of a flight that ended just now
			return c, err
		}
		g, err := ask(context.WithoutCancel(ctx))
		return t.keep(key, g, err)
	})
	select {
	case r := <-done:
		c, _ := r.Val.(*Credentials)
		return c, r.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// look gives what is known of a key: a token that is good, or a failure after
// which it is too early to ask again.
func (t *tokens) look(key string) (c *Credentials, known bool, err error) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.held[key]
	switch {
	case e == nil:
		return nil, false, nil
	case e.credentials != nil && now.Before(e.renew), e.credentials != nil && now.Before(e.end) && now.Before(e.again):
		e.used = now
		return e.credentials, true, nil
	case now.Before(e.again):
		return nil, true, e.err
	}
	return nil, false, nil
}

// keep notes what came of asking. A token that is still good outlasts a failure.
func (t *tokens) keep(key string, g grant, err error) (*Credentials, error) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.held[key]
	if err != nil {
		if e == nil {
			e = &token{}
			t.put(key, e)
		}
		wait := min(longestBackoff, firstBackoff<<min(e.failures, 10))
		e.err, e.failures, e.again, e.used = err, e.failures+1, now.Add(wait), now
		if e.credentials != nil && now.Before(e.end) {
			return e.credentials, nil
		}
		e.credentials = nil
		return nil, err
	}
	early := min(renewBefore, g.life/4)
	early += rand.N(early + 1) //nolint:gosec // no secret
	e = &token{credentials: bearer(g.token), made: now, used: now, renew: now.Add(g.life - early), end: now.Add(g.life)}
	e.credentials.Drop = func() { t.drop(key, e) }
	t.put(key, e)
	return e.credentials, nil
}

// drop forgets a token that was refused, unless it was made just now or there is
// another one already.
func (t *tokens) drop(key string, e *token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[key] == e && t.now().Sub(e.made) >= dropAfter {
		delete(t.held, key)
	}
}

// put keeps an entry, in the place of the least used one where there are too
// many.
func (t *tokens) put(key string, e *token) {
	if _, there := t.held[key]; !there && len(t.held) >= maxTokens {
		oldest := ""
		for k, held := range t.held {
			if oldest == "" || held.used.Before(t.held[oldest].used) {
				oldest = k
			}
		}
		delete(t.held, oldest)
	}
	t.held[key] = e
}
