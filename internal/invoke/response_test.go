package invoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"

	"github.com/stagedoor/stagedoor/internal/credential"
	"github.com/stagedoor/stagedoor/openapi"
)

// ask calls a plugin that answers with the handler.
func ask(t *testing.T, handler http.HandlerFunc, o Options, a *openapi.Action) (*Result, error) {
	t.Helper()
	return askIn(context.Background(), t, handler, o, a)
}

// askIn is ask with a context.
func askIn(ctx context.Context, t *testing.T, handler http.HandlerFunc, o Options, a *openapi.Action) (*Result, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	o.BaseURL = server.URL
	return newClient(t, o).Invoke(ctx, a, nil)
}

func utf16Of(t *testing.T, s string, order unicode.Endianness, bom unicode.BOMPolicy) string {
	t.Helper()
	out, err := unicode.UTF16(order, bom).NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCharsets: text arrives as UTF-8, whatever it was and was called.
func TestCharsets(t *testing.T) {
	const said = `{"name":"José 日本"}`
	for name, tt := range map[string]struct{ contentType, body, json, text string }{
		"latin-1 text":         {"text/plain; charset=ISO-8859-1", "caf\xe9 \x80", "", "café €"},
		"latin-1 json":         {"application/json; charset=latin1", "{\"a\":\"caf\xe9\"}", `{"a":"café"}`, ""},
		"shift jis":            {"text/csv; charset=Shift_JIS", "\x93\xfa\x96\x7b", "", "日本"},
		"utf-8 mark":           {"application/json", "\xef\xbb\xbf{}", "{}", ""},
		"utf-8 mark, text":     {"text/plain", "\xef\xbb\xbfhi", "", "hi"},
		"utf-16 le mark":       {"application/json", utf16Of(t, said, unicode.LittleEndian, unicode.UseBOM), said, ""},
		"utf-16 be mark":       {"application/json; charset=utf-16", utf16Of(t, said, unicode.BigEndian, unicode.UseBOM), said, ""},
		"utf-16 be, unmarked":  {"application/json", utf16Of(t, said, unicode.BigEndian, unicode.IgnoreBOM), said, ""},
		"utf-16 le, unmarked":  {"application/json", utf16Of(t, said, unicode.LittleEndian, unicode.IgnoreBOM), said, ""},
		"utf-16 text":          {"text/plain", utf16Of(t, "zwölf", unicode.LittleEndian, unicode.UseBOM), "", "zwölf"},
		"wrong label":          {"text/plain; charset=utf-8", "caf\xe9", "", "caf\uFFFD"},
		"unknown label":        {"text/plain; charset=klingon", "caf\xe9", "", "café"},
		"unknown label, utf-8": {"text/plain; charset=klingon", "日本", "", "日本"},
		"no label":             {"text/plain", "caf\xe9", "", "café"},
		"no label, one broken": {"text/plain", "日本 \xe9", "", "日本 \uFFFD"},
		"label in html only":   {"text/html", "<p>caf\xe9", "", "<p>café"},
		"xml":                  {"application/xml; charset=windows-1251", "<a>\xcf</a>", "", "<a>П</a>"},
		"svg is text":          {"image/svg+xml", "<svg/>", "", "<svg/>"},
		"yaml":                 {"application/yaml", "a: 1", "", "a: 1"},
		"csv":                  {"text/csv", "a,b\n1,2\n", "", "a,b\n1,2\n"},
		"readable bytes":       {"application/octet-stream", "line 1\nzwölf", "", "line 1\nzwölf"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ask(t, reply(200, tt.contentType, tt.body), Options{}, plain("x"))
			if err != nil {
				t.Fatal(err)
			}
			if string(r.JSON) != tt.json || r.Text != tt.text || r.Binary != nil {
				t.Errorf("got %s %q %v, want %s %q", r.JSON, r.Text, r.Binary, tt.json, tt.text)
			}
		})
	}
}

