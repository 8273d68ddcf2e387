package registry_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/store"
)

// publisher registers plugins at a gateway.
type publisher struct {
	name, token string
}

var teamA, teamB = publisher{"team-a", "aaaaaaaaaaaaaaaa"}, publisher{"team-b", "bbbbbbbbbbbbbbbb"}

// admit has the config let publishers register any plugin at these places.
func admit(cfg *gateway.Config, baseURLs []string, publishers ...publisher) {
	cfg.Publishers = map[string]gateway.Publisher{}
	for _, p := range publishers {
		cfg.Publishers[p.name] = gateway.Publisher{Token: gateway.SecretValue(p.token), Plugins: []string{"pushed*"}, BaseURLs: baseURLs, Keep: time.Hour}
	}
}

// ask sends a request about a plugin's registration.
func (f *front) ask(by publisher, method, plugin, baseURL, document, tag string) (status int, body, etag string) {
	f.t.Helper()
	target := f.url + "/registry/v1/plugins/" + plugin
	if method == http.MethodPut {
		target += "?lease=60s&baseURL=" + url.QueryEscape(baseURL)
	}
	r, err := http.NewRequestWithContext(f.t.Context(), method, target, strings.NewReader(document))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+by.token)
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	response, err := f.client.Do(r)
	if err != nil {
		f.t.Error(err) // perhaps not in the test's own goroutine
		return 0, "", ""
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Error(err)
	}
	return response.StatusCode, string(answer), response.Header.Get("Etag")
}

// push registers a document, as soon as the gateway takes one, and gives its
// tag.
func (f *front) push(by publisher, p *plugin) (etag string) {
	f.t.Helper()
	var status int
	var body string
	eventually(f.t, func() bool {
		status, body, etag = f.ask(by, http.MethodPut, p.name, p.URL, *p.text.Load(), "")
		return status != http.StatusTooManyRequests
	}, func() string { return body })
	if status/100 != 2 {
		f.t.Fatalf("push of %s: %d %s", p.name, status, body)
	}
	return etag
}

// newPushed is a gateway with one plugin at a URL, and room for others.
func newPushed(t *testing.T) (f *front, cfg gateway.Config, left, pushed *plugin) {
	left, pushed = newPlugin(t, "left", "left-look"), newPlugin(t, "pushed", "pushed-look")
	cfg = configOf(t, left)
	cfg.Servers["pushed"] = serverOf("pushed")
	admit(&cfg, []string{pushed.URL}, teamA, teamB)
	return open(t, cfg), cfg, left, pushed
}

