package mcpserver

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	eventStream   = "text/event-stream"
	progressToken = "progressToken"

	// A call may tell of its progress, and log, this often at once, and then once
	// in a while (2025-11-25, basic/utilities/progress and server/utilities/logging:
	// "SHOULD implement rate limiting").
	progressBurst = 20
	progressEvery = 100 * time.Millisecond

	// eventTimeout is how long a client may take to read an event.
	eventTimeout = 30 * time.Second
	// reconnectAfter is what clients are told to wait before they come back.
	reconnectAfter = time.Second
)

// stream is where the messages that belong to one request go, its answer as the
// last. It begins with the first thing that there is to say before the answer,
// or when the answer takes long; one that is nothing but its answer is plain JSON.
type stream struct {
	allowed bool // the client reads events, and waits for one answer
	// forward takes the messages in the place of an HTTP response; for clients
	// of HTTP+SSE and stdio.
	forward func(message []byte)
	// silent is closed when the client can say nothing more; nil: it never is.
	silent <-chan struct{}

	mu       sync.Mutex
	begun    bool
	ended    bool   // the answer was sent
	gone     bool   // the client is gone, or reads elsewhere
	id       string // in the event log; empty: nobody can come back to it
	sequence int64
	written  time.Time // when something last was
	progress pace
	pending  []byte // progress, told when its time comes, at the latest before the answer
	logged   pace
}

// pace is how often something was told.
type pace struct {
	told int
	last time.Time
}

// due tells whether it may be told again.
func (p *pace) due() bool { return p.told < progressBurst || time.Since(p.last) >= progressEvery }

func (p *pace) note() { p.told, p.last = p.told+1, time.Now() }

// messageKind says what becomes of a message where there is no room for all.
type messageKind uint8

const (
	sayRemark   messageKind = iota // progress, or a log message: told, but not kept
	sayQuestion                    // of the call to its client: kept
	sayAnswer                      // kept, and the last
)

