package bridge

import (
	"context"
	"errors"
	"sync"
	"time"
)

// access is the token that requests are sent with.
type access struct {
	tokens  Tokens // nil: none
	flights flights

	mu     sync.Mutex
	barred string // a token that was refused although it was new
	until  time.Time
}

// barFor is how long a server that refuses new tokens is believed: each renewal
// may cost a refresh token.
const barFor = 30 * time.Second

// bar notes a new token that the server refuses.
func (a *access) bar(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.barred, a.until = token, time.Now().Add(barFor)
}

func (a *access) isBarred(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return token == a.barred && time.Now().Before(a.until)
}

// errRefused is what a client is told when no token helps.
var errRefused = newFault(codeLoggedOut, "server refuses the token that it was given")

// token gives what to send; while somebody logs in, it waits.
func (a *access) token(ctx context.Context) (string, error) {
	if a.tokens == nil {
		return "", nil
	}
	if err := a.flights.wait(ctx); err != nil {
		return "", err
	}
	token, err := a.tokens.Token(ctx)
	return token, loggedOut(ctx, err)
}

// renew gets another token than the one that was rejected. It is done once for
// all requests that wait for it, and goes on for life when they are given up.
func (a *access) renew(ctx, life context.Context, rejected string) error {
	if a.tokens == nil {
		return newFault(codeLoggedOut, "server wants a token, or another one than the Authorization header has")
	}
	if a.isBarred(rejected) {
		return errRefused
	}
	err := a.flights.once(ctx, life, "renew "+rejected, func(ctx context.Context) error {
		if token, err := a.tokens.Token(ctx); err == nil && token != "" && token != rejected {
			return nil // somebody else renewed it
		}
		_, err := a.tokens.Refresh(ctx, rejected)
		return err
	})
	return loggedOut(ctx, err)
}

// stepUp gets a token with more scopes.
func (a *access) stepUp(ctx, life context.Context, challenge string) error {
	if a.tokens == nil {
		return newFault(codeLoggedOut, "server wants a token with more scopes than that in the Authorization header has")
	}
	err := a.flights.once(ctx, life, "step up "+challenge, func(ctx context.Context) error {
		return a.tokens.StepUp(ctx, challenge)
	})
	return loggedOut(ctx, err)
}

// loggedOut is what a client is told when there is no token for it.
func loggedOut(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if _, known := errors.AsType[*fault](err); known {
		return err
	}
	return newFault(codeLoggedOut, err.Error())
}

// flights are things that are done once for all who want them at the same time.
type flights struct {
	mu    sync.Mutex
	going map[string]*flight
}

type flight struct {
	done chan struct{}
	err  error
}

// once does the work, or waits for whoever does it already. The work ends with
// life, whoever began it; ctx only ends the waiting.
func (f *flights) once(ctx, life context.Context, key string, work func(context.Context) error) error {
	f.mu.Lock()
	if f.going == nil {
		f.going = map[string]*flight{}
	}
	one := f.going[key]
	if one == nil {
		one = &flight{done: make(chan struct{})}
		f.going[key] = one
		go func() {
			one.err = work(life)
			f.mu.Lock()
			delete(f.going, key)
			f.mu.Unlock()
			close(one.done)
		}()
	}
	f.mu.Unlock()
	select {
	case <-one.done:
		return one.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait waits until nothing is going on.
func (f *flights) wait(ctx context.Context) error {
	for {
		f.mu.Lock()
		var one *flight
		for _, one = range f.going {
			break
		}
		f.mu.Unlock()
		if one == nil {
			return nil
		}
		select {
		case <-one.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
