package registry_test

import (
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// TestClashEnds: a plugin that claims another's tool name waits, and serves as
// soon as the other gives the name up; nobody has to publish anything again.
func TestClashEnds(t *testing.T) {
	f := newTrio(t)
	f.ill.publish("ill-look", "ill-move", "left-look")
	f.await("ill", "refused", "left-look")
	f.left.publish("left-other")
	f.await("ill", "serving", "")
	f.awaitTool("ill", "ill_left-look", true)
	f.left.publish("left-look") // now it is the one that comes late
	f.await("left", "refused", "left-look")
	if list := f.list("left"); !strings.Contains(list, "left_left-other") {
		t.Error(list)
	}
	f.ill.publish("ill-look", "ill-move")
	f.await("left", "serving", "")
	f.awaitTool("left", "left_left-look", true)
}

// TestClashWithNewcomer: a plugin that never served, and claims what another
// one serves, does not keep the gateway from starting again or from a reload. On
// a first start nobody knows who came first: that is a fault of the config.
func TestClashWithNewcomer(t *testing.T) {
	left, right := newPlugin(t, "left", "left-look"), newPlugin(t, "right", "right-look")
	both, one := configOf(t, left, right), configOf(t, left)
	one.Database, one.Servers = both.Database, both.Servers
	right.publish("left-look")
	if g, err := gateway.New(t.Context(), both); err == nil || !strings.Contains(err.Error(), "left-look") {
		if g != nil {
			_ = g.Close()
		}
		t.Fatalf("a first start with a clash: %v", err)
	}
	right.publish("right-look")
	first := open(t, both)
	first.awaitTool("right", "right_right-look", true)
	first.end()

	newcomer := newPlugin(t, "newcomer", "left-look")
	three := configOf(t, left, right, newcomer)
	three.Database = both.Database
	again := open(t, three)
	again.await("newcomer", "refused", "left-look")
	again.await("left", "serving", "")
	if err := again.Reload(t.Context(), three); err != nil {
		t.Errorf("reload: %v", err)
	}
	again.await("newcomer", "refused", "left-look")
	again.measure(10, left, right)
	newcomer.publish("newcomer-look")
	again.await("newcomer", "serving", "")
	again.measure(10, newcomer)
}
