package invoke

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// Health is how a plugin does, as its calls saw it.
type Health struct {
	// DownSince is the first failure that no answer followed, of calls or of
	// what [Client.Down] told; zero: nothing is wrong that is known.
	DownSince time.Time
	// Reason of the last failure, fit to be shown; empty: nothing is wrong.
	Reason   string
	Open     bool // it is left alone: calls fail at once
	InFlight int  // calls that have a place
	Waiting  int  // calls that wait for one

	// Of all calls so far:
	RefusedBusy, RefusedOpen                 uint64 // calls that were not made
	RetriesOK, RetriesFailed, RetriesRefused uint64 // retries by what came of them; refused: over the budget
}

// retried counts tries after the first.
type retried struct{ ok, failed, overBudget atomic.Uint64 }

func (r *retried) count(e *Error) {
	if e != nil && (e.passing || e.verdict != there) {
		r.failed.Add(1)
	} else {
		r.ok.Add(1)
	}
}

// Health tells how the plugin does now.
func (c *Client) Health() Health {
	since, reason := c.standing.known()
	return Health{
		DownSince: since, Reason: reason, Open: c.standing.open.Load(),
		InFlight: len(c.places.taken), Waiting: int(c.places.waiting.Load()),
		RefusedBusy: c.refusedBusy.Load(), RefusedOpen: c.refusedOpen.Load(),
		RetriesOK: c.retried.ok.Load(), RetriesFailed: c.retried.failed.Load(), RetriesRefused: c.retried.overBudget.Load(),
	}
}

// Down notes that the plugin's source sees it down since a time, so that a
// call that fails can say so; a reason is fit to be shown. It stops no calls:
// the documents may be elsewhere than the API. It may be told again and again.
func (c *Client) Down(since time.Time, reason string) {
	c.standing.down(since, c.discreet(withoutHosts("", reason)))
}

// Up takes back what Down told, and has a plugin that is left alone tried by
// the next call.
func (c *Client) Up() { c.standing.up() }

// leftAlone is the error of a call that is not made.
func (c *Client) leftAlone(r *refusal) *Error {
	c.refusedOpen.Add(1)
	wait := (r.wait + time.Second - 1).Truncate(time.Second)
	return &Error{
		Kind: Unavailable, Headers: later(wait),
		Message: fmt.Sprintf("%s has been down since %s (%s); it is tried again in %v", c.name, stamp(r.since), r.reason, wait),
	}
}

// later says when to try again, in full seconds.
func later(wait time.Duration) []Header {
	return []Header{{"retry-after", strconv.Itoa(int(wait / time.Second))}}
}

// stamp writes a time for people and models.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// judge tells the standing what a call came to, and completes what its error
// says by what was known before.
func (c *Client) judge(a *openapi.Action, e *Error, began time.Time, probe bool) {
	switch {
	case e == nil || e.verdict == there:
		if c.standing.answered() {
			c.log.Info("plugin answers again", "plugin", c.plugin)
		}
	case e.verdict == down:
		since, opened := c.standing.failed(failure{a.Operation, e.reason, e.lost, began, probe})
		if opened {
			c.log.Warn("plugin is left alone for a while: it keeps failing", "plugin", c.plugin, "since", stamp(since), "reason", e.reason)
		}
		if !since.IsZero() && e.Status == 0 {
			e.Message += "; it has not answered since " + stamp(since)
		}
	}
}

// downBy says of a status that its plugin is down, by whoever stands before it;
// "" of others. A 500 may be of one operation alone, while others do well.
func downBy(status int) string {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Sprintf("HTTP %d", status)
	}
	return ""
}

// unreadable is the reason where there is an answer of some kind.
const unreadable = "its answer cannot be read"

// reasonOf words why there was no answer, without addresses.
func reasonOf(err error) string {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var slow net.Error
	switch {
	case errors.As(err, &name):
		return "its host name is unknown"
	case errors.As(err, &certificate):
		return "its TLS certificate is not valid"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to it"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it hung up"
	case errors.As(err, &slow) && slow.Timeout():
		return "no connection in time"
	}
	return unreadable
}
