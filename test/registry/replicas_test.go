package registry_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/contract"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

// soon is how long a replica may take to follow another, at worst.
const soon = 12 * time.Second

// newPair is two replicas on one Postgres, with a plugin at a URL and room for
// one that registers itself.
func newPair(t *testing.T) (a, b *front, cfg gateway.Config, left, pushed *plugin) {
	left, pushed = newPlugin(t, "left", "left-look"), newPlugin(t, "pushed", "pushed-look")
	cfg = configOf(t, left)
	cfg.Database.URL = gateway.SecretValue(storetest.Postgres(t))
	cfg.Servers["pushed"] = serverOf("pushed")
	admit(&cfg, []string{pushed.URL}, teamA, teamB)
	return open(t, cfg), open(t, cfg), cfg, left, pushed
}

// TestReplicasShareRegistrations: whichever replica a plugin speaks to, all serve
// it within seconds.
func TestReplicasShareRegistrations(t *testing.T) {
	a, b, _, _, pushed := newPair(t)
	follows := func(at *front, tool string, shown bool) {
		t.Helper()
		begun := time.Now()
		at.awaitTool("pushed", "pushed_"+tool, shown)
		if took := time.Since(begun); took > soon {
			t.Errorf("%s took %v", tool, took)
		}
	}
	tag := a.push(teamA, pushed)
	follows(b, "pushed-look", true)
	b.measure(2, pushed)
	for _, at := range []*front{b, a, b} {
		if status, body, _ := at.ask(teamA, http.MethodPut, "pushed", pushed.URL, "", tag); status != http.StatusOK {
			t.Errorf("renewal: %d %s", status, body)
		}
	}
	pushed.publish("pushed-look", "pushed-more")
	b.push(teamA, pushed)
	follows(b, "pushed-more", true)
	follows(a, "pushed-more", true)
	eventually(t, func() bool { return a.Generation() == b.Generation() }, func() string { return "they serve different generations" })
	if status, body, _ := a.ask(teamA, http.MethodDelete, "pushed", "", "", ""); status != http.StatusNoContent {
		t.Error(status, body)
	}
	follows(a, "pushed-look", false)
	follows(b, "pushed-look", false)
	b.push(teamB, pushed)
	follows(a, "pushed-more", true)
}

// TestReplicaFollowsPastOneThatHangs: a plugin that hangs when a replica asks it
// at another's word keeps it from following no other.
func TestReplicaFollowsPastOneThatHangs(t *testing.T) {
	ill, left := newPlugin(t, "ill", "ill-look"), newPlugin(t, "left", "left-look")
	cfg := configOf(t, ill, left)
	cfg.Database.URL = gateway.SecretValue(storetest.Postgres(t))
	open(t, cfg) // finds what is new
	for name, by := range cfg.Plugins {
		by.Refresh, by.Spec = time.Hour, by.Spec+"?follower"
		cfg.Plugins[name] = by
	}
	follower := open(t, cfg)
	hanging := make(chan struct{}, 100)
	ill.misbehave(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			hanging <- struct{}{}
			<-r.Context().Done()
			return
		}
		serveText(w, r, documentOf("ill", "ill-look", "ill-more"))
	})
	<-hanging
	left.publish("left-look", "left-more")
	begun := time.Now()
	follower.awaitTool("left", "left_left-more", true)
	if took := time.Since(begun); took > soon {
		t.Errorf("it took %v", took)
	}
}

// lockOf writes the contract lock of what the config's plugins publish now.
func lockOf(t *testing.T, cfg gateway.Config, path string) {
	t.Helper()
	cfg.Lock = ""
	g, err := gateway.New(t.Context(), cfg, gateway.Offline())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	contracts := map[string]contract.Contract{}
	for _, a := range g.Actions() {
		contracts[a.ID] = contract.Of(a.ID, a.Action)
	}
	var servers []contract.ServerTools
	for _, s := range g.Servers() {
		tools := contract.ServerTools{Server: s.Name}
		for _, tool := range s.Tools {
			tools.Tools = append(tools.Tools, contract.Tool{Name: tool.Name, Contract: contracts[tool.Action]})
		}
		servers = append(servers, tools)
	}
	if err := contract.NewLock(servers).Write(path); err != nil {
		t.Fatal(err)
	}
}

