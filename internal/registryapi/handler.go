package registryapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/publication"
)

// Path is where the plugins are listed; each is below it, by its name.
const Path = "/registry/v1/plugins"

// Registrar does what the protocol asks for. Its errors may wrap those of
// package publication, session.ErrAway, [ErrConfigured] and [*RefusedError].
type Registrar interface {
	// Register judges the content, keeps it, and registers the plugin with it for
	// the time of the lease. Plugin, Publisher, BaseURL and Hash of r are set.
	// publication.ErrHeld while another publisher's lease lasts.
	Register(ctx context.Context, r publication.Registration, lease time.Duration, c publication.Content) (Registered, error)
	// Renew begins the lease of a registration anew.
	// publication.ErrNotFound where the plugin is not registered by that publisher
	// with that hash; the registration that is there instead, if any, comes with it.
	// With no hash, that is all that happens.
	Renew(ctx context.Context, plugin, publisher, hash string, lease time.Duration) (Registered, error)
	// Withdraw ends the registration; with a hash, only one of that generation.
	// publication.ErrNotFound where there is none of the publisher.
	Withdraw(ctx context.Context, plugin, publisher, hash string) error
	// Statuses are those of all plugins, in the order of their names.
	Statuses() []publication.Status
	// Generations are those of a plugin, the newest first, without content.
	Generations(ctx context.Context, plugin string) ([]publication.Generation, error)
}

// Registered is what came of a registration.
type Registered struct {
	publication.Registration
	Verdict  publication.Verdict
	Actions  []string        // names
	Findings json.RawMessage // array
}

// ErrConfigured says that the config has another place for the plugin's documents.
var ErrConfigured = errors.New("the config says where the plugin's documents come from")

// RefusedError is the error about a document that cannot be used.
type RefusedError struct {
	Reason   string          // fit for the publisher
	Findings json.RawMessage // array
}

// Error gives the reason.
func (r *RefusedError) Error() string { return r.Reason }

// Publisher may register plugins, as the config says.
type Publisher struct {
	Name        string
	Token       string // empty: nobody has it
	MayRegister func(plugin string) bool
	Admits      func(baseURL string) bool
	// Is tells principals that are this publisher; nil: none is.
	Is func(principal.Principal) bool
}

// Guard finds out who sends a request without a publisher's token.
type Guard struct {
	Gate principal.Gate
	// Publish and Operate are the scopes that it takes to register plugins, and to
	// see all that is known of them; "": none.
	Publish, Operate string
}

// Options are what a Handler needs.
type Options struct {
	Registrar  Registrar
	Publishers func() []Publisher // asked for each request
	Guard      func() Guard       // asked for each request; nil: nobody but publishers is asked who they are
	Logger     *slog.Logger
	// Record is told of each registration and withdrawal, and of those that were
	// refused; nil: nobody is.
	Record func(ctx context.Context, c audit.Call)
}

// Handler serves [Path] and all below it.
type Handler struct {
	registrar  Registrar
	publishers func() []Publisher
	guard      func() Guard
	log        *slog.Logger
	record     func(ctx context.Context, c audit.Call)
	turns      turns
}

// New makes a handler.
func New(o Options) *Handler {
	if o.Guard == nil {
		o.Guard = func() Guard { return Guard{Gate: principal.Open} }
	}
	if o.Record == nil {
		o.Record = discard
	}
	return &Handler{registrar: o.Registrar, publishers: o.Publishers, guard: o.Guard, log: o.Logger, record: o.Record, turns: newTurns()}
}

// isName tells whether a text is [a-z0-9][a-z0-9-]*, as names of plugins are.
func isName(plugin string) bool {
	return plugin != "" && len(plugin) <= 63 && plugin[0] != '-' &&
		strings.Trim(plugin, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// ServeHTTP answers, always in JSON.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	plugin, below := strings.CutPrefix(r.URL.Path, Path+"/")
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	var err error
	switch all := r.URL.Path == Path || plugin == ""; {
	case !all && !below:
		err = &failure{status: http.StatusNotFound, message: "nothing is served here", hint: "plugins are at " + Path}
	case all && reads:
		err = h.list(w, r)
	case all:
		err = notAllowed("GET, HEAD")
	case reads:
		err = h.get(w, r, plugin)
	case r.Method == http.MethodPut:
		err = h.recorded(r, plugin, func(r *http.Request, c *audit.Call) error { return h.put(w, r, plugin, c) })
	case r.Method == http.MethodDelete:
		err = h.recorded(r, plugin, func(r *http.Request, c *audit.Call) error { return h.withdraw(w, r, plugin, c) })
	default:
		err = notAllowed("GET, HEAD, PUT, DELETE")
	}
	if err != nil {
		h.refuse(w, r, plugin, err)
	}
}