// TestWithdrawnStaysAway: what a plugin withdrew does not come back with a
// reload, or a restart, whether the config lists the plugin or not.
func TestWithdrawnStaysAway(t *testing.T) {
	for _, listed := range []bool{false, true} {
		t.Run(fmt.Sprintf("listed %v", listed), func(t *testing.T) {
			f, cfg, _, pushed := newPushed(t)
			if listed {
				f.end()
				cfg.Plugins["pushed"] = gateway.DefaultPlugin()
				f = open(t, cfg)
			}
			f.push(teamA, pushed)
			f.measure(4, pushed)
			f.end()
			f = open(t, cfg) // it is still registered
			f.measure(4, pushed)
			if status, body, _ := f.ask(teamA, http.MethodDelete, "pushed", "", "", ""); status != http.StatusNoContent {
				t.Fatal(status, body)
			}
			gone := func(when string) {
				t.Helper()
				if list := f.list("pushed"); strings.Contains(list, "pushed-look") {
					t.Errorf("%s: %s", when, list)
				}
				if s := f.stands("pushed"); listed && s.State != publication.Waiting || !listed && s.State != "" {
					t.Errorf("%s: %+v", when, s)
				}
			}
			gone("at once")
			cfg.Log.Level = "debug"
			if err := f.Reload(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			gone("after a reload")
			f.end()
			f = open(t, cfg)
			gone("after a restart")
			f.push(teamA, pushed)
			f.measure(4, pushed)
		})
	}
}

// TestLeaseLapses: the plugin's tools stay and answer, /readyz says that nobody
// renewed, and others do not notice. With the next renewal all is well.
func TestLeaseLapses(t *testing.T) {
	f, cfg, left, pushed := newPushed(t)
	tag := f.push(teamA, pushed)
	good := f.list("pushed")
	well := f.measure(2*callsOfRound, left, pushed)
	expire(t, cfg, pushed.name, tag)
	f.await("pushed", "lapsed", "did not renew")
	hold(t, well, f.measure(2*callsOfRound, left, pushed))
	if now := f.list("pushed"); now != good {
		t.Errorf("the tools are others:\n%s\n%s", good, now)
	}
	pushed.fail(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	if answer := f.call("pushed", "pushed-look"); !strings.Contains(answer, "cannot be reached") {
		t.Error(answer)
	}
	pushed.fail(nil)
	if status, body, _ := f.ask(teamA, http.MethodPut, "pushed", pushed.URL, "", tag); status != http.StatusOK {
		t.Fatal(status, body)
	}
	f.await("pushed", "serving", "")
	f.measure(4, pushed)
}

// expire ends a lease as time would.
func expire(t *testing.T, cfg gateway.Config, plugin, tag string) {
	t.Helper()
	address, err := cfg.Database.URL.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Renew(t.Context(), plugin, teamA.name, strings.Trim(tag, `"`), time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

// TestTwoPublishers: one name has one publisher for as long as its lease lasts.
func TestTwoPublishers(t *testing.T) {
	f, cfg, _, pushed := newPushed(t)
	tag := f.push(teamA, pushed)
	good := f.list("pushed")
	for range 3 {
		if status, body, _ := f.ask(teamB, http.MethodPut, "pushed", pushed.URL, documentOf("pushed", "stolen"), ""); status != http.StatusConflict {
			t.Errorf("%d %s", status, body)
		}
		if status, body, _ := f.ask(teamB, http.MethodDelete, "pushed", "", "", ""); status != http.StatusNotFound {
			t.Errorf("%d %s", status, body)
		}
	}
	if now := f.list("pushed"); now != good {
		t.Errorf("the tools are others:\n%s\n%s", good, now)
	}
	expire(t, cfg, "pushed", tag)
	f.await("pushed", "lapsed", "")
	f.push(teamB, pushed)
	f.await("pushed", "serving", "")
}

// TestPublishersChange: a registration holds only as long as the config admits
// its publisher and its base URL.
func TestPublishersChange(t *testing.T) {
	for name, change := range map[string]func(*gateway.Config){
		"base URL": func(c *gateway.Config) { admit(c, []string{"https://elsewhere.invalid"}, teamA, teamB) },
		"name":     func(c *gateway.Config) { admit(c, []string{"http://127.0.0.1"}, teamB) },
		"nobody": func(c *gateway.Config) {
			c.Publishers, c.Servers = nil, map[string]gateway.Server{"left": c.Servers["left"]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, cfg, left, pushed := newPushed(t)
			f.push(teamA, pushed)
			f.measure(4, left, pushed)
			change(&cfg)
			if err := f.Reload(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool { return f.stands("pushed").State == "" }, func() string { return "it still stands" })
			if list := f.list("pushed"); strings.Contains(list, "pushed-look") {
				t.Error(list)
			}
			f.measure(4, left)
		})
	}
}

// TestSamePushAtOnce: many instances that start together bring one document, and
// none is refused for good.
func TestSamePushAtOnce(t *testing.T) {
	f, cfg, _, pushed := newPushed(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			status, body := http.StatusTooManyRequests, ""
			for deadline := time.Now().Add(patience); status == http.StatusTooManyRequests && time.Now().Before(deadline); {
				status, body, _ = f.ask(teamA, http.MethodPut, "pushed", pushed.URL, *pushed.text.Load(), "")
			}
			if status != http.StatusOK && status != http.StatusCreated {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	all.Wait()
	f.await("pushed", "serving", "")
	f.measure(4, pushed)
	if kept, err := gateway.Generations(t.Context(), cfg, "pushed"); err != nil || len(kept) != 1 {
		t.Errorf("%d generations, %v", len(kept), err)
	}
}
