package registryapi_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/registryapi"
)

// A plugin that changes its document all the time is asked to slow down; its
// renewals and other plugins are not.
func TestFlapping(t *testing.T) {
	f := newFixture(t)
	first := f.put(doc)
	tag := first.header.Get("Etag")
	start, refused := time.Now(), 0
	for i := range 20 {
		a := f.send(f.request(http.MethodPut, "/billing", strings.NewReader(fmt.Sprint(doc, i))))
		if a.status == http.StatusTooManyRequests {
			refused++
			if a.header.Get("Retry-After") != "1" {
				t.Error("no Retry-After")
			}
		} else {
			tag = a.header.Get("Etag")
		}
		if a := f.send(f.request(http.MethodPut, fmt.Sprint("/billing-", i), strings.NewReader(doc))); a.status != http.StatusCreated {
			t.Errorf("another plugin: %d %s", a.status, a.text)
		}
		f.wants("renewal", f.put("", header("If-None-Match", tag)), http.StatusOK)
	}
	if took := time.Since(start); refused < 19-int(took.Seconds()) {
		t.Errorf("%d refused in %v", refused, took)
	}
}

// A body that does not end holds up its own plugin's documents alone, and not
// for ever; nor is it begun to be read without a token.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newHandler()
		slow, sender := io.Pipe()
		defer sender.Close()
		req := put(slow)
		w := &stuck{ResponseRecorder: httptest.NewRecorder(), body: sender}
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.ServeHTTP(w, req)
		}()
		synctest.Wait()
		second := httptest.NewRecorder()
		f.ServeHTTP(second, put(strings.NewReader(doc)))
		if second.Code != http.StatusTooManyRequests {
			t.Errorf("second document at once: %d", second.Code)
		}
		<-done
		if w.Code != http.StatusRequestTimeout || w.took() != 30*time.Second {
			t.Errorf("status %d after %v: %s", w.Code, w.took(), w.Body)
		}
		stranger := put(unreadable{t})
		stranger.Header.Del("Authorization")
		refused := httptest.NewRecorder()
		if f.ServeHTTP(refused, stranger); refused.Code != http.StatusUnauthorized {
			t.Errorf("status %d", refused.Code)
		}
	})
}

// newHandler has no registrar: nothing is to come so far.
func newHandler() *registryapi.Handler {
	yes := func(string) bool { return true }
	return registryapi.New(registryapi.Options{
		Publishers: func() []registryapi.Publisher {
			return []registryapi.Publisher{{Name: "team", Token: token, MayRegister: yes, Admits: yes}}
		},
		Logger: slog.New(slog.DiscardHandler),
	})
}

func put(body io.Reader) *http.Request {
	req := httptest.NewRequest(http.MethodPut, registryapi.Path+"/billing?baseURL="+url.QueryEscape(base), body)
	req.Header.Set("Authorization", "Bearer "+token)
	req.ContentLength = -1
	return req
}

// stuck is a connection whose body never comes: reading ends at the deadline.
type stuck struct {
	*httptest.ResponseRecorder
	body       *io.PipeWriter
	began, set time.Time
}

func (s *stuck) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		s.began, s.set = time.Now(), at
		time.AfterFunc(time.Until(at), func() { s.body.CloseWithError(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)) })
	}
	return nil
}

func (s *stuck) took() time.Duration { return s.set.Sub(s.began) }

type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

// FuzzPut: nothing that a publisher sends is an internal error, and what is
// registered is what was sent.
func FuzzPut(f *testing.F) {
	f.Add("billing", "baseURL="+url.QueryEscape(base), "", "application/json", "", doc)
	f.Add("billing", "baseURL="+url.QueryEscape(base)+"&lease=60", `"aa"`, "", "", "")
	f.Add("a", "baseURL=https%3A%2F%2Fbilling.internal%ff", `W/"aa"`, "text/yaml", "gzip", zipped(doc))
	fx := newFixture(f) // what is made for each costs too much
	f.Fuzz(func(t *testing.T, plugin, query, tag, media, encoding, body string) {
		req := httptest.NewRequest(http.MethodPut, registryapi.Path+"/x", strings.NewReader(body))
		req.URL.Path, req.URL.RawQuery = registryapi.Path+"/"+plugin, query
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "If-None-Match": {tag}, "Content-Type": {media}, "Content-Encoding": {encoding}}
		w := httptest.NewRecorder()
		fx.fresh().ServeHTTP(w, req)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		all, err := fx.Registrations(t.Context())
		if err != nil || (w.Code == http.StatusCreated) != (len(all) == 1) {
			t.Errorf("status %d, and %d are registered: %v", w.Code, len(all), err)
		}
		for _, r := range all {
			g, err := fx.LastGood(t.Context(), plugin)
			if encoding != "gzip" && (err != nil || g.Verdict != publication.Accepted || string(g.Documents[0].Data) != body || r.BaseURL == "") {
				t.Errorf("registered %+v, %v", r, err)
			}
			if err := fx.Withdraw(t.Context(), r.Plugin, r.Publisher, r.Hash); err != nil {
				t.Error(err)
			}
		}
	})
}
