package principal

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Gate stands at a way in: it finds out who sends a request. Package auth has
// the one; the HTTP faces know it by this. It is safe for concurrent use.
type Gate interface {
	// Authenticate tells who sends a request, or why it is turned away. Nothing of
	// the body is read.
	Authenticate(r *http.Request) (Principal, *Refusal)
	// StepUp is the refusal of a principal whose token has not all the scopes that a
	// request needs (RFC 6750, section 3.1: insufficient_scope), and which of them
	// are missing.
	StepUp(p Principal, needed, missing []string) *Refusal
}

// Refusal is why a request is turned away, and what its sender is told.
type Refusal struct { //nolint:errname // an answer first, and an error for the log
	// Status is 400, 401, 403, 429 or 503.
	Status int
	// Challenge is the value of WWW-Authenticate; "": there is none.
	Challenge string
	// RetryAfter is when to come again; 0: it is not said.
	RetryAfter time.Duration
	// Message is for the sender: it names no inner host and no secret.
	Message string
	// Cause is for the log; nil: Message says it all.
	Cause error
}

// Error is the cause, for logs.
func (r *Refusal) Error() string {
	if r.Cause != nil {
		return r.Message + ": " + r.Cause.Error()
	}
	return r.Message
}

// SetHeader says in an answer's header what the refusal says.
func (r *Refusal) SetHeader(h http.Header) {
	if r.Challenge != "" {
		h.Set("WWW-Authenticate", r.Challenge)
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
}

// Open is the gate that asks nobody: everybody is the anonymous principal.
var Open Gate = open{} //nolint:gochecknoglobals // it is constant

type open struct{}

func (open) Authenticate(*http.Request) (Principal, *Refusal) { return Principal{}, nil }

func (open) StepUp(Principal, []string, []string) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Message: "the scopes for this are missing"}
}
