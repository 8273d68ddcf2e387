package mcpserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	lastEventHeader = "Last-Event-Id"
	// replayPage is how many events are read from the log at once.
	replayPage = 100
	// lookAgain is how often a reader looks without having been told to: signals
	// are hints, and a writer can be dead.
	lookAgain = 2 * time.Second
	// settleTime is how long the last events of a stream may take to the log.
	settleTime = 10 * time.Second
)

// listen is the GET of 2025-03-26 to 2025-11-25: a stream of the session's own,
// or one that the client lost and comes back to ("Listening for Messages from
// the Server", "Resumability and Redelivery").
func (h *Handler) listen(x *exchange) {
	if fault := checkLegacyVersion(x.r.Header); fault != nil {
		x.fail(nil, fault)
		return
	}
	if !accepts(x.r.Header.Values("Accept"), eventStream, "text/*", "*/*") {
		x.refuse(&refusal{status: http.StatusNotAcceptable, message: "Accept must admit " + eventStream})
		return
	}
	s, refused := h.session(x.r.Context(), x)
	if refused != nil {
		x.refuse(refused)
		return
	}
	last, ok := one(x.r.Header, lastEventHeader)
	if !ok {
		x.refuse(&refusal{status: http.StatusBadRequest, message: "Last-Event-ID may be given once"})
		return
	}
	if stream, sequence, ok := parseEventID(last); ok { // a call goes on in it
		x.within(h.calls, s.ID, func() { h.resume(x, s, stream, sequence) })
		return
	}
	if last != "" && !strings.HasPrefix(last, listsCursor+".") { // who waits here for an answer would wait for ever
		x.refuse(unknownEvent())
		return
	}
	x.within(h.streams, s.ID, func() { h.listenLegacy(x, s, last) })
}

// unknownEvent is not 404, which would be the session's end (2025-11-25,
// "Session Management").
func unknownEvent() *refusal {
	return &refusal{status: http.StatusBadRequest, message: "event is unknown or too old: call again"}
}

// parseEventID takes the id of a request's event apart; those of other streams
// have another form.
func parseEventID(id string) (stream string, sequence int64, ok bool) {
	stream, number, ok := strings.Cut(id, ".")
	if !ok || stream == listsCursor {
		return "", 0, false
	}
	sequence, err := strconv.ParseInt(number, 10, 64)
	return stream, sequence, err == nil && sequence >= 0 && len(stream) <= 64
}

// resume replays what the client missed of a stream and goes on with it, on
// whichever replica the call runs.
func (h *Handler) resume(x *exchange, s session.Session, stream string, after int64) {
	news, done := h.followers.wait(stream) // before it is read, or what comes between the two is seen late
	defer done()
	known, events, err := h.options.Store.ReadStream(x.r.Context(), s.ID, stream, after, replayPage)
	if errors.Is(err, session.ErrNotFound) {
		x.refuse(unknownEvent())
		return
	}
	if err != nil {
		x.refuse(h.storeAway(x.r.Context(), x, err))
		return
	}
	allowed, end := h.whileAllowed(x)
	defer end()
	x.r = x.r.WithContext(allowed)
	h.follow(x.r.Context(), known)
	beginEvents(x.w)
	reader := replay{h: h, x: x, session: s, stream: known, after: after, since: time.Now()}
	reader.write([]byte(":\n\n")) // the client learns that it is well, however long the next event takes
	if !reader.deliver(events) && !reader.complete(known, events) {
		reader.run(news)
	}
	x.unbound()
}

// follow asks the stream's writer to tell of new events, and to leave the
// connection on which nobody reads any more.
func (h *Handler) follow(ctx context.Context, stream session.Stream) {
	if stream.Closed {
		return
	}
	if stream.Replica != h.options.Replica {
		h.signal(ctx, session.SignalFollow, stream.ID)
	} else if x := h.live.get(stream.ID); x != nil {
		x.leave()
	}
}

// replay is a stream being read from the log.
type replay struct {
	h       *Handler
	x       *exchange
	session session.Session
	stream  session.Stream
	after   int64
	since   time.Time // when there last was an event, or no database
	written time.Time
	gone    bool
}

// run delivers what comes until the last event was, the client is gone, or
// nothing more can come.
func (r *replay) run(news <-chan struct{}) {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for !r.gone {
		select {
		case <-news:
		case <-again.C:
			if time.Since(r.written) >= r.h.options.KeepAlive {
				r.write([]byte(":\n\n"))
			}
		case <-r.x.r.Context().Done():
			return
		case <-r.h.draining:
			return // the client comes back, to another replica
		}
		if r.look() {
			return
		}
	}
}

// look reads on; over says that nothing more will come.
func (r *replay) look() (over bool) {
	ctx := r.x.r.Context()
	orphaned := r.orphaned(ctx) // before the last read: whoever worked on it may just have finished
	for {
		known, events, err := r.h.options.Store.ReadStream(ctx, r.session.ID, r.stream.ID, r.after, replayPage)
		if errors.Is(err, session.ErrNotFound) {
			return true // the session ended
		}
		if err != nil { // the database is away; the next look may find it
			r.since = time.Now()
			return false
		}
		if r.deliver(events) || r.complete(known, events) {
			return true
		}
		if len(events) < replayPage {
			break
		}
	}
	if orphaned && time.Since(r.since) >= settleTime {
		r.lost()
		return true
	}
	return false
}

func (r *replay) deliver(events []session.Event) (over bool) {
	for _, e := range events {
		r.after, r.since = e.Sequence, time.Now()
		r.write(appendEvent(appendEventID(nil, r.stream.ID, e.Sequence), e.Data))
		if e.Last || r.gone {
			return true
		}
	}
	return false
}

// complete tells whether a read of the stream had all that there will be: the
// client has the answer already, or says so.
func (r *replay) complete(stream session.Stream, events []session.Event) bool {
	return stream.Closed && len(events) < replayPage
}

// orphaned tells whether nobody works on the answer any more.
func (r *replay) orphaned(ctx context.Context) bool {
	if r.stream.Replica == r.h.options.Replica {
		return r.h.live.get(r.stream.ID) == nil && !r.h.log.holds(r.stream.ID)
	}
	if time.Since(r.since) > r.h.options.CallTimeout+settleTime {
		return true // the call is over, and its replica could not say so
	}
	alive, err := r.h.absent.alive(ctx, r.stream.Replica)
	return err == nil && !alive
}

// lost answers in the place of the replica that cannot. Its event has no id: the
// next one is that of the answer, should there be one after all.
func (r *replay) lost() {
	r.h.options.Logger.LogAttrs(r.x.r.Context(), slog.LevelWarn, "call lost with its replica",
		slog.String("server", r.x.server.name), slog.String("replica", r.stream.Replica), slog.String("ref", r.x.ref))
	fault := rpcError{code: mcp.INTERNAL_ERROR, message: "call was lost with the process that made it, and may have had effects (reference " + r.x.ref + ")"}
	r.write(appendEvent(nil, fault.append(nil, r.stream.Request)))
}

func (r *replay) write(raw []byte) {
	r.written = time.Now()
	r.gone = r.gone || writeEvent(r.x.w, raw) != nil
}
