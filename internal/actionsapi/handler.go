package actionsapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// Registry is what the handler needs of the actions registry. The error of
// Invoke is an [invoke.Error] where the caller may learn of it.
type Registry interface {
	Snapshot() *registry.Snapshot
	Visible(registry.Principal, *registry.Action) bool
	// Visibility is nil where everybody sees everything.
	Visibility() registry.Visibility
	Invoke(context.Context, registry.Principal, *registry.Action, json.RawMessage) (*invoke.Result, error)
}

// Options are what a [Handler] is made of.
type Options struct {
	Registry Registry
	// Knows tells of plugins without actions whether they are there at all; nil:
	// they are not.
	Knows func(plugin string) bool
	// Principal tells who sends a request; nil makes everybody anonymous.
	Principal func(*http.Request) (registry.Principal, error)
	Logger    *slog.Logger
	// Observe is told of each invocation; plugin and action are
	// [telemetry.UnknownTool] where there is none of that id.
	Observe func(plugin, action, outcome string, d time.Duration)
	MaxBody int64 // of a request, in bytes
	Calls   int   // how many actions are invoked at once
}

// Handler serves the actions. It is safe for concurrent use.
type Handler struct {
	options  Options
	places   chan struct{}
	allowed  atomic.Pointer[registry.Allowlist] // nil: nothing is served
	current  atomic.Pointer[listing]
	building sync.Mutex // held while a listing is made
}

var _ http.Handler = (*Handler)(nil)

// New makes a handler that serves nothing; see [Handler.Offer].
func New(o Options) *Handler {
	return &Handler{options: o, places: make(chan struct{}, o.Calls)}
}

// Offer sets which actions there are, from the next request on; nil: none, and
// no API.
func (h *Handler) Offer(allowed *registry.Allowlist) { h.allowed.Store(allowed) }

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
	principal registry.Principal
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
	if f = x.identify(); f != nil {
		return f
	}
	if x.route.version == 0 {
		return x.list(l)
	}
	return x.invoke(l)
}

// identify finds out who sends the request. The reason why nobody does is for
// the log.
func (x *exchange) identify() *fault {
	if x.handler.options.Principal == nil {
		return nil
	}
	var err error
	if x.principal, err = x.handler.options.Principal(x.r); err != nil {
		x.handler.options.Logger.LogAttrs(x.r.Context(), slog.LevelInfo, "principal refused",
			slog.String("ref", x.ref), slog.String("error", err.Error()))
		return &fault{
			status: http.StatusUnauthorized, name: authenticError, message: "credentials are missing or not valid",
			header: [2]string{"WWW-Authenticate", "Bearer"},
		}
	}
	return nil
}

// short bounds what of a request is said back to its sender.
func short(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}
