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
// plugin is left alone. However often it is tried, it is one call that went well
// or did not.
func (c *Client) persist(
	ctx context.Context, a *openapi.Action, req *http.Request, try func(*http.Request) (*Result, *Error),
) (result *Result, e *Error) {
	began, isProbe := time.Now(), false
	for tries := 1; req != nil; tries++ {
		probe, refused := c.standing.admit()
		if refused != nil {
			if tries == 1 {
				return nil, c.leftAlone(refused)
			}
			break
		}
		isProbe = isProbe || probe
		result, e = try(req)
		if tries > 1 {
			c.retried.count(e)
			if e != nil {
				e.Message += fmt.Sprintf("; it was tried %d times", tries)
			}
		}
		if e == nil || !c.again(ctx, a, tries, e) {
			break
		}
		req = anew(req)
	}
	c.judge(a, e, began, isProbe)
	return result, e
}

// repeatable says whether calls of an action may be made more than once.
func (c *Client) repeatable(a *openapi.Action) bool {
	return c.retries && (a.Attributes.Idempotent || a.Attributes.ReadOnly)
}

// again says whether a call that failed is tried once more, and waits until
// then. Only what may be repeated is, within the call's own time.
func (c *Client) again(ctx context.Context, a *openapi.Action, tries int, e *Error) bool {
	if !c.repeatable(a) || !e.passing || tries == maxTries {
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

// anew is the request, to be sent once more; nil where its body cannot be.
func anew(req *http.Request) *http.Request {
	next := *req
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil
		}
		next.Body = body
	}
	return &next
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
