package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

const (
	// wakeJitter keeps replicas that are woken together from asking a plugin in
	// the same moment.
	wakeJitter = 500 * time.Millisecond
	// wakeGap is the least time between the polls of a source that is woken all
	// the time, unless it is polled more often anyway.
	wakeGap = time.Second
	// firstBackoff is the time after the first error, unless the source is polled
	// more often anyway: most of what fails is back soon.
	firstBackoff = 2 * time.Second
	// longestBackoff bounds the time between polls of a source that fails, unless
	// ten times its normal one is more.
	longestBackoff = 5 * time.Minute
)

// WatchOptions say when a source is polled.
type WatchOptions struct {
	// Every is the time between the polls of a source that works; they vary by a
	// tenth, so that sources and replicas spread out.
	Every time.Duration
	// Longest bounds the time between polls that fail. 0: five minutes, or
	// ten times Every where that is more.
	Longest time.Duration
	// First is the time before the first poll.
	First time.Duration
	// Wake asks for a poll soon; several wakes come to one. It should have room for
	// one value, so that a wake during a poll is not lost. nil: nobody does.
	Wake <-chan struct{}
}

// PanicError is a panic of a source's Poll.
type PanicError struct {
	Source string
	Value  any
	Stack  []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("source %s: program error: %v", e.Source, e.Value)
}

// Watch polls a source until ctx ends, and tells each outcome: what is new, a
// nil publication where nothing is, or an error. The next poll comes after
// deliver has returned. After an error it polls soon again, and then less and less
// often, or as a busy server asks, within Longest.
func Watch(ctx context.Context, s Source, o WatchOptions, deliver func(context.Context, *Publication, error)) {
	w := watch{every: o.Every, longest: max(o.Longest, o.Every), wake: o.Wake}
	if o.Longest == 0 {
		w.longest = max(10*w.every, longestBackoff)
	}
	for due := jitter(o.First); w.wait(ctx, due); {
		w.begun = time.Now()
		p, err := poll(ctx, s)
		if ctx.Err() != nil {
			return
		}
		deliver(ctx, p, err)
		due = w.next(err)
	}
}

// poll makes an error of a panic: one source must not end the others.
func poll(ctx context.Context, s Source) (p *Publication, err error) {
	defer func() {
		if v := recover(); v != nil {
			p, err = nil, &PanicError{Source: s.String(), Value: v, Stack: debug.Stack()}
		}
	}()
	return s.Poll(ctx)
}

// watch is when a source is polled.
type watch struct {
	every, longest time.Duration
	wake           <-chan struct{}
	begun          time.Time     // of the last poll; zero: there was none
	backoff        time.Duration // after the last error; 0: there was none
}

// next is how long to wait after a poll.
func (w *watch) next(err error) time.Duration {
	if err == nil {
		w.backoff = 0
		return jitter(w.every)
	}
	w.backoff = min(max(min(w.every, firstBackoff), 2*w.backoff), w.longest)
	due := w.backoff
	if status, ok := errors.AsType[*StatusError](err); ok {
		due = min(max(due, status.RetryAfter), w.longest)
	}
	return jitter(due)
}

// wait waits until a poll is due, or soon after somebody asks for one, and
// tells whether there is to be one.
func (w *watch) wait(ctx context.Context, due time.Duration) bool {
	timer := time.NewTimer(due)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-w.wake:
	}
	w.backoff = 0              // somebody knows more
	soon := rand.N(wakeJitter) // #nosec G404 -- no secret
	if !w.begun.IsZero() {
		soon = max(soon, min(w.every, wakeGap)-time.Since(w.begun))
	}
	timer.Reset(soon)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	select {
	case <-w.wake: // for this poll, too
	default:
	}
	return true
}

// jitter is a time within a tenth of d.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1) // #nosec G404 -- no secret
}
