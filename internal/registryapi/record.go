package registryapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// door is what records call this way in.
const door = "registry"

// recorded has what a publisher wants changed written down, and what came of it.
// do says who it is, and the outcome; without one there is no record: leases are
// renewed all day.
func (h *Handler) recorded(r *http.Request, plugin string, do func(r *http.Request, c *audit.Call) error) error {
	ctx, ref := telemetry.WithRef(r.Context())
	c := audit.Call{Face: audit.Registry, Door: door, Ref: ref, Method: r.Method, Tool: plugin}
	start := time.Now()
	err := do(r.WithContext(ctx), &c)
	if err != nil {
		f, known := errors.AsType[*failure](err)
		if !known {
			f = h.failureOf(r.WithContext(ctx), plugin, err)
		}
		err, c.Err, c.Status = f, f, f.status
		c.Outcome = outcomeOf(f.status, c.Principal != nil)
	}
	if c.Principal != nil && isName(plugin) {
		c.Plugin = plugin
	}
	if c.Duration = time.Since(start); c.Outcome != "" {
		h.record(ctx, c)
	}
	return err
}

// outcomeOf is what a refusal is to the audit; "" where the publisher is only
// asked for its document.
func outcomeOf(status int, known bool) string {
	switch {
	case status == http.StatusPreconditionFailed:
		return ""
	case !known, status == http.StatusUnauthorized:
		return string(audit.Unauthenticated)
	case status == http.StatusForbidden, status == http.StatusConflict:
		return string(audit.Denied)
	case status == http.StatusTooManyRequests:
		return string(audit.RateLimited)
	case status == http.StatusServiceUnavailable:
		return "unavailable"
	case status >= http.StatusInternalServerError:
		return "internal"
	}
	return "invalid_request"
}

// holding is the principal that who has a publisher's token is.
func holding(p Publisher) principal.Principal {
	return principal.Principal{Kind: principal.Service, Subject: p.Name, Issuer: "static"}
}

// discard is the default: nobody keeps records.
func discard(context.Context, audit.Call) {}
