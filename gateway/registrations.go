package gateway

import (
	"context"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/source"
)

// leasesEvery is how often registrations are looked at: a lease lapses, or
// another replica was told of a plugin and its word was lost.
const leasesEvery = 5 * time.Second

// lookAfterLeases keeps the plugins that register themselves as the database
// has them, until ctx ends.
func (g *Gateway) lookAfterLeases(ctx context.Context) {
	ticker := time.NewTicker(leasesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			g.reconcile(ctx)
		}
	}
}

// reconcile brings the plugins that register themselves to where the database
// has them. While it is away they stay as they are.
func (g *Gateway) reconcile(ctx context.Context) {
	asOf := g.asOf()
	publishers := *g.registering.Load()
	if len(publishers) == 0 || g.offline {
		return
	}
	registrations, err := g.db.Registrations(ctx)
	if err != nil {
		return // the beat tells of it
	}
	registered := map[string]bool{}
	for _, r := range registrations {
		if r.Until.Add(publishers[r.Publisher].Keep).Before(r.Now) {
			if forgotten, err := g.db.Forget(ctx, r.Plugin, r.Until.Add(time.Millisecond)); err == nil && forgotten {
				continue
			}
		}
		registered[r.Plugin] = g.registered(ctx, r, asOf)
	}
	g.changing.Lock()
	defer g.changing.Unlock()
	for name, f := range g.current.feeds {
		if f.origin == fromPublisher && !registered[name] && f.lease != nil && g.words.of[name] <= asOf {
			g.withdraw(ctx, f)
		}
	}
}

// words counts what publishers said to this replica, by plugin: a look at the
// database that began before must not undo it.
type words struct {
	count uint64
	of    map[string]uint64
}

// asOf is the time of a look at the database.
func (g *Gateway) asOf() uint64 {
	g.changing.Lock()
	defer g.changing.Unlock()
	return g.words.count
}

// spoke notes that the database has what a publisher has just said of a plugin,
// and gives the time of it.
func (g *Gateway) spoke(plugin string) uint64 {
	g.changing.Lock()
	defer g.changing.Unlock()
	g.words.count++
	g.words.of[plugin] = g.words.count
	return g.words.count
}

// registered brings one plugin to its registration, as the database had it. It
// tells whether the config admits that.
func (g *Gateway) registered(ctx context.Context, r publication.Registration, asOf uint64) bool {
	l, known := g.lineOf(r)
	if l == nil {
		return false
	}
	if known == r.Hash {
		g.enrol(ctx, l, r, nil, nil, asOf)
		return true
	}
	kept, err := g.db.Generation(ctx, r.Plugin, r.Hash)
	if err != nil {
		return true
	}
	kept.BaseURL = r.BaseURL
	e, faults := g.judge(l, source.Stored(kept.Content), func() *edition { return nil })
	g.enrol(ctx, l, r, e, faults, asOf)
	return true
}

// lineOf is the line to a plugin that registered itself, and the hash of the
// registration that is known; nil where the config no longer admits it.
func (g *Gateway) lineOf(r publication.Registration) (l *line, hash string) {
	g.changing.Lock()
	defer g.changing.Unlock()
	cfg := g.current.config
	if p := cfg.Publishers[r.Publisher]; cfg.origin(r.Plugin) != fromPublisher || !p.mayRegister(r.Plugin) || !p.admits(r.BaseURL) {
		return nil, ""
	}
	if f := g.current.feeds[r.Plugin]; f != nil {
		if f.lease != nil {
			hash = f.lease.hash
		}
		return f.line, hash
	}
	p, listed := cfg.Plugins[r.Plugin]
	if !listed {
		p = DefaultPlugin()
	}
	l, faults := newLine(r.Plugin, p, fromPublisher, nil, g.identity(cfg), g.log)
	if len(faults) > 0 {
		return nil, ""
	}
	return l, ""
}

// enrol has a plugin stand as it registered itself, and serve the edition; nil:
// the one that it serves.
func (g *Gateway) enrol(ctx context.Context, l *line, r publication.Registration, e *edition, faults Faults, asOf uint64) publication.State {
	g.changing.Lock()
	defer g.changing.Unlock()
	f := g.current.feeds[r.Plugin]
	if g.words.of[r.Plugin] > asOf { // something newer was said
		return f.stateOf()
	}
	if f == nil {
		f = &feed{line: l, plugin: l.plugin}
		g.current.feeds = withFeed(g.current.feeds, f)
	}
	if f.line != l {
		return f.state // the config changed meanwhile: the next look sees to it
	}
	f.lease = &lease{publisher: r.Publisher, hash: r.Hash, until: time.Now().Add(r.Until.Sub(r.Now)), lapsed: !r.Until.After(r.Now)}
	switch {
	case len(faults) > 0:
		g.refuse(ctx, f, faults.brief())
	case e != nil && f.serving != nil && e.hash() == f.serving.hash():
		g.comeBack(ctx, f, e)
	case e != nil:
		g.offer(ctx, f, e.dressed(f.plugin))
	default:
		g.stand(ctx, f)
	}
	if f.serving == nil {
		g.fillIn(ctx, f)
	}
	return f.state
}

// fillIn has a plugin whose newest edition cannot serve go on with its last
// good one.
func (g *Gateway) fillIn(ctx context.Context, f *feed) {
	refused, waiting, clashes := f.refused, f.waiting, f.clashes
	if last := g.lastGood(ctx, f.line); last != nil && last.hash() != f.lease.hash {
		g.offer(ctx, f, last.dressed(f.plugin))
		f.refused, f.waiting, f.clashes = refused, waiting, clashes
		g.stand(ctx, f)
	}
}

// withdraw takes the actions of a plugin away that is no longer registered.
func (g *Gateway) withdraw(ctx context.Context, f *feed) {
	next := g.current
	feeds := make(map[string]*feed, len(next.feeds))
	for name, other := range next.feeds {
		if other != f {
			feeds[name] = other
		}
	}
	_, listed := next.config.Plugins[f.name]
	if listed {
		feeds[f.name] = &feed{line: f.line, plugin: f.plugin}
	}
	next.feeds = feeds
	snapshot, faults := next.assemble(next.serving(), next.snapshot, nil)
	if snapshot == nil {
		g.log.WarnContext(ctx, "plugin cannot be withdrawn", "plugin", f.name, "reason", fromRegistry(faults).brief())
		return
	}
	next.snapshot = snapshot
	if err := g.mcp.SetServers(snapshot.Servers()); err != nil {
		g.log.WarnContext(ctx, "plugin cannot be withdrawn", "plugin", f.name, "reason", err.Error())
		return
	}
	g.registry.Swap(snapshot)
	g.take(next)
	g.dangle(ctx, faults)
	g.log.InfoContext(ctx, "plugin withdrew", "plugin", f.name)
	if listed {
		g.stand(ctx, feeds[f.name])
	} else {
		f.close()
	}
	g.tellStatuses()
	g.reconsider(ctx)
}

func withFeed(feeds map[string]*feed, f *feed) map[string]*feed {
	next := make(map[string]*feed, len(feeds)+1)
	for name, other := range feeds {
		next[name] = other
	}
	next[f.name] = f
	return next
}
