package invoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

const (
	maxTries = 3
	// firstBackoff bounds the wait before the second try; it is four times as
	// long before the third.
	firstBackoff = 50 * time.Millisecond
	// longestRetryAfter bounds the wait that a plugin may ask for: rather than
	// wait longer, the caller is told.
	longestRetryAfter = 5 * time.Second
)

// budget keeps retries from making an outage worse: ten in hand, and one more
// for every ten calls. It is counted in tenths.
type budget struct{ tenths atomic.Int64 }

const fullBudget = 100

func (b *budget) earn() {
	if n := b.tenths.Load(); n < fullBudget {
		b.tenths.CompareAndSwap(n, n+1) // a call that is not counted costs a tenth
	}
}

func (b *budget) spend() bool {
	for n := b.tenths.Load(); n >= 10; n = b.tenths.Load() {
		if b.tenths.CompareAndSwap(n, n-10) {
			return true
		}
	}
	return false
}

// persist tries a request, again where that is allowed and of use, until its
// plugin is left alone.
func (c *Client) persist(ctx context.Context, a *openapi.Action, req *http.Request, try func(*http.Request) (*Result, *Error)) (*Result, *Error) {
	var last *Error
	for tries := 1; ; tries++ {
		probe, refused := c.standing.admit()
		if refused != nil && last == nil {
			return nil, c.leftAlone(refused)
		}
		if refused != nil {
			return nil, last
		}
		began := time.Now()
		result, e := try(req)
		c.judge(e, began, probe)
		if tries > 1 {
			c.retried.count(e)
		}
		if e == nil {
			return result, nil
		}
		if tries > 1 {
			e.Message += fmt.Sprintf("; it was tried %d times", tries)
		}
		if !c.again(ctx, a, tries, e) {
			return nil, e
		}
		var err error
		if req, err = anew(req); err != nil {
			return nil, e
		}
		last = e
	}
}

// again says whether a call that failed is tried once more, and waits until
// then. Only what may be repeated is, within the call's own time.
func (c *Client) again(ctx context.Context, a *openapi.Action, tries int, e *Error) bool {
	if !c.retries || !e.passing || tries == maxTries || !a.Attributes.Idempotent && !a.Attributes.ReadOnly {
		return false
	}
	wait := e.wait + rand.N(firstBackoff<<(2*(tries-1))) //nolint:gosec // no secret
	if e.wait > longestRetryAfter {
		return false
	}
	if until, ok := ctx.Deadline(); ok && time.Until(until) <= wait {
		return false
	}
	if !c.budget.spend() {
		c.retried.overBudget.Add(1)
		return false
	}
	pause := time.NewTimer(wait)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// anew is the request, to be sent once more.
func anew(req *http.Request) (*http.Request, error) {
	next := *req
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		next.Body = body
	}
	return &next, nil
}

// isConnection tells whether a request failed because there was no connection,
// or none any more. What took its time before it failed will do so again.
func isConnection(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) {
		return !op.Timeout()
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
