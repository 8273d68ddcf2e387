package catalog

import (
	"net/http"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// locationView is a location on the wire.
type locationView struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Target    string `json:"target"`
	EntityRef string `json:"entityRef"`
}

func viewOf(l record.Location) locationView {
	return locationView{l.ID, l.Type, l.Target, generatedRef(l.Type, l.Target)}
}

func (c *Catalog) listLocations(w http.ResponseWriter, r *http.Request) error {
	ix, err := c.index(r.Context())
	if err != nil {
		return err
	}
	list := []map[string]locationView{}
	for _, l := range ix.registered() {
		list = append(list, map[string]locationView{"data": viewOf(l)})
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

func (c *Catalog) getLocation(w http.ResponseWriter, r *http.Request) error {
	l, err := c.locationOf(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewOf(l))
	return nil
}

func (c *Catalog) locationOf(r *http.Request) (record.Location, error) {
	ix, err := c.index(r.Context())
	if err != nil {
		return record.Location{}, err
	}
	id := pathVar(r, "id")
	l, there := ix.location(id)
	if !there {
		return record.Location{}, notFoundError("no location with id %s", shorten(id))
	}
	return l, nil
}

func (c *Catalog) deleteLocation(w http.ResponseWriter, r *http.Request) error {
	l, err := c.locationOf(r)
	if err != nil {
		return err
	}
	if !l.Registered {
		return notAllowedError("location %s stands in the gateway's config and can be removed only there", shorten(l.ID))
	}
	found, err := c.store.DeleteLocation(r.Context(), l.ID)
	switch {
	case err != nil:
		return err
	case !found:
		return notFoundError("no location with id %s", shorten(l.ID))
	}
	c.log.InfoContext(r.Context(), "catalog location removed", "location", l.Type+":"+l.Target)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *Catalog) locationByEntity(w http.ResponseWriter, r *http.Request) error {
	ix, it, err := c.named(r)
	if err != nil {
		return err
	}
	l, there := ix.location(it.row.LocationID)
	if !there || !l.Registered {
		return notFoundError("%s does not come from a registered location", it.ref)
	}
	writeJSON(w, http.StatusOK, viewOf(l))
	return nil
}

func (c *Catalog) refreshEntity(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		EntityRef string `json:"entityRef"`
	}
	if err := readBody(w, r, maxBodyBytes, &body); err != nil {
		return err
	}
	ref, err := ParseRef(body.EntityRef, "", defaultNamespace)
	if err != nil {
		return inputError("entityRef: %v", err)
	}
	ix, err := c.index(r.Context())
	if err != nil {
		return err
	}
	it, there := ix.byRef[ref.String()]
	if !there {
		return notFoundError("no entity %s", shorten(ref.String()))
	}
	if l, there := ix.location(it.row.LocationID); there {
		if err := c.refreshLocation(r.Context(), l); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
