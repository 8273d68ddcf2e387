package catalog

import (
	"context"
	"errors"
	"fmt"
)

// What one location may lead to at most.
const (
	maxPlaces   = 2000
	maxFollow   = 10
	maxEntities = 20_000
)

// walk reads a location and whatever its Location entities lead to.
type walk struct {
	sources  *sources
	origin   string // the location itself
	seen     map[string]bool
	refs     map[string]string // ref to source
	entities []found
	flaws    []*flaw
}

// walk reads a location. Each entity stands alone: a bad one is a flaw, and
// the others of its file are taken.
func (s *sources) walk(ctx context.Context, root place) *walk {
	w := &walk{sources: s, origin: root.String(), seen: map[string]bool{}, refs: map[string]string{}}
	location := generatedLocation(root.typ, root.target)
	w.entities = append(w.entities, location)
	w.refs[location.ref.String()] = location.source
	w.follow(ctx, root, location.ref.String(), 0)
	return w
}

func (w *walk) flaw(f *flaw) { w.flaws = append(w.flaws, f) }

// follow reads the files of a place that the Location entity parent names.
func (w *walk) follow(ctx context.Context, p place, parent string, depth int) {
	if depth > maxFollow {
		w.flaw(unreached(p, parent, fmt.Errorf("locations lead to locations more than %d times", maxFollow)))
		return
	}
	places, err := w.sources.expand(p)
	if err != nil {
		w.flaw(unreached(p, parent, err))
		return
	}
	for _, p := range places {
		if w.seen[p.String()] {
			continue
		}
		if len(w.seen) >= maxPlaces {
			w.flaw(unreached(p, parent, fmt.Errorf("more than %d files", maxPlaces)))
			return
		}
		w.seen[p.String()] = true
		w.file(ctx, p, parent, depth)
	}
}

// file takes the entities of one file and follows those that are locations.
func (w *walk) file(ctx context.Context, p place, parent string, depth int) {
	documents, err := w.parse(ctx, p)
	if err != nil {
		w.flaw(badFile(p, err))
		return
	}
	for i, d := range documents {
		if len(w.entities)+len(w.flaws) >= maxEntities {
			w.flaw(badFile(p, fmt.Errorf("more than %d entities", maxEntities)))
			return
		}
		if err := w.check(ctx, p, d); err != nil {
			w.flaw(badEntity(p, d, i, err))
			continue
		}
		entity, _ := d.value.(map[string]any) // valid, so it is one
		e := newFound(entity, p.String(), w.origin, parent)
		if first, twice := w.refs[e.ref.String()]; twice {
			w.flaw(twin(p, d, e.ref, first))
			continue
		}
		w.refs[e.ref.String()] = e.source
		w.entities = append(w.entities, e)
		if e.ref.Kind == "Location" {
			w.followTargets(ctx, p, d, e, depth)
		}
	}
}

// parse reads a file. An error says that nothing can be known of what it
// describes.
func (w *walk) parse(ctx context.Context, p place) ([]document, error) {
	data, err := w.sources.read(ctx, p)
	if err != nil {
		return nil, err
	}
	documents, err := decode(data)
	if err != nil {
		return nil, err
	}
	if len(documents) == 0 { // more likely half written than meant
		return nil, errors.New("no entity in it")
	}
	return documents, nil
}

// check fills in an entity's placeholders and says what is wrong with it.
func (w *walk) check(ctx context.Context, p place, d document) error {
	if d.err != nil {
		return d.err
	}
	if err := w.substitute(ctx, p, d.value); err != nil {
		return &located{d.lineOf(err.Error()), err}
	}
	return d.invalid(validate(d.value))
}

func (w *walk) followTargets(ctx context.Context, p place, d document, e found, depth int) {
	spec := object(e.value, "spec")
	one := texts(spec, "target")
	for i, target := range append(one, texts(spec, "targets")...) {
		field := "spec.target"
		if i >= len(one) {
			field = fmt.Sprintf("spec.targets.%d", i-len(one))
		}
		next, err := w.sources.relative(p, text(spec, "type"), target)
		if err != nil {
			w.flaw(badTarget(p, d, e.ref, field, err))
			continue
		}
		w.follow(ctx, next, e.ref.String(), depth+1)
	}
}
