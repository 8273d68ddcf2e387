package mcpserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// streamKinds open each kind of stream that may outlive a token, as ada.
var streamKinds = map[string]func(t *testing.T, r *replica) *eventReader{
	"GET": func(t *testing.T, r *replica) *eventReader {
		s := open(t, r, "/mcp/catalog", "2025-11-25", "ada")
		stream := request(t, "GET", r.url, bearer("ada", headers{sessionHeader: s}), "")
		stream.want(t, "") // its primer
		return stream
	},
	"HTTP+SSE": func(t *testing.T, r *replica) *eventReader {
		stream := request(t, "GET", r.url+"/sse", bearer("ada"), "")
		stream.want(t, "sessionId=")
		return stream
	},
	"subscriptions/listen": func(t *testing.T, r *replica) *eventReader {
		stream := request(t, "POST", r.url, bearer("ada", modernHeaders("subscriptions/listen", "")), listenBody("1", `{"toolsListChanged":true}`))
		stream.want(t, "acknowledged")
		return stream
	},
	"resume": func(t *testing.T, r *replica) *eventReader {
		s := open(t, r, "/mcp/catalog", "2025-11-25", "ada")
		call := request(t, "POST", r.url, bearer("ada", headers{sessionHeader: s}), progressCall("1"))
		primer := call.want(t, "")
		call.close()
		return request(t, "GET", r.url, bearer("ada", headers{sessionHeader: s, "Last-Event-ID": primer.id}), "")
	},
}

// over reads a stream to its end, which has to be a clean one.
func (e *eventReader) over(t *testing.T) {
	t.Helper()
	for {
		if got, ok := e.next(t); !ok {
			break
		} else if !strings.Contains(got.data, `"id":1,"result":{"resultType":"complete"`) { // of subscriptions/listen
			t.Errorf("event %+v", got)
		}
	}
	if !errors.Is(e.err, io.EOF) {
		t.Errorf("ended with %v", e.err)
	}
}

// TestRS24StreamsEndWithTheToken: whatever ends the right to listen, on every
// kind of stream, over sockets.
func TestRS24StreamsEndWithTheToken(t *testing.T) {
	for kind, open := range streamKinds {
		t.Run(kind, func(t *testing.T) {
			clock := newClock()
			g := people()
			expiring := g.known["ada"]
			expiring.Expires = clock.Now().Add(time.Hour)
			waiting := &fakeInvoker{gate: make(chan struct{})}
			door := g.door()
			// Nothing is asked again by itself, so that each step shows what it shows.
			r := guarded(t, door, Options{Invoker: waiting, SlowCall: 10 * time.Millisecond, Now: clock.Now, Recheck: time.Hour})
			t.Cleanup(func() { close(waiting.gate) })
			look := func() { r.watches.look("catalog") }
			for name, end := range map[string]func(){
				"expiry": func() {
					clock.advance(time.Hour)
					look()
				},
				"revocation": func() {
					g.change(func(g *tokens) { delete(g.known, "ada") })
					look()
				},
				"another principal": func() {
					g.change(func(g *tokens) { g.known["ada"] = g.known["adaElsewhere"] })
					look()
				},
				"a reload": func() {
					closed := people()
					closed.known = nil
					if err := r.SetServers(behind(closed.door())); err != nil {
						t.Fatal(err)
					}
				},
				"a server that is gone": func() {
					if err := r.SetServers(nil); err != nil {
						t.Fatal(err)
					}
				},
			} {
				g.change(func(g *tokens) { g.known["ada"] = expiring })
				expiring.Expires = clock.Now().Add(time.Hour)
				g.change(func(g *tokens) { g.known["ada"] = expiring })
				if err := r.SetServers(behind(door)); err != nil {
					t.Fatal(err)
				}
				stream := open(t, r)
				// An issuer that is away, another token that is, and a reload that
				// changes nothing for ada, end nothing.
				g.change(func(g *tokens) { g.away = true })
				look()
				g.change(func(g *tokens) { g.away = false; delete(g.known, "eve") })
				look()
				if err := r.SetServers(behind(g.door())); err != nil {
					t.Fatal(err)
				}
				if n := r.watches.count(); n != 1 {
					t.Fatalf("%d streams are watched", n)
				}
				stream.quiet(t)
				t.Log(name)
				end()
				stream.over(t)
				eventually(t, "nothing is left", func() bool { return r.watches.count() == 0 && len(r.channels.all) == 0 })
			}
		})
	}
}

