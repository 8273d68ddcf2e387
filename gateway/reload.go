package gateway

import (
	"context"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

const (
	// followEvery bounds how often other replicas can make this one read its
	// documents again; signals in between come to one reading.
	followEvery = 5 * time.Second
	// followJitter keeps all replicas from asking a plugin in the same moment.
	followJitter = 500 * time.Millisecond
)

// serving is what is in use, for whoever asks while the next one is built.
type serving struct {
	generation string // see generation.hash
	since      time.Time
	plugins    map[string]builtPlugin
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
	select {
	case g.reloaded <- struct{}{}:
	default:
	}
	if applied {
		g.tell(ctx)
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
	if faults := g.current.config.fixedParts(cfg); len(faults) > 0 {
		return false, nil, faults
	}
	before := g.current.catalogs
	if applied, err = g.replace(ctx, cfg, false); err != nil {
		return false, nil, err
	}
	for name, c := range g.current.catalogs {
		if c == before[name] { // a new one has just been filled
			kept = append(kept, c)
		}
	}
	return applied, kept, nil
}

// replace builds the next generation of a config beside the current one and
// swaps them, unless nothing is new. keep lets a plugin that cannot be read
// stay as it was. Whoever calls it holds reloading.
func (g *Gateway) replace(ctx context.Context, cfg Config, keep bool) (applied bool, err error) {
	old := g.current
	next, err := g.build(ctx, cfg, old, nil, keep)
	if err == nil && next.sameAs(old) {
		return false, nil
	}
	if err == nil {
		err = g.mcp.SetAllowedOrigins(cfg.origins())
	}
	if err == nil {
		err = g.mcp.SetServers(next.snapshot.Servers())
	}
	if err != nil {
		_ = g.mcp.SetAllowedOrigins(old.config.origins()) // they were good before
		next.close(old)
		return false, err
	}
	g.registry.Swap(next.snapshot)
	if !reflect.DeepEqual(old.config.ActionsAPI, cfg.ActionsAPI) {
		g.actionsAPI.Offer(cfg.ActionsAPI.offer())
	}
	g.take(next)
	next.run(context.WithoutCancel(ctx), g)
	old.close(next)
	return true, nil
}

// take notes which generation is in use.
func (g *Gateway) take(next generation) {
	g.current = next
	now := serving{generation: next.hash(), since: time.Now(), plugins: next.plugins}
	if old := g.serving.Load(); old != nil && old.generation == now.generation {
		now.since = old.since
	}
	g.serving.Store(&now)
	g.metrics.Generation(now.generation, now.since)
}

// refresh reads the documents again, as often as the current config wants and
// when another replica found new ones. What cannot be read changes nothing but
// the log.
func (g *Gateway) refresh(ctx context.Context) {
	for {
		var due <-chan time.Time // never
		if every := g.refreshEvery(); every > 0 {
			due = time.After(every)
		}
		select {
		case <-ctx.Done():
			return
		case <-g.reloaded: // perhaps with another interval
		case <-due:
			if g.readAgain(ctx, telemetry.ReloadRefresh) {
				g.tell(ctx)
			}
		case <-g.changed:
			g.follow(ctx)
		}
	}
}

// follow reads the documents again at the word of another replica, and tells
// nobody: two replicas to which a plugin gives different documents would
// otherwise keep each other busy for ever.
func (g *Gateway) follow(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(rand.N(followJitter)): // #nosec G404 -- no secret
	}
	select {
	case <-g.changed: // told meanwhile: this reading is for that one, too
	default:
	}
	g.readAgain(ctx, telemetry.ReloadReplica)
	select {
	case <-ctx.Done():
	case <-time.After(followEvery):
	}
}

// readAgain reads the documents of the current config, and tells whether they
// are new and in use.
func (g *Gateway) readAgain(ctx context.Context, cause string) bool {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	applied, err := g.replace(ctx, g.current.config, true)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		g.log.WarnContext(ctx, "refresh: the last good documents stay in use", "error", err)
	}
	g.metrics.Reload(cause, result(applied, err))
	return applied
}

// tell has the other replicas read their documents again: they may hold a
// different age of them for as long as their refresh.
func (g *Gateway) tell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, databaseBound)
	defer cancel()
	err := g.db.Signal(ctx, session.Signal{Topic: session.SignalDocuments, Replica: g.replica.ID})
	if err != nil && ctx.Err() == nil { // they look for themselves when the database is back
		g.log.WarnContext(ctx, "other replicas are not told of new documents", "error", err)
	}
}

func (g *Gateway) refreshEvery() time.Duration {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	return g.current.config.refreshEvery()
}

// sameAs tells whether the config is the same, and everything in one
// generation was taken over from the other.
func (next *generation) sameAs(old generation) bool {
	for name, p := range next.plugins {
		if was := old.plugins[name]; p.Client != was.Client || p.digest != was.digest || !sameFiles(p.files, was.files) {
			return false
		}
	}
	return reflect.DeepEqual(next.config, old.config)
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
		{"auth", c.Auth != next.Auth},
		{"database.url", c.Database.URL != next.Database.URL},
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
