package invoke

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stagedoor/stagedoor/openapi"
)

// moody answers the first request of all, and hangs up on every other that
// comes over a connection which was used before. It keeps what it was sent.
type moody struct {
	mu   sync.Mutex
	sent []string
}

func (m *moody) serve(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { m.answer(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return "http://" + l.Addr().String()
}

func (m *moody) answer(conn net.Conn) {
	defer conn.Close()
	for n := 1; ; n++ {
		var raw bytes.Buffer
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &raw)))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		m.mu.Lock()
		m.sent = append(m.sent, raw.String())
		m.mu.Unlock()
		if n == 2 {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}
}

// calling is an action with a body or without, and with a header that net/http
// takes for a promise.
func calling(method string, body bool, key string, attributes openapi.Attributes) *openapi.Action {
	a := plain("x")
	a.Request.Method, a.Attributes = method, attributes
	if body {
		a.Request.Body = &openapi.Body{Contents: []openapi.Content{{MediaType: "application/json"}}, Whole: &openapi.Value{Fixed: []byte(`{"a":1}`)}}
	}
	if key != "" {
		a.Request.Parameters = []openapi.Parameter{{Name: key, In: openapi.InHeader, Style: "simple", Value: openapi.Value{Fixed: []byte(`"k"`)}}}
	}
	return a
}

// TestOnce: what may not be made twice reaches a plugin once, whatever net/http
// holds for idempotent; and a call that is made again says so.
func TestOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		method     string
		body       bool
		key        string
		attributes openapi.Attributes
		retry      bool
		want       int // requests after the first
	}{
		"a GET that changes something":      {"GET", false, "", openapi.Attributes{Destructive: true}, true, 1},
		"a GET with a body":                 {"GET", true, "", openapi.Attributes{Destructive: true}, true, 1},
		"a GET with a key":                  {"GET", false, "Idempotency-Key", openapi.Attributes{Destructive: true}, true, 1},
		"HEAD":                              {"HEAD", false, "", openapi.Attributes{}, true, 1},
		"OPTIONS":                           {"OPTIONS", false, "", openapi.Attributes{}, true, 1},
		"TRACE":                             {"TRACE", false, "", openapi.Attributes{}, true, 1},
		"a POST":                            {"POST", true, "", openapi.Attributes{}, true, 1},
		"a POST with a key":                 {"POST", true, "Idempotency-Key", openapi.Attributes{}, true, 1},
		"a POST with a key, without a body": {"POST", false, "X-Idempotency-Key", openapi.Attributes{}, true, 1},
		"nobody wants retries":              {"GET", false, "", openapi.Attributes{ReadOnly: true, Idempotent: true}, false, 1},
		"a GET that reads":                  {"GET", false, "", openapi.Attributes{ReadOnly: true}, true, 2},
		"a PUT":                             {"PUT", true, "", openapi.Attributes{Idempotent: true}, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var m moody
			c := newClient(t, Options{BaseURL: m.serve(t), Retry: tt.retry})
			defer c.Close()
			if _, err := c.Invoke(t.Context(), plain("first"), nil); err != nil {
				t.Fatal(err)
			}
			_, err := c.Invoke(t.Context(), calling(tt.method, tt.body, tt.key, tt.attributes), nil)
			if (err == nil) != (tt.want == 2) || tt.want == 1 && !strings.Contains(messageOf(err), "cannot be reached (it hung up)") {
				t.Errorf("got %v", err)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if len(m.sent)-1 != tt.want {
				t.Errorf("sent %d times: %q", len(m.sent)-1, m.sent[1:])
			}
		})
	}
}

// TestOnceOnTheWire: that a request may not be repeated is not to be seen of it.
func TestOnceOnTheWire(t *testing.T) {
	for name, a := range map[string]*openapi.Action{
		"GET": calling("GET", false, "", openapi.Attributes{}), "GET with a body": calling("GET", true, "", openapi.Attributes{}),
		"HEAD": calling("HEAD", false, "", openapi.Attributes{}), "POST": calling("POST", true, "Idempotency-Key", openapi.Attributes{}),
		"POST without a body": calling("POST", false, "Idempotency-Key", openapi.Attributes{}),
		"DELETE":              calling("DELETE", false, "X-Idempotency-Key", openapi.Attributes{}),
	} {
		t.Run(name, func(t *testing.T) {
			var m moody
			c := newClient(t, Options{BaseURL: m.serve(t), Retry: true})
			defer c.Close()
			for _, idempotent := range []bool{true, false} {
				a.Attributes.Idempotent = idempotent
				if _, err := c.Invoke(t.Context(), a, nil); err != nil {
					t.Fatal(err)
				}
				c.Close() // the next one has a connection of its own
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if len(m.sent) != 2 || sorted(m.sent[0]) != sorted(m.sent[1]) || strings.Contains(m.sent[1], "hunked") {
				t.Errorf("sent %q", m.sent)
			}
		})
	}
}

// sorted is a request with its header's lines in order, names in lower case.
func sorted(request string) string {
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	lines := strings.Split(strings.ToLower(head), "\r\n")
	return strings.Join(append(lines[:1], slices.Sorted(slices.Values(lines[1:]))...), "\r\n") + "\r\n\r\n" + body
}

// TestOnceOverHTTP2: there no request looks other than it would.
func TestOnceOverHTTP2(t *testing.T) {
	var lengths []int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("spoke %s", r.Proto)
		}
		lengths = append(lengths, r.ContentLength)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	c := newClient(t, Options{BaseURL: server.URL, Transport: server.Client().Transport})
	for range 3 {
		if _, err := c.Invoke(t.Context(), plain("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(lengths, []int64{0, 0, 0}) {
		t.Errorf("lengths %v: bodies that are not there", lengths)
	}
}
