package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/stagedoor/stagedoor/internal/contract"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// settle makes the snapshot. A plugin whose newest edition does not go together
// with the others, or breaks the contract lock, falls back to its last good
// one; where there is none, it is without actions, or at fault.
func (g *Gateway) settle(ctx context.Context, next *generation, old generation, arrivals []arrival, chosen map[string]*edition) Faults {
	byName := map[string]*arrival{}
	for i := range arrivals {
		if a := &arrivals[i]; a.feed != nil {
			byName[a.name] = a
		}
	}
	gone := g.gone(ctx, old)
	for {
		for name, a := range byName {
			chosen[name] = a.serving
		}
		snapshot, found := next.assemble(chosen, old.snapshot, gone)
		faults, again := g.clashes(ctx, byName, found)
		if snapshot != nil && !again {
			var more Faults
			more, again = g.breaches(ctx, next, old, byName, snapshot)
			faults = append(faults, more...)
		}
		if !again {
			next.snapshot = snapshot
			return faults
		}
	}
}

// clashes sees to what does not go together. It tells whether a plugin fell
// back, and gives the faults that no falling back mends. What is about actions
// that were there once is the plugins' doing, and no fault.
func (g *Gateway) clashes(ctx context.Context, byName map[string]*arrival, found []registry.Fault) (faults Faults, again bool) {
	var dangling []registry.Fault
	for _, f := range found {
		switch {
		case f.Soft && f.Gone:
			dangling = append(dangling, f)
		case !f.Soft && g.yield(ctx, byName, f):
			again = true
		default:
			faults = append(faults, fromRegistry([]registry.Fault{f})...)
		}
	}
	if !again {
		g.dangle(ctx, dangling)
	}
	return faults, again
}

// yield has one of the plugins that a fault is about fall back, and tells
// whether one did. Where none has anything to fall back to, those that never
// served give way to those that did: whoever comes last must not keep the others
// from starting.
func (g *Gateway) yield(ctx context.Context, byName map[string]*arrival, f registry.Fault) bool {
	var newcomers []*arrival
	for _, name := range f.Plugins {
		a := byName[name]
		if a == nil || !a.origin.remote() || !a.fresh || a.refused != "" {
			continue
		}
		newest := a.serving
		if a.fallBack(ctx, g, f.Message) {
			a.clashes = newest
			return true
		}
		if g.lastOf(ctx, a) == nil {
			newcomers = append(newcomers, a)
		}
	}
	settled := func(name string) bool { return byName[name] != nil && g.lastOf(ctx, byName[name]) != nil }
	if len(newcomers) == 0 || !slices.ContainsFunc(f.Plugins, settled) {
		return false
	}
	for _, a := range newcomers {
		a.serving, a.clashes, a.refused = nil, a.serving, f.Message
	}
	return true
}

// fallBack has the plugin serve its last good edition instead of the newest,
// for a reason, and tells whether there is one.
func (a *arrival) fallBack(ctx context.Context, g *Gateway, reason string) bool {
	last := g.lastOf(ctx, a)
	if last == nil || last.generation.Hash == a.serving.generation.Hash {
		return false
	}
	a.serving, a.refused = last, reason
	return true
}

// dangle warns of rules about actions that are no more, once.
func (g *Gateway) dangle(ctx context.Context, rules []registry.Fault) {
	known := g.dangling
	g.dangling = map[string]bool{}
	for _, f := range rules {
		g.dangling[f.Path] = true
		if !known[f.Path] {
			g.log.WarnContext(ctx, "rule is about actions that are no more", "rule", f.Path, "message", f.Message)
		}
	}
}

// breaches puts the editions in quarantine that break more of the contract lock
// than the plugin's last good one does, and tells whether there were any. What
// that one breaks, too, is not the document's doing but the config's: a reload is
// refused for it, and at a start the plugin has no actions.
func (g *Gateway) breaches(ctx context.Context, next *generation, old generation, byName map[string]*arrival, s *registry.Snapshot) (faults Faults, again bool) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		a := byName[name]
		changes := next.broken(s, name)
		if a.serving == nil || len(changes) == 0 {
			continue
		}
		newest, last := a.serving, g.lastOf(ctx, a)
		if a.fresh && last.hash() != newest.hash() && a.waiting == nil {
			if changes = beyond(changes, g.brokenBy(next, old, byName, name, last)); len(changes) > 0 {
				a.waiting, a.refused, a.serving, again = newest, "the document "+breaks(changes), last, true
				continue
			}
			changes = next.broken(s, name)
		}
		if changes = remaining(changes, s); len(changes) == 0 {
			continue
		}
		if old.snapshot != nil {
			faults.add("lock", "stagedoor lock --accept takes it", "the config %s", breaks(changes))
			continue
		}
		if a.waiting == nil {
			a.waiting, a.refused = newest, "the config "+breaks(changes)
		}
		a.serving, again = nil, true
	}
	return faults, again
}

// brokenBy is what an edition of a plugin would break of the lock in the place of
// the one that is chosen.
func (g *Gateway) brokenBy(next *generation, old generation, byName map[string]*arrival, name string, e *edition) []contract.Change {
	if e == nil {
		return nil
	}
	chosen := map[string]*edition{}
	for other, a := range byName {
		chosen[other] = a.serving
	}
	chosen[name] = e
	s, _ := next.assemble(chosen, old.snapshot, nil)
	if s == nil {
		return nil
	}
	return next.broken(s, name)
}

// breaks says in one line what of the lock is broken.
func breaks(changes []contract.Change) string {
	messages := make([]string, 0, len(changes))
	for _, c := range changes {
		messages = append(messages, c.Action+": "+c.Message)
	}
	return "breaks the contract lock: " + strings.Join(messages, "; ")
}
