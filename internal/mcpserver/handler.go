package mcpserver

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/quota"
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
	log        *eventLog
	servers    atomic.Pointer[map[string]*server]
	inflight   inflight
	calls      *limit
	streams    *limit
	live       liveStreams
	listeners  listeners
	channels   channels
	mail       wakers // who waits for mail at an address
	questions  questions
	followers  wakers // who reads a stream from the log
	buffers    buffers
	draining   chan struct{} // closed when the gateway stops
	drain      sync.Once
	watches    watches      // of streams whose clients' tokens may end
	quota      *quota.Quota // of calls
	opened     *quota.Quota // of sessions
	cursors    *cursors
	states     sealer // of requestState
	works      works  // tasks that this replica works on
	taskNews   wakers // who waits for news of a task
	absent     absent // other replicas that are missed
}

var _ http.Handler = (*Handler)(nil)

// New makes a handler without servers; see [Handler.SetServers].
func New(o Options) (*Handler, error) {
	if o.Store == nil || o.Invoker == nil {
		return nil, errors.New("mcpserver options: Store and Invoker are required")
	}
	setDefaults(&o)
	h := &Handler{options: o, sessions: newSessions(o.Store, o.SessionTTL, o.Now), draining: make(chan struct{})}
	h.absent = absent{store: o.Store, sure: deadSure, since: map[string]time.Time{}, dead: map[string]bool{}}
	h.calls, h.streams = newLimit("calls", o.Calls, o.CallsPerSession), newLimit("streams", o.Streams, o.StreamsPerSession)
	h.quota, h.opened = quota.New(), quota.New()
	h.log = newEventLog(o.Store, o.Logger, h.logged)
	h.servers.Store(&map[string]*server{})
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Host == "" || !isWeb(u) {
			return nil, fmt.Errorf("public URL %q: expected http://host or https://host", o.PublicURL)
		}
		h.public, h.publicHost = u, hostOf(u.Scheme, u.Host)
	}
	var err error
	if h.cursors, err = newCursors(o.Secret); err != nil {
		return nil, err
	}
	if h.states, err = newSealer(o.Secret, "request state"); err != nil {
		return nil, err
	}
	err = h.SetAllowedOrigins(o.AllowedOrigins)
	return h, err
}

// SetServers puts these servers in the place of those before, all at once or,
// with an error, not at all. Requests in flight finish on the old ones. One that
// was there before, the very same value, stays as it is.
func (h *Handler) SetServers(servers []*registry.Server) error {
	current := *h.servers.Load()
	next := make(map[string]*server, len(servers))
	var faults []error
	for _, s := range servers {
		built, err := h.newServer(s, current[s.Name])
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
	h.replace(*h.servers.Swap(&next), next)
	return nil
}

// server is the current one of the name, nil where there is none.
func (h *Handler) server(name string) *server { return (*h.servers.Load())[name] }

// Routes adds the handler's routes.
func (h *Handler) Routes(router *mux.Router) {
	router.Handle(pathPrefix+"{server}", h)
	router.Handle(pathPrefix+"{server}/"+endpointSSE, h)
	router.Handle(pathPrefix+"{server}/"+endpointMessage, h)
}

// ServeHTTP turns requests away as early as it can: nothing of the body is
// read before server, origin, host and principal are known to be right.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, ref := telemetry.WithRef(r.Context())
	x := &exchange{handler: h, w: w, r: r.WithContext(ctx), ref: ref}
	w.Header().Set("X-Request-Id", ref)
	name, endpoint, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, pathPrefix), "/")
	if refused := h.admit(x, name); refused != nil {
		x.refuse(refused)
		return
	}
	switch {
	case isPreflight(r):
		x.preflight()
	case endpoint != "":
		h.serveSSE(x, endpoint)
	case r.Method == http.MethodPost:
		h.post(x)
	case isModern(r.Header, &envelope{}):
		x.refuse(notAllowed("POST"))
	case r.Method == http.MethodGet:
		h.listen(x)
	case r.Method == http.MethodDelete:
		h.endSession(x)
	default:
		x.refuse(notAllowed("GET, POST, DELETE"))
	}
}

// admit finds out which server is meant and whether this caller may speak to it.
func (h *Handler) admit(x *exchange, name string) *refusal {
	if x.server = h.server(name); x.server == nil {
		return unknownServer(name)
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

func unknownServer(name string) *refusal {
	return &refusal{status: http.StatusNotFound, message: "server " + quoteShort(name) + " is unknown"}
}

// identify finds out who sends the request. The reason why nobody does is for
// the log.
func (h *Handler) identify(x *exchange) *refusal {
	p, why := x.server.door.Gate.Authenticate(x.r)
	if why == nil {
		x.principal, x.key = p, p.Key()
		return nil
	}
	h.options.Record(x.r.Context(), audit.Turned(audit.MCP, x.server.name, x.ref, x.r.Method, why))
	return refused(why)
}

func refused(why *principal.Refusal) *refusal {
	r := &refusal{status: why.Status, message: why.Message}
	switch {
	case why.Challenge != "":
		r.header = [2]string{"WWW-Authenticate", why.Challenge}
	case why.RetryAfter > 0:
		r.header = [2]string{"Retry-After", strconv.Itoa(int(math.Ceil(why.RetryAfter.Seconds())))}
	}
	return r
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
