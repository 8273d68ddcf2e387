package invoke

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
)

// InProcess carries requests to a handler in the same process: a plugin without
// a socket. The response is buffered, and cut off past limit bytes, until the
// handler flushes it; from then on it is a stream. A panic of the handler is an
// error of the request.
func InProcess(h http.Handler, limit int64) http.RoundTripper {
	return &inProcess{h, limit}
}

type inProcess struct {
	handler http.Handler
	limit   int64
}

// RoundTrip implements http.RoundTripper. It returns when the request's context
// ends, even if the handler does not.
func (t *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &localResponse{ctx: req.Context(), header: http.Header{}, limit: t.limit, streams: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		defer in.Body.Close()
		defer func() {
			var err error
			if p := recover(); p != nil {
				err = fmt.Errorf("in-process plugin panicked: %v\n%s", p, debug.Stack())
			}
			w.end(err)
			done <- err
		}()
		t.handler.ServeHTTP(w, in)
		w.WriteHeader(http.StatusOK)
	}()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-w.streams:
		return w.response(req, w.body, -1), nil
	case err := <-done:
		if err != nil {
			return nil, err
		}
	}
	return w.response(req, io.NopCloser(&w.buffer), int64(w.buffer.Len())), nil
}

// localResponse belongs to the handler until it is done or streams.
type localResponse struct {
	ctx    context.Context //nolint:containedctx // it ends the stream, as a connection would
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	buffer bytes.Buffer
	limit  int64

	streams chan struct{} // closed by the first Flush
	body    io.ReadCloser // of a stream
	pipe    *io.PipeWriter
}

func (w *localResponse) Header() http.Header { return w.header }

func (w *localResponse) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write keeps what fits, and one byte more, by which the reader sees that the
// answer was too large.
func (w *localResponse) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.pipe != nil {
		return w.pipe.Write(p)
	}
	if room := w.limit + 1 - int64(w.buffer.Len()); room < int64(len(p)) {
		w.buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return w.buffer.Write(p)
}

// Flush implements http.Flusher: what is there goes to the reader, and what
// comes follows it.
func (w *localResponse) Flush() {
	if w.pipe != nil {
		return
	}
	w.WriteHeader(http.StatusOK)
	read, write := io.Pipe()
	context.AfterFunc(w.ctx, func() { _ = write.CloseWithError(w.ctx.Err()) })
	w.pipe = write
	w.body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&w.buffer, read), read}
	close(w.streams)
}

// end tells a stream's reader that the handler is done.
func (w *localResponse) end(err error) {
	if w.pipe != nil {
		_ = w.pipe.CloseWithError(err)
	}
}

func (w *localResponse) response(req *http.Request, body io.ReadCloser, length int64) *http.Response {
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: length, Request: req,
	}
}