// TestBinary: what is no text comes as its bytes, under its type.
func TestBinary(t *testing.T) {
	png := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff"
	for name, tt := range map[string]struct{ contentType, body, mediaType string }{
		"png":              {"image/png", png, "image/png"},
		"parameters":       {"Audio/OGG; codecs=opus", "OggS\x00\x01", "audio/ogg"},
		"readable pdf":     {"application/pdf", "%PDF-1.4 all readable", "application/pdf"},
		"bytes":            {"application/octet-stream", "\x00\x01\xfe", "application/octet-stream"},
		"no type":          {"", png, "image/png"},
		"png called text":  {"text/plain", png, "text/plain"},
		"readable image":   {"image/x-portable-pixmap", "P3 1 1 255 0 0 0", "image/x-portable-pixmap"},
		"latin-1, unnamed": {"application/x-thing", "caf\xe9 au lait", "application/x-thing"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ask(t, reply(200, tt.contentType, tt.body), Options{}, plain("x"))
			if err != nil {
				t.Fatal(err)
			}
			if r.Binary == nil || r.Binary.MediaType != tt.mediaType || string(r.Binary.Data) != tt.body || r.JSON != nil || r.Text != "" {
				t.Errorf("got %s %q %+v", r.JSON, r.Text, r.Binary)
			}
		})
	}
	_, err := ask(t, reply(200, "image/png", png), Options{MaxResponse: 10}, plain("x"))
	var e *Error
	if !errors.As(err, &e) || e.Kind != TooLarge {
		t.Errorf("half an image: %v", err)
	}
}

func TestSequences(t *testing.T) {
	for name, tt := range map[string]struct{ contentType, body, want string }{
		"ndjson":            {"application/x-ndjson", "{\"a\": 1}\n\n[2]\r\n9007199254740993", `[{"a":1},[2],9007199254740993]`},
		"jsonl, a bad line": {"application/jsonl", "1\n{oops\n3\n", `[1,"{oops",3]`},
		"json-seq":          {"application/json-seq", "\x1e{\"a\":\n1}\n\x1e2\n", `[{"a":1},2]`},
		"geo+json-seq":      {"application/geo+json-seq", "\x1e{}\n", `[{}]`},
		"no item":           {"application/x-ndjson", "\n", `[]`},
		"nothing":           {"application/x-ndjson", "", `{}`},
		"utf-16":            {"application/x-ndjson", "\xef\xbb\xbf\"é\"\n", `["é"]`},
		"events": {"text/event-stream; charset=utf-8",
			": hello\n\nevent: tick\nid: 7\ndata: {\"n\": 1}\n\ndata: two\ndata:lines\r\n\r\nretry: 10\n\rdata: [DONE]\r\rdata: last",
			`[{"event":"tick","id":"7","data":{"n":1}},{"data":"two\nlines"},{"data":"[DONE]"},{"data":"last"}]`},
		"an event without data": {"text/event-stream", "event: ping\n\n", `[{"event":"ping","data":""}]`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ask(t, reply(200, tt.contentType, tt.body), Options{}, plain("x"))
			if err != nil || r.Cut != nil || string(r.JSON) != tt.want {
				t.Errorf("got %v %v, want %s", r, err, tt.want)
			}
			if err == nil && !json.Valid(r.JSON) {
				t.Errorf("%s is not JSON", r.JSON)
			}
		})
	}
}

// drip is a stream in small pieces.
type drip struct {
	from io.Reader
	size int
}

func (d drip) Read(p []byte) (int, error) { return d.from.Read(p[:min(len(p), d.size)]) }

// TestLargeRecords: a record costs what it is long, however it comes.
func TestLargeRecords(t *testing.T) {
	text := strings.Repeat("x", 4<<20)
	c := newClient(t, Options{MaxResponse: 8 << 20})
	for contentType, body := range map[string]string{
		"text/event-stream":    "data: " + text + "\n\ndata: 2\n\n",
		"application/x-ndjson": `"` + text + "\"\n2\n",
		"application/json-seq": "\x1e\"" + text + "\"\n\x1e2\n",
	} {
		start := time.Now()
		r, err := c.collect(t.Context(), plain("x"), &answer{media: parseMediaType(contentType)}, drip{strings.NewReader(body), 100})
		if took := time.Since(start); err != nil || len(r.JSON) < len(text) || r.Cut != nil || took > time.Second {
			t.Errorf("%s: %v after %v", contentType, err, took)
		}
	}
}

