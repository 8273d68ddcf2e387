package invoke

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	defaultConcurrency = 256
	// waitForPlace is how long a call waits at most for another one to end. It is
	// not taken off the plugin's time.
	waitForPlace = time.Second
)

// places bound the calls of a plugin that are under way, so that one that hangs
// costs no more than them. As many calls may wait for one.
type places struct {
	taken   chan struct{}
	waiting atomic.Int64
}

func newPlaces(n int) *places {
	if n <= 0 {
		n = defaultConcurrency
	}
	return &places{taken: make(chan struct{}, n)}
}

// take waits for a place a moment, and not beyond the context.
func (p *places) take(ctx context.Context, moment time.Duration) bool {
	select {
	case p.taken <- struct{}{}:
		return true
	default:
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > int64(cap(p.taken)) {
		return false
	}
	patience := time.NewTimer(moment)
	defer patience.Stop()
	select {
	case p.taken <- struct{}{}:
		return true
	case <-ctx.Done():
	case <-patience.C:
	}
	return false
}

func (p *places) leave() { <-p.taken }

// enter takes a place, unless the plugin is left alone or busy. Whoever was let
// in gives the place back.
func (c *Client) enter(ctx context.Context, moment time.Duration) *Error {
	if refused := c.standing.refuses(); refused != nil {
		return c.leftAlone(refused)
	}
	if c.places.take(ctx, moment) {
		c.budget.earn()
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return c.unanswered(ctx, 0, ctx.Err())
	}
	c.refusedBusy.Add(1)
	n := cap(c.places.taken)
	calls := "calls"
	if n == 1 {
		calls = "call"
	}
	return &Error{
		Kind: Unavailable, Headers: later(time.Second),
		Message: fmt.Sprintf("%s has %d %s under way, which is all it may have; try again in a moment", c.name, n, calls),
	}
}
