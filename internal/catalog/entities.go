package catalog

import (
	"bytes"
	"encoding/json"
	"net/http"
)

func (c *Catalog) entityByUID(w http.ResponseWriter, r *http.Request) error {
	ix, err := c.index(r.Context())
	if err != nil {
		return err
	}
	uid := pathVar(r, "uid")
	it, there := ix.byUID[uid]
	if !there {
		return notFoundError("no entity with uid %s", shorten(uid))
	}
	return send(w, bytes.NewBuffer(it.json))
}

func (c *Catalog) entityByName(w http.ResponseWriter, r *http.Request) error {
	_, it, err := c.named(r)
	if err != nil {
		return err
	}
	return send(w, bytes.NewBuffer(it.json))
}

// named is the entity that the path names.
func (c *Catalog) named(r *http.Request) (*index, *item, error) {
	ix, err := c.index(r.Context())
	if err != nil {
		return nil, nil, err
	}
	ref := pathRef(r)
	it, there := ix.byRef[ref.String()]
	if !there {
		return nil, nil, notFoundError("no entity named %q with kind %q in namespace %q", shorten(ref.Name), shorten(ref.Kind), shorten(ref.Namespace))
	}
	return ix, it, nil
}

func (c *Catalog) deleteEntity(w http.ResponseWriter, r *http.Request) error {
	// One that is not there is as good as deleted, as in Backstage.
	if _, err := c.store.DeleteEntity(r.Context(), pathVar(r, "uid")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ancestor is an entity with those that brought it into the catalog.
type ancestor struct {
	Entity  json.RawMessage `json:"entity"`
	Parents []string        `json:"parentEntityRefs"`
}

func (c *Catalog) ancestry(w http.ResponseWriter, r *http.Request) error {
	ix, it, err := c.named(r)
	if err != nil {
		return err
	}
	root := it.ref
	var items []ancestor
	for seen := map[string]bool{}; it != nil && !seen[it.ref]; {
		seen[it.ref] = true
		parent := ix.byRef[it.row.Parent]
		a := ancestor{Entity: it.json, Parents: []string{}}
		if parent != nil {
			a.Parents = append(a.Parents, parent.ref)
		}
		items = append(items, a)
		it = parent
	}
	writeJSON(w, http.StatusOK, map[string]any{"rootEntityRef": root, "items": items})
	return nil
}

func (c *Catalog) entitiesByRefs(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		EntityRefs []string        `json:"entityRefs"`
		Fields     []string        `json:"fields"`
		Query      json.RawMessage `json:"query"`
	}
	if err := readBody(w, r, maxBodyBytes, &body); err != nil {
		return err
	}
	switch {
	case body.EntityRefs == nil:
		return inputError("entityRefs is missing")
	case len(body.EntityRefs) > maxRefs:
		return inputError("entityRefs: at most %d at once", maxRefs)
	}
	keep, err := parseFields(append(body.Fields, r.URL.Query()["fields"]...))
	if err != nil {
		return err
	}
	wanted, err := parseFilter(r.URL.Query()["filter"])
	if err != nil {
		return err
	}
	matches, err := parsePredicate(body.Query)
	if err != nil {
		return err
	}
	ix, err := c.index(r.Context())
	if err != nil {
		return err
	}
	items := make([]json.RawMessage, len(body.EntityRefs)) // nil is null
	for i, text := range body.EntityRefs {
		ref, err := ParseRef(text, "", defaultNamespace)
		if err != nil {
			continue // names nothing
		}
		if it := ix.byRef[ref.String()]; it != nil && wanted.match(it.terms) && matches(it) {
			if items[i], err = keep.of(it); err != nil {
				return err
			}
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": items})
	return nil
}

func (c *Catalog) getFacets(w http.ResponseWriter, r *http.Request) error {
	f, err := parseFilter(r.URL.Query()["filter"])
	if err != nil {
		return err
	}
	return c.writeFacets(w, r, r.URL.Query()["facet"], &query{Filter: f})
}

func (c *Catalog) queryFacets(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Facets []string        `json:"facets"`
		Query  json.RawMessage `json:"query"`
	}
	if err := readBody(w, r, maxBodyBytes, &body); err != nil {
		return err
	}
	return c.writeFacets(w, r, body.Facets, &query{Predicate: body.Query})
}

func (c *Catalog) writeFacets(w http.ResponseWriter, r *http.Request, paths []string, q *query) error {
	ix, err := c.index(r.Context())
	if err != nil {
		return err
	}
	facets, err := ix.facets(paths, q)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"facets": facets})
	return nil
}
