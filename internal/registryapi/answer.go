package registryapi

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// failure is an answer that is no success.
type failure struct {
	status        int
	code          string // tells apart what shares a status: codeHeld and so on
	message, hint string
	header        http.Header
	findings      json.RawMessage
}

// Codes of refusals that a publisher's program tells apart.
const (
	codeHeld       = "held"       // 409: it may end
	codeConfigured = "configured" // 409: as long as the config stays
	codeTooMany    = "too-many"   // 429: until another plugin of the publisher is withdrawn
)

func (f *failure) Error() string { return f.message }

func notAllowed(methods string) error {
	return &failure{status: http.StatusMethodNotAllowed, message: "method is not one of " + methods, header: http.Header{"Allow": {methods}}}
}

func badRequest(message, hint string) error {
	return &failure{status: http.StatusBadRequest, message: message, hint: hint}
}

// tooBusy asks the client to come back.
func tooBusy(status int, seconds, message string) error {
	return &failure{status: status, message: message, header: http.Header{"Retry-After": {seconds}}}
}

// refuse answers with the error.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, plugin string, err error) {
	f, known := errors.AsType[*failure](err)
	if !known {
		f = h.failureOf(r, plugin, err)
	}
	maps.Copy(w.Header(), f.header)
	type shown struct {
		Code    string `json:"code,omitempty"`
		Message string `json:"message"`
		Hint    string `json:"hint,omitempty"`
	}
	write(w, f.status, struct {
		Error    shown           `json:"error"`
		Findings json.RawMessage `json:"findings,omitempty"`
	}{shown{f.code, f.message, f.hint}, f.findings})
}

// failureOf makes an answer of the registrar's errors.
func (h *Handler) failureOf(r *http.Request, plugin string, err error) *failure {
	refusal, refused := errors.AsType[*RefusedError](err)
	switch {
	case refused:
		return &failure{
			status: http.StatusUnprocessableEntity, message: refusal.Reason, findings: refusal.Findings,
			hint: "what was registered before stays, and its lease was not renewed",
		}
	case errors.Is(err, ErrConfigured):
		return &failure{
			status: http.StatusConflict, code: codeConfigured, message: "plugin " + plugin + " does not register itself: the gateway's config says where its documents come from",
			hint: "leave spec, backstage, embedded and baseURL out of plugins." + plugin + " in the gateway's config",
		}
	case errors.Is(err, publication.ErrHeld):
		return held(plugin)
	case errors.Is(err, publication.ErrTooMany):
		return &failure{
			status: http.StatusTooManyRequests, code: codeTooMany, message: "publisher has as many plugins registered as it may",
			hint: "withdraw some; one whose lease has lapsed counts until it is withdrawn", header: http.Header{"Retry-After": {"60"}},
		}
	case errors.Is(err, session.ErrAway):
		return &failure{
			status: http.StatusServiceUnavailable, message: "the gateway's database does not answer", hint: "try again",
			header: http.Header{"Retry-After": {"2"}},
		}
	case r.Context().Err() != nil:
		return &failure{status: http.StatusServiceUnavailable, message: "request ended before it was done", header: http.Header{"Retry-After": {"1"}}}
	}
	ctx, ref := telemetry.WithRef(r.Context())
	h.log.ErrorContext(ctx, "registry request failed", "plugin", plugin, "ref", ref, "error", err)
	return &failure{status: http.StatusInternalServerError, message: "the gateway could not do it", hint: "its log has the reason at reference " + ref}
}

func held(plugin string) *failure {
	return &failure{
		status: http.StatusConflict, code: codeHeld, message: "plugin " + plugin + " is registered by another publisher",
		hint: "it has to withdraw the plugin, or let its lease lapse, first",
	}
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // nobody is left to tell
}