// TestSequencesInPieces: where a read ends says nothing.
func TestSequencesInPieces(t *testing.T) {
	for contentType, body := range map[string]string{
		"text/event-stream":    ": hello\n\nid: 7\ndata: {\"n\": 1}\n\ndata: two\ndata:lines\r\n\r\nretry: 10\n\rdata: [DONE]\r\rdata: a\r\n\ndata: last",
		"application/x-ndjson": "{\"a\": 1}\n\n[2]\r\n9007199254740993",
		"application/json-seq": "\x1e{\"a\":\n1}\n\x1e2\n",
	} {
		c, want := newClient(t, Options{}), ""
		for _, size := range []int{1000, 1, 2, 3, 5, 7} {
			r, err := c.collect(t.Context(), plain("x"), &answer{media: parseMediaType(contentType)}, drip{strings.NewReader(body), size})
			if want == "" && err == nil {
				want = string(r.JSON)
			}
			if err != nil || string(r.JSON) != want {
				t.Errorf("%s in pieces of %d: %v %v, want %s", contentType, size, r, err, want)
			}
		}
	}
}

// TestEndlessStreams: what has come by the time or the cap is the result.
func TestEndlessStreams(t *testing.T) {
	a := plain("x")
	a.Timeout = 100 * time.Millisecond
	slow := func(items string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, items)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}
	r, err := ask(t, slow("data: 1\n\ndata: 2\n\ndata: not yet who"), Options{}, a)
	if err != nil || string(r.JSON) != `[{"data":1},{"data":2}]` || r.Cut == nil || r.Cut.Reason != "time" || r.Cut.Items != 2 {
		t.Errorf("got %+v %v", r, err)
	}
	var e *Error
	if _, err = ask(t, slow(": still nothing\n\n"), Options{}, a); !errors.As(err, &e) || e.Kind != Timeout {
		t.Errorf("nothing in time: %v", err)
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for i := 0; r.Context().Err() == nil; i++ {
			if _, err := fmt.Fprintf(w, "{\"n\":%d}\n", i); err != nil {
				return
			}
		}
	}
	r, err = ask(t, endless, Options{MaxResponse: 1000}, plain("x"))
	if err != nil || r.Cut == nil || r.Cut.Reason != "size" || len(r.JSON) > 1000 || len(r.JSON) < 800 || !json.Valid(r.JSON) {
		t.Errorf("got %+v %v", r, err)
	}
	if !strings.Contains(r.Cut.Note, fmt.Sprintf("the first %d items", r.Cut.Items)) {
		t.Error(r.Cut.Note)
	}
	broken := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		fmt.Fprint(w, "1\n2\n3")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	r, err = ask(t, broken, Options{}, plain("x"))
	if err != nil || string(r.JSON) != "[1,2]" || r.Cut == nil || r.Cut.Reason != "interrupted" {
		t.Errorf("got %+v %v", r, err)
	}
	long := reply(201, "text/event-stream", "data: "+strings.Repeat("x", 2000)+"\n\n")
	if _, err = ask(t, long, Options{MaxResponse: 1000}, plain("x")); !errors.As(err, &e) || e.Kind != TooLarge || e.Status != 201 {
		t.Errorf("one event over the cap: %v", err)
	}
}

// TestProgress: a caller who wants to know is told of each item, in order, as
// it comes.
func TestProgress(t *testing.T) {
	told := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, data := range []string{`{"message":"one of ` + r.Host + `"}`, "two", `{"n":3}`} {
			fmt.Fprintf(w, "data: %s\n\n", data)
			_ = http.NewResponseController(w).Flush()
			<-told // the next one comes only after this one was told
		}
	}))
	defer server.Close()
	var got []Progress
	ctx := WithProgress(t.Context(), func(p Progress) {
		got = append(got, p)
		told <- struct{}{}
	})
	r, err := newClient(t, Options{BaseURL: server.URL}).Invoke(ctx, plain("x"), nil)
	if err != nil || len(got) != 3 || got[0] != (Progress{"1", "", "one of [plugin]"}) || got[1] != (Progress{"2", "", "two"}) || got[2] != (Progress{"3", "", ""}) {
		t.Errorf("got %v %v %v", got, r, err)
	}
}

