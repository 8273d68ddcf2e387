package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// plugin is a server whose answer tests change, and which notes what it was
// asked.
type plugin struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Pointer[[]string]
}

func newPlugin(t *testing.T, answer http.HandlerFunc) *plugin {
	p := &plugin{}
	p.set(answer)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line := r.URL.Path
		for _, name := range []string{"If-None-Match", "If-Modified-Since"} {
			if v := r.Header.Get(name); v != "" {
				line += " " + v
			}
		}
		p.asked.Store(new(append(slices.Clone(*p.asked.Load()), line)))
		(*p.answer.Load())(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *plugin) set(answer http.HandlerFunc) {
	p.answer.Store(&answer)
	p.asked.Store(&[]string{})
}

func (p *plugin) expectAsked(t *testing.T, want ...string) {
	t.Helper()
	if got := *p.asked.Load(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	p.asked.Store(&[]string{})
}

// conditional answers as its validators say.
func conditional(etag, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, minimal, text)
	}
}

func answered(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func fromURL(t *testing.T, o URLOptions) *remote {
	s := FromURL(o).(*remote)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestURLIsPolledConditionally(t *testing.T) {
	old := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	newer := time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat)
	modified := func(at, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified", at)
			if since, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil {
				if now, _ := http.ParseTime(at); !now.After(since) {
					w.WriteHeader(http.StatusNotModified)
					return
				}
			}
			fmt.Fprint(w, minimal, text)
		}
	}
	always304 := func(h ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
				w.Header().Set(h[0], h[1])
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Header().Set(h[0], h[1])
			fmt.Fprint(w, minimal, "fresh")
		}
	}
	type step struct {
		answer http.HandlerFunc
		want   string
		asked  []string
	}
	for name, steps := range map[string][]step{
		"etag": {
			{conditional(`"1"`, "a"), "d=a", []string{"/d"}}, {conditional(`"1"`, "a"), "", []string{`/d "1"`}},
			{conditional(`"2"`, "b"), "d=b", []string{`/d "1"`}}, {conditional(`"2"`, "b"), "", []string{`/d "2"`}},
		},
		"weak etag": {{conditional(`W/"1"`, "a"), "d=a", []string{"/d"}}, {conditional(`W/"1"`, "a"), "", []string{`/d W/"1"`}}},
		"last-modified": {
			{modified(old, "a"), "d=a", []string{"/d"}}, {modified(old, "a"), "", []string{"/d " + old}},
			{modified(newer, "b"), "d=b", []string{"/d " + old}},
			{modified(old, "a"), "d=a", []string{"/d " + newer, "/d"}}, // rolled back: the 304 is about another one
		},
		"modified in this second": {
			{modified(time.Now().UTC().Format(http.TimeFormat), "a"), "d=a", []string{"/d"}}, {modified(old, "b"), "d=b", []string{"/d"}},
		},
		"no validators": {
			{answered(minimal + "a"), "d=a", []string{"/d"}}, {answered(minimal + "a"), "", []string{"/d"}}, {answered(minimal + "b"), "d=b", []string{"/d"}},
		},
		"same etag, another document": {
			{conditional(`"1"`, "a"), "d=a", []string{"/d"}},
			{func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("ETag", `"1"`)
				fmt.Fprint(w, minimal, "b")
			}, "d=b", []string{`/d "1"`}},
		},
		"if-none-match ignored, another etag each time": {
			{conditional(`"1"`, "a"), "d=a", []string{"/d"}}, {conditional(`"2"`, "a"), "", []string{`/d "1"`}}, {conditional(`"3"`, "a"), "", []string{`/d "2"`}},
		},
		"304 of another etag":             {{conditional(`"1"`, "a"), "d=a", []string{"/d"}}, {always304("ETag", `"9"`), "d=fresh", []string{`/d "1"`, "/d"}}},
		"304 to a question without terms": {{status(304), "error: answered with HTTP 304", []string{"/d"}}, {answered(minimal), "d=", []string{"/d"}}},
		"etag that cannot be sent": {
			{func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("ETag", `"`+strings.Repeat("x", 5000)+`"`)
				fmt.Fprint(w, minimal)
			}, "d=", []string{"/d"}},
			{answered(minimal), "", []string{"/d"}},
		},
		"trouble keeps what is known": {
			{conditional(`"1"`, "a"), "d=a", []string{"/d"}}, {status(500), "error: answered with HTTP 500", []string{`/d "1"`}},
			{answered("<html>down"), "error: web page", []string{`/d "1"`}}, {conditional(`"1"`, "a"), "", []string{`/d "1"`}},
		},
		"it moves": {
			{conditional(`"1"`, "a"), "d=a", []string{"/d"}},
			{func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/d" {
					http.Redirect(w, r, "/e", http.StatusMovedPermanently)
					return
				}
				conditional(`"1"`, "a")(w, r)
			}, "e=a", []string{`/d "1"`, `/e "1"`, "/d", "/e"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlugin(t, nil)
			s := fromURL(t, URLOptions{URL: p.URL + "/d"})
			for i, step := range steps {
				p.set(step.answer)
				expect(t, s, step.want)
				p.expectAsked(t, step.asked...)
				if t.Failed() {
					t.Fatalf("at step %d", i)
				}
			}
		})
	}
}

