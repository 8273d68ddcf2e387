package mcpserver

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
)

// maxPrealloc bounds what a client gets by merely announcing a long body.
const maxPrealloc = 64 << 10

// readBody reads the whole body within the limit.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *refusal) {
	tooLarge := &refusal{status: http.StatusRequestEntityTooLarge, message: "body is too large"}
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	size := min(max(r.ContentLength, 0), maxPrealloc)
	body, err := readAll(http.MaxBytesReader(w, r.Body, limit), int(size)+1)
	if over := new(http.MaxBytesError); errors.As(err, &over) {
		return nil, tooLarge
	}
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, message: "body ended early"}
	}
	return body, nil
}

// readAll is io.ReadAll that knows how much to expect.
func readAll(r io.Reader, size int) ([]byte, error) {
	body := make([]byte, 0, size)
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

// checkJSON lets only UTF-8 JSON text pass, to the depth of 10,000 that
// encoding/json allows.
func checkJSON(body []byte) *rpcError {
	if !utf8.Valid(body) || !json.Valid(body) {
		return &rpcError{code: mcp.PARSE_ERROR, message: "body is not JSON", status: http.StatusBadRequest}
	}
	return nil
}
