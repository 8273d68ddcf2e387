package mcpserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"

	"github.com/stagedoor/stagedoor/internal/session"
)

// signal tells the other replicas. It is a hint: where it cannot be sent they
// find out later.
func (h *Handler) signal(ctx context.Context, topic string, keys ...string) {
	signals := make([]session.Signal, len(keys))
	for i, key := range keys {
		signals[i] = session.Signal{Topic: topic, Key: key, Replica: h.options.Replica}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signalTimeout)
	defer cancel()
	if err := h.options.Store.Signal(ctx, signals...); err != nil {
		h.options.Logger.LogAttrs(ctx, slog.LevelWarn, "signal", slog.String("topic", topic), slog.String("error", err.Error()))
	}
}

// Heard takes a signal. Those that this replica sent itself say nothing new,
// except that there is mail, and which of many was the last. It does not block for long.
func (h *Handler) Heard(s session.Signal) {
	switch s.Topic {
	case session.SignalResync:
		h.resync()
		return
	case session.SignalMail:
		h.mail.wake(s.Key)
		return
	case session.SignalListen:
		h.listeners.newest(s.Key, s.Replica == h.options.Replica)
		return
	}
	if s.Replica == h.options.Replica {
		return
	}
	switch s.Topic {
	case session.SignalCancel:
		if id, request, ok := strings.Cut(s.Key, " "); ok {
			h.inflight.cancel(id, request)
		}
	case session.SignalTask:
		id, owner, _ := strings.Cut(s.Key, " ")
		h.heardTask(id, owner)
	case session.SignalEnded:
		h.ended(s.Key)
	case session.SignalUnlisten:
		if h.listeners.has(s.Key) {
			go h.signal(context.Background(), session.SignalListen, s.Key)
		}
	case session.SignalFollow:
		h.followHere(s.Key)
	case session.SignalEvents:
		h.followers.wake(s.Key)
	case session.SignalLists:
		if name, lists, ok := strings.Cut(s.Key, " "); ok {
			h.tellLists(name, parseLists(lists))
		}
	}
}

// resync looks at everything again: signals may have been lost.
func (h *Handler) resync() {
	h.sessions.doubt()
	h.mail.wakeAll()
	h.followers.wakeAll()
	h.taskNews.wakeAll()
	h.works.each(func(w *work) { go w.look() })
	h.listeners.allTasks()
}

// ended is told of a session that ended, here or elsewhere.
func (h *Handler) ended(id string) {
	h.sessions.ended(id)
	h.listeners.end(id)
	h.inflight.cancelSession(id)
}

// followHere is asked by a replica that has the stream's client now.
func (h *Handler) followHere(stream string) {
	if x := h.live.get(stream); x != nil {
		h.log.follow(stream)
		go x.leave() // it may be writing to a client that does not read
	}
	go h.signal(context.Background(), session.SignalEvents, stream) // what there was before
}

// logged is told of streams that have new events in the database.
func (h *Handler) logged(streams, followed []string) {
	for _, stream := range streams {
		h.followers.wake(stream)
	}
	if len(followed) > 0 {
		h.signal(context.Background(), session.SignalEvents, followed...)
	}
}

// requestKey is the id of a request in signals: ids can be long.
func requestKey(id []byte) string {
	if len(id) <= 32 {
		return string(id)
	}
	sum := sha256.Sum256(id)
	return "#" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// tellLists tells the clients that are connected here.
func (h *Handler) tellLists(server string, changed listKind) {
	h.listeners.each(server, func(l *listener) { l.changed |= changed })
}

// String is how signals name lists.
func (l listKind) String() string {
	var names []string
	for _, n := range listNames() {
		if l&n.list != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

func parseLists(text string) (lists listKind) {
	for name := range strings.SplitSeq(text, ",") {
		for _, n := range listNames() {
			if n.name == name {
				lists |= n.list
			}
		}
	}
	return lists
}
