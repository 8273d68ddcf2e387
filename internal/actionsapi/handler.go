package actionsapi

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gorilla/mux"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/quota"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// Registry is what the handler needs of the actions registry. The error of
// Invoke is an [invoke.Error] where the caller may learn of it.
type Registry interface {
	Snapshot() *registry.Snapshot
	Invoke(context.Context, registry.Call) (*invoke.Result, error)
}

// Options are what a [Handler] is made of.
type Options struct {
	Registry Registry
	// Knows tells of plugins without actions whether they are there at all; nil:
	// they are not.
	Knows func(plugin string) bool
	// Record is told of each invocation, and of each request that was refused.
	Record  func(ctx context.Context, c audit.Call)
	MaxBody int64 // of a request, in bytes
	Calls   int   // how many actions are invoked at once
}

// Handler serves the actions. It is safe for concurrent use.
type Handler struct {
	options  Options
	places   chan struct{}
	quota    *quota.Quota
	offer    atomic.Pointer[Offer] // nil: nothing is served
	current  atomic.Pointer[listing]
	building sync.Mutex // held while a listing is made
}

var _ http.Handler = (*Handler)(nil)

// New makes a handler that serves nothing; see [Handler.Offer].
func New(o Options) *Handler {
	return &Handler{options: o, places: make(chan struct{}, o.Calls), quota: quota.New()}
}

// Offer sets which actions there are, from the next request on, and who may call
// them; nil: none, and no API.
func (h *Handler) Offer(o *Offer) { h.offer.Store(o) }

// Offer is which actions there are, and who may call them.
type Offer struct {
	registry.Allowlist
	Door *registry.Door
}

// Routes adds the handler's routes, each behind guard.
func (h *Handler) Routes(router *mux.Router, guard func(http.Handler) http.Handler) {
	router.PathPrefix(pathPrefix).Handler(guard(h))
	router.PathPrefix("/api/{plugin}" + pathPrefix).Handler(guard(h))
}

// exchange is one request and its answer.
type exchange struct {
	handler   *Handler
	w         http.ResponseWriter
	r         *http.Request
	ref       string
	route     route
	principal principal.Principal
}

// ServeHTTP answers one request; nothing of the body is read before its sender
// and the action are known.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, ref := telemetry.WithRef(r.Context())
	x := &exchange{handler: h, w: w, r: r.WithContext(ctx), ref: ref}
	w.Header().Set("X-Request-Id", ref)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if f := x.serve(); f != nil {
		x.fail(f)
	}
}

func (x *exchange) serve() (f *fault) {
	var ok bool
	x.route, ok = routeOf(x.r.URL)
	l := x.handler.listing()
	if !ok || l == nil {
		return notFound("nothing is served here; actions are at " + pathPrefix + "v1/actions")
	}
	methods := []string{http.MethodPost}
	if x.route.version == 0 {
		methods = []string{http.MethodGet, http.MethodHead}
	}
	if !slices.Contains(methods, x.r.Method) {
		return &fault{
			status: http.StatusMethodNotAllowed, name: methodError, message: "method is not allowed",
			header: [2]string{"Allow", strings.Join(methods, ", ")},
		}
	}
	if f = x.identify(l.offer.Door.Gate); f != nil {
		return f
	}
	if x.route.version == 0 {
		return x.list(l)
	}
	return x.invoke(l)
}

// identify finds out who sends the request. The reason why nobody does is for
// the log.
func (x *exchange) identify(gate principal.Gate) *fault {
	var why *principal.Refusal
	if x.principal, why = gate.Authenticate(x.r); why != nil {
		x.handler.options.Record(x.r.Context(), audit.Turned(audit.ActionsAPI, registry.ActionsAPI, x.ref, x.r.Method, why))
		return refused(why)
	}
	return nil
}

// refused is a refusal in Backstage's words.
func refused(why *principal.Refusal) *fault {
	f := &fault{status: why.Status, name: authenticError, message: why.Message}
	switch why.Status {
	case http.StatusBadRequest:
		f.name = inputError
	case http.StatusForbidden:
		f.name = notAllowedError
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		f.name = unavailableError
	}
	switch {
	case why.Challenge != "":
		f.header = [2]string{"WWW-Authenticate", why.Challenge}
	case why.RetryAfter > 0:
		f.header = [2]string{retryAfter, strconv.Itoa(int(math.Ceil(why.RetryAfter.Seconds())))}
	}
	return f
}

// short bounds what of a request is said back to its sender.
func short(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}
