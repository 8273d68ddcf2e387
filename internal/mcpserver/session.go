package mcpserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/quota"
	"github.com/stagedoor/stagedoor/internal/session"
)

// session gives the session that the request names. One of another principal
// or server is as unknown as one that never was.
func (h *Handler) session(ctx context.Context, x *exchange) (session.Session, *refusal) {
	id, ok := one(x.r.Header, sessionHeader)
	if !ok || id == "" {
		return session.Session{}, &refusal{status: http.StatusBadRequest, message: "Mcp-Session-Id header is required, once"}
	}
	if strings.HasPrefix(id, channelPrefix) { // of a transport that has no header for it
		return session.Session{}, unknownSession()
	}
	return h.findSession(ctx, x, id)
}

// findSession gives the caller's session with the id.
func (h *Handler) findSession(ctx context.Context, x *exchange, id string) (session.Session, *refusal) {
	s, err := h.sessions.find(ctx, id)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return s, h.storeAway(ctx, x, err)
	}
	if err != nil || !x.owns(s) {
		return s, unknownSession()
	}
	return s, nil
}

func unknownSession() *refusal {
	return &refusal{status: http.StatusNotFound, message: "session is unknown or has ended: initialize again"}
}

// owns tells whether a session belongs to the server and the principal.
func (x *exchange) owns(s session.Session) bool {
	return s.Server == x.server.name && s.Principal == x.key
}

// open keeps a new session. A principal that has too many at the server loses
// the one that it has not used for the longest time; the anonymous one is
// everybody, and has no bound.
func (h *Handler) open(ctx context.Context, x *exchange, made session.Session) *refusal {
	most := h.options.SessionsPerPrincipal
	if x.key != "" {
		rate := max(most, leastRate)
		release, retryAfter, ok := h.opened.Take(x.server.name, x.key, 1, quota.Limits{CallsPerMinute: rate, Burst: rate})
		if !ok {
			return &refusal{
				status: http.StatusTooManyRequests, message: "you have opened too many sessions: go on with one of them, or try again later",
				header: [2]string{"Retry-After", seconds(retryAfter)},
			}
		}
		release()
	}
	if err := h.sessions.create(ctx, made); err != nil {
		return h.storeAway(ctx, x, err)
	}
	if x.key == "" {
		return nil
	}
	beyond, err := h.options.Store.OtherSessions(ctx, made, most-1, endAtOnce)
	if err != nil {
		_ = h.storeAway(ctx, x, err) // logged there; the next one ends them
	}
	for _, id := range beyond {
		_ = h.close(ctx, x, id) // likewise
	}
	return nil
}

const (
	// leastRate is how many sessions a principal may open within a minute at
	// least, however few it may have.
	leastRate = 60
	// endAtOnce bounds how many sessions end for a new one: after the bound was
	// lowered there can be many too many.
	endAtOnce = 16
)

// endSession is the DELETE of 2025-03-26 and later ("Session Management").
func (h *Handler) endSession(x *exchange) {
	if fault := checkLegacyVersion(x.r.Header); fault != nil {
		x.fail(nil, fault)
		return
	}
	s, refused := h.session(x.r.Context(), x)
	if refused == nil {
		refused = h.close(x.r.Context(), x, s.ID)
	}
	if refused != nil {
		x.refuse(refused)
		return
	}
	x.w.WriteHeader(http.StatusNoContent)
}

// close ends a session at all replicas: its streams and what it still has done.
func (h *Handler) close(ctx context.Context, x *exchange, id string) *refusal {
	if err := h.sessions.end(ctx, id); err != nil && !errors.Is(err, session.ErrNotFound) {
		return h.storeAway(ctx, x, err)
	}
	h.ended(id)
	h.signal(ctx, session.SignalEnded, id)
	return nil
}

// storeFault is storeAway within a session.
func (h *Handler) storeFault(ctx context.Context, x *exchange, err error) *rpcError {
	return &rpcError{code: mcp.INTERNAL_ERROR, message: h.storeAway(ctx, x, err).message}
}

// storeAway says that the database does not answer, and when to try again.
func (h *Handler) storeAway(ctx context.Context, x *exchange, err error) *refusal {
	h.options.Logger.LogAttrs(ctx, slog.LevelError, "session store", slog.String("server", x.server.name),
		slog.String("ref", x.ref), slog.String("error", err.Error()))
	return &refusal{
		status: http.StatusServiceUnavailable, message: "sessions are not available (reference " + x.ref + ")",
		header: [2]string{"Retry-After", "1"},
	}
}

// channelPrefix begins the ids of sessions that live on one connection to the
// client, so that every replica knows where the answers go.
const channelPrefix = "channel."

// newSessionID gives 128 bits that nobody can guess.
func newSessionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	return base64.RawURLEncoding.EncodeToString(b[:])
}
