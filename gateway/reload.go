package gateway

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// serving is what is in use, for whoever asks while the next one is built.
type serving struct {
	generation string // see generation.hash
	since      time.Time
}

// Reload replaces the config, plugins and servers as a whole. With any fault
// all stays as it was. Calls that have begun finish on the old plugins. What
// cannot change while the gateway runs (see the config reference) is a fault,
// too. Other replicas are told to read their documents again when something is
// new.
func (g *Gateway) Reload(ctx context.Context, cfg Config) error {
	return g.ReloadFrom(ctx, func(context.Context) (Config, error) { return cfg, nil })
}

// ReloadFrom is Reload with a config that is read while no other reload runs,
// so that the last of several has read the newest. With an error of read all
// stays as it was, and the metrics count a refused reload. read must not call
// the gateway.
func (g *Gateway) ReloadFrom(ctx context.Context, read func(context.Context) (Config, error)) error {
	applied, catalogs, err := g.reloadFrom(ctx, read)
	g.metrics.Reload(telemetry.ReloadAsked, result(applied, err))
	if applied {
		g.tell(ctx, "")
	}
	for _, c := range catalogs {
		if err := c.Refresh(ctx); err != nil {
			g.log.WarnContext(ctx, "catalog keeps its entities", "error", err)
		}
	}
	return err
}

func result(applied bool, err error) string {
	switch {
	case err != nil:
		return "refused"
	case applied:
		return "applied"
	}
	return "unchanged"
}

// reloadFrom also gives the catalogs that were taken over as they are: their
// locations are still to be read again.
func (g *Gateway) reloadFrom(ctx context.Context, read func(context.Context) (Config, error)) (applied bool, kept []*runningCatalog, err error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	cfg, err := read(ctx)
	if err != nil {
		return false, nil, err
	}
	cfg = cfg.withDefaults()
	if faults := cfg.Validate(); len(faults) > 0 {
		return false, nil, append(faults, inspect(ctx, cfg, faults)...)
	}
	g.changing.Lock()
	old := g.current
	g.changing.Unlock()
	if faults := old.config.fixedParts(cfg); len(faults) > 0 {
		return false, nil, faults
	}
	next, arrivals, faults := g.build(ctx, cfg, old, nil)
	defer g.changing.Unlock()
	if len(faults) > 0 {
		next.close(g.current)
		return false, nil, faults
	}
	if applied, err = g.replace(ctx, next, arrivals); err != nil {
		next.close(g.current)
		return false, nil, err
	}
	for name, c := range next.catalogs {
		if c == old.catalogs[name] { // a new one has just been filled
			kept = append(kept, c)
		}
	}
	return applied, kept, nil
}

// replace puts a generation in the place of the current one, and tells whether
// anything is new. It needs changing.
func (g *Gateway) replace(ctx context.Context, next generation, arrivals []arrival) (applied bool, err error) {
	old := g.current
	if g.closed {
		return false, errors.New("the gateway is closed")
	}
	if err := g.mcp.SetAllowedOrigins(next.config.origins()); err != nil {
		return false, err
	}
	if err := g.mcp.SetServers(next.snapshot.Servers()); err != nil {
		_ = g.mcp.SetAllowedOrigins(old.config.origins()) // they were good before
		return false, err
	}
	if !reflect.DeepEqual(old.config, next.config) {
		g.warn(ctx, next.config)
	}
	g.actionsAPI.Offer(next.offer()) // before the actions, so that none is there by the old rules
	g.registry.Swap(next.snapshot)
	g.trail.Set(next.config.Audit.settings(g.offline))
	g.take(next)
	g.arrived(ctx, arrivals, old)
	next.run(context.WithoutCancel(ctx), g)
	old.close(next)
	return !next.sameAs(old), nil
}

// arrived settles what plugins published, once it is in use.
func (g *Gateway) arrived(ctx context.Context, arrivals []arrival, old generation) {
	for _, a := range arrivals {
		if a.feed == nil {
			continue
		}
		was := old.feeds[a.name]
		if a.news.publication != nil && (!a.origin.atHand() || was == nil || was.line != a.line) { // a line that goes on looks at files itself
			a.settled(a.news)
		}
		switch {
		case a.serving == nil || was != nil && was.serving.hash() == a.serving.hash():
			g.stand(ctx, a.feed)
		default:
			g.accepted(ctx, a.feed)
		}
		if a.waiting != nil {
			g.keep(a.feed, a.waiting, publication.Quarantined)
		}
	}
}

// take notes which generation is in use.
func (g *Gateway) take(next generation) {
	g.current = next
	g.registering.Store(&next.config.Publishers)
	g.gates.Store(&next.gates)
	now := serving{generation: next.hash(), since: time.Now()}
	if old := g.serving.Load(); old != nil && old.generation == now.generation {
		now.since = old.since
	}
	g.serving.Store(&now)
	g.metrics.Generation(now.generation, now.since)
}

// sameAs tells whether config and editions are the same.
func (n *generation) sameAs(old generation) bool {
	for name, f := range n.feeds {
		if was := old.feeds[name]; was == nil || was.line != f.line || was.serving.hash() != f.serving.hash() {
			return false
		}
	}
	return reflect.DeepEqual(n.config, old.config)
}

// fixedParts names what a reload would have to restart for: it is in the hands
// of those who were given it at the start.
func (c Config) fixedParts(next Config) (fs Faults) {
	for _, part := range []struct {
		path    string
		changed bool
	}{
		{"listen", c.Listen != next.Listen},
		{"publicURL", c.PublicURL != next.PublicURL},
		{"database.url", c.Database.URL != next.Database.URL},
		{"database.encryptionKey", c.Database.EncryptionKey != next.Database.EncryptionKey},
		{"log.format", c.Log.Format != next.Log.Format},
		{"limits", c.Limits != next.Limits},
		{"streams", c.Streams != next.Streams},
	} {
		if part.changed {
			fs.add(part.path, "restart the gateway to change it", "cannot change while the gateway runs")
		}
	}
	return fs
}
