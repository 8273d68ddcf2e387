package actionsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/quota"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// Outcomes of invocations, beside the kinds of [invoke.Error], as metrics and
// log name them.
const (
	outcomeOK      = "ok"
	outcomeUnknown = "unknown_action"
	outcomeInvalid = "invalid_request"
	outcomeScope   = "insufficient_scope"
	outcomeLimit   = "rate_limited"
)

// readTimeout is how long a body may take to arrive.
const readTimeout = 10 * time.Second

// invoke calls an action and answers with its output.
func (x *exchange) invoke(l *listing) *fault {
	e := l.byID[x.route.id]
	if e == nil || x.route.plugin != "" && e.action.Plugin != x.route.plugin ||
		!l.offer.Door.Visible(x.principal, e.action) {
		x.observe(l, e, audit.Call{Outcome: outcomeUnknown})
		return unknownAction(x.route.id)
	}
	if missing := l.offer.Door.Missing(x.principal, e.action); len(missing) > 0 {
		x.observe(l, e, audit.Call{Outcome: outcomeScope})
		return refused(l.offer.Door.Gate.StepUp(x.principal, l.offer.Door.Decide(x.principal, e.action).Needed, missing))
	}
	release, f := x.take(l.offer.Door)
	if f != nil {
		x.observe(l, e, audit.Call{Outcome: outcomeLimit})
		return f
	}
	defer release()
	arguments, f := x.arguments() // before the place: who sends slowly is to keep nobody from his
	if f != nil {
		x.observe(l, e, audit.Call{Outcome: outcomeInvalid})
		return f
	}
	select {
	case x.handler.places <- struct{}{}:
		defer func() { <-x.handler.places }()
	default:
		x.observe(l, e, audit.Call{Arguments: arguments, Outcome: outcomeInvalid})
		return &fault{
			status: http.StatusServiceUnavailable, name: unavailableError, message: "too many calls at once: try again later",
			header: [2]string{retryAfter, "1"},
		}
	}
	start := time.Now()
	result, err := x.call(registry.Call{Principal: x.principal, Door: l.offer.Door, Action: e.action, Arguments: arguments})
	c := audit.Call{Arguments: arguments, Duration: time.Since(start), Err: err}
	c.Outcome, c.Status = outcomeOf(result, err)
	x.observe(l, e, c)
	if err != nil {
		return faultOf(err, x.ref)
	}
	x.write(http.StatusOK, append(append([]byte(`{"output":`), e.ready().output(result)...), '}'))
	return nil
}

// take counts the call among those of its principal.
func (x *exchange) take(door *registry.Door) (release func(), f *fault) {
	release, retryAfter, ok := x.handler.quota.Take(door.Name, x.principal.Key(), 1, quota.Limits(door.Limits))
	if !ok {
		return nil, refused(&principal.Refusal{
			Status: http.StatusTooManyRequests, RetryAfter: max(retryAfter, time.Second), Message: "you have made too many calls: try again later",
		})
	}
	return release, nil
}

// call turns a panic below into an error, so that there is an answer.
func (x *exchange) call(c registry.Call) (result *invoke.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	result, err = x.handler.options.Registry.Invoke(x.r.Context(), c)
	if err != nil {
		return nil, err
	}
	return result.Plain()
}

// outcomeOf is what a call came to, and the plugin's status.
func outcomeOf(result *invoke.Result, err error) (outcome string, status int) {
	var e *invoke.Error
	switch {
	case err == nil:
		return outcomeOK, result.Status
	case errors.As(err, &e):
		return string(e.Kind), e.Status
	}
	return string(invoke.Internal), 0
}

// arguments reads the body: in v1 it is the arguments, in v2 they are its input.
// Backstage sends no body for a tool that was called without arguments; without
// a body there need be no type either.
func (x *exchange) arguments() (json.RawMessage, *fault) {
	typed, isJSON := x.typed()
	if typed && !isJSON {
		return nil, wrongType()
	}
	body, err := x.read()
	switch over := new(http.MaxBytesError); {
	case errors.As(err, &over):
		return nil, &fault{status: http.StatusRequestEntityTooLarge, name: tooLargeError, message: "body is too large"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &fault{status: http.StatusRequestTimeout, name: inputError, message: fmt.Sprintf("body did not arrive within %v", readTimeout)}
	case err != nil:
		return nil, badInput("body ended early")
	case len(bytes.TrimSpace(body)) == 0:
		return json.RawMessage(`{}`), nil
	case !typed:
		return nil, wrongType()
	case !utf8.Valid(body) || !json.Valid(body):
		return nil, badInput("body is not JSON")
	case !isObject(body):
		return nil, badInput("body must be an object")
	case x.route.version == 1:
		return body, nil
	}
	return x.wrapped(body)
}

// typed tells whether the request says what its body is, and whether that is
// JSON as it stands.
func (x *exchange) typed() (given, isJSON bool) {
	header := x.r.Header
	mediaType, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	charset, hasCharset := parameters["charset"]
	given = len(header["Content-Type"]) > 0 || header.Get("Content-Encoding") != ""
	isJSON = err == nil && mediaType == "application/json" && (!hasCharset || strings.EqualFold(charset, "utf-8"))
	return given, isJSON && header.Get("Content-Encoding") == ""
}

func wrongType() *fault {
	return &fault{status: http.StatusUnsupportedMediaType, name: mediaTypeError, message: "Content-Type must be application/json, not encoded"}
}

// read gives the body, within the bounds of size and time.
func (x *exchange) read() ([]byte, error) {
	if x.r.ContentLength == 0 {
		return nil, nil
	}
	control := http.NewResponseController(x.w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout)) // where it cannot be set, the server's own holds
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, x.handler.options.MaxBody))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{}) // else it would end the call
	}
	return body, err
}

// wrapped reads the body of v2. The secrets that it may bring are for actions
// that declare some; those of a document never do, for the gateway's credentials
// are its own.
func (x *exchange) wrapped(body json.RawMessage) (input json.RawMessage, f *fault) {
	dec := json.NewDecoder(bytes.NewReader(body))
	_, _ = dec.Token() // the text is a valid object, here and below
	for seen := map[string]bool{}; dec.More(); {
		token, _ := dec.Token()
		var value json.RawMessage
		_ = dec.Decode(&value)
		name, _ := token.(string)
		null := string(value) == "null"
		switch {
		case seen[name]:
			return nil, badInput(fmt.Sprintf("body has %q twice", short(name)))
		case name == "input":
			input = value
		case name == "secrets" && !null:
			return nil, badInput(fmt.Sprintf("Action %q does not accept secrets", x.route.id))
		case name != "secrets":
			return nil, badInput(fmt.Sprintf("body has %q: v2 takes input and secrets, v1 the input itself", short(name)))
		}
		seen[name] = true
	}
	if input != nil && string(input) != "null" && !isObject(input) {
		return nil, badInput("input must be an object")
	}
	return input, nil
}

// observe has the call written down; e is nil where there is no such action.
func (x *exchange) observe(l *listing, e *entry, c audit.Call) {
	door := l.offer.Door
	c.Face, c.Door, c.Method, c.Ref, c.Principal, c.Tool = audit.ActionsAPI, door.Name, "invoke", x.ref, &x.principal, x.route.id
	if e != nil {
		c.Action, c.Plugin, c.Schema = e.action.ID, e.action.Plugin, e.action.InputSchema
		if door.Restricts() {
			c.Rule = door.Decide(x.principal, e.action).Rule
		}
	}
	x.handler.options.Record(x.r.Context(), c)
}
