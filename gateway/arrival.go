package gateway

import (
	"context"
	"time"

	"github.com/stagedoor/stagedoor/internal/source"
)

// arrival is a feed that was asked for its documents.
type arrival struct {
	*feed
	news   polled
	last   *edition // what serves where the newest edition cannot; nil: not looked up yet, or nothing
	was    standing // on its line, when it was asked
	fresh  bool     // what it has to serve is not what it served
	bereft bool     // the plugin had actions on a line that is no more
	// faults say why there is no edition at all, though there should be.
	faults Faults
}

// firstPatience is how long a start or a reload waits for documents. Who does
// not answer in time is asked again in the background.
const firstPatience = 10 * time.Second

// arrive asks a plugin for its documents. old is its feed of the generation
// before; nil: there is none.
func (g *Gateway) arrive(ctx context.Context, l *line, old *feed) (a arrival) {
	a.feed = &feed{line: l, plugin: l.plugin}
	if old != nil {
		g.changing.Lock()
		was := old.standing
		g.changing.Unlock()
		a.follow(old.line, was)
	}
	defer func() { a.serving, a.last = a.serving.dressed(a.plugin), a.last.dressed(a.plugin) }()
	asked, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	if a.origin.atHand() {
		a.news = l.poll(asked) // at once: the line that goes on would look twice
	} else {
		a.news = a.poll(asked)
	}
	a.silent, a.cause = "", ""
	if a.news.err != nil {
		a.silent, a.cause = a.news.err.Error(), source.Cause(a.news.err)
	}
	gone := Faults{{Path: "plugins." + a.name + a.origin.key(), Message: a.silent}}
	switch {
	case a.news.publication != nil:
		newest, faults := g.judge(a.line, a.news.publication, func() *edition { return g.lastOf(ctx, &a) })
		a.waiting, a.clashes, a.refused, a.fresh = nil, nil, faults.brief(), true
		switch {
		case len(faults) > 0:
			a.fall(ctx, g, faults)
		case newest.hash() != a.serving.hash():
			a.serving = newest
		}
	case a.news.err != nil && a.origin.atHand():
		a.faults = gone
	case a.waiting != nil: // perhaps the lock was changed
		a.serving, a.waiting, a.refused, a.fresh = a.waiting.dressed(a.plugin), nil, "", true
	case a.clashes != nil: // perhaps the others were, or the servers
		a.serving, a.clashes, a.refused, a.fresh = a.clashes.dressed(a.plugin), nil, "", true
	case a.news.err != nil:
		a.fall(ctx, g, gone)
	case a.serving == nil:
		a.fall(ctx, g, Faults{{Path: "plugins." + a.name, Message: "what the plugin published is not in the database, or cannot be read"}})
	}
	return a
}

// follow has the arrival go on from how the plugin stood, on its line where
// that does for it.
func (a *arrival) follow(l *line, was standing) {
	if l.keeps(a.line) {
		a.line, a.standing, a.last, a.was = l, was, was.serving, was
		return
	}
	a.state, a.since, a.bereft = was.state, was.since, was.serving != nil
	if a.origin == fromPublisher {
		a.lease = was.lease.anew()
	}
}

// fall has a plugin that may be down serve its last good edition; without one
// it has no actions yet, unless a reload would take those away that it has.
// Documents that the operator has at hand have to be right. What is not
// registered serves nothing, whatever it once published.
func (a *arrival) fall(ctx context.Context, g *Gateway, faults Faults) {
	switch {
	case a.origin == fromPublisher && a.lease == nil:
		return
	case !a.origin.remote() || g.offline:
		a.faults = faults
		return
	}
	if a.serving = g.lastOf(ctx, a); a.serving == nil && a.bereft {
		a.faults = faults
	}
	if waiting := g.newestOf(ctx, a.line, a.serving); waiting != nil {
		a.serving, a.fresh = waiting, true // perhaps it was accepted meanwhile
	}
}

// lastOf is the last good edition of a plugin: what this replica serves, or
// what is in the database; nil: there is none.
func (g *Gateway) lastOf(ctx context.Context, a *arrival) *edition {
	if a.last == nil {
		a.last = g.lastGood(ctx, a.line)
	}
	return a.last
}
