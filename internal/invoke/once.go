package invoke

import (
	"io"
	"net/http"
	"strings"
)

// nothing is a body that is empty, and that net/http does not know to be so.
func nothing() io.ReadCloser {
	return struct {
		io.ReadCloser
		io.WriterTo // without it, the connection makes a buffer to copy it
	}{http.NoBody, http.NoBody}
}

// once keeps net/http from sending a request a second time by itself. It does
// that where a connection that was used before breaks before the answer, with
// what it takes to be idempotent: by the method, or by a header of either name
// below (Request.isReplayable). What goes over the wire stays the same, save for
// the case of that header's name. Over HTTP/2 it repeats only what the plugin
// says it did not begin with (RFC 9113, section 8.7).
func once(req *http.Request) {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		req.GetBody = nil
		if req.Body == nil || req.Body == http.NoBody {
			req.Body, req.TransferEncoding = nothing(), []string{"identity"} // neither Content-Length nor chunks
		}
		return
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := req.Header[name]; ok { // without a body there is no other way that keeps Content-Length: 0
			delete(req.Header, name)
			req.Header[strings.ToLower(name)] = values
		}
	}
}