// count is how many streams are watched.
func (ws *watches) count() int {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.all)
}

// A call under way is no stream that only listens: it goes on, and its answer
// comes.
func TestCallsOutliveTokens(t *testing.T) {
	clock := newClock()
	g := people()
	ada := g.known["ada"]
	ada.Expires = clock.Now().Add(time.Minute)
	g.known["ada"] = ada
	calls := newSteered()
	r := guarded(t, g.door(), Options{Invoker: invokerFunc(calls.Invoke), SlowCall: 10 * time.Millisecond, Now: clock.Now, Recheck: 5 * time.Millisecond})
	s := open(t, r, "/mcp/catalog", "2025-11-25", "ada")
	legacy := request(t, "POST", r.url, bearer("ada", headers{sessionHeader: s}), progressCall("1"))
	legacy.want(t, "")
	calls.send(t, "one")
	legacy.want(t, "one")
	sse := request(t, "GET", r.url+"/sse", bearer("ada"), "")
	first, _ := sse.next(t)
	request(t, "POST", r.web.URL+first.data, bearer("ada"), initializeBody("2024-11-05"))
	sse.want(t, "protocolVersion")
	request(t, "POST", r.web.URL+first.data, bearer("ada"), callBody("2", "fake_wait", "{}"))
	eventually(t, "both are called", func() bool { return r.inflight.count() == 2 })
	clock.advance(time.Minute)
	g.change(func(g *tokens) { delete(g.known, "ada") })
	eventually(t, "the stream is to end", func() bool { return r.watches.ended() })
	calls.send(t, "answer", "answer")
	legacy.want(t, `"steered":true`)
	sse.want(t, `"steered":true`) // it waited for that, for a moment
	sse.ends(t)
}

func (ws *watches) ended() bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.ended {
			return false
		}
	}
	return true
}

// gateFunc is a gate.
type gateFunc func(r *http.Request) (principal.Principal, *principal.Refusal)

func (f gateFunc) Authenticate(r *http.Request) (principal.Principal, *principal.Refusal) {
	return f(r)
}

func (f gateFunc) StepUp(principal.Principal, []string, []string) *principal.Refusal {
	return &principal.Refusal{Status: 403}
}

// TestRS24InTime says when streams end, in a world where time is for free: with
// the token, and at the latest half a minute after it is not taken any more,
// however slow or broken the gate is meanwhile.
func TestRS24InTime(t *testing.T) {
	refuse := func(status int) *principal.Refusal { return &principal.Refusal{Status: status} }
	for _, test := range []struct {
		name string
		life time.Duration // of the token, 0: it does not say
		gate func(since time.Duration) (*principal.Refusal, time.Duration)
		want time.Duration // after which it ended; 0: never
	}{
		{"the token ends", 2 * time.Second, nil, 2 * time.Second},
		{"it ends between two looks", 42 * time.Second, nil, 42 * time.Second},
		{"it was over before", -time.Second, nil, 0},
		{"it says nothing", 0, nil, -1},
		{"it is revoked", time.Hour, func(since time.Duration) (*principal.Refusal, time.Duration) {
			if since > 70*time.Second {
				return refuse(401), 0
			}
			return nil, 0
		}, 90 * time.Second},
		{"the issuer is away", 5 * time.Minute, func(since time.Duration) (*principal.Refusal, time.Duration) {
			if since > 0 {
				return refuse(503), 0
			}
			return nil, 0
		}, 5 * time.Minute},
		{"the issuer takes its time", 65 * time.Second, func(since time.Duration) (*principal.Refusal, time.Duration) {
			if since > 0 {
				return nil, 20 * time.Second
			}
			return nil, 0
		}, 65 * time.Second},
		{"the issuer never answers", 65 * time.Second, func(since time.Duration) (*principal.Refusal, time.Duration) {
			if since > 0 {
				return nil, time.Hour
			}
			return nil, 0
		}, 65 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				p := principal.Principal{Kind: principal.User, Subject: "ada"}
				if test.life != 0 {
					p.Expires = start.Add(test.life)
				}
				gate := gateFunc(func(*http.Request) (principal.Principal, *principal.Refusal) {
					if test.gate == nil {
						return p, nil
					}
					why, takes := test.gate(time.Since(start))
					time.Sleep(takes) // of the bubble
					return p, why
				})
				h := &Handler{options: Options{Recheck: 30 * time.Second, Now: time.Now}}
				s := &server{name: "catalog", door: &registry.Door{Gate: gate}}
				h.servers.Store(&map[string]*server{"catalog": s})
				r := newRequest("GET", "/mcp/catalog", nil, "").WithContext(t.Context())
				ctx, done := h.whileAllowed(&exchange{handler: h, r: r, server: s, principal: p, key: p.Key()})
				select {
				case <-ctx.Done():
				case <-time.After(3 * time.Hour):
				}
				took := time.Since(start)
				if test.want < 0 {
					if ctx.Err() != nil {
						t.Errorf("ended after %v", took)
					}
				} else if took != test.want {
					t.Errorf("ended after %v, want %v", took, test.want)
				}
				done()
				time.Sleep(2 * time.Hour) // nothing goes on
				if n := h.watches.count(); n != 0 {
					t.Errorf("%d are left", n)
				}
			})
		})
	}
}

