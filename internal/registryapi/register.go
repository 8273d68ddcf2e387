package registryapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/publication"
)

// put registers a document, or renews the lease of the one that is registered.
//
// The condition If-None-Match (RFC 9110, section 13.1.2) is about the document:
// where the registry has it already, it is neither sent nor taken again. By the
// letter, the answer to that is 412 and nothing happens. Here a registration is a
// document with a lease, and to renew the lease is what was asked for, so the
// answer is 200; 412 says that the document is needed.
func (h *Handler) put(w http.ResponseWriter, r *http.Request, plugin string, c *audit.Call) error {
	publisher, err := h.publisher(r, plugin, c)
	if err != nil {
		return err
	}
	t, err := termsOf(r, publisher)
	if err != nil {
		return err
	}
	var document []byte
	if r.ContentLength != 0 {
		end, ok := h.turns.take(publisher.Name, plugin)
		if !ok {
			return tooBusy(http.StatusTooManyRequests, "1", fmt.Sprintf("another document of the plugin is being read, or %d of the publisher's", maxInHand))
		}
		defer end()
		if document, err = read(w, r); err != nil {
			return err
		}
	}
	if len(document) > 0 {
		return h.register(w, r, plugin, publisher, t, document, c)
	}
	if t.tag == "" {
		return badRequest("request has no document", "send it as the body; with If-None-Match and no body, the lease is renewed")
	}
	return h.renew(w, r, plugin, publisher, t)
}

// renew is a PUT without a document.
func (h *Handler) renew(w http.ResponseWriter, r *http.Request, plugin string, p Publisher, t terms) error {
	there, err := h.registrar.Renew(r.Context(), plugin, p.Name, "", t.lease)
	if errors.Is(err, publication.ErrNotFound) && there.Hash == t.tag && !heldByOther(there.Registration, p) && there.BaseURL != t.baseURL {
		return needed("plugin is registered with another base URL")
	}
	got, err := h.registrar.Renew(r.Context(), plugin, p.Name, t.tag, t.lease)
	switch {
	case err == nil:
		got.Findings = nil // renewals are small
		answer(w, http.StatusOK, plugin, t.tag, t.lease, got)
		return nil
	case !errors.Is(err, publication.ErrNotFound):
		return err
	case heldByOther(got.Registration, p):
		return held(plugin)
	case live(got.Registration) && got.Hash != t.tag:
		f := needed("plugin is registered with another document")
		f.header = http.Header{"Etag": {`"` + got.Hash + `"`}}
		return f
	}
	return needed("plugin is not registered")
}

// needed asks for the document.
func needed(message string) *failure {
	return &failure{status: http.StatusPreconditionFailed, message: message, hint: "send the document, without If-None-Match"}
}

func live(r publication.Registration) bool { return r.Plugin != "" && r.Until.After(r.Now) }

func heldByOther(r publication.Registration, p Publisher) bool {
	return live(r) && r.Publisher != p.Name
}

// register is a PUT with a document. One that is registered already is not
// judged again.
func (h *Handler) register(w http.ResponseWriter, r *http.Request, plugin string, p Publisher, t terms, document []byte, c *audit.Call) error {
	content := publication.Content{Documents: []publication.Document{{Name: plugin, Data: document}}, BaseURL: t.baseURL}
	hash := content.Hash()
	there, err := h.registrar.Renew(r.Context(), plugin, p.Name, hash, t.lease)
	switch {
	case err == nil:
		answer(w, http.StatusOK, plugin, hash, t.lease, there)
		return nil
	case !errors.Is(err, publication.ErrNotFound):
		return err
	case heldByOther(there.Registration, p):
		return held(plugin)
	case t.tag != "" && there.Hash == t.tag && there.Publisher == p.Name:
		return needed("If-None-Match names the document that is registered, and the body is another")
	}
	end, ok := h.turns.wait(r.Context(), p.Name)
	if !ok {
		return tooBusy(http.StatusTooManyRequests, "5", "other documents of the publisher are being read")
	}
	defer end()
	if !h.turns.judge(plugin) {
		return tooBusy(http.StatusTooManyRequests, "1", "plugin changes its document more than once a second")
	}
	status := http.StatusOK
	if there.Plugin == "" {
		status = http.StatusCreated
	}
	registration := publication.Registration{Plugin: plugin, Publisher: p.Name, BaseURL: t.baseURL, Hash: hash}
	got, err := h.registrar.Register(r.Context(), registration, t.lease, content)
	if err != nil {
		return err
	}
	h.log.InfoContext(r.Context(), "plugin registered", "plugin", plugin, "publisher", p.Name, "generation", short(hash),
		"verdict", string(got.Verdict), "actions", len(got.Actions))
	c.Outcome, c.Status = string(got.Verdict), status
	answer(w, status, plugin, hash, t.lease, got)
	return nil
}

// answer tells a publisher how its plugin stands, and when to come again.
func answer(w http.ResponseWriter, status int, plugin, hash string, term time.Duration, got Registered) {
	type lease struct {
		Until      time.Time `json:"until"`
		Seconds    int       `json:"seconds"`
		RenewAfter int       `json:"renewAfter"`
	}
	w.Header().Set("Etag", `"`+hash+`"`)
	write(w, status, struct {
		Plugin     string              `json:"plugin"`
		Generation string              `json:"generation"`
		State      publication.Verdict `json:"state"`
		Actions    []string            `json:"actions"`
		Findings   json.RawMessage     `json:"findings,omitempty"`
		Lease      lease               `json:"lease"`
	}{
		plugin, short(hash), got.Verdict, append([]string{}, got.Actions...), got.Findings,
		lease{time.Now().Add(term).UTC().Truncate(time.Second), int(term.Seconds()), int(term.Seconds()) / 3},
	})
}

// short is how generations are shown.
func short(hash string) string { return hash[:min(len(hash), 12)] }

// withdraw ends a registration. With If-Match, it only ends that of the document
// of that tag: an instance that stops takes nothing from a newer one.
func (h *Handler) withdraw(w http.ResponseWriter, r *http.Request, plugin string, c *audit.Call) error {
	publisher, err := h.publisher(r, plugin, c)
	if err != nil {
		return err
	}
	tag, err := tagOf(r, "If-Match")
	if err != nil {
		return err
	}
	err = h.registrar.Withdraw(r.Context(), plugin, publisher.Name, tag)
	switch {
	case errors.Is(err, publication.ErrNotFound) && tag != "":
		return &failure{status: http.StatusPreconditionFailed, message: "plugin is not registered with that document"}
	case errors.Is(err, publication.ErrNotFound):
		return &failure{status: http.StatusNotFound, message: "plugin " + plugin + " is not registered by publisher " + publisher.Name}
	case err != nil:
		return err
	}
	h.log.InfoContext(r.Context(), "plugin withdrawn", "plugin", plugin, "publisher", publisher.Name)
	c.Outcome, c.Status = "withdrawn", http.StatusNoContent
	w.WriteHeader(http.StatusNoContent)
	return nil
}
