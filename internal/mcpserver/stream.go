package mcpserver

import (
	"net/http"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

const (
	eventStream   = "text/event-stream"
	progressToken = "progressToken"

	// A call may tell of its progress this often at once, and then once in a
	// while (2025-11-25, basic/utilities/progress: "SHOULD implement rate limiting").
	progressBurst = 20
	progressEvery = 100 * time.Millisecond

	// eventTimeout is how long a client may take to read an event.
	eventTimeout = 30 * time.Second
)

// stream is the answer to one request as server-sent events. It begins with
// the first thing that there is to say before the result; an answer that is
// nothing but its result is plain JSON.
type stream struct {
	allowed bool // the client reads events, and waits for one answer
	begun   bool
	broken  bool // the client is gone
	events  int
	last    time.Time // of the last progress
}

// progress gives the function that tells the client how its call gets on.
func (x *exchange) progress(token []byte) func(invoke.Progress) {
	return func(p invoke.Progress) {
		if x.stream.events >= progressBurst && time.Since(x.stream.last) < progressEvery {
			return
		}
		x.stream.last = time.Now()
		note := []byte(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`)
		note = append(append(note, token...), `,"progress":`...)
		note = append(note, p.Value...)
		if p.Total != "" {
			note = append(append(note, `,"total":`...), p.Total...)
		}
		if p.Message != "" {
			note = appendString(append(note, `,"message":`...), p.Message)
		}
		x.event(note, []byte(`}}`))
	}
}

// event writes the parts, which have no line breaks, as one event.
func (x *exchange) event(parts ...[]byte) {
	if !x.stream.begun {
		x.beginStream()
	}
	if x.stream.broken {
		return
	}
	x.stream.events++
	control := http.NewResponseController(x.w)
	_ = control.SetWriteDeadline(time.Now().Add(eventTimeout)) // where it cannot be set, the client may take its time
	_, err := x.w.Write([]byte("event: message\ndata: "))
	for _, part := range append(parts, []byte("\n\n")) {
		if err == nil {
			_, err = x.w.Write(part)
		}
	}
	if err == nil {
		err = control.Flush()
	}
	x.stream.broken = err != nil
}

func (x *exchange) beginStream() {
	x.stream.begun = true
	header := x.w.Header()
	header.Set("Content-Type", eventStream)
	header.Set("Cache-Control", "no-cache, no-transform")
	header.Set("X-Accel-Buffering", "no") // or a proxy would hold the events back
	x.w.WriteHeader(http.StatusOK)
}

// endStream leaves the connection as it was, for the next request on it.
func (x *exchange) endStream() {
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Time{})
}
