package mcpserver

import (
	"cmp"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/session"
)

// exchange is one message of a client and the answer in the making.
type exchange struct {
	handler   *Handler
	w         http.ResponseWriter // nil where the stream forwards
	r         *http.Request
	server    *server
	principal principal.Principal
	key       string // the principal's
	ref       string
	session   session.Session // zero: 2026-07-28, or none yet
	client    []byte          // clientInfo of 2026-07-28
	request   []byte          // id of the request that is answered
	held      func()          // gives back what the calls take of the principal's limits; nil: nothing
	stream    stream
}

// maxPooled keeps one huge answer from living in the pool for ever.
const maxPooled = 64 << 10

// buffers are where answers are put together.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[]byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return buffer
	}
	buffer := make([]byte, 0, 4<<10)
	return &buffer
}

func (b *buffers) put(buffer *[]byte) {
	if cap(*buffer) <= maxPooled {
		*buffer = (*buffer)[:0]
		b.pool.Put(buffer)
	}
}

// appendHead starts an answer; the caller adds result or error and the brace.
func appendHead(dst, id []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	return append(dst, id...)
}

// slowest is how many bytes a second a client has to read of a large answer.
const slowest = 64 << 10

// sendJSON writes the parts as one JSON body, to a client that reads.
func sendJSON(w http.ResponseWriter, status int, parts [][]byte) {
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	header := w.Header()
	header["Content-Type"] = jsonContentType()
	header.Set("Content-Length", strconv.Itoa(length))
	control := http.NewResponseController(w)
	allowed := eventTimeout + time.Duration(length/slowest)*time.Second
	_ = control.SetWriteDeadline(time.Now().Add(allowed)) // where it cannot be set, the client may take its time
	w.WriteHeader(status)
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return // the client is gone
		}
	}
	if control.Flush() == nil { // or the last of it would be written without a deadline
		_ = control.SetWriteDeadline(time.Time{})
	}
}

func jsonContentType() []string { return []string{"application/json"} }

// fail answers with a JSON-RPC error.
func (x *exchange) fail(id []byte, e *rpcError) {
	x.sendFault(e, e.append(nil, id))
}

// failAll answers a batch with one error for each of its requests.
func (x *exchange) failAll(batch []*envelope, e *rpcError) {
	answers := []byte{'['}
	for _, m := range batch {
		if m.id != nil && !m.response {
			answers = append(e.append(answers, m.id), ',')
		}
	}
	answers[len(answers)-1] = ']' // an error has a request
	x.sendFault(e, answers)
}

// sendFault sends a body with the status and the header of a fault, where they
// can still be said.
func (x *exchange) sendFault(e *rpcError, body []byte) {
	x.stream.mu.Lock()
	if e.header[0] != "" && x.w != nil && !x.stream.begun {
		x.w.Header().Set(e.header[0], e.header[1])
	}
	x.stream.mu.Unlock()
	x.send(cmp.Or(e.status, http.StatusOK), body)
}

// refuse answers with an HTTP status and a JSON-RPC error that has no id
// (2025-11-25, basic/transports, "Security Warning" and "Sending Messages").
func (x *exchange) refuse(f *refusal) {
	if f.header[0] != "" && x.w != nil {
		x.w.Header().Set(f.header[0], f.header[1])
	}
	e := rpcError{code: mcp.INVALID_REQUEST, message: f.message}
	if f.status >= http.StatusInternalServerError {
		e.code = mcp.INTERNAL_ERROR
	}
	if x.w == nil { // whoever reads messages can only tell by the id what is refused
		x.fail(x.request, &e)
		return
	}
	body := append(e.appendBody([]byte(`{"jsonrpc":"2.0","error":`)), '}')
	x.send(f.status, body)
}

// accept answers a notification.
func (x *exchange) accept() {
	if x.w != nil {
		x.w.WriteHeader(http.StatusAccepted)
	}
}
