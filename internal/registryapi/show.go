package registryapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/publication"
)

// list shows how all plugins stand.
func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	knows, err := h.knows(r)
	if err != nil {
		return err
	}
	plugins := []publication.Status{}
	for _, s := range h.registrar.Statuses() {
		plugins = append(plugins, shown(s, knows(s.Name)))
	}
	write(w, http.StatusOK, map[string]any{"plugins": plugins})
	return nil
}

// generation is one of a plugin's history.
type generation struct {
	Generation string              `json:"generation"`
	Verdict    publication.Verdict `json:"verdict"`
	Time       time.Time           `json:"time"`
	Actions    []string            `json:"actions"`
	Findings   json.RawMessage     `json:"findings,omitempty"`
}

// get shows how one stands, and to who may register it its generations, the
// newest first: what never served is nobody else's business.
func (h *Handler) get(w http.ResponseWriter, r *http.Request, plugin string) error {
	knows, err := h.knows(r)
	if err != nil {
		return err
	}
	statuses := h.registrar.Statuses()
	i := slices.IndexFunc(statuses, func(s publication.Status) bool { return s.Name == plugin })
	if i < 0 {
		return &failure{status: http.StatusNotFound, message: "there is no such plugin", hint: "all are at " + Path}
	}
	if !knows(plugin) {
		write(w, http.StatusOK, shown(statuses[i], false))
		return nil
	}
	kept, err := h.registrar.Generations(r.Context(), plugin)
	if err != nil {
		return err
	}
	history := []generation{}
	for _, g := range kept {
		history = append(history, generation{short(g.Hash), g.Verdict, g.Time.UTC(), append([]string{}, g.Actions...), g.Findings})
	}
	write(w, http.StatusOK, struct {
		publication.Status
		History []generation `json:"history"`
	}{statuses[i], history})
	return nil
}

// knows tells of which plugins the request may learn all: publishers of those
// that they may register, operators of all. Sources, reasons and findings can
// name hosts inside; the cause of a state is for everybody, where nobody is asked
// who they are.
func (h *Handler) knows(r *http.Request) (func(plugin string) bool, error) {
	guard := h.guard()
	if guard.Gate == principal.Open && r.Header.Get("Authorization") == "" {
		return func(string) bool { return false }, nil
	}
	holders := bearer(r, h.publishers())
	if len(holders) == 0 && guard.Gate != principal.Open {
		if _, err := guard.principal(r, guard.Operate); err == nil {
			return func(string) bool { return true }, nil
		} else if holders, _, _ = h.holders(r); len(holders) == 0 {
			return nil, err
		}
	}
	if len(holders) == 0 {
		_, _, err := h.holders(r)
		return nil, err
	}
	return func(plugin string) bool {
		return slices.ContainsFunc(holders, func(p Publisher) bool { return p.MayRegister(plugin) })
	}, nil
}

func shown(s publication.Status, all bool) publication.Status {
	if !all {
		s.Source, s.Reason = "", ""
	}
	return s
}