// TestQuarantineAtAllReplicas: what breaks the contract lock waits at each
// replica, through reloads and restarts, until the lock takes it.
func TestQuarantineAtAllReplicas(t *testing.T) {
	left := newPlugin(t, "left", "left-look", "left-move")
	cfg := configOf(t, left)
	cfg.Database.URL = gateway.SecretValue(storetest.Postgres(t))
	cfg.Lock = filepath.Join(t.TempDir(), "actions.lock")
	lockOf(t, cfg, cfg.Lock)
	replicas := []*front{open(t, cfg), open(t, cfg)}
	good := replicas[0].list("left")
	quarantined := func(when string) {
		t.Helper()
		for i, at := range replicas {
			if s := at.await("left", "quarantined", "breaks the contract lock"); s.Quarantine == "" || s.Actions != 2 {
				t.Errorf("%s, replica %d: %+v", when, i, s)
			}
			if now := at.list("left"); now != good {
				t.Errorf("%s, replica %d: the tools are others:\n%s\n%s", when, i, good, now)
			}
			at.measure(2, left)
		}
	}
	left.publish("left-look") // one is gone
	quarantined("at once")
	for _, at := range replicas {
		if err := at.Reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	quarantined("after a reload")
	for i := range replicas {
		replicas[i].end()
		replicas[i] = open(t, cfg)
	}
	quarantined("after a restart")
	left.publish("left-look", "left-move") // it is taken back
	for _, at := range replicas {
		at.await("left", "serving", "")
	}
	left.publish("left-look", "left-new")
	quarantined("again")
	lockOf(t, cfg, cfg.Lock)
	for _, at := range replicas {
		if err := at.Reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		at.await("left", "serving", "")
		at.awaitTool("left", "left_left-new", true)
	}
}

// TestDatabaseGone: without the database everything is served, new documents of
// plugins that are asked too; who registers is told to come again. Afterwards it
// has all that was accepted meanwhile.
func TestDatabaseGone(t *testing.T) {
	link := storetest.NewLink(t)
	left, pushed := newPlugin(t, "left", "left-look"), newPlugin(t, "pushed", "pushed-look")
	cfg := configOf(t, left)
	cfg.Database.URL = gateway.SecretValue(link.URL)
	cfg.Servers["pushed"] = serverOf("pushed")
	admit(&cfg, []string{pushed.URL}, teamA)
	f := open(t, cfg)
	tag := f.push(teamA, pushed)
	f.measure(callsOfRound, left, pushed)
	well := f.measure(2*callsOfRound, left, pushed)
	for i, away := range []func(){link.Cut, link.Silence} {
		tool := fmt.Sprint("left-more-", i)
		away()
		hold(t, well, f.measure(2*callsOfRound, left, pushed))
		left.publish("left-look", tool)
		f.awaitTool("left", "left_"+tool, true)
		for _, tag := range []string{tag, ""} {
			document := documentOf("pushed", "pushed-look", tool)
			if tag != "" {
				document = ""
			}
			if status, body, _ := f.ask(teamA, http.MethodPut, "pushed", pushed.URL, document, tag); status != http.StatusServiceUnavailable {
				t.Errorf("registration without a database: %d %s", status, body)
			}
		}
		if list := f.list("pushed"); strings.Contains(list, tool) {
			t.Error("what is not registered is served")
		}
		cfg.Log.Level = []string{"debug", "warn"}[i]
		if err := f.Reload(t.Context(), cfg); err != nil {
			t.Errorf("reload: %v", err)
		}
		f.await("left", "serving", "")
		f.await("pushed", "serving", "")
		f.measure(4, left, pushed)
		link.Restore()
		eventually(t, func() bool {
			status, _, _ := f.ask(teamA, http.MethodPut, "pushed", pushed.URL, "", tag)
			return status == http.StatusOK
		}, func() string { return "no renewal" })
		direct := cfg
		direct.Database.URL = gateway.SecretValue(link.Direct)
		eventually(t, func() bool {
			kept, err := gateway.Generations(t.Context(), direct, "left")
			return err == nil && len(kept) > 0 && strings.Join(kept[0].Actions, " ") == "left-look "+tool
		}, func() string { return "what was accepted is not kept" })
	}
}
