package gateway

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/contract"
	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/source"
)

// unkept are generations that the database does not have yet, in the order in
// which they were judged: of each plugin one of each verdict.
type unkept struct {
	sync.Mutex
	generations []publication.Generation
	more        chan struct{}
}

// add has a generation wait; of one that waits already only the verdict counts.
func (u *unkept) add(g publication.Generation) {
	u.Lock()
	defer u.Unlock()
	u.generations = slices.DeleteFunc(u.generations, func(other publication.Generation) bool {
		switch {
		case other.Plugin != g.Plugin:
			return false
		case other.Hash == g.Hash:
			g.Content = other.Content
			return true
		}
		return other.Verdict == g.Verdict
	})
	u.generations = append(u.generations, g)
	select {
	case u.more <- struct{}{}:
	default:
	}
}

// done ends the waiting of a generation that is kept with that verdict.
func (u *unkept) done(g publication.Generation) {
	u.Lock()
	defer u.Unlock()
	u.generations = slices.DeleteFunc(u.generations, func(other publication.Generation) bool {
		return other.Plugin == g.Plugin && other.Hash == g.Hash && other.Verdict == g.Verdict
	})
}

func (u *unkept) all() []publication.Generation {
	u.Lock()
	defer u.Unlock()
	return slices.Clone(u.generations)
}

// keepAgain is how long a database that was away is left alone before what it
// has not kept yet is tried again.
const keepAgain = 5 * time.Second

// accepted sees to what follows when a plugin serves another edition: it is
// told of, counted, and kept for the time when the plugin is down.
func (g *Gateway) accepted(ctx context.Context, f *feed) {
	e := f.serving
	level := slog.LevelInfo
	if f.state == "" { // it has just begun
		level = slog.LevelDebug
	}
	g.log.Log(ctx, level, "plugin serves another generation", "plugin", f.name, "generation", e.short(), "actions", len(e.actions))
	g.metrics.Published(f.name, string(publication.Accepted))
	g.keep(f, e, publication.Accepted)
	g.stand(ctx, f)
}

// quarantine has an edition wait until somebody accepts it.
func (g *Gateway) quarantine(ctx context.Context, f *feed, e *edition, changes []contract.Change) {
	f.refused = "the document " + breaks(changes)
	if f.waiting == nil || f.waiting.generation.Hash != e.generation.Hash {
		g.log.WarnContext(ctx, "plugin's generation is quarantined", "plugin", f.name, "generation", e.short(), "reason", f.refused)
		g.metrics.Published(f.name, string(publication.Quarantined))
		g.keep(f, e, publication.Quarantined)
	}
	f.waiting, f.clashes = e, nil
	g.stand(ctx, f)
}

// keep has the database keep a generation, as soon as it can. What is at hand
// whenever the gateway starts need not be kept.
func (g *Gateway) keep(f *feed, e *edition, verdict publication.Verdict) {
	if g.offline || e.stored == verdict || f.origin == fromBinary || f.origin == fromGo {
		return
	}
	kept := e.generation
	kept.Verdict = verdict
	g.unkept.add(kept)
	if verdict == publication.Accepted {
		e.generation.Content = publication.Content{} // documents may be large
	}
}

// keepAll writes generations to the database as they come, until ctx ends, and
// what is left then.
func (g *Gateway) keepAll(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), databaseBound)
			defer cancel()
			_ = g.keepOnce(last) // it is in the log
			return
		case <-g.unkept.more:
		case <-again:
		}
		again = nil
		if err := g.keepOnce(ctx); err != nil && ctx.Err() == nil {
			again = time.After(keepAgain)
		}
	}
}

// keepOnce tries once to write what is not kept yet. What fails stays to be
// kept, unless something newer came meanwhile.
func (g *Gateway) keepOnce(ctx context.Context) (failed error) {
	for _, kept := range g.unkept.all() {
		err := g.db.KeepGeneration(ctx, kept)
		if err == nil {
			g.unkept.done(kept)
			continue
		}
		if failed == nil && ctx.Err() == nil {
			g.log.WarnContext(ctx, "generation is not kept yet", "plugin", kept.Plugin, "error", err)
		}
		failed = err
	}
	return failed
}

// lastGood reads the last good edition of a plugin from the database, if it
// came from where the config says now; nil: there is none.
func (g *Gateway) lastGood(ctx context.Context, l *line) *edition {
	if g.offline || l.origin == fromBinary || l.origin == fromGo {
		return nil
	}
	kept, err := g.db.LastGood(ctx, l.name)
	if err != nil {
		if !errors.Is(err, publication.ErrNotFound) {
			g.log.WarnContext(ctx, "last good generation cannot be read", "plugin", l.name, "error", err)
		}
		return nil
	}
	if !g.fits(l, kept) {
		return nil
	}
	return g.again(ctx, l, kept)
}

// newestOf reads the edition of a plugin that was in quarantine last, where it
// was judged after the last good one; nil: none was.
func (g *Gateway) newestOf(ctx context.Context, l *line, last *edition) *edition {
	if g.offline || l.origin == fromBinary || l.origin == fromGo {
		return nil
	}
	kept, err := g.db.Newest(ctx, l.name)
	if err != nil || kept.Verdict != publication.Quarantined || kept.Hash == last.hash() || !g.fits(l, kept) {
		return nil
	}
	return g.again(ctx, l, kept)
}

// fits tells whether a generation came from where the config says now, and may
// be served from where it says the plugin is.
func (g *Gateway) fits(l *line, kept publication.Generation) bool {
	if kept.Source != l.String() {
		return false
	}
	if l.origin != fromPublisher {
		return true
	}
	publishers := g.registering.Load()
	return publishers != nil && slices.ContainsFunc(slices.Collect(maps.Values(*publishers)), func(p Publisher) bool {
		return p.mayRegister(l.name) && p.admits(kept.BaseURL)
	})
}

// again makes an edition of a generation that was kept; nil: the plugin's
// settings no longer admit it.
func (g *Gateway) again(ctx context.Context, l *line, kept publication.Generation) *edition {
	e, faults := g.judge(l, source.Stored(kept.Content), func() *edition { return nil })
	if len(faults) > 0 {
		g.log.WarnContext(ctx, "last good generation cannot be used", "plugin", l.name, "reason", faults.brief())
		return nil
	}
	e.accepted, e.stored, e.generation.Content = kept.Time, kept.Verdict, publication.Content{}
	return e
}

// gone are the ids of actions that plugins had earlier: rules about them were
// right once.
func (g *Gateway) gone(ctx context.Context, old generation) (ids []string) {
	if g.offline {
		return nil
	}
	if old.snapshot != nil {
		for _, a := range old.snapshot.Actions() {
			ids = append(ids, a.ID)
		}
	}
	names, err := g.db.GenerationActions(ctx)
	if err != nil {
		g.log.WarnContext(ctx, "actions of earlier generations are not known", "error", err)
	}
	for plugin, actions := range names {
		for _, name := range actions {
			ids = append(ids, plugin+":"+name)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
