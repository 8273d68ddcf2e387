package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/catalog"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/openapi"
)

// generation is one accepted config with all that was made from it.
type generation struct {
	config   Config
	snapshot *registry.Snapshot
	plugins  map[string]builtPlugin
	catalogs map[string]*runningCatalog
}

// builtPlugin is what was made of one plugin. The next generation takes it
// over, connections included, where neither settings nor documents changed.
type builtPlugin struct {
	registry.Plugin
	part     *registry.Part
	findings []openapi.Finding
	settings settings
	digest   [sha256.Size]byte // of documents and overlays, and where they are
	contents [sha256.Size]byte // of documents and overlays alone
	files    []*source.Files   // what each document's $refs led to
}

// settings are what a built plugin depends on beside its documents.
type settings struct {
	embedded, spec, baseURL, actions, refs string
	timeout                                time.Duration
	maxResponse                            Size
	auth                                   PluginAuth
	catalog                                *runningCatalog
	inGo                                   bool // handlers cannot be compared: never taken over
	concurrency                            int
	retry, breaker                         string
}

// runningCatalog is an embedded catalog; it outlives a reload that does not
// touch its plugin.
type runningCatalog struct {
	*catalog.Catalog
	options Plugin
	stop    context.CancelFunc // nil until it runs
}

// build makes the next generation beside the old one. With an error, which is
// all Faults that it finds, it still gives what was made so far, to be closed.
// Plugins that the known faults are about are left out, and so are the faults
// that only follow from that. keep lets a plugin that cannot be read stay as it
// was.
func (g *Gateway) build(ctx context.Context, cfg Config, old generation, known Faults, keep bool) (generation, error) {
	next := generation{config: cfg, plugins: map[string]builtPlugin{}, catalogs: map[string]*runningCatalog{}}
	names := slices.Sorted(maps.Keys(cfg.Plugins))
	built, wrong := g.read(ctx, &next, old, names, known, keep)
	g.files.Store(new(referenced(built)))
	var faults Faults
	var parts []*registry.Part
	var broken []string
	for i, name := range names {
		if last, had := old.plugins[name]; len(wrong[i]) > 0 && keep && had {
			g.log.WarnContext(ctx, "plugin keeps its last good documents", "plugin", name, "error", wrong[i])
			built[i], wrong[i] = last, nil
		}
		faults = append(faults, wrong[i]...)
		if len(wrong[i]) > 0 || known.about("plugins."+name) {
			broken = append(broken, name)
			continue
		}
		next.plugins[name] = built[i]
		parts = append(parts, built[i].part)
	}
	specs, wrongFiles := serverSpecs(cfg.Servers, known)
	snapshot, more := registry.Build(parts, specs, registry.Options{Previous: old.snapshot, Absent: broken, Beside: cfg.ActionsAPI.allowlist()})
	faults = append(append(faults, wrongFiles...), fromRegistry(more)...)
	if len(faults) > 0 {
		return next, faults
	}
	next.snapshot = snapshot
	return next, nil
}

// readers is how many plugins are read at once: one that hangs holds up few.
const readers = 16

// read makes each plugin's part of the next generation, many at a time.
func (g *Gateway) read(ctx context.Context, next *generation, old generation, names []string, known Faults, keep bool) ([]builtPlugin, []Faults) {
	built, wrong := make([]builtPlugin, len(names)), make([]Faults, len(names))
	places := make(chan struct{}, readers)
	var done sync.Mutex
	count := 0
	var all sync.WaitGroup
	for i, name := range names {
		if known.about("plugins." + name) {
			continue
		}
		p := next.config.Plugins[name]
		if wrong[i] = g.catalog(ctx, next, old, name, p); len(wrong[i]) > 0 {
			continue
		}
		settings := p.settings(next.catalogs[name])
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			built[i], wrong[i] = p.build(ctx, name, settings, old.plugins[name], keep)
			done.Lock()
			defer done.Unlock()
			count++
			g.progress(count, len(names), name)
		})
	}
	all.Wait()
	g.progress(len(names), len(names), "")
	return built, wrong
}

// referenced are the files that the documents of plugins refer to.
func referenced(plugins []builtPlugin) []string {
	var paths []string
	for _, p := range plugins {
		for _, f := range p.files {
			paths = append(paths, f.Paths()...)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// hash is a short text that tells generations apart: two gateways of one
// version that show the same have the same. It is of the config without the
// values of secrets and without the place of its folder, of the documents, and
// of what these refer to.
func (next *generation) hash() string {
	h := sha256.New()
	write := func(v any) {
		b, err := json.Marshal(v)
		if err != nil { // nothing in a config is strange to JSON
			b = []byte(err.Error())
		}
		h.Write(append(b, '\n'))
	}
	write(Version)
	for _, name := range slices.Sorted(maps.Keys(next.plugins)) {
		p := next.config.Plugins[name]
		p.Handler, p.Document, p.Overlays = nil, nil, nil
		p.Spec, p.BaseURL, p.Locations = named(p.Spec), named(p.BaseURL), slices.Clone(p.Locations)
		for i, location := range p.Locations {
			p.Locations[i] = named(location)
		}
		write(name)
		write(p)
		built := next.plugins[name]
		h.Write(built.contents[:])
		for _, f := range built.files {
			h.Write(f.Sum())
		}
	}
	write(next.config.Servers)
	write(next.config.ActionsAPI)
	write(next.config.AllowedOrigins)
	write(next.config.Limits)
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// named is what a place contributes to the hash: of a file its name, for
// replicas may keep their config in different folders; of a URL all but its
// credentials and query.
func named(place string) string {
	if source.IsURL(place) {
		return source.Display(place)
	}
	return filepath.Base(place)
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
	for name, p := range next.plugins {
		if other.plugins[name].Client != p.Client {
			p.Client.Close()
		}
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
