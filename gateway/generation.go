package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"

	"github.com/stagedoor/stagedoor/internal/catalog"
	"github.com/stagedoor/stagedoor/internal/contract"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/source"
)

// generation is one accepted config with all that was made from it. An update
// of one plugin makes another one beside it.
type generation struct {
	config   Config
	gates    gates
	specs    []registry.ServerSpec
	lock     *contract.Lock // nil: there is none
	snapshot *registry.Snapshot
	feeds    map[string]*feed // by plugin
	catalogs map[string]*runningCatalog
}

// runningCatalog is an embedded catalog; it outlives a reload that does not
// touch its plugin.
type runningCatalog struct {
	*catalog.Catalog
	options Plugin
	stop    context.CancelFunc // nil until it runs
}

// assemble makes a snapshot of the editions that are chosen, by plugin; nil:
// the plugin has none. gone are ids that plugins once had.
func (n *generation) assemble(chosen map[string]*edition, previous *registry.Snapshot, gone []string) (*registry.Snapshot, []registry.Fault) {
	o := registry.Options{Previous: previous, Gone: gone, Beside: n.config.ActionsAPI.allowlist()}
	o.Rules = n.config.rulesBeside()
	if len(n.config.Publishers) > 0 {
		o.MayCome = func(plugin string) bool { return len(n.config.publishersOf(plugin)) > 0 }
	}
	parts := make([]*registry.Part, 0, len(chosen))
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		if e := chosen[name]; e != nil {
			parts = append(parts, e.part)
		} else {
			o.Absent = append(o.Absent, name)
		}
	}
	return registry.Build(parts, n.specs, o)
}

// with makes a snapshot in which one plugin has another edition.
func (n *generation) with(plugin string, e *edition) (*registry.Snapshot, []registry.Fault) {
	chosen := n.serving()
	chosen[plugin] = e
	return n.assemble(chosen, n.snapshot, nil)
}

// hard is the first fault for which there is no snapshot; nil: there is one.
func hard(faults []registry.Fault) *registry.Fault {
	for i := range faults {
		if !faults[i].Soft {
			return &faults[i]
		}
	}
	return nil
}

// serving are the editions in use, by plugin.
func (n *generation) serving() map[string]*edition {
	chosen := make(map[string]*edition, len(n.feeds))
	for name, f := range n.feeds {
		chosen[name] = f.serving
	}
	return chosen
}

// hash is a short text that tells generations apart: two gateways of one
// version that show the same have the same. It is of the config without the
// values of secrets and without the place of its folder, and of all documents.
func (n *generation) hash() string {
	h := sha256.New()
	write := func(v any) {
		b, err := json.Marshal(v)
		if err != nil { // nothing in a config is strange to JSON
			b = []byte(err.Error())
		}
		h.Write(append(b, '\n'))
	}
	write(Version)
	for _, name := range slices.Sorted(maps.Keys(n.feeds)) {
		p := n.config.Plugins[name]
		p.Handler, p.Document, p.Overlays = nil, nil, nil
		p.Spec, p.BaseURL, p.Locations = named(p.Spec), named(p.BaseURL), slices.Clone(p.Locations)
		p.TLS.CertFile, p.TLS.KeyFile, p.TLS.CAFile = named(p.TLS.CertFile), named(p.TLS.KeyFile), named(p.TLS.CAFile)
		for i, location := range p.Locations {
			p.Locations[i] = named(location)
		}
		write(name)
		write(p)
		if e := n.feeds[name].serving; e != nil {
			h.Write(e.contents[:])
		}
	}
	write(n.config.Servers)
	write(n.config.ActionsAPI)
	write(n.config.AllowedOrigins)
	write(n.config.Limits)
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

// run starts what goes on in the background for the generation, and was not
// started for the one before.
func (n *generation) run(ctx context.Context, g *Gateway) {
	for _, c := range n.catalogs {
		if c.stop == nil && c.options.Refresh > 0 {
			var running context.Context
			running, c.stop = context.WithCancel(ctx)
			g.running.Go(func() { c.Run(running) })
		}
	}
	for _, f := range n.feeds {
		if f.stop == nil && f.watchEvery() > 0 {
			var running context.Context
			running, f.stop = context.WithCancel(ctx)
			first := f.watchEvery()
			if f.silent != "" {
				first = min(first, missedAgain)
			}
			g.running.Go(func() { g.watch(running, f.line, first) })
		}
	}
}

// close releases what the other generation does not use.
func (n *generation) close(other generation) {
	for name, c := range n.catalogs {
		if other.catalogs[name] != c && c.stop != nil {
			c.stop()
		}
	}
	for name, f := range n.feeds {
		if next := other.feeds[name]; next == nil || next.line != f.line {
			f.close()
		}
	}
}
