package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/internal/catalog"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/openapi"
)

// generation is one accepted config with all that was made from it.
type generation struct {
	config   Config
	snapshot *registry.Snapshot
	findings []openapi.Finding
	clients  []*invoke.Client
	catalogs map[string]*runningCatalog
}

// runningCatalog is an embedded catalog; it outlives a reload that does not
// touch its plugin.
type runningCatalog struct {
	*catalog.Catalog
	options Plugin
	stop    context.CancelFunc // nil until it runs
}

// build makes the next generation beside the old one. With an error it still
// gives what was made so far, to be closed.
func (g *Gateway) build(ctx context.Context, cfg Config, old generation) (generation, error) {
	next := generation{config: cfg, catalogs: map[string]*runningCatalog{}}
	var faults Faults
	var plugins []registry.Plugin
	for i, name := range slices.Sorted(maps.Keys(cfg.Plugins)) {
		g.progress(i, len(cfg.Plugins), name)
		p := cfg.Plugins[name]
		if wrong := g.catalog(ctx, &next, old, name, p); len(wrong) > 0 {
			faults = append(faults, wrong...)
			continue
		}
		plugin, findings, wrong := next.plugin(ctx, name, p)
		next.findings = append(next.findings, findings...)
		faults = append(faults, wrong...)
		if len(wrong) == 0 {
			plugins = append(plugins, plugin)
			next.clients = append(next.clients, plugin.Client)
		}
	}
	g.progress(len(cfg.Plugins), len(cfg.Plugins), "")
	if len(faults) > 0 {
		return next, faults
	}
	snapshot, wrong := registry.Build(plugins, serverSpecs(cfg.Servers))
	if len(wrong) > 0 {
		return next, fromRegistry(wrong)
	}
	next.snapshot = snapshot
	return next, nil
}

// catalog makes the embedded catalog of a plugin, or keeps the old one where
// its options are the same. A new one is filled before anybody asks it.
func (g *Gateway) catalog(ctx context.Context, next *generation, old generation, name string, p Plugin) Faults {
	if p.Embedded != "catalog" {
		return nil
	}
	if kept, ok := old.catalogs[name]; ok && sameCatalog(kept.options, p) {
		next.catalogs[name] = kept
		return nil
	}
	c, err := catalog.New(catalog.Options{
		Store: g.db, Locations: p.Locations, AllowedURLs: p.AllowedURLs, Interval: p.Refresh, Logger: g.log,
	})
	if err != nil {
		return Faults{{Path: "plugins." + name + ".locations", Message: err.Error()}}
	}
	next.catalogs[name] = &runningCatalog{Catalog: c, options: p}
	if g.offline {
		return nil
	}
	if err := c.Refresh(ctx); err != nil {
		return Faults{{Path: "plugins." + name + ".locations", Message: err.Error()}}
	}
	return nil
}

func sameCatalog(a, b Plugin) bool {
	return slices.Equal(a.Locations, b.Locations) && slices.Equal(a.AllowedURLs, b.AllowedURLs) && a.Refresh == b.Refresh
}

// run starts the catalogs that are to be refreshed and do not run yet.
func (next *generation) run(ctx context.Context, g *Gateway) {
	for _, c := range next.catalogs {
		if c.stop == nil && c.options.Refresh > 0 {
			var running context.Context
			running, c.stop = context.WithCancel(ctx)
			g.running.Go(func() { c.Run(running) })
		}
	}
}

// close releases what the other generation does not use.
func (next *generation) close(other generation) {
	for name, c := range next.catalogs {
		if other.catalogs[name] != c && c.stop != nil {
			c.stop()
		}
	}
	for _, client := range next.clients {
		client.Close()
	}
}

// refreshEvery is how often documents are read again: as often as the most
// eager plugin wants; 0: never.
func (c Config) refreshEvery() time.Duration {
	every := time.Duration(0)
	for _, p := range c.Plugins {
		if p.Embedded == "" && p.Refresh > 0 && (every == 0 || p.Refresh < every) {
			every = p.Refresh
		}
	}
	return every
}
