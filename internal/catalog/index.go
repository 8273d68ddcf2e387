package catalog

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// item is an entity as requests see it.
type item struct {
	ref, uid string
	entity   map[string]any
	json     json.RawMessage // entity, ready to send
	terms    terms
	row      record.Entity // without Document
}

// index is the whole catalog as of one version of the database. It is
// immutable.
type index struct {
	version   int64
	items     []*item // by uid
	byRef     map[string]*item
	byUID     map[string]*item
	byName    map[string][]*item // lower-case metadata.name, by uid
	locations []record.Location
}

func newIndex(c *record.Catalog) (*index, error) {
	ix := &index{
		version:   c.Version,
		items:     make([]*item, len(c.Entities)),
		byRef:     make(map[string]*item, len(c.Entities)),
		byUID:     make(map[string]*item, len(c.Entities)),
		byName:    make(map[string][]*item, len(c.Entities)),
		locations: c.Locations,
	}
	entities := make([]map[string]any, len(c.Entities))
	for i, row := range c.Entities {
		if err := json.Unmarshal([]byte(row.Document), &entities[i]); err != nil {
			return nil, fmt.Errorf("entity %s in the database: %w", row.Ref, err)
		}
	}
	relations := relate(entities)
	for i, row := range c.Entities {
		it, err := newItem(row, entities[i], relations[row.Ref])
		if err != nil {
			return nil, err
		}
		ix.items[i], ix.byRef[it.ref], ix.byUID[it.uid] = it, it, it
		name := strings.ToLower(row.Name)
		ix.byName[name] = append(ix.byName[name], it)
	}
	return ix, nil
}

func newItem(row record.Entity, entity map[string]any, relations []relation) (*item, error) {
	if metadata := object(entity, "metadata"); metadata != nil {
		metadata["uid"], metadata["etag"] = row.UID, row.Etag
	}
	list := make([]any, len(relations))
	for i, r := range relations {
		list[i] = map[string]any{"type": r.Type, "targetRef": r.TargetRef}
	}
	entity["relations"] = list
	text, err := json.Marshal(entity)
	if err != nil {
		return nil, fmt.Errorf("entity %s: %w", row.Ref, err)
	}
	row.Document = ""
	return &item{ref: row.Ref, uid: row.UID, entity: entity, json: text, terms: termsOf(entity, relations), row: row}, nil
}

// candidates are the items that a filter can match at all: those of a name,
// when it wants one, which is what most calls do.
func (ix *index) candidates(f filter) []*item {
	if len(f) == 1 {
		for _, c := range f[0] {
			if c.Key == "metadata.name" && len(c.Values) == 1 {
				return ix.byName[c.Values[0]]
			}
		}
	}
	return ix.items
}

func (ix *index) location(id string) (record.Location, bool) {
	for _, l := range ix.locations {
		if l.ID == id {
			return l, true
		}
	}
	return record.Location{}, false
}

// registered are the locations that were added over the API: those of the
// config are the operator's affair.
func (ix *index) registered() []record.Location {
	var list []record.Location
	for _, l := range ix.locations {
		if l.Registered {
			list = append(list, l)
		}
	}
	return list
}
