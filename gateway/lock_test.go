package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/contract"
)

// locked is a gateway whose lock has the tools of one plugin at a URL.
type locked struct {
	*gateway.Gateway
	t        *testing.T
	config   gateway.Config
	document atomic.Value // string; empty: the plugin is down
}

// promise is a document of one action with these parameters and tags.
func promise(parameters, tags string) string {
	return fmt.Sprintf(`openapi: 3.1.0
paths:
  /pets: {get: {operationId: list, tags: [%s], x-action: true, parameters: [%s], responses: {}}}
  /toys: {get: {operationId: play, tags: [agent], x-action: true, responses: {}}}
`, tags, parameters)
}

const newlyRequired = "{name: why, in: query, required: true, schema: {type: string}}"

func newLocked(t *testing.T) *locked {
	t.Helper()
	l := &locked{t: t}
	l.document.Store(promise("", "agent"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if text := l.document.Load().(string); text != "" {
			fmt.Fprint(w, text)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	l.config = gateway.Config{
		Database: gateway.Database{URL: gateway.SecretValue("sqlite:" + filepath.Join(dir, "gateway.db"))},
		Plugins:  map[string]gateway.Plugin{"p": {Spec: server.URL + "/openapi.yaml", Refresh: 10 * time.Millisecond}},
		Servers:  map[string]gateway.Server{"all": {Actions: gateway.Allowlist{Include: []gateway.Rule{{Tags: []string{"agent"}}}}}},
		Lock:     filepath.Join(dir, "actions.lock"),
	}
	l.accept()
	l.Gateway = start(t, l.config)
	return l
}

// accept writes the lock anew, as stagedoor lock --accept does.
func (l *locked) accept() {
	l.t.Helper()
	cfg := l.config
	cfg.Lock = ""
	g, err := gateway.New(l.t.Context(), cfg, gateway.Offline())
	if err != nil {
		l.t.Fatal(err)
	}
	defer g.Close()
	tools := contract.ServerTools{Server: "all"}
	for _, a := range g.Actions() {
		tools.Tools = append(tools.Tools, contract.Tool{Name: strings.Replace(a.ID, ":", "_", 1), Contract: contract.Of(a.ID, a.Action)})
	}
	if err := contract.NewLock([]contract.ServerTools{tools}).Write(l.config.Lock); err != nil {
		l.t.Fatal(err)
	}
}

func (l *locked) await(state string) gateway.PluginStatus {
	l.t.Helper()
	probe(l.t, "the plugin is not "+state, func() bool { return string(standing(l.Gateway, "p").State) == state })
	return standing(l.Gateway, "p")
}

func (l *locked) tools(want string) {
	l.t.Helper()
	if got := toolNames(l.Gateway); got != want {
		l.t.Errorf("tools are %q, want %q", got, want)
	}
}

// TestQuarantine: what breaks the lock waits, whatever way it breaks it, and
// what does not break it serves at once.
func TestQuarantine(t *testing.T) {
	for name, document := range map[string]string{
		"an argument is newly required": promise(newlyRequired, "agent"),
		"the allowlist's tag is gone":   promise("", "other"),
		"an action is gone":             "openapi: 3.1.0\npaths: {/toys: {get: {operationId: play, tags: [agent], x-action: true, responses: {}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			l := newLocked(t)
			good := standing(l.Gateway, "p").Generation
			l.document.Store(document)
			if s := l.await("quarantined"); s.Generation != good || s.Quarantine == "" || !strings.Contains(s.Reason, "the document breaks the contract lock: p:list: ") {
				t.Errorf("got %+v", s)
			}
			l.tools("all: p_list p_play")
			l.document.Store(promise("{name: limit, in: query, schema: {type: integer}}", "agent"))
			l.await("serving")
			l.tools("all: p_list p_play")
		})
	}
}

// TestQuarantineEnds with the lock, although the plugin is down by then: at a
// reload, and at a start.
func TestQuarantineEnds(t *testing.T) {
	for _, restart := range []bool{false, true} {
		l := newLocked(t)
		l.document.Store(promise(newlyRequired, "agent"))
		waiting := l.await("quarantined").Quarantine
		l.accept()
		l.document.Store("")
		if restart {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l.Gateway = start(t, l.config)
		} else if err := l.Reload(t.Context(), l.config); err != nil {
			t.Fatal(err)
		}
		if s := l.await("unreachable"); s.Generation != waiting {
			t.Errorf("restart %v: %+v, want generation %s", restart, s, waiting)
		}
		l.tools("all: p_list p_play")
	}
}

// TestConfigBreaksTheLock: that is a fault of a reload, whatever waits; what the
// operator takes off an allowlist is no breach.
func TestConfigBreaksTheLock(t *testing.T) {
	l := newLocked(t)
	dangerous := l.config
	p := dangerous.Plugins["p"]
	p.Attributes = map[string]gateway.AttributeRule{"list": {Destructive: new(true)}}
	dangerous.Plugins = map[string]gateway.Plugin{"p": p}
	for _, state := range []string{"serving", "quarantined"} {
		if state == "quarantined" {
			l.document.Store(promise(newlyRequired, "agent"))
		}
		l.await(state)
		err := l.Reload(context.Background(), dangerous)
		if err == nil || !strings.Contains(err.Error(), "the config breaks the contract lock: p:list: ") {
			t.Errorf("%s: got %v", state, err)
		}
		l.tools("all: p_list p_play")
	}
	fewer := l.config
	fewer.Servers = map[string]gateway.Server{"all": {Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "p:play"}}}}}
	if err := l.Reload(t.Context(), fewer); err != nil {
		t.Error(err)
	}
	l.tools("all: p_play")
}

// TestManyPartlyBroken: documents with an operation that is broken are compared
// with what the database has; more of them than there are cores hold up nobody.
func TestManyPartlyBroken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, promise("", "agent"), "  /bad: {get: {operationId: bad, x-action: {nonsense: 7}, responses: {}}}\n")
	}))
	defer server.Close()
	cfg := gateway.Config{
		Database: gateway.Database{URL: gateway.SecretValue("sqlite:" + filepath.Join(t.TempDir(), "gateway.db"))},
		Plugins:  map[string]gateway.Plugin{},
		Servers:  map[string]gateway.Server{"all": {Actions: gateway.Allowlist{Include: []gateway.Rule{{ID: "*"}}}}},
	}
	for i := range 12 {
		cfg.Plugins[fmt.Sprint("p", i)] = gateway.Plugin{Spec: server.URL + "/openapi.yaml", Refresh: time.Millisecond}
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		g, err := gateway.New(ctx, cfg)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := g.Reload(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		}
		if n := len(g.Actions()); n != 24 {
			t.Errorf("%d actions", n)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
