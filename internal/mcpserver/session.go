package mcpserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"

	"github.com/stagedoor/stagedoor/internal/session"
)

// session gives the session that the request names. One of another principal
// or server is as unknown as one that never was.
func (h *Handler) session(ctx context.Context, x *exchange) (session.Session, *refusal) {
	id, ok := one(x.r.Header, sessionHeader)
	if !ok || id == "" {
		return session.Session{}, &refusal{status: http.StatusBadRequest, message: "Mcp-Session-Id header is required, once"}
	}
	s, err := h.sessions.find(ctx, id)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return s, h.storeAway(ctx, x, err)
	}
	if err != nil || s.Server != x.server.name || s.Principal != x.principal.Subject {
		return s, &refusal{status: http.StatusNotFound, message: "session is unknown or has ended: initialize again"}
	}
	return s, nil
}

// endSession is the DELETE of 2025-03-26 and later ("Session Management").
func (h *Handler) endSession(x *exchange) {
	if fault := checkLegacyVersion(x.r.Header); fault != nil {
		x.fail(nil, fault)
		return
	}
	s, refused := h.session(x.r.Context(), x)
	if refused == nil {
		if err := h.sessions.end(x.r.Context(), s.ID); err != nil && !errors.Is(err, session.ErrNotFound) {
			refused = h.storeAway(x.r.Context(), x, err)
		}
	}
	if refused != nil {
		x.refuse(refused)
		return
	}
	x.w.WriteHeader(http.StatusNoContent)
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

// newSessionID gives 128 bits that nobody can guess.
func newSessionID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	return base64.RawURLEncoding.EncodeToString(b[:])
}
