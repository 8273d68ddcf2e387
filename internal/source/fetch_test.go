package source

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// raw serves each connection with bytes, and then closes it or keeps it.
func raw(t *testing.T, serve func(c net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 4096))
				serve(c)
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/d?token=canary"
}

func bytesOf(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

func gzipped(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(data)
	}
}

// TestWhoeverWaitsLess: an error says how long the document was waited for.
func TestWhoeverWaitsLess(t *testing.T) {
	hangs := newPlugin(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := fromURL(t, URLOptions{URL: hangs.URL, Timeout: 5 * time.Second})
	ctx, cancel := Within(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Poll(ctx); err == nil || !strings.Contains(err.Error(), "answer is not complete after 50ms") {
		t.Errorf("got %v", err)
	}
}

func TestFaultsOfServers(t *testing.T) {
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	other := newPlugin(t, answered(minimal))
	big := slices.Concat([]byte(minimal), bytes.Repeat([]byte("# "), 1<<19))
	larger := slices.Concat(big, []byte("#"))
	served := func(answer http.HandlerFunc) string {
		return newPlugin(t, answer).URL + "/d?token=canary"
	}
	for name, tt := range map[string]struct{ url, want string }{
		"fine": {served(answered(minimal)), ""},
		"wrong type": {served(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, minimal)
		}), ""},
		"500":              {served(status(500)), "answered with HTTP 500"},
		"404":              {served(status(404)), "answered with HTTP 404"},
		"204":              {served(status(204)), "answered with HTTP 204"},
		"403":              {served(status(403)), "wants credentials"},
		"login page":       {served(answered("<!DOCTYPE html><title>Log in")), "is a web page"},
		"hangs":            {served(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "answer is not complete after 300ms"},
		"trickles":         {raw(t, trickle(ended)), "answer is not complete after 300ms"},
		"trickles headers": {raw(t, func(c net.Conn) { bytesOf("HTTP/1.1 200 OK\r\nX: ")(c); <-ended }), "answer is not complete after 300ms"},
		"redirects away": {served(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/?canary", http.StatusFound)
		}), "redirects to another host"},
		"redirects to TLS": {served(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://"+r.Host, http.StatusFound) }), "redirects to another host"},
		"redirects to junk": {served(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://%zzcanary")
			w.WriteHeader(307)
		}), "redirects to what is no URL"},
		"redirects nowhere":  {served(status(302)), "answered with HTTP 302"},
		"redirects for ever": {served(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }), "redirects too often"},
		"redirects five times": {served(func(w http.ResponseWriter, r *http.Request) {
			if len(r.URL.Path) == len("/d")+5 {
				fmt.Fprint(w, minimal)
				return
			}
			http.Redirect(w, r, r.URL.Path+"x?canary", http.StatusPermanentRedirect)
		}), ""},
		"large": {served(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(larger) }), "is larger than"},
		"large, unannounced": {served(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(larger)
		}), "is larger than"},
		"just as large":       {served(func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); _, _ = w.Write(big) }), ""},
		"gzip":                {served(gzipped(zipped(big))), ""},
		"gzip, large":         {served(gzipped(zipped(larger))), "is larger than"},
		"gzip in name only":   {served(gzipped([]byte(minimal))), "is not the gzip that it says it is"},
		"gzip, corrupt":       {served(gzipped(append(zipped(big)[:12], bytes.Repeat([]byte{0xff}, 99)...))), "is not the gzip that it says it is"},
		"gzip, cut short":     {served(gzipped(zipped(big)[:40])), "answer is cut short"},
		"gzip without an end": {served(gzipped(bytes.Repeat(zipped(nil), 50_000))), "answer is cut short"},
		"brotli": {served(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			fmt.Fprint(w, "x")
		}), `is encoded as "br"`},
		"HTTP/1.0":            {raw(t, bytesOf("HTTP/1.0 200 OK\r\n\r\n"+minimal)), ""},
		"cut short":           {raw(t, bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"+minimal)), "answer is cut short"},
		"cut short in chunks": {raw(t, bytesOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nopena")), "answer is cut short"},
		"too short a length":  {raw(t, bytesOf(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%smore", len(minimal), minimal))), ""},
		"too long a length":   {raw(t, bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")), "is larger than"},
		"no answer":           {raw(t, bytesOf("")), "connection ended before the answer"},
		"no HTTP":             {raw(t, bytesOf("220 mail.example ESMTP\r\n")), "malformed HTTP"},
		"huge headers":        {raw(t, bytesOf("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<18)+"\r\n\r\n"+minimal)), "headers exceeded"},
		"nobody there":        {"http://127.0.0.1:1/d?token=canary", "dial: connect: connection refused"},
		"no such host":        {"http://stagedoor.invalid/d?token=canary", "host "},
		"no host":             {"http:///d?token=canary", "no URL that makes sense"},
		"no URL":              {"http://[canary/d", "no URL that makes sense"},
		"no scheme that goes": {"ftp://127.0.0.1/d?token=canary", "unsupported protocol scheme"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fromURL(t, URLOptions{URL: tt.url, Timeout: 5 * time.Second, MaxBytes: len(big)})
			if strings.Contains(tt.want, "300ms") {
				s.fetcher.timeout = 300 * time.Millisecond
			}
			p, err := s.Poll(t.Context())
			switch {
			case tt.want == "" && (err != nil || p == nil || !strings.HasPrefix(string(p.Documents[0].Data), minimal)):
				t.Errorf("got %v %v", p, err)
			case tt.want != "" && (err == nil || p != nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "document ")):
				t.Errorf("got %v %v, want %s", p, err, tt.want)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("%v tells the query", err)
			}
		})
	}
}

// trickle sends one byte after the other, and never all.
func trickle(ended <-chan struct{}) func(net.Conn) {
	return func(c net.Conn) {
		bytesOf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")(c)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				if _, err := c.Write([]byte("#")); err != nil {
					return
				}
			}
		}
	}
}

// 200 MB out of 200 KB are neither waited for nor kept.
func TestBombIsRefusedEarly(t *testing.T) {
	bomb := bytes.Repeat(zipped(make([]byte, 1<<20)), 200)
	p := newPlugin(t, gzipped(bomb))
	s := fromURL(t, URLOptions{URL: p.URL})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	expect(t, s, fmt.Sprintf("error: is larger than %d bytes", MaxDocument))
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > MaxDocument+8<<20 {
		t.Errorf("%d bytes were allocated for a document of at most %d", took, MaxDocument)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		status int
		value  string
		want   time.Duration
	}{
		{503, "120", 2 * time.Minute}, {429, " 7 ", 7 * time.Second}, {500, "120", 0}, {429, "", 0}, {429, "-1", 0}, {429, "1.5", 0}, {429, "soon", 0},
		{503, "99999999999999999", longestRetryAfter}, {503, "18446744073709551616", 0},
		{503, "Fri, 02 Jan 2026 03:05:05 GMT", time.Minute}, {503, "Fri, 02 Jan 2026 03:04:00 GMT", 0}, {503, "Sat, 02 Jan 2300 03:04:00 GMT", longestRetryAfter},
	} {
		resp := &http.Response{StatusCode: tt.status, Header: http.Header{"Retry-After": {tt.value}}}
		if got := retryAfter(resp, now); got != tt.want {
			t.Errorf("%d %q: got %v, want %v", tt.status, tt.value, got, tt.want)
		}
	}
}

// What a busy server asks for reaches whoever polls it.
func TestBusyServer(t *testing.T) {
	p := newPlugin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := fromURL(t, URLOptions{URL: p.URL + "/d?token=canary"}).Poll(t.Context())
	want := StatusError{Document: p.URL + "/d", Status: http.StatusTooManyRequests, RetryAfter: 90 * time.Second}
	if got, ok := errors.AsType[*StatusError](err); !ok || *got != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 02 Jan 2026 03:05:05 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		resp := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {value}}}
		if got := retryAfter(resp, time.Now()); got < 0 || got > longestRetryAfter {
			t.Errorf("%q: %v", value, got)
		}
	})
}

// FuzzRedirect: whatever a server names, credentials stay with it.
func FuzzRedirect(f *testing.F) {
	for _, seed := range []string{"/x", "//other/x", "https://plugin.example/x", "http://plugin.example:80/x", "http://plugin.example@other/x", "\\\\other", "http:other", "?a#b", "http://[::1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, location string) {
		fetcher := oneShot()
		fetcher.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Scheme != "http" || address(r.URL) != "plugin.example:80" || r.URL.User != nil {
				t.Fatalf("%q led to %s", location, r.URL)
			}
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {location}}, Body: http.NoBody, Request: r}, nil
		})
		if _, err := fetcher.get(t.Context(), "http://plugin.example/d", nil); err == nil {
			t.Error("there is no document")
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
