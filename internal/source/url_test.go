package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
	for code, want := range map[int]string{500: "HTTP 500", 503: "HTTP 503", 401: "wants credentials (auth or specAuth)", 429: "HTTP 429"} {
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
	s := fromURL(t, URLOptions{URL: p.URL + "/d", Header: func(context.Context) (http.Header, error) {
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

// confirming says that nothing changed, to whoever knows the document.
func confirming() http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: http.StatusNotModified, Header: http.Header{"Etag": {`"1"`}}, Body: http.NoBody, Request: r}
		if r.Header.Get("If-None-Match") == "" {
			resp.StatusCode, resp.Body = http.StatusOK, io.NopCloser(strings.NewReader(minimal))
		}
		return resp, nil
	})
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
		run(b, URLOptions{URL: "http://plugin.example/d", Transport: confirming()})
	})
	b.Run("Server", func(b *testing.B) {
		server := httptest.NewServer(conditional(`"1"`, ""))
		defer server.Close()
		run(b, URLOptions{URL: server.URL})
	})
}

// A round of polls of many plugins, each with a server's real connection; the
// server's part is in it, too.
func BenchmarkPollRound(b *testing.B) {
	server := httptest.NewServer(conditional(`"1"`, ""))
	defer server.Close()
	sources := make([]Source, 200)
	for i := range sources {
		sources[i] = FromURL(URLOptions{URL: server.URL + "/" + fmt.Sprint(i)})
		if p, err := sources[i].Poll(b.Context()); p == nil || err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range sources {
			if p, err := s.Poll(b.Context()); p != nil || err != nil {
				b.Fatal(p, err)
			}
		}
	}
}

// What a poll allocates when nothing changed is bounded, without the way to the
// server.
func TestPollIsCheap(t *testing.T) {
	s := FromURL(URLOptions{URL: "http://plugin.example/d", Transport: confirming()})
	expect(t, s, "d=")
	if n := testing.AllocsPerRun(100, func() { expect(t, s, "") }); n > 60 {
		t.Errorf("%v allocations a poll", n)
	}
}
