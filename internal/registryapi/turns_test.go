package registryapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/registryapi"
)

// slow takes three seconds to judge a document, and has only plugins of the name
// "renewed" registered, with the hash "aa".
type slow struct {
	registryapi.Registrar
	mu      sync.Mutex
	judging map[string]int // by publisher
	most    int
}

func (s *slow) count(publisher string, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judging[publisher] += by
	s.most = max(s.most, s.judging[publisher])
}

func (s *slow) Register(_ context.Context, r publication.Registration, _ time.Duration, _ publication.Content) (registryapi.Registered, error) {
	s.count(r.Publisher, 1)
	defer s.count(r.Publisher, -1)
	time.Sleep(3 * time.Second)
	return registryapi.Registered{Registration: r, Verdict: publication.Accepted}, nil
}

func (s *slow) Renew(_ context.Context, plugin, publisher, hash string, _ time.Duration) (registryapi.Registered, error) {
	r := publication.Registration{Plugin: plugin, Publisher: publisher, BaseURL: base, Hash: "aa"}
	switch {
	case plugin != "renewed":
		return registryapi.Registered{}, publication.ErrNotFound
	case hash != "aa":
		return registryapi.Registered{Registration: r}, publication.ErrNotFound
	}
	return registryapi.Registered{Registration: r, Verdict: publication.Accepted}, nil
}

// Documents of one publisher wait for each other, those of others and renewals
// do not wait for them.
func TestPublishersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		yes := func(string) bool { return true }
		s := &slow{judging: map[string]int{}}
		h := registryapi.New(registryapi.Options{Registrar: s, Logger: slog.New(slog.DiscardHandler), Publishers: func() []registryapi.Publisher {
			return []registryapi.Publisher{{Name: "team", Token: token, MayRegister: yes, Admits: yes}, {Name: "other", Token: foreign, MayRegister: yes, Admits: yes}}
		}})
		begun := time.Now()
		send := func(plugin, authorization, tag, document string) (status int, retry string, took time.Duration) {
			req := put(strings.NewReader(document))
			req.URL.Path = registryapi.Path + "/" + plugin
			req.ContentLength = int64(len(document))
			req.Header.Set("Authorization", "Bearer "+authorization)
			req.Header.Set("If-None-Match", tag)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			return w.Code, w.Header().Get("Retry-After"), time.Since(begun)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{}
		for i := range 12 {
			wg.Go(func() {
				status, retry, took := send(fmt.Sprint("p", i), token, "", doc)
				mu.Lock()
				defer mu.Unlock()
				got[fmt.Sprint(status, " ", retry, " ", took)]++
			})
		}
		synctest.Wait()
		if status, _, took := send("renewed", token, `"aa"`, ""); status != http.StatusOK || took != 0 {
			t.Errorf("renewal: %d after %v", status, took)
		}
		if status, _, took := send("theirs", foreign, "", doc); status != http.StatusCreated || took != 3*time.Second {
			t.Errorf("another publisher's: %d after %v", status, took)
		}
		wg.Wait()
		for want, n := range map[string]int{"429 1 0s": 4, "201  3s": 1, "201  6s": 1, "201  9s": 1, "201  12s": 1, "429 5 10s": 4} {
			if got[want] != n {
				t.Errorf("%s: %d of %v, want %d", want, got[want], got, n)
			}
		}
		if s.most != 1 {
			t.Errorf("%d of a publisher judged at once", s.most)
		}
	})
}
