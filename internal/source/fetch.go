package source

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

const (
	fetchTimeout = 30 * time.Second
	maxRedirects = 5
	// confirmations is how often in a row a server may say that nothing changed
	// before it is asked for the document itself: its validators may be wrong.
	confirmations = 60
	// longestRetryAfter bounds what a server may ask for.
	longestRetryAfter = 24 * time.Hour
)

// StatusError is an answer without a document.
type StatusError struct {
	Document   string        // its URL, without credentials and query
	Status     int           // of HTTP
	RetryAfter time.Duration // that a 429 or 503 asks for; 0: it does not
}

func (e *StatusError) Error() string {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Sprintf("document %s: answered with HTTP %d; it wants credentials (auth or specAuth), or other ones", e.Document, e.Status)
	}
	return fmt.Sprintf("document %s: answered with HTTP %d", e.Document, e.Status)
}

// pageError is an answer that is for people.
type pageError struct{ document string }

func (e *pageError) Error() string {
	return fmt.Sprintf("document %s: is a web page (HTML or XML), perhaps one to log in; give the URL of the document itself, or its credentials (auth or specAuth)", e.document)
}

// fetcher gets documents of one origin. It remembers what it got, and asks
// whether that still holds. It is not safe for concurrent use.
type fetcher struct {
	transport http.RoundTripper
	timeout   time.Duration       // of each fetch, redirects included
	maxBytes  int                 // of a document, decoded
	kept      map[string]*fetched // by the URL that was asked for
}

// fetched is a document as it was when it was last fetched.
type fetched struct {
	openapi.Source        // with the name that it has after redirects
	etag, modified string // validators (RFC 9110 §8.8); empty: none to go by
	confirmed      int    // how often in a row the server said that it still holds
}

// fetch gets one document, once.
func fetch(ctx context.Context, rawURL string, header http.Header) (openapi.Source, error) {
	doc, err := oneShot().get(ctx, rawURL, header)
	if err != nil {
		return openapi.Source{}, err
	}
	return doc.Source, nil
}

// oneShot is for what is read once: it needs no connections of its own.
func oneShot() *fetcher {
	return &fetcher{transport: http.DefaultTransport, timeout: fetchTimeout, maxBytes: MaxDocument, kept: map[string]*fetched{}}
}

// Close implements [io.Closer]: connections that are idle end.
func (f *fetcher) Close() error {
	if t, ok := f.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// Within bounds how long a source is waited for. An error that comes of it says
// how long that was: of nested bounds, the one that ended.
func Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("answer is not complete after %v", d))
}

// get gives a document, the same value as before where it has not changed.
func (f *fetcher) get(ctx context.Context, rawURL string, header http.Header) (*fetched, error) {
	ctx, cancel := Within(ctx, f.timeout)
	defer cancel()
	old := f.kept[rawURL]
	known := old
	if known != nil && (known.confirmed >= confirmations || known.etag == "" && known.modified == "") {
		known = nil
	}
	got, err := f.ask(ctx, rawURL, header, known)
	if known != nil && err == nil && got == nil { // confirmed, but another one than is known
		got, err = f.ask(ctx, rawURL, header, nil)
	}
	switch {
	case err != nil:
		return nil, err
	case got == old:
		old.confirmed++
	case old != nil && got.Name == old.Name && bytes.Equal(got.Data, old.Data):
		old.etag, old.modified, old.confirmed = got.etag, got.modified, 0
	default:
		f.kept[rawURL] = got
	}
	return f.kept[rawURL], nil
}

// ask gives what a server has, or known where that is what it has. It gives
// nil where the server says so of something else.
func (f *fetcher) ask(ctx context.Context, rawURL string, header http.Header, known *fetched) (*fetched, error) {
	name := Display(rawURL)
	resp, at, err := f.follow(ctx, rawURL, header, known)
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", name, f.plain(ctx, err))
	}
	defer resp.Body.Close()
	// after a redirect, $refs count from where the document is (RFC 3986 §5.1.3)
	got := &fetched{Source: openapi.Source{Name: Display(at.String())}}
	got.validate(resp.Header)
	switch {
	case resp.StatusCode == http.StatusNotModified && known != nil:
		if got.agrees(known) {
			return known, nil
		}
		return nil, nil
	case resp.StatusCode != http.StatusOK:
		return nil, &StatusError{Document: name, Status: resp.StatusCode, RetryAfter: retryAfter(resp, time.Now())}
	}
	if got.Data, err = f.body(resp); err != nil {
		return nil, fmt.Errorf("document %s: %w", name, f.plain(ctx, err))
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if isPage(got.Data, mediaType) {
		return nil, &pageError{name}
	}
	return got, nil
}

