package actionsapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/stagedoor/stagedoor/internal/invoke"
)

// The names of errors that Backstage knows, and shows to users and models with
// their messages (errors 1.x; mcp-actions-backend 0.2.2, handleErrors). Under
// any other name only the status gets through.
const (
	inputError       = "InputError"
	notFoundError    = "NotFoundError"
	notAllowedError  = "NotAllowedError"
	conflictError    = "ConflictError"
	unavailableError = "ServiceUnavailableError"
	authenticError   = "AuthenticationError"
	upstreamError    = "ResponseError" // of a service behind the one that answers
	tooLargeError    = "PayloadTooLargeError"
	mediaTypeError   = "UnsupportedMediaTypeError"
	methodError      = "MethodNotAllowedError"
	gatewayError     = "Error"
)

const (
	retryAfter = "Retry-After"
	jsonType   = "application/json; charset=utf-8"
	maxShown   = 200 // bytes of what a request says that are said back to its sender
)

// fault is an answer that is an error, in Backstage's words.
type fault struct {
	status  int
	name    string
	message string
	header  [2]string // one more header; "": none
}

func badInput(message string) *fault {
	return &fault{status: http.StatusBadRequest, name: inputError, message: message}
}

func notFound(message string) *fault {
	return &fault{status: http.StatusNotFound, name: notFoundError, message: message}
}

func unknownAction(id string) *fault {
	return notFound(`Action "` + short(id) + `" not found`)
}

// faultOf says why a call gave no result. The message is the one that MCP
// clients get; the name is what Backstage makes of such a cause.
func faultOf(err error, ref string) *fault {
	var e *invoke.Error
	if !errors.As(err, &e) {
		return &fault{status: http.StatusInternalServerError, name: gatewayError, message: invoke.ToldInternal(ref)}
	}
	f := &fault{message: e.Told(ref)}
	f.status, f.name = meaningOf(e)
	for _, h := range e.Headers {
		if h.Name == "retry-after" {
			f.header = [2]string{retryAfter, h.Value}
		}
	}
	return f
}

// meaningOf gives status and name of a call's error. Only of what a plugin as a
// whole is to blame for is it 503, for another gateway takes that for an outage.
func meaningOf(e *invoke.Error) (status int, name string) {
	switch e.Kind {
	case invoke.InvalidArguments, invoke.TooLarge: // it says how to ask for less
		return http.StatusBadRequest, inputError
	case invoke.Denied:
		return http.StatusForbidden, notAllowedError
	case invoke.Rejected:
		return meaningOfStatus(e.Status)
	case invoke.Unavailable:
		return meaningOfFailure(e.Status)
	case invoke.Timeout:
		return http.StatusGatewayTimeout, upstreamError
	case invoke.Cancelled:
		return http.StatusInternalServerError, upstreamError
	}
	return http.StatusInternalServerError, gatewayError
}

// meaningOfFailure is about a plugin that is down, or busy, or has somebody
// before it say so; and about one that answers, but not well.
func meaningOfFailure(plugin int) (status int, name string) {
	switch plugin {
	case 0, http.StatusBadGateway, http.StatusServiceUnavailable:
		return http.StatusServiceUnavailable, unavailableError
	case http.StatusGatewayTimeout:
		return http.StatusGatewayTimeout, upstreamError
	}
	return http.StatusInternalServerError, upstreamError
}

// meaningOfStatus is about the plugin's own 4xx. What it says of the gateway's
// rights (403) says nothing of the caller's.
func meaningOfStatus(plugin int) (status int, name string) {
	switch plugin {
	case http.StatusNotFound, http.StatusGone:
		return http.StatusNotFound, notFoundError
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusLocked:
		return http.StatusConflict, conflictError
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return http.StatusServiceUnavailable, unavailableError
	case http.StatusPaymentRequired, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUnavailableForLegalReasons:
		return http.StatusInternalServerError, upstreamError
	}
	return http.StatusBadRequest, inputError
}

// errorBody is what Backstage's error middleware writes (backend-defaults
// 0.18.0, MiddlewareFactory.error).
type errorBody struct {
	Error struct {
		Name    string `json:"name"`
		Message string `json:"message"`
	} `json:"error"`
	Request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	} `json:"request"`
	Response struct {
		StatusCode int `json:"statusCode"`
	} `json:"response"`
}

func (x *exchange) fail(f *fault) {
	var body errorBody
	body.Error.Name, body.Error.Message = f.name, f.message
	body.Request.Method, body.Request.URL = x.r.Method, x.route.url
	body.Response.StatusCode = f.status
	header := x.w.Header()
	if f.header[0] != "" {
		header.Set(f.header[0], f.header[1])
	}
	x.write(f.status, marshal(body))
}

// write sends a JSON text.
func (x *exchange) write(status int, body []byte) {
	header := x.w.Header()
	header.Set("Content-Type", jsonType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // nobody is left to tell
}
