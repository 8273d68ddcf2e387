package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// A key set is fresh for as long as its answer's max-age says, within these
	// bounds; so long may a key that was withdrawn still count.
	leastFresh, mostFresh = time.Minute, 10 * time.Minute
	// keepStale is how long keys of an issuer that is down count.
	keepStale = 24 * time.Hour
	// A key id that is not in the set has it fetched again, this often at most, so
	// that made-up ones cannot flood the issuer.
	unknownKeyPause = 30 * time.Second
	// requestsPerMinute bounds all requests to one issuer, discovery included.
	requestsPerMinute = 10
	// An issuer that fails is asked again after a pause that doubles.
	firstPause, longestPause = 2 * time.Second, time.Minute
	// attemptTimeout bounds discovery and fetching together.
	attemptTimeout = 10 * time.Second
)

// Keys are the keys of one issuer, from a JWKS URL (RFC 7517) that is in the
// config or in the issuer's metadata. They are fetched when they are first
// needed, and again in time; an issuer that is down is asked less and less
// often. All that share one set share its bounds. It is safe for concurrent use;
// [KeySets] makes it.
type Keys struct {
	source   source
	verified *cache[[32]byte, thumbprint] // which key made a token, see [JWT.Verify]

	mu       sync.Mutex
	set      *keySet       // nil: not fetched yet
	flight   chan struct{} // closed when the attempt under way has ended; nil: there is none
	failed   error         // of the last attempt; nil: it was good
	failures int           // in a row
	retryAt  time.Time     // before it, there is no attempt
	asked    time.Time     // when an unknown key id last had the set fetched
}

// verify finds the key that made the signature. A token without kid is held to
// every key of its algorithm.
func (k *Keys) verify(ctx context.Context, t *JWT, signed *jose.JSONWebSignature) (thumbprint, error) {
	set, err := k.current(ctx)
	if err != nil {
		return thumbprint{}, err
	}
	for {
		key, known := set.verify(t, signed)
		if key != nil {
			return key.thumbprint, nil
		}
		if known && t.KeyID != "" {
			return thumbprint{}, &InvalidError{Message: "token has a wrong signature"}
		}
		newer, err := k.newer(ctx, set)
		if err != nil {
			return thumbprint{}, err
		}
		if newer == set {
			return thumbprint{}, &InvalidError{Message: "token is signed with an unknown key", Cause: fmt.Errorf("kid %q, alg %s", t.KeyID, t.Algorithm)}
		}
		set = newer
	}
}

// has tells whether a key still counts.
func (k *Keys) has(ctx context.Context, key thumbprint) bool {
	set, err := k.current(ctx)
	return err == nil && set.has(key)
}

// current is the set as it should be now. From four fifths of its time on it is
// fetched beside the calls, and only after all of it do they wait for that; not
// for an issuer that is known to be down, as long as its keys count.
func (k *Keys) current(ctx context.Context) (*keySet, error) {
	k.mu.Lock()
	set, now := k.set, time.Now()
	if set != nil && now.Sub(set.fetched) < set.fresh*4/5 {
		k.mu.Unlock()
		return set, nil
	}
	flight := k.attempt(now)
	patient := set == nil || now.Sub(set.fetched) >= keepStale || now.Sub(set.fetched) >= set.fresh && k.failed == nil
	k.mu.Unlock()
	if patient {
		if err := landed(ctx, flight); err != nil {
			return nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set == nil || time.Since(k.set.fetched) >= keepStale {
		return nil, k.unavailable()
	}
	return k.set, nil
}

// newer is the set after one that lacks a key, or the same one where it is not
// yet time to ask for another.
func (k *Keys) newer(ctx context.Context, lacking *keySet) (*keySet, error) {
	k.mu.Lock()
	now := time.Now()
	if k.set == lacking && k.flight == nil && k.failed == nil {
		if now.Sub(k.asked) < unknownKeyPause {
			k.mu.Unlock()
			return lacking, nil
		}
		k.asked = now
	}
	var flight chan struct{}
	if k.set == lacking {
		flight = k.attempt(now)
	}
	k.mu.Unlock()
	if err := landed(ctx, flight); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set == lacking { // the key may be a good one
		return nil, k.unavailable()
	}
	return k.set, nil
}

// landed waits for an attempt; nil is none.
func landed(ctx context.Context, flight chan struct{}) error {
	if flight == nil {
		return nil
	}
	select {
	case <-flight:
		return nil
	case <-ctx.Done():
		return &UnavailableError{Cause: context.Cause(ctx)}
	}
}

// unavailable is called with the lock held.
func (k *Keys) unavailable() error {
	cause := k.failed
	if cause == nil {
		cause = errors.New("keys of the issuer were not fetched")
	}
	return &UnavailableError{RetryAfter: max(time.Until(k.retryAt), time.Second), Cause: cause}
}

// attempt has the keys fetched, once for all who want them, unless it is too
// early after a failure. It is called with the lock held.
func (k *Keys) attempt(now time.Time) chan struct{} {
	if k.flight != nil || now.Before(k.retryAt) {
		return k.flight
	}
	flight := make(chan struct{})
	k.flight = flight
	go func() { // for all who wait, so it does not end with one of them
		ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
		defer cancel()
		set, err := k.source.fetch(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.flight, k.failed = nil, err
		if err == nil {
			k.set, k.failures, k.retryAt = set, 0, time.Time{}
		} else {
			k.retryAt = time.Now().Add(min(firstPause<<min(k.failures, 10), longestPause))
			k.failures++
		}
		close(flight)
	}()
	return flight
}