// follow asks, and follows redirects as far as the credentials may go: to the
// same scheme, host and port.
func (f *fetcher) follow(ctx context.Context, rawURL string, header http.Header, known *fetched) (*http.Response, *url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, http.NoBody)
	if err != nil || req.URL.Host == "" {
		return nil, nil, because(unreachable, errors.New("is at no URL that makes sense"))
	}
	req.Header.Set("User-Agent", "stagedoor")
	maps.Copy(req.Header, header)
	if user := req.URL.User; user != nil && req.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	req.URL.User = nil
	req.Header.Set("Accept", "application/json, application/yaml;q=0.9, */*;q=0.5")
	req.Header.Set("Accept-Encoding", "gzip")
	if known != nil && known.etag != "" {
		req.Header.Set("If-None-Match", known.etag)
	}
	if known != nil && known.modified != "" {
		req.Header.Set("If-Modified-Since", known.modified)
	}
	for range maxRedirects + 1 {
		resp, err := f.transport.RoundTrip(req)
		if err != nil {
			return nil, nil, err
		}
		location := resp.Header.Get("Location")
		if location == "" || resp.StatusCode/100 != 3 || resp.StatusCode == http.StatusNotModified {
			return resp, req.URL, nil
		}
		_ = resp.Body.Close()
		to, err := req.URL.Parse(location)
		switch {
		case err != nil:
			return nil, nil, because(redirected, errors.New("redirects to what is no URL"))
		case to.Scheme != req.URL.Scheme || address(to) != address(req.URL):
			return nil, nil, because(redirected, errors.New("redirects to another host, which is not followed"))
		}
		req = req.Clone(ctx)
		to.User, to.Fragment = nil, ""
		req.URL = to
	}
	return nil, nil, because(redirected, errors.New("redirects too often"))
}

// body reads an answer, decoded.
func (f *fetcher) body(resp *http.Response) ([]byte, error) {
	if resp.ContentLength > int64(f.maxBytes) {
		return nil, because(tooLarge, fmt.Errorf("is larger than %d bytes", f.maxBytes))
	}
	switch encoding := strings.ToLower(resp.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return readAll(resp.Body, resp.ContentLength, f.maxBytes)
	case "gzip", "x-gzip":
		// members without content would cost time and never add up to the limit
		unzipped, err := gzip.NewReader(io.LimitReader(resp.Body, int64(f.maxBytes)))
		if err == nil {
			var data []byte
			if data, err = readAll(unzipped, 4*resp.ContentLength, f.maxBytes); err == nil {
				return data, nil
			}
		}
		if _, corrupt := errors.AsType[flate.CorruptInputError](err); corrupt || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
			return nil, because(misencoded, errors.New("is not the gzip that it says it is"))
		}
		return nil, err
	default:
		return nil, because(misencoded, fmt.Errorf("is encoded as %.40q, which was not asked for", encoding))
	}
}

// validate takes over the validators that can be relied on.
func (d *fetched) validate(h http.Header) {
	if etag := h.Get("ETag"); len(etag) <= 1024 && strings.IndexFunc(etag, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
		d.etag = etag
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	date, wrong := http.ParseTime(h.Get("Date"))
	// it may change once more in the second in which it changed (RFC 9110 §8.8.2.2)
	if err == nil && wrong == nil && date.Sub(modified) > time.Second {
		d.modified = h.Get("Last-Modified")
	}
}

// agrees tells whether a 304 with these validators is about what is known: it
// has to be at the same place, and a server that names validators names those
// of what it has now. One that was rolled back may have an older document.
func (d *fetched) agrees(known *fetched) bool {
	weak := func(etag string) string { return strings.TrimPrefix(etag, "W/") }
	return d.Name == known.Name && (d.etag == "" || weak(d.etag) == weak(known.etag)) &&
		(d.modified == "" || known.modified == "" || d.modified == known.modified)
}

// plain says what went wrong on the way in words that are the same each time,
// without addresses of the inner network.
func (f *fetcher) plain(ctx context.Context, err error) error {
	if _, known := errors.AsType[*causedError](err); known {
		return err
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return because(unreachable, errors.New("host is not found"))
		}
		return because(unreachable, errors.New("host cannot be looked up now"))
	}
	op, isOp := errors.AsType[*net.OpError](err)
	switch text := err.Error(); {
	case isOp && op.Op == "dial" && !errors.Is(err, context.Canceled):
		return because(unreachable, fmt.Errorf("%s: %w", op.Op, op.Err))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return because(late, context.Cause(ctx))
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return because(cutShort, errors.New("answer is cut short"))
	case errors.Is(err, io.EOF):
		return because(cutShort, errors.New("connection ended before the answer"))
	case isOp:
		return because(unreachable, fmt.Errorf("%s: %w", op.Op, op.Err))
	case len(text) > 200:
		return because(unreachable, errors.New(strings.ToValidUTF8(text[:200], "")+"…"))
	}
	return because(unreachable, err)
}

// retryAfter is how long a server that is busy wants to be left alone (RFC 9110
// §10.2.3); 0: it does not say, or not so that it makes sense.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	value := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(longestRetryAfter/time.Second))) * time.Second // #nosec G115 -- bounded
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestRetryAfter)
}
