// Package publish registers a plugin with a Stagedoor gateway, from the plugin
// itself: one call that lasts as long as the plugin does.
//
//	go publish.Run(ctx, publish.Options{
//		Gateway: "https://stagedoor.internal", Token: token,
//		Plugin: "billing", BaseURL: "https://billing.internal/api", Document: document,
//	})
//
// It needs nothing but the standard library. The protocol is a PUT that is
// repeated: docs/registering.md has it for other languages.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"
)

// Options say what is registered, and where.
type Options struct {
	Gateway  string // URL of the gateway, without a path
	Plugin   string // name: [a-z0-9][a-z0-9-]*
	Token    string // of a publisher of the gateway's config
	BaseURL  string // where the gateway reaches the plugin: what the document's paths are below
	Document []byte // OpenAPI, JSON or YAML

	// Lease is how long the registration lasts without a word: 10 s to 1 h;
	// 0: 60 s. It is renewed three times as often.
	Lease time.Duration
	// LetLapse leaves the registration to its lease when Run ends. It is for
	// plugins of several instances, which would else take it from each other.
	LetLapse bool
	// Logger is told what happens. nil: nobody is.
	Logger *slog.Logger
	// HTTPClient sends the requests. nil: one of its own. No redirect is followed.
	HTTPClient *http.Client
}

// Registration is what the gateway answered.
type Registration struct {
	Plugin     string    `json:"plugin"`
	Generation string    `json:"generation"` // first 12 digits of the document's hash
	State      string    `json:"state"`      // accepted or quarantined: it breaks the gateway's contract lock
	Actions    []string  `json:"actions"`    // names
	Findings   []Finding `json:"findings"`   // about the document; none with renewals
	Lease      Lease     `json:"lease"`
}

// Lease is how long a registration lasts, in seconds.
type Lease struct {
	Until      time.Time `json:"until"`
	Seconds    int       `json:"seconds"`
	RenewAfter int       `json:"renewAfter"` // when to renew it
}

// Finding is something wrong or noteworthy in the document.
type Finding struct {
	Severity  string   `json:"severity"` // error, warning or info
	Code      string   `json:"code"`
	Operation string   `json:"operation"` // "GET /path"; empty when it is about no single one
	Location  Location `json:"location"`
	Message   string   `json:"message"`
	Hint      string   `json:"hint"`
}

// Location is a place in the document; lines and columns count from 1, and are
// 0 where it is not known.
type Location struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Error is the gateway's answer when it did not do what was asked.
type Error struct {
	Status        int    // of the HTTP answer
	Code          string // tells apart what shares a status, for example held; often empty
	Message, Hint string
	Findings      []Finding // about a document that cannot be used (422)

	retryAfter time.Duration
	registered string // ETag of the document that is registered instead (412)
}

// Error gives the status and what the gateway said.
func (e *Error) Error() string {
	text := fmt.Sprintf("gateway answered %d: %s", e.Status, e.Message)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// codeHeld is of a 409 that ends with another publisher's lease.
const codeHeld = "held"

// Permanent tells whether the same request would be refused again. A token that
// the gateway does not know (401) may be one that is being rotated, and what
// another publisher holds ends with its lease.
func (e *Error) Permanent() bool {
	switch e.Status {
	case http.StatusConflict:
		return e.Code != codeHeld
	case http.StatusBadRequest, http.StatusForbidden,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// slow tells whether it takes somebody else to mend it.
func (e *Error) slow() bool { return e.Status == http.StatusUnauthorized || e.Code == codeHeld }

const (
	firstRetry    = 500 * time.Millisecond
	longestRetry  = 30 * time.Second
	longestAsked  = time.Minute     // of what a gateway may ask for with Retry-After
	withdrawBound = 5 * time.Second // of each request when ctx has ended
)

// Once registers the plugin, in one attempt, and leaves renewing to the caller.
func Once(ctx context.Context, o Options) (Registration, error) {
	c, err := newClient(o)
	if err != nil {
		return Registration{}, err
	}
	return c.register(ctx)
}

// Run registers the plugin and keeps it registered until ctx ends; then it
// withdraws it and returns nil. A gateway that is away or busy is tried again,
// less and less often, and every half minute one that does not know the token,
// or where another publisher holds the plugin. An error means that trying again is of no use: it is
// about the options, or an [*Error] that is [Error.Permanent].
//
// Of several instances of a plugin the one that registered last is the one whose
// document counts. The others wait, and register again when it is gone.
func Run(ctx context.Context, o Options) error {
	c, err := newClient(o)
	if err != nil {
		return err
	}
	if !o.LetLapse {
		defer c.withdraw(context.WithoutCancel(ctx))
	}
	for failures := 0; ; {
		wait, err := c.keep(ctx)
		refused, answered := errors.AsType[*Error](err)
		switch {
		case ctx.Err() != nil:
			return nil
		case answered && refused.Permanent():
			return err
		case err != nil:
			wait = c.retry(failures, refused)
			failures++
			c.log.WarnContext(ctx, "plugin is not registered yet, or not renewed", "plugin", o.Plugin, "error", err, "again", wait)
		default:
			failures = 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// keep registers the plugin or renews its lease, and says when to come again.
func (c *client) keep(ctx context.Context) (time.Duration, error) {
	if c.tag != "" {
		_, err := c.renew(ctx)
		refused, answered := errors.AsType[*Error](err)
		switch {
		case !answered || refused.Status != http.StatusPreconditionFailed:
			return c.pause(), err
		case refused.registered != "":
			c.log.InfoContext(ctx, "another instance registered another document of the plugin", "plugin", c.plugin)
			return c.pause(), nil
		}
		c.tag = ""
	}
	heard, cancel := lingering(ctx)
	defer cancel()
	r, err := c.register(heard)
	if err != nil {
		return 0, err
	}
	log := c.log.With("plugin", c.plugin, "generation", r.Generation, "actions", len(r.Actions), "findings", len(r.Findings))
	if r.State == "accepted" {
		log.InfoContext(ctx, "plugin registered")
	} else {
		log.WarnContext(ctx, "plugin registered, but its document waits in quarantine")
	}
	return c.pause(), nil
}

// lingering ends a while after ctx does: what was registered in the last moment
// can only be withdrawn when its answer was heard.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	heard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-heard.Done():
		case <-time.After(withdrawBound):
			cancel()
		}
	})
	return heard, func() { stop(); cancel() }
}

// pause is the time between renewals: not the same for all that began together.
func (c *client) pause() time.Duration { return c.renewAfter*9/10 + rand.N(c.renewAfter/5) } // #nosec G404 -- no secret

// retry is the time until the next attempt after so many that failed: not
// longer than a lease can wait, unless the gateway asks for it.
func (c *client) retry(failures int, refused *Error) time.Duration {
	wait := min(firstRetry<<min(failures, 10), longestRetry, c.renewAfter)
	wait = wait/2 + rand.N(wait/2) // #nosec G404 -- no secret
	if refused != nil && refused.slow() {
		wait = longestRetry/2 + rand.N(longestRetry/2) // #nosec G404 -- no secret
	}
	if refused != nil {
		wait = max(wait, refused.retryAfter)
	}
	return wait
}
