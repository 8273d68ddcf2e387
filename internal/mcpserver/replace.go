package mcpserver

import (
	"context"
	"log/slog"
	"slices"

	"github.com/stagedoor/stagedoor/internal/session"
)

// replace tells the clients of what changed from the old servers to the new
// ones, here and at the other replicas. Servers that are gone end their
// sessions.
func (h *Handler) replace(old, next map[string]*server) {
	ctx, cancel := context.WithTimeout(context.Background(), signalTimeout)
	defer cancel()
	var changes []string
	for name, was := range old {
		is := next[name]
		switch is {
		case was:
			continue
		case nil:
			h.removed(ctx, name)
			continue
		}
		if changed := changedLists(was.versions, is.versions); changed != 0 {
			h.tellLists(name, changed)
			changes = append(changes, name+" "+changed.String())
		}
		if was.door != is.door {
			h.watches.look(name)
		}
		h.tellDocuments(was, is)
		if is.noSSE && !was.noSSE {
			h.listeners.each(name, func(l *listener) { l.ended = l.ended || h.channels.get(l.session) != nil })
		}
	}
	if len(changes) > 0 {
		h.signal(ctx, session.SignalLists, changes...)
	}
}

// tellDocuments tells those who listen which actions' documents changed.
func (h *Handler) tellDocuments(was, is *server) {
	if !h.listeners.any(is.name) {
		return
	}
	var updated []string
	for id, t := range was.documents {
		if now := is.documents[id]; now != nil && now != t && now.document() != t.document() {
			updated = append(updated, t.action.DocumentURI())
		}
	}
	if len(updated) > 0 {
		slices.Sort(updated)
		h.listeners.each(is.name, func(l *listener) { l.updated = append(l.updated, updated...) })
	}
}

// removed ends the sessions of a server that is no more.
func (h *Handler) removed(ctx context.Context, server string) {
	h.listeners.each(server, func(l *listener) { l.ended = true })
	n, err := h.options.Store.DeleteServerSessions(ctx, server)
	if err != nil { // they are unknown with the server, and purged some time
		h.options.Logger.LogAttrs(ctx, slog.LevelWarn, "sessions of a removed server", slog.String("server", server), slog.String("error", err.Error()))
		return
	}
	h.sessions.doubt()
	h.options.Logger.LogAttrs(ctx, slog.LevelInfo, "server removed", slog.String("server", server), slog.Int("sessions", n))
}
