package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each trouble that a plugin can have is told in words without any place.
func TestCauseOfURL(t *testing.T) {
	hung := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!DOCTYPE html><html>") })
	mux.HandleFunc("/hangs", func(http.ResponseWriter, *http.Request) { <-hung })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 2000)) })
	mux.HandleFunc("/chunks", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "x")
		_ = http.NewResponseController(w).Flush()
		fmt.Fprint(w, strings.Repeat("x", 2000))
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "x")
	})
	mux.HandleFunc("/ends", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.internal", http.StatusFound)
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, "this is no gzip, for sure")
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(hung)
	down := httptest.NewServer(nil)
	down.Close()
	for at, want := range map[string]string{
		server.URL + "/503":                       "its server answers with HTTP 503",
		server.URL + "/404":                       "its server answers with HTTP 404",
		server.URL + "/page":                      "a web page is in its place",
		server.URL + "/hangs":                     late,
		server.URL + "/large":                     tooLarge,
		server.URL + "/chunks":                    tooLarge,
		server.URL + "/cut":                       cutShort,
		server.URL + "/ends":                      cutShort,
		server.URL + "/round":                     redirected,
		server.URL + "/away":                      redirected,
		server.URL + "/gzip":                      misencoded,
		down.URL + "/secret-path?secret=query":    unreachable,
		"http:///nowhere":                         unreachable,
		strings.Replace(server.URL, "p", "ps", 1): unreachable, // no TLS is spoken there
	} {
		f := &fetcher{transport: http.DefaultTransport, timeout: 2 * time.Second, maxBytes: 1000, kept: map[string]*fetched{}}
		if at == server.URL+"/hangs" {
			f.timeout = 50 * time.Millisecond
		}
		_, err := f.get(t.Context(), at, nil)
		if got := Cause(err); got != want {
			t.Errorf("%s: %q, want %q (%v)", at, got, want, err)
		}
	}
}

func TestCauseOfOthers(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, MaxDocument+1); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	poll := func(s Source) error {
		_, err := s.Poll(t.Context())
		return err
	}
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	noHeader := func(context.Context) (http.Header, error) { return nil, errors.New("file /etc/token is gone") }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{poll(FromFiles(filepath.Join(dir, "none.yaml"), Local)), gone},
		{poll(FromFiles(filepath.Join(dir, "none*.yaml"), Local)), gone},
		{poll(FromFiles(empty, Local)), gone},
		{poll(FromFiles(large, Local)), tooLarge},
		{poll(FromFiles(os.DevNull, Local)), noFile},
		{poll(FromURL(URLOptions{BaseURL: none.URL})), noDocument},
		{poll(FromURL(URLOptions{URL: none.URL, Header: noHeader})), noProof},
		{poll(FromBackstage(BackstageOptions{BaseURL: none.URL, Plugin: "x", Header: noHeader})), noProof},
		{poll(FromBackstage(BackstageOptions{BaseURL: none.URL, Plugin: "x"})), "its server answers with HTTP 404"},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), late},
		{&PanicError{Source: "https://secret.internal", Value: "secret"}, unreadable},
		{errors.New("https://secret.internal/path"), unreadable},
	} {
		if got := Cause(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
