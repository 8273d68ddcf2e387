package mcpserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/gorilla/mux"

	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// pathPrefix is where named servers are.
const pathPrefix = "/mcp/"

// Handler serves all named MCP servers. It is safe for concurrent use.
type Handler struct {
	options    Options
	origins    atomic.Pointer[origins]
	public     *url.URL // nil: none
	publicHost string
	sessions   *sessions
	servers    atomic.Pointer[map[string]*server]
	inflight   inflight
	buffers    buffers
}

var _ http.Handler = (*Handler)(nil)

// New makes a handler without servers; see [Handler.SetServers].
func New(o Options) (*Handler, error) {
	if o.Sessions == nil || o.Invoker == nil {
		return nil, errors.New("mcpserver options: Sessions and Invoker are required")
	}
	setDefaults(&o)
	h := &Handler{options: o, sessions: newSessions(o.Sessions, o.SessionTTL, o.Now)}
	h.servers.Store(&map[string]*server{})
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Host == "" || !isWeb(u) {
			return nil, fmt.Errorf("public URL %q: expected http://host or https://host", o.PublicURL)
		}
		h.public, h.publicHost = u, u.Host
	}
	err := h.SetAllowedOrigins(o.AllowedOrigins)
	return h, err
}

// SetServers puts these servers in the place of those before, all at once or,
// with an error, not at all. Requests in flight finish on the old ones.
func (h *Handler) SetServers(servers []registry.Server) error {
	next := make(map[string]*server, len(servers))
	var faults []error
	for _, s := range servers {
		built, err := h.newServer(s)
		if err == nil && next[s.Name] != nil {
			err = fmt.Errorf("server %q: name is taken", s.Name)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		next[s.Name] = built
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	h.servers.Store(&next)
	return nil
}

// Routes adds the handler's route.
func (h *Handler) Routes(router *mux.Router) { router.Handle(pathPrefix+"{server}", h) }

// ServeHTTP turns requests away as early as it can: nothing of the body is
// read before server, origin, host and principal are known to be right.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, ref := telemetry.WithRef(r.Context())
	x := &exchange{w: w, r: r.WithContext(ctx), ref: ref}
	w.Header().Set("X-Request-Id", ref)
	if refused := h.admit(x); refused != nil {
		x.refuse(refused)
		return
	}
	switch {
	case isPreflight(r):
		x.preflight()
	case r.Method == http.MethodPost:
		h.post(x)
	case r.Method == http.MethodDelete && !isModern(r.Header, &envelope{}):
		h.endSession(x)
	default: // GET too: there is no stream to listen to
		x.refuse(notAllowed(r.Header))
	}
}

// admit finds out which server is meant and whether this caller may speak to it.
func (h *Handler) admit(x *exchange) *refusal {
	name := strings.TrimPrefix(x.r.URL.Path, pathPrefix)
	x.server = (*h.servers.Load())[name]
	if x.server == nil {
		return &refusal{status: http.StatusNotFound, message: "server " + quoteShort(name) + " is unknown"}
	}
	if refused := h.origins.Load().check(x.r); refused != nil {
		return refused
	}
	if refused := h.checkHost(x.r); refused != nil {
		return refused
	}
	x.allowOrigin()
	if isPreflight(x.r) { // browsers send it without credentials
		return nil
	}
	return h.identify(x)
}

// identify finds out who sends the request. The reason why nobody does is for
// the log.
func (h *Handler) identify(x *exchange) *refusal {
	if h.options.Principal == nil {
		return nil
	}
	var err error
	if x.principal, err = h.options.Principal(x.r); err != nil {
		h.options.Logger.LogAttrs(x.r.Context(), slog.LevelInfo, "principal refused",
			slog.String("server", x.server.name), slog.String("ref", x.ref), slog.String("error", err.Error()))
		return &refusal{
			status: http.StatusUnauthorized, message: "credentials are missing or not valid",
			header: [2]string{"WWW-Authenticate", "Bearer"},
		}
	}
	return nil
}

// post reads the message and gives it to its era.
func (h *Handler) post(x *exchange) {
	refused := checkContent(x.r)
	if refused != nil {
		x.refuse(refused)
		return
	}
	body, refused := readBody(x.w, x.r, h.options.MaxBody)
	if refused != nil {
		x.refuse(refused)
		return
	}
	if fault := checkJSON(body); fault != nil {
		x.fail(nil, fault)
		return
	}
	switch kind(body) {
	case '{':
		h.message(x, body)
	case '[':
		h.serveBatch(x, body)
	default:
		x.fail(nil, invalidRequest("a message must be an object"))
	}
}

func (h *Handler) message(x *exchange, body []byte) {
	x.stream.allowed = accepts(x.r.Header.Values("Accept"), eventStream)
	m, fault := parseEnvelope(body)
	switch {
	case fault != nil:
		x.fail(m.id, fault)
	case isModern(x.r.Header, &m):
		h.serveModern(x, &m)
	default:
		h.serveLegacy(x, &m)
	}
}
