package catalog

import (
	"context"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// lastGood are the location's rows that stay because of flaws, and whatever
// those led to. held says which claims hold something.
func (c *Catalog) lastGood(ctx context.Context, l record.Location, w *walk) (kept []record.Entity, held map[claim]bool, err error) {
	if len(w.flaws) == 0 {
		return nil, nil, nil
	}
	rows, err := c.store.LoadCatalog(ctx) // documents are not kept in the index
	if err != nil {
		return nil, nil, err
	}
	for _, stored := range rows.Locations {
		if stored.Type == l.Type && stored.Target == l.Target {
			l = stored // it may have been registered under another id
		}
	}
	claimed := map[claim]bool{}
	for _, f := range w.flaws {
		for _, c := range f.stays {
			claimed[c] = true
		}
	}
	held = map[claim]bool{}
	children := map[string][]record.Entity{}
	for _, row := range rows.Entities {
		if row.LocationID != l.ID {
			continue
		}
		children[row.Parent] = append(children[row.Parent], row)
		if _, fresh := w.refs[row.Ref]; fresh {
			continue
		}
		stays := false
		for _, c := range w.claims(row) {
			if claimed[c] {
				stays, held[c] = true, true
			}
		}
		if stays {
			kept = append(kept, row)
		}
	}
	return w.withChildren(kept, children), held, nil
}

// withChildren adds what Location entities among the kept rows led to, as far
// as it was not read in another way.
func (w *walk) withChildren(kept []record.Entity, children map[string][]record.Entity) []record.Entity {
	for _, row := range kept {
		w.refs[row.Ref] = row.Source
	}
	for i := 0; i < len(kept); i++ {
		for _, child := range children[kept[i].Ref] {
			if _, there := w.refs[child.Ref]; !there && !w.seen[child.Source] {
				w.refs[child.Ref] = child.Source
				kept = append(kept, child)
			}
		}
	}
	return kept
}
