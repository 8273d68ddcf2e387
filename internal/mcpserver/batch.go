package mcpserver

import (
	"context"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"
)

// maxBatch bounds how much work one HTTP request can ask for.
const maxBatch = 100

// serveBatch answers a JSON-RPC batch over Streamable HTTP, which only 2025-03-26 has: the revision
// before does not name it, the one after removed it.
func (h *Handler) serveBatch(x *exchange, body []byte) {
	if fault := checkLegacyVersion(x.r.Header); fault != nil {
		x.fail(nil, fault)
		return
	}
	if mcp.IsModernProtocol(x.r.Header.Get(versionHeader)) {
		x.fail(nil, invalidRequest("batches are not part of this protocol version"))
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), h.options.CallTimeout)
	defer cancel()
	s, refused := h.session(ctx, x)
	if refused != nil {
		x.refuse(refused)
		return
	}
	x.session = s
	messages, fault := parseBatch(body, s.ProtocolVersion)
	if fault != nil {
		x.fail(nil, fault)
		return
	}
	if h.refusesBatch(x, messages) {
		return
	}
	defer x.letGo()
	x.within(h.calls, s.ID, func() { h.answerBatch(ctx, x, messages) })
}

// refusesBatch tells whether nothing of a batch is done, because it needs more
// than its sender has; it is answered then.
func (h *Handler) refusesBatch(x *exchange, batch [][]byte) bool {
	messages := requestsOfBatch(batch)
	fault := h.permit(x, messages...)
	if fault != nil {
		x.failAll(messages, fault)
	}
	return fault != nil
}

// requestsOfBatch are the messages of a batch that can be read; the others are
// answered with why they cannot.
func requestsOfBatch(batch [][]byte) (messages []*envelope) {
	for _, raw := range batch {
		if !isObject(raw) {
			continue
		}
		if m, fault := parseEnvelope(raw); fault == nil {
			messages = append(messages, &m)
		}
	}
	return messages
}

func (h *Handler) answerBatch(ctx context.Context, x *exchange, messages [][]byte) {
	buffer := h.buffers.get()
	defer h.buffers.put(buffer)
	if *buffer = h.appendBatch(ctx, x, *buffer, messages); len(*buffer) == 0 {
		x.accept()
		return
	}
	x.send(http.StatusOK, *buffer)
}

// parseBatch gives the messages of a batch in a session of the version.
func parseBatch(body []byte, version string) ([][]byte, *rpcError) {
	if version != mcp.ProtocolVersion20250326 {
		return nil, invalidRequest("batches are only part of protocol version 2025-03-26")
	}
	messages := elements(body)
	if len(messages) == 0 || len(messages) > maxBatch {
		return nil, invalidRequest("a batch has 1 to 100 messages")
	}
	return messages, nil
}

// appendBatch writes the array of answers, nothing where none is due.
func (h *Handler) appendBatch(ctx context.Context, x *exchange, dst []byte, messages [][]byte) []byte {
	start := len(dst)
	for _, raw := range messages {
		before := len(dst)
		dst = append(dst, ',')
		dst = h.appendBatched(ctx, x, dst, raw)
		if len(dst) == before+1 {
			dst = dst[:before]
		}
	}
	if len(dst) == start {
		return dst
	}
	dst[start] = '['
	return append(dst, ']')
}

func (h *Handler) appendBatched(ctx context.Context, x *exchange, dst, raw []byte) []byte {
	if !isObject(raw) {
		return invalidRequest("a message must be an object").append(dst, nil)
	}
	m, fault := parseEnvelope(raw)
	if fault == nil && m.method == string(mcp.MethodInitialize) {
		fault = invalidRequest("initialize must not be part of a batch")
	}
	if fault != nil {
		return fault.append(dst, m.id)
	}
	return h.appendLegacy(ctx, x, dst, &m)
}
