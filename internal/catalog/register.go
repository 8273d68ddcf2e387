package catalog

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// created is the answer to a registration.
type created struct {
	Location locationView      `json:"location"`
	Entities []json.RawMessage `json:"entities"`
	Exists   *bool             `json:"exists,omitempty"`
}

func (c *Catalog) createLocation(w http.ResponseWriter, r *http.Request) error {
	p, err := c.requestedPlace(w, r)
	if err != nil {
		return err
	}
	ix, err := c.index(r.Context())
	if err != nil {
		return err
	}
	var old *record.Location
	for _, l := range ix.locations {
		if l.Type == p.typ && l.Target == p.target {
			old = &l
		}
	}
	dryRun := isYes(r.URL.Query().Get("dryRun"))
	onConflict := r.URL.Query().Get("onConflict")
	switch {
	case onConflict != "" && onConflict != "refresh" && onConflict != "reject":
		return inputError("onConflict: expected refresh or reject")
	case dryRun:
	case old != nil && onConflict == "refresh":
		return c.refreshExisting(w, r, *old)
	case old != nil:
		return conflictError("location %s is registered already, with id %s", p, old.ID)
	}
	found, err := c.walk(r.Context(), p)
	if err != nil {
		return err
	}
	if err := found.refuse(); err != nil {
		return err
	}
	if dryRun {
		return writeDryRun(w, p, found, old != nil)
	}
	return c.register(w, r, p, found)
}

// requestedPlace is the location that a request wants registered, if that is
// allowed at all. Addresses are checked when it is read.
func (c *Catalog) requestedPlace(w http.ResponseWriter, r *http.Request) (place, error) {
	var body struct {
		Type   string `json:"type"`
		Target string `json:"target"`
	}
	if err := readBody(w, r, maxBodyBytes, &body); err != nil {
		return place{}, err
	}
	switch {
	case body.Target == "" || body.Type == "":
		return place{}, inputError("type and target are required")
	case body.Type == typeURL:
		u, err := parseURL(strings.TrimSpace(body.Target))
		if err != nil {
			return place{}, inputError("target: %v", err)
		}
		return place{typeURL, u.String(), false}, nil
	case body.Type == typeFile && len(c.sources.fileRoots) > 0:
		return place{typeFile, body.Target, false}, nil
	}
	return place{}, inputError(`type: only locations of type "url" can be registered`)
}

// refuse says what is wrong with a location that is to be registered: whoever
// registers it is there to mend it, so all of it has to be good.
func (w *walk) refuse() error {
	if len(w.flaws) == 0 {
		return nil
	}
	var list []string
	for i, f := range w.flaws {
		if i == 10 {
			list = append(list, "and more")
			break
		}
		list = append(list, f.String())
	}
	return inputError("location cannot be registered: %s", strings.Join(list, "\n"))
}

func writeDryRun(w http.ResponseWriter, p place, found *walk, exists bool) error {
	answer := created{Location: locationView{p.String(), p.typ, p.target, generatedRef(p.typ, p.target)}, Exists: &exists}
	for _, e := range found.entities {
		text, err := json.Marshal(e.value)
		if err != nil {
			return err
		}
		answer.Entities = append(answer.Entities, text)
	}
	writeJSON(w, http.StatusCreated, answer)
	return nil
}

func (c *Catalog) register(w http.ResponseWriter, r *http.Request, p place, found *walk) error {
	l := record.Location{ID: newUID(), Type: p.typ, Target: p.target, Registered: true}
	saved, err := c.store.SaveLocation(r.Context(), l, found.records(), record.Create)
	switch {
	case err != nil:
		return err
	case saved.Exists && r.URL.Query().Get("onConflict") == "refresh":
		return c.refreshExisting(w, r, saved.Location)
	case saved.Exists:
		return conflictError("location %s is registered already, with id %s", p, saved.Location.ID)
	}
	c.logRegistered(r.Context(), p, saved)
	writeJSON(w, http.StatusCreated, created{Location: viewOf(saved.Location), Entities: []json.RawMessage{}})
	return nil
}

func (c *Catalog) logRegistered(ctx context.Context, p place, saved record.Saved) {
	c.log.InfoContext(ctx, "catalog location registered", "location", p.String(), "id", saved.Location.ID)
	for _, ref := range saved.Conflicts {
		c.log.WarnContext(ctx, "catalog entity is described elsewhere too; the first stays", "entity", ref, "location", p.String())
	}
}

func (c *Catalog) refreshExisting(w http.ResponseWriter, r *http.Request, l record.Location) error {
	if err := c.refreshLocation(r.Context(), l); err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, created{Location: viewOf(l), Entities: []json.RawMessage{}})
	return nil
}

// isYes reads a flag as Backstage does.
func isYes(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "t", "yes", "y", "1", "on":
		return true
	}
	return false
}