// A server that says for ever that nothing changed is asked for the document
// all the same, now and then.
func TestConfirmationsEnd(t *testing.T) {
	p := newPlugin(t, conditional(`"1"`, "a"))
	s := fromURL(t, URLOptions{URL: p.URL + "/d"})
	expect(t, s, "d=a")
	p.set(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, minimal, "b")
	})
	for range confirmations {
		expect(t, s, "")
	}
	expect(t, s, "d=b")
}

func TestConventionalPaths(t *testing.T) {
	p := newPlugin(t, nil)
	at := func(path string, answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				answer(w, r)
				return
			}
			w.WriteHeader(http.StatusNotFound)
		}
	}
	all := []string{"/api/openapi.json", "/api/openapi.yaml", "/api/.well-known/openapi.json", "/openapi.json", "/openapi.yaml", "/.well-known/openapi.json"}
	s := fromURL(t, URLOptions{BaseURL: p.URL + "/api/?token=canary"})
	if s.String() != p.URL+"/api/" {
		t.Error(s.String())
	}
	p.set(status(404))
	expect(t, s, "error: plugin "+p.URL+"/api/ has no OpenAPI document at "+strings.Join(all, ", ")+"; say with spec where it is")
	p.expectAsked(t, all...)

	p.set(at("/api/openapi.yaml", conditional(`"1"`, "y")))
	expect(t, s, "openapi.yaml=y", "")
	p.expectAsked(t, all[0], all[1], all[1]+` "1"`)

	p.set(status(502)) // down, not gone
	expect(t, s, "error: answered with HTTP 502")
	p.expectAsked(t, all[1]+` "1"`)

	p.set(at("/.well-known/openapi.json", answered(minimal+"w")))
	expect(t, s, "openapi.json=w")
	p.expectAsked(t, all[1]+` "1"`, all[0], all[1]+` "1"`, all[2], all[3], all[4], all[5])
	expect(t, s, "")
	p.expectAsked(t, all[5])

	for name, answer := range map[string]http.HandlerFunc{
		"405": status(405), "410": status(410), "a web page": answered("<html>"), "text": answered("hello"), "another JSON": answered(`{"error":"openapi"}`),
		"a page by its type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "not here")
		},
	} {
		p.set(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/openapi.yaml" {
				fmt.Fprint(w, minimal)
				return
			}
			answer(w, r)
		})
		if got := outcome(t, fromURL(t, URLOptions{BaseURL: p.URL})); got != "openapi.yaml=" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for code, want := range map[int]string{500: "HTTP 500", 503: "HTTP 503", 401: "wants credentials (specAuth)", 429: "HTTP 429"} {
		p.set(status(code))
		s := fromURL(t, URLOptions{BaseURL: p.URL})
		expect(t, s, "error: "+want)
		p.expectAsked(t, "/openapi.json")
	}
	expect(t, fromURL(t, URLOptions{BaseURL: "http://"}), "error: no URL that makes sense")
}

