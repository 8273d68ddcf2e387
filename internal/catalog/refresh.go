package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// configPlace reads a location as the config writes it.
func configPlace(location string) (place, error) {
	switch {
	case location == "":
		return place{}, errors.New("it is empty")
	case strings.HasPrefix(location, "http://"), strings.HasPrefix(location, "https://"):
		_, err := parseURL(location)
		return place{typeURL, location, true}, err
	case strings.HasPrefix(location, "embedded:"):
		name := strings.TrimPrefix(location, "embedded:")
		if name != "example" {
			return place{}, fmt.Errorf("%q does not ship with the program, only example does", shorten(name))
		}
		return place{typeEmbedded, name, true}, nil
	}
	return place{typeFile, strings.TrimPrefix(location, "file:"), true}, nil
}

// Refresh reads all locations again: those of the config, and those that were
// registered. Locations that left the config go, with their entities. What is
// bad is logged and stays as it last was good; an error means that the database
// failed or ctx is done.
func (c *Catalog) Refresh(ctx context.Context) error {
	c.refreshing.Lock()
	defer c.refreshing.Unlock()
	ix, err := c.index(ctx)
	if err != nil {
		return err
	}
	configured := map[string]bool{}
	var jobs []func() error
	for _, p := range c.locations {
		if configured[p.String()] {
			continue
		}
		configured[p.String()] = true
		jobs = append(jobs, func() error { return c.refreshConfigured(ctx, p) })
	}
	for _, l := range ix.locations {
		switch {
		case configured[l.Type+":"+l.Target]:
		case l.Registered:
			jobs = append(jobs, func() error { return c.refreshLocation(ctx, l) })
		default:
			jobs = append(jobs, func() error {
				_, err := c.store.DeleteLocation(ctx, l.ID)
				return err
			})
		}
	}
	return inParallel(jobs)
}

func inParallel(jobs []func() error) error {
	errs := make([]error, len(jobs))
	slots := make(chan struct{}, readers)
	var all sync.WaitGroup
	for i, job := range jobs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			errs[i] = job()
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (c *Catalog) refreshConfigured(ctx context.Context, p place) error {
	l := record.Location{ID: generatedName(p.typ, p.target), Type: p.typ, Target: p.target}
	return c.reread(ctx, l, p, record.Ensure)
}

// refreshLocation reads a stored location again.
func (c *Catalog) refreshLocation(ctx context.Context, l record.Location) error {
	return c.reread(ctx, l, place{l.Type, l.Target, !l.Registered}, record.Update)
}

func (c *Catalog) reread(ctx context.Context, l record.Location, p place, mode record.Mode) error {
	w, err := c.walk(ctx, p)
	if err != nil {
		return err
	}
	rows := w.records()
	kept, held, err := c.lastGood(ctx, l, w)
	if err != nil {
		return err
	}
	c.logFlaws(ctx, p, w.flaws, held)
	return c.save(ctx, l, append(rows, kept...), mode)
}

// maxLogged bounds what one location can write to the log each time it is read.
const maxLogged = 200

func (c *Catalog) logFlaws(ctx context.Context, p place, flaws []*flaw, held map[claim]bool) {
	for i, f := range flaws {
		if i == maxLogged {
			c.log.WarnContext(ctx, "catalog location has more flaws than are logged", "location", p.String(), "more", len(flaws)-i)
			return
		}
		f.log(ctx, c.log, p.String(), held)
	}
}

// walk reads a place, a few at a time in the whole catalog.
func (c *Catalog) walk(ctx context.Context, p place) (*walk, error) {
	select {
	case c.reading <- struct{}{}:
		defer func() { <-c.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w := c.sources.walk(ctx, p)
	return w, ctx.Err() // what was cut short says nothing about the files
}

func (c *Catalog) save(ctx context.Context, l record.Location, rows []record.Entity, mode record.Mode) error {
	saved, err := c.store.SaveLocation(ctx, l, rows, mode)
	if err != nil {
		return err
	}
	for _, ref := range saved.Conflicts {
		c.log.WarnContext(ctx, "catalog entity is described elsewhere too; the first stays", "entity", ref, "location", l.Type+":"+l.Target)
	}
	return nil
}

func (w *walk) records() []record.Entity {
	rows := make([]record.Entity, 0, len(w.entities))
	for _, e := range w.entities {
		row, err := e.record()
		if err != nil { // cannot be: decode makes JSON values only
			w.flaws = append(w.flaws, &flaw{place: e.source, entity: e.ref.String(), err: err, lost: "it is not served"})
			continue
		}
		rows = append(rows, row)
	}
	return rows
}
