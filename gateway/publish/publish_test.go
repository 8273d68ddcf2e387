package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/gateway/publish"
	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/registryapi"
)

// registry is a gateway's registry in memory, behind the real HTTP face, and the
// network on the way to it.
type registry struct {
	http.Handler
	mu   sync.Mutex
	held publication.Registration           // no Plugin: nothing is
	down func(*http.Request) *http.Response // where set, what is answered instead; nil: nothing is
	seen []string                           // requests
}

func newRegistry() *registry {
	f := &registry{}
	yes := func(string) bool { return true }
	f.Handler = registryapi.New(registryapi.Options{
		Registrar: f, Logger: slog.New(slog.DiscardHandler),
		Publishers: func() []registryapi.Publisher {
			return []registryapi.Publisher{{Name: "team", Token: "secret", MayRegister: yes, Admits: yes}}
		},
	})
	return f
}

func (f *registry) Register(_ context.Context, r publication.Registration, lease time.Duration, c publication.Content) (registryapi.Registered, error) {
	if bytes.Contains(c.Documents[0].Data, []byte("broken")) {
		return registryapi.Registered{}, &registryapi.RefusedError{Reason: "document is broken", Findings: json.RawMessage(`[{"severity":"error","code":"bad","location":{"file":"billing","line":3,"column":1}}]`)}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = r
	f.held.Until = time.Now().Add(lease)
	return registryapi.Registered{Registration: r, Verdict: publication.Accepted, Actions: []string{"pay"}, Findings: json.RawMessage(`[{"severity":"info","message":"no examples"}]`)}, nil
}

func (f *registry) Renew(_ context.Context, _, _, hash string, lease time.Duration) (registryapi.Registered, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held.Now = time.Now()
	if f.held.Hash != hash {
		return registryapi.Registered{Registration: f.held}, publication.ErrNotFound
	}
	f.held.Until = time.Now().Add(lease)
	return registryapi.Registered{Registration: f.held, Verdict: publication.Accepted, Actions: []string{"pay"}}, nil
}

func (f *registry) Withdraw(_ context.Context, _, _, hash string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held.Plugin == "" || hash != "" && f.held.Hash != hash {
		return publication.ErrNotFound
	}
	f.held = publication.Registration{}
	return nil
}

func (f *registry) Statuses() []publication.Status { return nil }

func (f *registry) Generations(context.Context, string) ([]publication.Generation, error) {
	return nil, nil
}

// RoundTrip is the network.
func (f *registry) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	kind := r.Method
	if r.Header.Get("If-None-Match") != "" {
		kind = "renew"
	}
	f.seen = append(f.seen, kind)
	down := f.down
	f.mu.Unlock()
	if down != nil {
		if answer := down(r); answer != nil {
			return answer, nil
		}
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

func (f *registry) breaks(down func(*http.Request) *http.Response) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// requests gives those since the last time.
func (f *registry) requests() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := strings.Join(f.seen, " ")
	f.seen = nil
	return seen
}

func (f *registry) registered() (hash string, live bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held.Hash, f.held.Plugin != "" && f.held.Until.After(time.Now())
}

func (f *registry) options(document string) publish.Options {
	return publish.Options{
		Gateway: "http://gateway.example/", Plugin: "billing", Token: "secret", BaseURL: "http://127.0.0.1:7007/api",
		Document: []byte(document), Lease: 30 * time.Second, HTTPClient: &http.Client{Transport: f},
	}
}

// run starts Run; the returned function ends it and gives its error.
func run(t *testing.T, o publish.Options) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- publish.Run(ctx, o) }()
	synctest.Wait()
	return func() error { cancel(); return <-ended }
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newRegistry()
		stop := run(t, f.options("{}"))
		for range 100 {
			time.Sleep(time.Second)
			if _, live := f.registered(); !live {
				t.Fatal("the lease lapsed")
			}
		}
		seen := f.requests()
		if n := strings.Count(seen, "renew"); !strings.HasPrefix(seen, "PUT renew") || strings.Count(seen, "PUT") != 1 || n < 9 || n > 11 {
			t.Error(seen)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if _, live := f.registered(); live || f.requests() != "DELETE" {
			t.Error("it was not withdrawn")
		}
	})
}

