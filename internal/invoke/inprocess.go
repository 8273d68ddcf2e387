package invoke

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
)

// InProcess carries requests to a handler in the same process: a plugin
// without a socket. The response is buffered, and cut off past limit bytes; a
// panic of the handler is an error of the request.
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
	w := &bufferedResponse{header: http.Header{}, limit: t.limit}
	done := make(chan error, 1)
	go func() {
		defer in.Body.Close()
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("in-process plugin panicked: %v\n%s", p, debug.Stack())
			}
		}()
		t.handler.ServeHTTP(w, in)
		w.WriteHeader(http.StatusOK)
		done <- nil
	}()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case err := <-done:
		if err != nil {
			return nil, err
		}
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

type bufferedResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
	limit  int64
}

func (w *bufferedResponse) Header() http.Header { return w.header }

func (w *bufferedResponse) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write keeps what fits, and one byte more, by which the reader sees that the
// answer was too large.
func (w *bufferedResponse) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if room := w.limit + 1 - int64(w.body.Len()); room < int64(len(p)) {
		w.body.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return w.body.Write(p)
}