func TestHeaders(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Link", "<http://"+r.Host+`/items?page=2>; rel="next", <https://other.example/x>; rel="alternate"`)
		h.Set("Location", "http://"+strings.ToUpper(r.Host)+"/items/7#top")
		h.Set("Content-Location", "see "+r.Host)
		h.Set("X-RateLimit-Remaining", "3")
		h.Set("RateLimit-Policy", "10;w=60")
		h.Set("ETag", `"`+secret+`"`)
		h.Set("X-Total-Count", strings.Repeat("9", maxHeader+1))
		h.Set("Set-Cookie", "a=b")
		h.Set("Server", "inner/1.2")
		w.WriteHeader(http.StatusCreated)
	}))
	defer server.Close()
	r, err := newClient(t, Options{BaseURL: server.URL, Credentials: credentials}).Invoke(t.Context(), plain("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Header{
		{"content-location", "see [plugin]"},
		{"etag", `"[redacted]"`},
		{"link", `</items?page=2>; rel="next", </x>; rel="alternate"`},
		{"location", "/items/7#top"},
		{"ratelimit-policy", "10;w=60"},
		{"x-ratelimit-remaining", "3"},
	}
	if fmt.Sprint(r.Headers) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", r.Headers, want)
	}
}

// TestNoHosts: of a URL a caller learns path and query, whosever it is.
func TestNoHosts(t *testing.T) {
	c := newClient(t, Options{BaseURL: "https://api.internal/v1"})
	for _, tt := range []struct{ name, value, want string }{
		{"Location", "https://api.internal/v1/x", "/v1/x"},
		{"Location", "https://api.internal:8443/x#top", "/x#top"},
		{"Location", "HTTP://API.internal?x", "/?x"},
		{"Location", "https://db-7.cluster.local:5000/x?y=1", "/x?y=1"},
		{"Location", "http://user:p,a;ss%40@10.0.0.7/x", "/x"},
		{"Location", "http://[fd00::1]:80", "/"},
		{"Location", "//db-7/x", "/x"},
		{"Location", "https://db-7//evil/x", "/evil/x"},
		{"Location", "/login?next=https%3A%2F%2Fdb-7%3A81%2Fx%3Fy&back=http://db-8/z", "/login?next=%2Fx%3Fy&back=/z"},
		{"Location", "/login?a=b%3Dhttps://db-7/x", "/login?a=b%3D/x"},
		{"Location", "/a//b?c=%2F%2Fd", "/a//b?c=%2F%2Fd"},
		{"Content-Location", "see API.internal:443, api.internals", "see [plugin], api.internals"},
		{"Link", `<http://db-7/x?page=2>; rel="next", <//db-8/y>; rel="prev"; title="//z"`, `</x?page=2>; rel="next", </y>; rel="prev"; title="/"`},
		{"X-Next-Page", "http://db-7/x?page=2", "/x?page=2"},
		{"Etag", `"//AbC+/="`, `"//AbC+/="`},
		{"Ratelimit-Policy", `"burst";q=100;w=60`, `"burst";q=100;w=60`},
	} {
		if got := c.headers(http.Header{tt.name: {tt.value}}, nil); len(got) != 1 || got[0].Value != tt.want {
			t.Errorf("%s: %s became %v, want %s", tt.name, tt.value, got, tt.want)
		}
	}
}

