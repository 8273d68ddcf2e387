package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// fault is an error that the caller may see.
type fault struct {
	status  int
	name    string
	message string
}

func (f *fault) Error() string { return f.message }

func inputError(format string, args ...any) error {
	return &fault{http.StatusBadRequest, "InputError", fmt.Sprintf(format, args...)}
}

func notFoundError(format string, args ...any) error {
	return &fault{http.StatusNotFound, "NotFoundError", fmt.Sprintf(format, args...)}
}

func conflictError(format string, args ...any) error {
	return &fault{http.StatusConflict, "ConflictError", fmt.Sprintf(format, args...)}
}

func notAllowedError(format string, args ...any) error {
	return &fault{http.StatusForbidden, "NotAllowedError", fmt.Sprintf(format, args...)}
}

// problem is a fault on the wire, in Backstage's form.
type problem struct {
	Error    problemError    `json:"error"`
	Request  problemRequest  `json:"request"`
	Response problemResponse `json:"response"`
}

type problemError struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

type problemRequest struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

type problemResponse struct {
	StatusCode int `json:"statusCode"`
}

// fail answers with err. What is not a fault is ours: the log gets it, the
// caller does not.
func (c *Catalog) fail(w http.ResponseWriter, r *http.Request, err error) {
	var f *fault
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &f):
	case errors.As(err, &large):
		f = &fault{http.StatusRequestEntityTooLarge, "PayloadTooLargeError", fmt.Sprintf("request body is larger than %d bytes", large.Limit)}
	case r.Context().Err() != nil:
		f = &fault{http.StatusServiceUnavailable, "ServiceUnavailableError", "request was given up"}
	default:
		c.log.ErrorContext(r.Context(), "catalog request", "method", r.Method, "path", r.URL.Path, "ref", telemetry.Ref(r.Context()), "error", err)
		f = &fault{http.StatusInternalServerError, "Error", "internal error"}
	}
	writeJSON(w, f.status, problem{
		Error:    problemError{f.name, f.message},
		Request:  problemRequest{r.Method, r.URL.RequestURI()},
		Response: problemResponse{f.status},
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // cannot be: all bodies come from JSON or are ours
		status, text = http.StatusInternalServerError, []byte(`{"error":{"name":"Error","message":"internal error"},"response":{"statusCode":500}}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a caller who is gone needs no answer
}
