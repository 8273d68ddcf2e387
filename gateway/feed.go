package gateway

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// feed is one plugin of a generation: the line to it, and how it stands.
// Whoever changes it holds Gateway.changing.
type feed struct {
	*line
	plugin Plugin // as the config has it now
	standing
}

// judge is [line.judge]. A plugin whose document brings the program to its knees is at fault alone.
func (g *Gateway) judge(l *line, pub *source.Publication, last func() *edition) (e *edition, faults Faults) {
	defer func() {
		if v := recover(); v != nil {
			g.log.Error("document brings out an error of the program", "plugin", l.name, "error", v, "stack", string(debug.Stack()))
			e, faults = &edition{}, Faults{{Path: "plugins." + l.name, Message: "document brings out an error of the program, which the log has"}}
		}
	}()
	return l.judge(g.cores, pub, last)
}

// missedAgain is how soon a plugin is asked again that did not answer in time for
// the start.
const missedAgain = time.Second

// watch asks a plugin for its documents as often as the config says, until ctx
// ends; for the first time after first.
func (g *Gateway) watch(ctx context.Context, l *line, first time.Duration) {
	o := source.WatchOptions{Every: l.watchEvery(), First: first, Wake: l.wake}
	if l.origin == fromFiles { // looking costs nothing
		o.Longest = o.Every
	}
	source.Watch(ctx, watcher{g, l}, o, func(ctx context.Context, _ *source.Publication, err error) {
		if panicked, ok := errors.AsType[*source.PanicError](err); ok {
			g.log.ErrorContext(ctx, "plugin brings out an error of the program", "plugin", l.name, "error", err, "stack", string(panicked.Stack))
			g.note(ctx, l, err)
		}
	})
}

// watcher has a schedule drive updates.
type watcher struct {
	gateway *Gateway
	*line
}

// Poll implements [source.Source]. All that is new is in use when it returns.
func (w watcher) Poll(ctx context.Context) (*source.Publication, error) {
	return nil, w.gateway.update(ctx, w.line)
}

// update asks a plugin for its documents and takes what is new into use. The
// error says that the plugin does not give them. Who asks at another replica's
// word tells nobody: two to which a plugin gives different documents would
// otherwise keep each other busy for ever.
func (g *Gateway) update(ctx context.Context, l *line) error {
	heard := l.heard.Swap(false)
	news := l.poll(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	g.note(ctx, l, news.err)
	applied := news.publication != nil && g.publish(ctx, l, news)
	switch {
	case heard:
		g.metrics.Reload(telemetry.ReloadReplica, result(applied, news.err))
	case applied:
		g.tell(ctx, l.name)
	}
	return news.err
}

// note has the feed of a line tell whether its source answers.
func (g *Gateway) note(ctx context.Context, l *line, err error) {
	g.changing.Lock()
	defer g.changing.Unlock()
	f := g.current.feeds[l.name]
	if f == nil || f.line != l {
		return
	}
	silent, cause := "", ""
	if err != nil {
		silent, cause = err.Error(), source.Cause(err)
	}
	if f.silent != silent {
		f.silent, f.cause = silent, cause
		g.stand(ctx, f)
	}
}

// publish judges what a plugin published, and has it serve. It tells whether
// another edition is in use afterwards.
func (g *Gateway) publish(ctx context.Context, l *line, news polled) bool {
	e, faults := g.judge(l, news.publication, func() *edition { return g.servingOf(l) })
	g.changing.Lock()
	defer g.changing.Unlock()
	f := g.current.feeds[l.name]
	if f == nil || f.line != l || l.overtaken(news) || ctx.Err() != nil {
		return false
	}
	l.settled(news)
	switch {
	case len(faults) > 0:
		g.refuse(ctx, f, faults.brief())
		return false
	case e.hash() == f.serving.hash():
		g.comeBack(ctx, f, e)
		return false
	}
	return g.offer(ctx, f, e.dressed(f.plugin)) == publication.Serving
}

// comeBack notes that a plugin publishes again what it serves anyway. The
// findings may be others: they are also of what was left out on the way.
func (g *Gateway) comeBack(ctx context.Context, f *feed, e *edition) {
	f.waiting, f.clashes, f.refused = nil, nil, ""
	if !bytes.Equal(f.serving.generation.Findings, e.generation.Findings) {
		next := *f.serving
		next.findings, next.generation.Findings, next.stored = e.findings, e.generation.Findings, ""
		f.serving = &next
		g.keep(f, f.serving, publication.Accepted)
		g.tellStatuses()
	}
	g.stand(ctx, f)
}

// servingOf is the edition of a line that is in use.
func (g *Gateway) servingOf(l *line) *edition {
	g.changing.Lock()
	defer g.changing.Unlock()
	if f := g.current.feeds[l.name]; f != nil && f.line == l {
		return f.serving
	}
	return nil
}

// refuse notes why what a plugin published is not in use.
func (g *Gateway) refuse(ctx context.Context, f *feed, reason string) {
	if f.refused != reason {
		g.log.WarnContext(ctx, "plugin published what cannot be used", "plugin", f.name, "reason", reason, "generation", f.serving.short())
	}
	f.refused, f.waiting, f.clashes = reason, nil, nil
	g.metrics.Published(f.name, "refused")
	g.stand(ctx, f)
}

// offer has a plugin serve an edition, if everything goes together with it and
// it keeps to the contract lock.
func (g *Gateway) offer(ctx context.Context, f *feed, e *edition) publication.State {
	snapshot, faults := g.current.with(f.name, e)
	if clash := hard(faults); clash != nil {
		g.refuse(ctx, f, clash.Message)
		f.clashes = e
		return f.state
	}
	g.dangle(ctx, faults)
	if changes := beyond(g.current.broken(snapshot, f.name), g.current.broken(g.current.snapshot, f.name)); len(changes) > 0 {
		g.quarantine(ctx, f, e, changes)
		return f.state
	}
	next := g.current
	next.snapshot = snapshot
	if err := g.mcp.SetServers(snapshot.Servers()); err != nil {
		g.refuse(ctx, f, err.Error())
		return f.state
	}
	g.registry.Swap(snapshot)
	f.serving, f.waiting, f.clashes, f.refused = e, nil, nil, ""
	g.take(next)
	g.accepted(ctx, f)
	g.reconsider(ctx)
	return f.state
}

// reconsider has plugins serve what did not go together with the others before,
// and does now.
func (g *Gateway) reconsider(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(g.current.feeds)) {
		f := g.current.feeds[name]
		if f.clashes == nil {
			continue
		}
		if _, faults := g.current.with(name, f.clashes); hard(faults) == nil {
			g.offer(ctx, f, f.clashes.dressed(f.plugin))
		}
	}
}
