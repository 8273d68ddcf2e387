package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// build asks all plugins and makes the next generation beside the old one, which
// is not changed by then. With faults it still gives what was made so far, to be
// closed. Plugins that the known faults are about are left out, and so are the
// faults that only follow from that. It returns with changing held.
func (g *Gateway) build(ctx context.Context, cfg Config, old generation, known Faults) (generation, []arrival, Faults) {
	next := generation{config: cfg, feeds: map[string]*feed{}, catalogs: map[string]*runningCatalog{}}
	var faults, more Faults
	if !known.about("auth") {
		next.gates, faults = g.gatesOf(cfg)
	}
	next.specs, more = cfg.serverSpecs(next.gates, known)
	faults = append(append(faults, more...), next.readLock()...)
	arrivals := g.gather(ctx, &next, old, known)
	g.changing.Lock()
	arrivals = g.catchUp(&next, arrivals)
	chosen := map[string]*edition{}
	for name := range cfg.Plugins {
		chosen[name] = nil
	}
	for _, a := range arrivals {
		faults = append(faults, a.faults...)
		if a.feed != nil {
			next.feeds[a.name] = a.feed
		}
	}
	old.snapshot = g.current.snapshot
	faults = append(faults, g.settle(ctx, &next, old, arrivals, chosen)...)
	return next, arrivals, faults
}

// catchUp brings the arrivals to what happened while plugins were asked: some
// have published something newer, registered themselves or withdrawn.
func (g *Gateway) catchUp(next *generation, arrivals []arrival) []arrival {
	asked := map[string]bool{}
	for i := range arrivals {
		a := &arrivals[i]
		if a.feed == nil {
			continue
		}
		asked[a.name] = true
		now := g.current.feeds[a.name]
		switch {
		case now == nil || now.line != a.line || now.standing == a.was:
		case a.news.publication == nil || a.origin.atHand() || a.overtaken(a.news):
			a.standing, a.last, a.fresh, a.faults = now.standing, now.serving, false, nil
			a.serving, a.last = a.serving.dressed(a.plugin), a.last.dressed(a.plugin)
		default:
			a.lease = now.lease
		}
	}
	for name, f := range g.current.feeds {
		_, listed := next.config.Plugins[name]
		if f.origin == fromPublisher && !listed && !asked[name] && len(next.config.publishersOf(name)) > 0 {
			a := arrival{feed: &feed{line: f.line, plugin: f.plugin, standing: f.standing}, last: f.serving}
			arrivals = append(arrivals, a)
		}
	}
	return slices.DeleteFunc(arrivals, func(a arrival) bool { // those that withdrew meanwhile
		if a.feed == nil || a.origin != fromPublisher || g.current.feeds == nil {
			return false
		}
		_, listed := next.config.Plugins[a.name]
		return !listed && g.current.feeds[a.name] == nil
	})
}

// gather asks all plugins at once: one that hangs holds up no other.
func (g *Gateway) gather(ctx context.Context, next *generation, old generation, known Faults) []arrival {
	names := slices.Sorted(maps.Keys(next.config.Plugins))
	for name := range old.feeds {
		if _, listed := next.config.Plugins[name]; !listed && len(next.config.publishersOf(name)) > 0 {
			names = append(names, name) // it registered itself
		}
	}
	arrivals := make([]arrival, len(names))
	var told sync.Mutex
	count := 0
	var all sync.WaitGroup
	for i, name := range names {
		if known.about("plugins." + name) {
			continue
		}
		l, faults := g.line(ctx, next, old, name)
		if arrivals[i].faults = faults; len(faults) > 0 {
			continue
		}
		all.Go(func() {
			arrivals[i] = g.arrive(ctx, l, old.feeds[name])
			told.Lock()
			defer told.Unlock()
			count++
			g.progress(count, len(names), name)
		})
	}
	all.Wait()
	g.progress(len(names), len(names), "")
	return arrivals
}

// line makes the line to a plugin of the next generation.
func (g *Gateway) line(ctx context.Context, next *generation, old generation, name string) (*line, Faults) {
	p, listed := next.config.Plugins[name]
	if !listed {
		p = DefaultPlugin()
	}
	if faults := g.catalog(ctx, next, old, name, p); len(faults) > 0 {
		return nil, faults
	}
	return newLine(name, p, next.config.origin(name), next.catalogs[name], g.identity(next.config), g.log)
}