// What the gateway lost comes back with the next renewal.
func TestRunSendsTheDocumentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newRegistry()
		stop := run(t, f.options("{}"))
		if err := f.Withdraw(t.Context(), "billing", "team", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		if _, live := f.registered(); !live || f.requests() != "PUT renew PUT" {
			t.Error("it was not registered again")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// While the gateway is away it is asked less and less often, and as soon as it
// is back the plugin is, too.
func TestRunOutlivesOutages(t *testing.T) {
	for name, down := range map[string]func(*http.Request) *http.Response{
		"nobody": func(*http.Request) *http.Response { return nil },
		"proxy":  func(*http.Request) *http.Response { return answered(http.StatusBadGateway, nil, "<html>") },
		"routes": func(*http.Request) *http.Response { return answered(http.StatusNotFound, nil, "") },
		"retry": func(*http.Request) *http.Response {
			return answered(http.StatusTooManyRequests, http.Header{"Retry-After": {"3"}}, "")
		},
		"garbage": func(*http.Request) *http.Response { return answered(http.StatusOK, nil, "welcome") },
		"moved": func(*http.Request) *http.Response {
			return answered(http.StatusTemporaryRedirect, http.Header{"Location": {"http://elsewhere.example"}}, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newRegistry()
				f.breaks(down)
				var log bytes.Buffer
				o := f.options("{}")
				o.Logger = slog.New(slog.NewTextHandler(&log, nil))
				stop := run(t, o)
				time.Sleep(5 * time.Minute)
				if n := strings.Count(f.requests(), "PUT"); n < 28 || n > 90 { // the lease is 30 s, so 10 s is the longest pause
					t.Errorf("%d attempts in 5 minutes", n)
				}
				f.breaks(nil)
				time.Sleep(11 * time.Second)
				if _, live := f.registered(); !live {
					t.Error("it did not come back")
				}
				f.breaks(down) // and now it has something to renew
				time.Sleep(5 * time.Second)
				f.breaks(nil)
				time.Sleep(11 * time.Second)
				if hash, live := f.registered(); !live || hash == "" {
					t.Error("it did not come back")
				}
				f.breaks(down)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if strings.Contains(log.String(), "secret") {
					t.Error("the token is in the log")
				}
			})
		})
	}
}

func answered(status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// A gateway that takes requests and never answers holds Run up, but not its end.
func TestRunEndsWhileTheGatewayHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newRegistry()
		stop := run(t, f.options("{}"))
		f.breaks(func(r *http.Request) *http.Response { <-r.Context().Done(); return nil })
		for _, stop := range []func() error{stop, run(t, f.options("{}"))} {
			start := time.Now()
			if err := stop(); err != nil || time.Since(start) > 6*time.Second {
				t.Errorf("ended after %v, %v", time.Since(start), err)
			}
		}
	})
}

// A plugin that ends while the gateway still judges its document leaves nothing
// behind.
func TestRunEndsWhileItRegisters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newRegistry()
		f.breaks(func(r *http.Request) *http.Response {
			time.Sleep(2 * time.Second)
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			if r.Context().Err() != nil {
				return nil
			}
			return w.Result()
		})
		stop := run(t, f.options("{}"))
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if _, live := f.registered(); live || f.requests() != "PUT DELETE" {
			t.Error("it is still registered")
		}
	})
}

// During a rolling update the newest instance wins, and nobody takes anything
// from it; when it is gone, another one steps in.
func TestInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newRegistry()
		stopOld := run(t, f.options(`{"version": 1}`))
		stopSecond := run(t, f.options(`{"version": 1}`))
		v1, _ := f.registered()
		time.Sleep(2 * time.Second)
		newer := f.options(`{"version": 2}`)
		newer.LetLapse = true
		stopNew := run(t, newer)
		v2, _ := f.registered()
		for range 90 {
			time.Sleep(time.Second)
			if now, live := f.registered(); now != v2 || v2 == v1 || !live {
				t.Fatalf("%.12s is registered", now)
			}
		}
		if err := stopOld(); err != nil {
			t.Error(err)
		}
		if now, live := f.registered(); now != v2 || !live {
			t.Error("the old one withdrew the new one")
		}
		if err := stopNew(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if now, live := f.registered(); now != v1 || !live {
			t.Errorf("%.12s is registered", now)
		}
		if err := stopSecond(); err != nil {
			t.Error(err)
		}
	})
}

func TestPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			status int
			change func(*publish.Options)
		}{
			{422, func(o *publish.Options) { o.Document = []byte("broken") }},
			{400, func(o *publish.Options) { o.BaseURL = "ftp://x" }},
		} {
			f := newRegistry()
			o := f.options("{}")
			test.change(&o)
			err := publish.Run(t.Context(), o)
			refused, ok := errors.AsType[*publish.Error](err)
			if !ok || refused.Status != test.status || refused.Hint == "" || !strings.Contains(err.Error(), fmt.Sprint(test.status)) {
				t.Errorf("%d: %v", test.status, err)
			}
			if ok && test.status == 422 && (len(refused.Findings) != 1 || refused.Findings[0].Location.Line != 3) {
				t.Errorf("findings %+v", refused.Findings)
			}
			if f.requests() != "PUT" {
				t.Error("it was tried again, or withdrawn")
			}
		}
	})
}

// What somebody else can mend is tried again, but not often.
func TestRunOutlivesOthers(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		code   string
		ends   bool
	}{
		"held":       {409, "held", false},
		"token":      {401, "", false},
		"too many":   {429, "too-many", false},
		"configured": {409, "configured", true},
		"a proxy's":  {409, "", true},
		"forbidden":  {403, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newRegistry()
				stop := run(t, f.options("{}"))
				f.breaks(func(*http.Request) *http.Response {
					return answered(test.status, nil, fmt.Sprintf(`{"error":{"code":%q,"message":"no"}}`, test.code))
				})
				f.requests()
				time.Sleep(10 * time.Minute)
				n := len(strings.Fields(f.requests()))
				f.breaks(nil)
				time.Sleep(31 * time.Second)
				_, live := f.registered()
				err := stop()
				refused, ok := errors.AsType[*publish.Error](err)
				if test.ends {
					// the last one is the withdrawal
					if n != 2 || live || !ok || refused.Code != test.code || !refused.Permanent() {
						t.Errorf("%d requests, live %t, %v", n, live, err)
					}
					return
				}
				if most := 45; test.code != "too-many" && n > most || n < 19 || !live || err != nil {
					t.Errorf("%d requests, live %t, %v", n, live, err)
				}
			})
		})
	}
}

func TestOptions(t *testing.T) {
	good := newRegistry().options("{}")
	for name, change := range map[string]func(*publish.Options){
		"no gateway":  func(o *publish.Options) { o.Gateway = "" },
		"host alone":  func(o *publish.Options) { o.Gateway = "gateway.example:8080" },
		"no plugin":   func(o *publish.Options) { o.Plugin = "" },
		"no token":    func(o *publish.Options) { o.Token = "" },
		"no base URL": func(o *publish.Options) { o.BaseURL = "" },
		"no document": func(o *publish.Options) { o.Document = nil },
		"lease":       func(o *publish.Options) { o.Lease = time.Second },
	} {
		o := good
		change(&o)
		if err := publish.Run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "option") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := publish.Once(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Over a real socket, and a document of some size.
func TestOnce(t *testing.T) {
	f := newRegistry()
	server := httptest.NewServer(f.Handler)
	defer server.Close()
	o := f.options("openapi: 3.1.0\n" + strings.Repeat("# a comment of some length\n", 100_000))
	o.Gateway, o.HTTPClient = server.URL, nil
	r, err := publish.Once(t.Context(), o)
	if err != nil || r.Plugin != "billing" || r.State != "accepted" || len(r.Actions) != 1 || len(r.Findings) != 1 || r.Lease.Seconds != 30 || r.Lease.RenewAfter != 10 {
		t.Errorf("%+v, %v", r, err)
	}
	if hash, live := f.registered(); !live || !strings.HasPrefix(hash, r.Generation) {
		t.Errorf("%s is registered", hash)
	}
}
