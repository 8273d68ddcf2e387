package mcpserver

import (
	"context"
	"time"
)

const (
	flushEvery = 10 * time.Second
	purgeEvery = 10 * time.Minute
	// lastFlush is what a stopping gateway gives its database.
	lastFlush = 5 * time.Second
)

// Run does the housekeeping of sessions until the context ends: when they were
// last seen goes to the database, the old ones go from it.
func (h *Handler) Run(ctx context.Context) {
	flush, purge := time.NewTicker(flushEvery), time.NewTicker(purgeEvery)
	defer flush.Stop()
	defer purge.Stop()
	for {
		select {
		case <-flush.C:
			h.flush(ctx)
		case <-purge.C:
			h.purge(ctx)
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			h.flush(ctx)
			return
		}
	}
}

func (h *Handler) flush(ctx context.Context) {
	if err := h.sessions.flush(ctx); err != nil {
		h.options.Logger.WarnContext(ctx, "session flush", "error", err)
	}
}

func (h *Handler) purge(ctx context.Context) {
	n, err := h.sessions.purge(ctx)
	if err != nil {
		h.options.Logger.WarnContext(ctx, "session purge", "error", err)
	} else if n > 0 {
		h.options.Logger.InfoContext(ctx, "sessions purged", "count", n)
	}
}
