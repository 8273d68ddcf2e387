package catalog

import (
	"context"
	"fmt"
	"strings"
)

// What one location may lead to at most.
const (
	maxPlaces   = 2000
	maxFollow   = 10
	maxEntities = 20_000
)

// unreadable is a place that gave no entities, and why; or, when partial, one
// that gave some.
type unreadable struct {
	place   string
	err     error
	partial bool
}

// walk reads a location and whatever its Location entities lead to.
type walk struct {
	sources  *sources
	origin   string // the location itself
	seen     map[string]bool
	refs     map[string]string // ref to source
	entities []found
	faults   []unreadable
}

// walk reads a location. A file counts as a whole: one bad entity in it and
// none is taken.
func (s *sources) walk(ctx context.Context, root place) *walk {
	w := &walk{sources: s, origin: root.String(), seen: map[string]bool{}, refs: map[string]string{}}
	location := generatedLocation(root.typ, root.target)
	w.entities = append(w.entities, location)
	w.refs[location.ref.String()] = location.source
	w.follow(ctx, root, location.ref.String(), 0)
	return w
}

func (w *walk) fault(p place, format string, args ...any) {
	w.faults = append(w.faults, unreadable{place: p.String(), err: fmt.Errorf(format, args...)})
}

// remark is a fault in a file of which the rest is taken.
func (w *walk) remark(p place, format string, args ...any) {
	w.faults = append(w.faults, unreadable{p.String(), fmt.Errorf(format, args...), true})
}

func (w *walk) follow(ctx context.Context, p place, parent string, depth int) {
	if depth > maxFollow {
		w.fault(p, "locations lead to locations more than %d times", maxFollow)
		return
	}
	places, err := w.sources.expand(p)
	if err != nil {
		w.fault(p, "%w", err)
		return
	}
	for _, p := range places {
		if w.seen[p.String()] {
			continue
		}
		w.seen[p.String()] = true
		if len(w.seen) > maxPlaces {
			w.fault(p, "more than %d files", maxPlaces)
			return
		}
		w.file(ctx, p, parent, depth)
	}
}

// file reads the entities of one file and follows those that are locations.
func (w *walk) file(ctx context.Context, p place, parent string, depth int) {
	entities, err := w.parse(ctx, p, parent)
	if err != nil {
		w.fault(p, "%w", err)
		return
	}
	for _, e := range entities {
		ref := e.ref.String()
		if first, twice := w.refs[ref]; twice {
			w.remark(p, "%s is described twice, first in %s", ref, first)
			continue
		}
		if len(w.entities) >= maxEntities {
			w.fault(p, "more than %d entities", maxEntities)
			return
		}
		w.refs[ref] = e.source
		w.entities = append(w.entities, e)
		if e.ref.Kind != "Location" {
			continue
		}
		spec := object(e.value, "spec")
		for _, target := range append(texts(spec, "target"), texts(spec, "targets")...) {
			next, err := w.sources.relative(p, text(spec, "type"), target)
			if err != nil {
				w.remark(p, "%s: %w", ref, err)
				continue
			}
			w.follow(ctx, next, ref, depth+1)
		}
	}
}

// parse reads and checks a file, all or nothing.
func (w *walk) parse(ctx context.Context, p place, parent string) ([]found, error) {
	data, err := w.sources.read(ctx, p)
	if err != nil {
		return nil, err
	}
	documents, err := decode(data)
	if err != nil {
		return nil, err
	}
	if len(documents) == 0 {
		return nil, fmt.Errorf("no entity in it")
	}
	entities := make([]found, 0, len(documents))
	for _, d := range documents {
		if err := w.substitute(ctx, p, d.value); err != nil {
			return nil, fmt.Errorf("line %d: %w", d.line, err)
		}
		if faults := validate(d.value); len(faults) > 0 {
			return nil, fmt.Errorf("line %d: %s: %s", d.line, describeEntity(d.value), strings.Join(faults, "; "))
		}
		entity, _ := d.value.(map[string]any) // valid, so it is one
		entities = append(entities, newFound(entity, p.String(), w.origin, parent))
	}
	return entities, nil
}

// describeEntity names an entity that may not be one.
func describeEntity(v any) string {
	entity, _ := v.(map[string]any)
	if name := text(object(entity, "metadata"), "name"); name != "" {
		return shorten(text(entity, "kind") + " " + name)
	}
	return "entity"
}