// TestDiscreet: a host is a host, and a word is a word.
func TestDiscreet(t *testing.T) {
	for _, tt := range []struct{ base, text, want string }{
		{"http://billing", "billing account not found", "billing account not found"},
		{"http://billing", "dial Billing:80: refused, billing:8080", "dial [plugin]: refused, billing:8080"},
		{"http://billing", "see http://billing/x, http://billings/x and http://billing:80/x", "see http://[plugin]/x, http://billings/x and http://[plugin]/x"},
		{"https://billing:8443", "billing:8443 billing:84430 billing:443 billing", "[plugin] billing:84430 billing:443 billing"},
		{"https://api.internal", "api.internal, api.internal:443, api.internal:8443", "[plugin], [plugin], [plugin]:8443"},
		{"http://127.0.0.1:81", "127.0.0.1 and 127.0.0.10:81", "[plugin] and 127.0.0.10:81"},
		{"http://[::1]:81", "dial [::1]:81: refused by [::1], std::1", "dial [plugin]: refused by [plugin], std::1"},
	} {
		if got := newClient(t, Options{BaseURL: tt.base}).discreet(tt.text); got != tt.want {
			t.Errorf("%s: %s\ngot  %s\nwant %s", tt.base, tt.text, got, tt.want)
		}
	}
}

// TestHeadersAreCheap: they are part of every call.
func TestHeadersAreCheap(t *testing.T) {
	c := newClient(t, Options{BaseURL: "https://billing.internal/v1"})
	hidden := newSecrets(&credential.Credentials{Header: http.Header{"Authorization": {"Bearer " + secret}}}, nil)
	usual := http.Header{
		"Etag": {`W/"33a64df551425fcc55e4d42a148795d9f25f89d4"`}, "X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"4999"},
		"Last-Modified": {"Wed, 21 Oct 2015 07:28:00 GMT"}, "Content-Type": {"application/json"}, "Date": {"Wed, 21 Oct 2015 07:28:00 GMT"},
	}
	if n := testing.AllocsPerRun(100, func() { c.headers(usual, hidden) }); n > 1 {
		t.Errorf("%v allocations, want the list alone", n)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]string{
		"": "", "30": "try again in 30s", "90": "try again in 1m30s", "-1": "", "0": "", "soon": "", "99999999999": "",
		"Thu, 01 Jan 2026 12:02:00 GMT": "try again in 2m0s", "Thu, 01 Jan 2026 11:00:00 GMT": "",
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
	limited := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			fmt.Fprint(w, `{"title":"Slow down"}`)
		}
	}
	for status, want := range map[int]string{
		429: "HTTP 429 Too Many Requests: Slow down; try again in 30s",
		503: "the plugin failed (HTTP 503); try again in 30s",
	} {
		_, err := ask(t, limited(status), Options{}, plain("x"))
		var e *Error
		if !errors.As(err, &e) || e.Message != want || fmt.Sprint(e.Headers) != "[{retry-after 30}]" {
			t.Errorf("got %v", err)
		}
	}
}

