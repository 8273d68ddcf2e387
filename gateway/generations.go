package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/source"
	"github.com/stagedoor/stagedoor/internal/store"
)

// Generation is a version of a plugin's documents that the database has.
type Generation struct {
	Hash     string    `json:"hash"`
	Verdict  string    `json:"verdict"` // "accepted" or "quarantined"
	Source   string    `json:"source"`  // where it came from
	Time     time.Time `json:"time"`    // when it was judged last
	Actions  []string  `json:"actions"` // names
	contents publication.Content
}

var errNoDatabase = errors.New("does not exist")

// Generations lists what the config's database has of a plugin, the newest
// first. It needs no running gateway, and changes nothing.
func Generations(ctx context.Context, cfg Config, plugin string) (list []Generation, err error) {
	err = inDatabase(ctx, cfg, func(db *store.DB) error {
		kept, err := db.Generations(ctx, plugin)
		for _, g := range kept {
			list = append(list, generationOf(g))
		}
		return err
	})
	return list, err
}

// ReadGeneration gives the generation of a plugin whose hash begins with prefix,
// and its actions as the config would have them now.
func ReadGeneration(ctx context.Context, cfg Config, plugin, prefix string) (g Generation, actions []Action, err error) {
	err = inDatabase(ctx, cfg, func(db *store.DB) error {
		kept, err := db.Generation(ctx, plugin, prefix)
		if errors.Is(err, publication.ErrNotFound) {
			return fmt.Errorf("plugin %s has no generation %s", plugin, prefix)
		}
		g = generationOf(kept)
		return err
	})
	if err == nil {
		actions, err = cfg.withDefaults().reread(plugin, g)
	}
	return g, actions, err
}

func generationOf(g publication.Generation) Generation {
	return Generation{Hash: g.Hash, Verdict: string(g.Verdict), Source: g.Source, Time: g.Time.UTC(), Actions: append([]string{}, g.Actions...), contents: g.Content}
}

// inDatabase works with the config's database, if there is one.
func inDatabase(ctx context.Context, cfg Config, work func(db *store.DB) error) (err error) {
	url, err := cfg.withDefaults().Database.URL.Reveal()
	if err != nil {
		return err
	}
	if path, isFile := strings.CutPrefix(url, "sqlite:"); isFile {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("database %s %w: no gateway has kept generations in it yet", path, errNoDatabase)
		}
	}
	db, err := store.Open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return work(db)
}

// reread makes actions of what was kept. Nobody is asked, save for the plugin's
// overlays, which are the operator's.
func (c Config) reread(name string, g Generation) (actions []Action, err error) {
	p, listed := c.Plugins[name]
	if !listed {
		p = DefaultPlugin()
	}
	l, faults := newLine(name, p, c.origin(name), nil, identity{}, slog.New(slog.DiscardHandler))
	if len(faults) > 0 {
		return nil, faults
	}
	defer l.close()
	e, faults := l.judge(make(cores, 1), source.Stored(g.contents), func() *edition { return nil })
	if len(faults) > 0 {
		return nil, fmt.Errorf("generation %.12s of %s cannot be read any more: %s", g.Hash, name, faults.brief())
	}
	snapshot, _ := registry.Build([]*registry.Part{e.part}, nil, registry.Options{})
	if snapshot == nil {
		return nil, fmt.Errorf("generation %.12s of %s cannot be read any more", g.Hash, name)
	}
	for _, a := range snapshot.Actions() {
		actions = append(actions, Action{a.Action, a.ID, a.Plugin})
	}
	return actions, nil
}

// recall has a gateway that is offline offer the plugins that registered
// themselves, as the config's database has them.
func (g *Gateway) recall(ctx context.Context, cfg Config) error {
	if len(cfg.Publishers) == 0 {
		return nil
	}
	err := inDatabase(ctx, cfg, func(db *store.DB) error {
		registrations, err := db.Registrations(ctx)
		if err != nil {
			return err
		}
		for _, r := range registrations {
			l, _ := g.lineOf(r)
			if l == nil {
				continue
			}
			kept, err := db.Generation(ctx, r.Plugin, r.Hash)
			if err != nil {
				return err
			}
			e, faults := g.judge(l, source.Stored(kept.Content), func() *edition { return nil })
			g.enrol(ctx, l, r, e, faults, 0)
		}
		return nil
	})
	if errors.Is(err, errNoDatabase) {
		return nil
	}
	return err
}