// Streams that open, end and are looked after at once, under reloads.
func TestWatchesUnderReloads(t *testing.T) {
	g := people()
	r := guarded(t, g.door(), Options{Recheck: time.Millisecond})
	stop := make(chan struct{})
	var reloads, clients sync.WaitGroup
	reloads.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := r.SetServers(behind(g.door())); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for i := range 8 {
		clients.Go(func() {
			for range 5 {
				hs := bearer("ada", modernHeaders("subscriptions/listen", ""))
				stream := request(t, "POST", r.url, hs, listenBody(fmt.Sprint(i), `{"toolsListChanged":true}`))
				stream.want(t, "acknowledged")
				stream.close()
			}
		})
	}
	clients.Wait()
	close(stop)
	reloads.Wait()
	eventually(t, "nothing is left", func() bool { return r.watches.count() == 0 })
}

// Whoever may not know of a resource any more hears no more of it.
func TestHiddenResourcesAreNotTold(t *testing.T) {
	g := people()
	r := guarded(t, g.door(), Options{})
	const echo, note = "stagedoor://actions/fake:echo", "stagedoor://actions/fake:note"
	stream := request(t, "POST", r.url, bearer("ada", modernHeaders("subscriptions/listen", "")),
		listenBody("1", `{"resourceSubscriptions":["`+echo+`","`+note+`"]}`))
	stream.want(t, "acknowledged")
	changed := func(door *registry.Door, description string) {
		servers := behind(door)
		for _, tool := range servers[0].Tools {
			tool.Action.Description = description
		}
		if err := r.SetServers(servers); err != nil {
			t.Fatal(err)
		}
	}
	changed(g.door(), "One.")
	stream.want(t, echo)
	stream.want(t, note)
	hidden := registry.AccessRule{Path: "rules[1]", Deny: true, Actions: []registry.Rule{{ID: "fake:echo"}}}
	changed(g.door(registry.AccessRule{Path: "rules[0]"}, hidden), "Two.")
	stream.want(t, note)
}

// Who sees what is part of what lists are: new rules are told of.
func TestRulesChangeLists(t *testing.T) {
	g := people()
	r := guarded(t, g.door(), Options{})
	stream := streamKinds["subscriptions/listen"](t, r)
	if err := r.SetServers(behind(g.door())); err != nil {
		t.Fatal(err)
	}
	stream.quiet(t)
	rules := []registry.AccessRule{{Path: "rules[0]", Who: registry.Who{Subject: "a*"}}}
	if err := r.SetServers(behind(g.door(rules...))); err != nil {
		t.Fatal(err)
	}
	stream.want(t, "tools/list_changed")
	if err := r.SetServers(behind(g.door(slices.Clone(rules)...))); err != nil {
		t.Fatal(err)
	}
	stream.quiet(t)
}