func TestHeaderIsAskedForEachPoll(t *testing.T) {
	var got []string
	p := newPlugin(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		got = append(got, r.Header.Get("X-Key")+user+password)
		fmt.Fprint(w, minimal)
	})
	n := 0
	s := fromURL(t, URLOptions{URL: p.URL + "/d", Header: func() (http.Header, error) {
		if n++; n == 3 {
			return nil, errors.New("file /secrets/key does not exist")
		}
		return http.Header{"X-Key": {fmt.Sprint(n)}}, nil
	}})
	expect(t, s, "d=", "", "error: credentials: file /secrets/key does not exist", "")
	expect(t, fromURL(t, URLOptions{URL: strings.Replace(p.URL, "://", "://me:secret@", 1) + "/d"}), "d=")
	if want := []string{"1", "2", "4", "mesecret"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

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
		"redirects away":   {served(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/?canary", 302) }), "redirects to another host"},
		"redirects to TLS": {served(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://"+r.Host, 302) }), "redirects to another host"},
		"redirects to junk": {served(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://%zzcanary")
			w.WriteHeader(307)
		}), "redirects to what is no URL"},
		"redirects nowhere":  {served(status(302)), "answered with HTTP 302"},
		"redirects for ever": {served(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", 302) }), "redirects too often"},
		"redirects five times": {served(func(w http.ResponseWriter, r *http.Request) {
			if len(r.URL.Path) == len("/d")+5 {
				fmt.Fprint(w, minimal)
				return
			}
			http.Redirect(w, r, r.URL.Path+"x?canary", 308)
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
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 200 {
		_, _ = w.Write(make([]byte, 1<<20))
	}
	_ = w.Close()
	p := newPlugin(t, gzipped(bomb.Bytes()))
	s := fromURL(t, URLOptions{URL: p.URL})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	expect(t, s, fmt.Sprintf("error: is larger than %d bytes", MaxDocument))
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > MaxDocument+8<<20 {
		t.Errorf("%d bytes were allocated for a document of at most %d", took, MaxDocument)
	}
}

func TestReferencedURLsArePolled(t *testing.T) {
	parts := map[string]http.HandlerFunc{"/d": conditional(`"d1"`, "a"), "/pet.yaml": conditional(`"p1"`, "p")}
	p := newPlugin(t, func(w http.ResponseWriter, r *http.Request) {
		if answer, known := parts[r.URL.Path]; known {
			answer(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	s := fromURL(t, URLOptions{URL: p.URL + "/d", Refs: Origin})
	follow := func(refs ...string) *Publication {
		t.Helper()
		given, err := s.Poll(t.Context())
		if err != nil || given == nil {
			t.Fatalf("got %v %v", given, err)
		}
		for _, ref := range refs {
			_, _, _ = open(given.files[0], p.URL+"/d", ref)
		}
		return given
	}
	follow("pet.yaml", "none.yaml")
	p.expectAsked(t, "/d", "/pet.yaml", "/none.yaml")
	expect(t, s, "", "")
	p.expectAsked(t, `/d "d1"`, "/none.yaml", `/pet.yaml "p1"`, `/d "d1"`, "/none.yaml", `/pet.yaml "p1"`)

	parts["/pet.yaml"] = conditional(`"p2"`, "q")
	second := follow("pet.yaml")
	p.expectAsked(t, `/d "d1"`, "/none.yaml", `/pet.yaml "p1"`) // and not a second time
	if got := second.Content().Files; len(got) != 1 || string(got[0].Data) != minimal+"q" {
		t.Errorf("files %v", got)
	}
	parts["/pet.yaml"] = status(503)
	expect(t, s, "error: document "+p.URL+"/pet.yaml: answered with HTTP 503")
	parts["/d"], parts["/pet.yaml"] = conditional(`"d2"`, "b"), status(404)
	if err := follow("pet.yaml").Lost(second.Content()); err == nil {
		t.Error("a file is lost")
	}
	parts["/d"], parts["/pet.yaml"] = conditional(`"d3"`, "c"), conditional(`"p2"`, "q")
	follow()
	expect(t, s, "")
	if len(s.fetcher.kept) != 1 {
		t.Errorf("%d documents are kept, one is needed", len(s.fetcher.kept))
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

func TestURLsEndWithContext(t *testing.T) {
	p := newPlugin(t, answered(minimal))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := FromURL(URLOptions{URL: p.URL}).Poll(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestClose(t *testing.T) {
	idle := make(chan http.ConnState, 16)
	server := httptest.NewUnstartedServer(answered(minimal))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			idle <- state
		}
	}
	server.Start()
	defer server.Close()
	s := FromURL(URLOptions{URL: server.URL + "/d"})
	expect(t, s, "d=", "")
	if err := s.(io.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	<-idle
	expect(t, s, "")
}

// What a poll costs on our side when nothing changed; Server adds a server in
// the same process.
func BenchmarkPollUnchangedURL(b *testing.B) {
	run := func(b *testing.B, o URLOptions) {
		s := FromURL(o)
		if p, err := s.Poll(b.Context()); p == nil || err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if p, err := s.Poll(b.Context()); p != nil || err != nil {
				b.Fatal(p, err)
			}
		}
	}
	b.Run("own", func(b *testing.B) {
		run(b, URLOptions{URL: "http://plugin.example/d", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: http.StatusNotModified, Header: http.Header{"Etag": {`"1"`}}, Body: http.NoBody, Request: r}
			if r.Header.Get("If-None-Match") == "" {
				resp.StatusCode, resp.Body = http.StatusOK, io.NopCloser(strings.NewReader(minimal))
			}
			return resp, nil
		})})
	})
	b.Run("Server", func(b *testing.B) {
		server := httptest.NewServer(conditional(`"1"`, ""))
		defer server.Close()
		run(b, URLOptions{URL: server.URL})
	})
}