// TestFaultShapes: the sentence of an error body, in the shapes that APIs have.
func TestFaultShapes(t *testing.T) {
	for _, tt := range []struct{ contentType, body, want string }{
		{"application/json", `{"errors":[{"status":"422","source":{"pointer":"/data/size"},"title":"Invalid","detail":"too big"},{"detail":"no name"}]}`,
			`Invalid: too big (source {"pointer":"/data/size"}); no name`},
		{"application/json", `{"errors":[{"message":"Cannot query field","path":["a",0],"extensions":{"code":"X"}}],"data":null}`, `Cannot query field (path ["a",0])`},
		{"application/json", `{"errors":["a is bad","b is bad"]}`, "a is bad; b is bad"},
		{"application/json", `{"errors":{"name":["is blank"]}}`, `{"errors":{"name":["is blank"]}}`},
		{"application/problem+json", `{"type":"https://x/credit","title":"No credit","status":403,"balance":30,"accounts":["/1"]}`, `No credit: {"accounts":["/1"],"balance":30}`},
		{"application/x-amz-json-1.1", `{"__type":"com.amazon.coral#ValidationException","message":"1 error"}`, "ValidationException: 1 error"},
		{"application/x-amz-json-1.0", `{"__type":"ThrottlingException","Message":"slow"}`, "ThrottlingException: slow"},
		{"application/json", `{"error":{"code":400,"message":"bad x","status":"INVALID_ARGUMENT","details":[{"field":"x"}]}}`, `INVALID_ARGUMENT: bad x: [{"field":"x"}]`},
		{"application/json", `{"statusCode":400,"message":["a must be a number","b is needed"],"error":"Bad Request"}`, "a must be a number; b is needed"},
		{"application/json", `{"detail":[{"loc":["body","x"],"msg":"field required"}]}`, `field required`},
		{"application/json", `{"code":"E7","message":"no"}`, "E7: no"},
		{"application/json", `["not","an object"]`, `["not","an object"]`},
		{"application/json", `{"a":{"stack":"at /srv/x.js"},"b":[{"trace":"y"}]}`, `{"a":{},"b":[{}]}`},
		{"application/json", `{"error":{}}`, `{"error":{}}`},
		{"application/json", `{"message":""}`, `{"message":""}`},
		{"application/json", `null`, `null`},
		{"text/plain; charset=iso-8859-1", "caf\xe9", "café"},
		{"application/xml", "<Error><Code>NoSuchKey</Code></Error>", "<Error><Code>NoSuchKey</Code></Error>"},
		{"text/html", "<html>", ""},
		{"application/json", "<html>", ""},
		{"image/png", "\x89PNG\x00", ""},
	} {
		_, err := ask(t, reply(400, tt.contentType, tt.body), Options{}, plain("x"))
		var e *Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		want := "HTTP 400 Bad Request"
		if tt.want != "" {
			want += ": " + tt.want
		}
		if e.Message != want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.body, e.Message, want)
		}
	}
}

// TestFaultHeaders: of a plugin's own faults only when to try again is told, not
// where it would have led.
func TestFaultHeaders(t *testing.T) {
	for status, want := range map[int]string{
		302: "[{retry-after 5}]", 500: "[{retry-after 5}]", 401: "[{retry-after 5}]", 409: "[{location /x} {retry-after 5}]",
	} {
		_, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://other.internal/x")
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(status)
		}, Options{}, plain("x"))
		var e *Error
		if !errors.As(err, &e) || fmt.Sprint(e.Headers) != want {
			t.Errorf("%d: got %v, want %s", status, e.Headers, want)
		}
	}
}

// FuzzAnswer: whatever a plugin answers, the result is well-formed and within
// the cap, or an error says why not.
func FuzzAnswer(f *testing.F) {
	for _, contentType := range []string{
		"application/json", "text/plain; charset=utf-16", "text/event-stream", "application/x-ndjson", "application/json-seq; charset=latin1", "", "image/png",
	} {
		f.Add(200, contentType, []byte("data: {\"a\":[1,2,\"\xe9\"]}\r\n\n\x1e[1]\n"), 20)
	}
	f.Add(422, "application/problem+json", []byte(`{"title":"x","detail":"y","errors":[{"message":"z","path":["a"]}]}`), 1000)
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte, limit int) {
		if limit < 1 || limit > 1<<16 || status < 100 || status > 599 {
			return
		}
		c, err := New(Options{BaseURL: "http://plugin.invalid", MaxResponse: int64(limit)})
		if err != nil {
			t.Fatal(err)
		}
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1}
		r, err := c.answer(t.Context(), plain("x"), nil, resp, newSecrets(&credential.Credentials{Header: http.Header{"X-Key": {"a-secret"}}}, nil))
		var e *Error
		switch {
		case errors.As(err, &e):
			if !utf8.ValidString(e.Message) || e.Message == "" {
				t.Errorf("message %q", e.Message)
			}
		case err != nil:
			t.Error(err)
		case r.JSON == nil && r.Binary == nil && !utf8.ValidString(r.Text):
			t.Errorf("text %q", r.Text)
		case r.JSON != nil && (!json.Valid(r.JSON) || !utf8.Valid(r.JSON)):
			t.Errorf("JSON %q", r.JSON)
		case r.Cut == nil && r.Binary == nil && len(body) > 10*limit+100:
			t.Errorf("%d bytes with a limit of %d became %d", len(body), limit, len(r.JSON)+len(r.Text))
		}
	})
}