// progress gives the function that tells the client how its call gets on.
func (x *exchange) progress(token []byte) func(invoke.Progress) {
	return func(p invoke.Progress) {
		note := []byte(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`)
		note = append(append(note, token...), `,"progress":`...)
		note = append(note, p.Value...)
		if p.Total != "" {
			note = append(append(note, `,"total":`...), p.Total...)
		}
		if p.Message != "" {
			note = appendString(append(note, `,"message":`...), p.Message)
		}
		note = append(note, `}}`...)
		s := &x.stream
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.progress.due() {
			s.pending = note
			return
		}
		x.tell(note)
	}
}

// tell sends progress; what was held back is overtaken. The stream is locked.
func (x *exchange) tell(progress []byte) {
	s := &x.stream
	s.progress.note()
	s.pending = nil
	x.message(progress, sayRemark)
}

// log sends a log message, unless there were too many.
func (x *exchange) log(message []byte) {
	s := &x.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logged.due() {
		s.logged.note()
		x.message(message, sayRemark)
	}
}

// forwards tells whether messages go another way than as an HTTP response.
func (x *exchange) forwards() bool { return x.stream.forward != nil }

// notify sends a message that belongs to the request, before its answer, and
// must not be lost.
func (x *exchange) notify(message []byte) {
	x.stream.mu.Lock()
	defer x.stream.mu.Unlock()
	x.message(message, sayQuestion)
}

// message sends one message, the answer as the last. The stream is locked.
func (x *exchange) message(message []byte, kind messageKind) {
	s := &x.stream
	switch {
	case s.ended:
	case s.forward != nil:
		s.forward(message)
	case s.allowed || s.begun:
		if !s.begun {
			x.begin()
		}
		x.event(message, kind)
	}
	s.ended = s.ended || kind == sayAnswer
}

// event keeps and writes a message, which has no line breaks, as one event. One
// that is not kept has no id: the client comes back for what was after the last
// that had one.
func (x *exchange) event(message []byte, kind messageKind) {
	s := &x.stream
	var head []byte
	if s.id != "" && (x.handler.live.grow(s.id, int64(len(message)), x.handler.options.EventBytes) || kind != sayRemark) {
		s.sequence++
		err := x.handler.log.append(session.Event{Stream: s.id, Sequence: s.sequence, Data: message, Last: kind == sayAnswer})
		if err != nil { // from here on the stream cannot be resumed
			x.handler.options.Logger.LogAttrs(x.r.Context(), slog.LevelWarn, "stream", slog.String("ref", x.ref), slog.String("error", err.Error()))
			x.handler.live.remove(s.id)
			s.id = ""
		} else {
			head = appendEventID(head, s.id, s.sequence)
		}
	}
	x.write(appendEvent(head, message))
}

func appendEventID(dst []byte, stream string, sequence int64) []byte {
	dst = append(append(dst, "id: "...), stream...)
	return append(strconv.AppendInt(append(dst, '.'), sequence, 10), '\n')
}

func appendEvent(dst, message []byte) []byte {
	dst = append(dst, "event: message\ndata: "...)
	return append(append(dst, message...), "\n\n"...)
}

// begin makes the answer a stream. In a session it can be resumed, and the
// newest revision is told so before anything else (2025-11-25,
// basic/transports, "Sending Messages to the Server"). The stream is locked.
func (x *exchange) begin() {
	x.stream.begun = true
	x.keep()
	beginEvents(x.w)
	if x.stream.id != "" && x.session.ProtocolVersion >= mcp.ProtocolVersion20251125 {
		x.write(primer(appendEventID(nil, x.stream.id, 0)))
	}
}

// keep makes the stream one that the client can come back to, where it has a
// session.
func (x *exchange) keep() {
	if x.session.ID == "" {
		return
	}
	made := session.Stream{ID: newSessionID(), Session: x.session.ID, Replica: x.handler.options.Replica, Request: x.request}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), logTimeout)
	defer cancel()
	if err := x.handler.log.open(ctx, made); err != nil {
		x.handler.options.Logger.LogAttrs(ctx, slog.LevelWarn, "stream cannot be resumed", slog.String("ref", x.ref), slog.String("error", err.Error()))
		return
	}
	x.stream.id = made.ID
	x.handler.live.add(made.ID, x)
}

// primer is an event without data: its id is what a client comes back with.
func primer(id []byte) []byte {
	id = strconv.AppendInt(append(id, "retry: "...), reconnectAfter.Milliseconds(), 10)
	return append(id, "\ndata: \n\n"...)
}

// beginEvents answers with server-sent events.
func beginEvents(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", eventStream)
	header.Set("Cache-Control", "no-cache, no-transform")
	header.Set("X-Accel-Buffering", "no") // or a proxy would hold the events back
	w.WriteHeader(http.StatusOK)
}

// write sends bytes of the stream at once, unless the client is gone.
func (x *exchange) write(raw []byte) {
	if x.stream.gone {
		return
	}
	x.stream.written = time.Now()
	x.stream.gone = writeEvent(x.w, raw) != nil
}

func writeEvent(w http.ResponseWriter, raw []byte) error {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(eventTimeout)) // where it cannot be set, the client may take its time
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return control.Flush()
}

// send gives the answer: as one JSON body, or as the last event of a stream
// that has begun.
func (x *exchange) send(status int, parts ...[]byte) {
	s := &x.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil {
		x.tell(s.pending)
	}
	if !s.begun && s.forward == nil {
		s.ended = true
		sendJSON(x.w, status, parts)
		return
	}
	message := parts[0]
	if len(parts) > 1 {
		message = nil
		for _, part := range parts {
			message = append(message, part...)
		}
	} else {
		message = append([]byte(nil), message...) // the log may write it later
	}
	x.message(message, sayAnswer)
	if s.begun {
		x.end()
	}
}

// end leaves the connection as it was, for the next request on it.
func (x *exchange) end() {
	if x.stream.id != "" {
		x.handler.live.remove(x.stream.id)
	}
	x.unbound()
}

// due tells whether there is something to tend, without waiting.
func (x *exchange) due(now time.Time) bool {
	s := &x.stream
	if !s.mu.TryLock() {
		return false // it is being written to
	}
	defer s.mu.Unlock()
	return s.allowed && !s.ended && !s.gone && (!s.begun || s.pending != nil || now.Sub(s.written) >= x.handler.options.KeepAlive)
}

// tend makes a slow answer a stream, keeps a quiet one alive and tells of
// progress that was held back.
func (x *exchange) tend(now time.Time) {
	s := &x.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended || s.gone || !s.allowed:
	case s.pending != nil:
		x.tell(s.pending)
	case !s.begun:
		x.begin()
		x.write([]byte(":\n\n"))
	case now.Sub(s.written) >= x.handler.options.KeepAlive:
		x.write([]byte(":\n\n"))
	}
}

// leave lets go of the client's connection: it reads the stream elsewhere.
func (x *exchange) leave() {
	x.stream.mu.Lock()
	defer x.stream.mu.Unlock()
	x.stream.gone = true
}

// liveStreams are the streams that this replica writes.
type liveStreams struct {
	mu      sync.Mutex
	streams map[string]*liveStream
	bytes   map[string]int64 // of the log, by session
}

type liveStream struct {
	x     *exchange
	bytes int64
}

func (l *liveStreams) add(id string, x *exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams == nil {
		l.streams, l.bytes = map[string]*liveStream{}, map[string]int64{}
	}
	l.streams[id] = &liveStream{x: x}
}

func (l *liveStreams) remove(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[id]
	if s == nil {
		return
	}
	delete(l.streams, id)
	if l.bytes[s.x.session.ID] -= s.bytes; l.bytes[s.x.session.ID] == 0 {
		delete(l.bytes, s.x.session.ID)
	}
}

// grow counts what is kept of a stream, and tells whether all open streams of
// its session together keep within the bound.
func (l *liveStreams) grow(id string, n, bound int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[id]
	if s == nil || l.bytes[s.x.session.ID]+n > bound {
		return false
	}
	s.bytes += n
	l.bytes[s.x.session.ID] += n
	return true
}

func (l *liveStreams) get(id string) *exchange {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.streams[id]; s != nil {
		return s.x
	}
	return nil
}
