package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/internal/actionsapi"
	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/mcpserver"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/signing"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/telemetry"
	"github.com/stagedoor/stagedoor/openapi"
)

// Version of the gateway; servers that have none of their own show it.
const Version = "0.1.0"

// openAgain is how long a start waits between two tries to open the database.
const openAgain = time.Second

// Gateway is a running gateway: all its plugins, actions and servers. It opens
// no port. It is safe for concurrent use.
type Gateway struct {
	log      *slog.Logger
	progress func(done, total int, plugin string)
	offline  bool
	recalls  bool // see WithRegistered

	db       *store.DB
	keys     *signing.Keys
	registry *registry.Registry
	outputs  *registry.Outputs
	mcp      *mcpserver.Handler
	metrics  *telemetry.Metrics
	trail    *audit.Trail
	handler  http.Handler

	actionsAPI *actionsapi.Handler
	publicURL  string // where clients find the gateway

	reloading sync.Mutex // held while a config is taken, plugins being asked included; before changing
	changing  sync.Mutex // held by whoever changes what is below, or how a feed of it stands; nobody is asked meanwhile
	current   generation
	closed    bool
	dangling  map[string]bool // rules about actions that are no more, by place
	serving   atomic.Pointer[serving]
	statuses  atomic.Pointer[[]status]
	cores     cores
	unkept    unkept
	words     words
	issuers   *auth.KeySets         // keys of those who issue tokens
	gates     atomic.Pointer[gates] // of the config that is in use
	// registering are its publishers.
	registering atomic.Pointer[map[string]Publisher]

	replica  session.Replica                   // this process among those that share the database
	hearing  atomic.Pointer[mcpserver.Handler] // mcp, once it has its servers
	told     hearsay                           // what other replicas found new
	away     atomic.Bool                       // the database did not answer when it was last asked
	draining atomic.Bool

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Option changes how a gateway is made.
type Option func(*Gateway)

// WithLogger sets where the gateway logs; the default is nowhere.
func WithLogger(l *slog.Logger) Option { return func(g *Gateway) { g.log = l } }

// WithProgress is told, one plugin after the other, which plugin's documents
// were just read, and at the end "" with done equal to total.
func WithProgress(f func(done, total int, plugin string)) Option {
	return func(g *Gateway) { g.progress = f }
}

// Offline makes a gateway that only shows what a config comes to: its actions,
// servers, tools and findings. It keeps its state in memory, loads no catalog
// entities and works on nothing in the background.
func Offline() Option { return func(g *Gateway) { g.offline = true } }

// WithRegistered has a gateway that is [Offline] offer the plugins that
// registered themselves, too, as the config's database has them.
func WithRegistered() Option { return func(g *Gateway) { g.recalls = true } }

// New builds a gateway, completely or not at all. What is wrong with the
// config is one error of type [Faults].
func New(ctx context.Context, cfg Config, options ...Option) (*Gateway, error) {
	g := &Gateway{
		log:      slog.New(slog.DiscardHandler),
		progress: func(int, int, string) {},
		metrics:  telemetry.NewMetrics(),
		issuers:  auth.NewKeySets(nil),
		cores:    make(cores, runtime.GOMAXPROCS(0)),
		unkept:   unkept{more: make(chan struct{}, 1)},
		words:    words{of: map[string]uint64{}},
		told:     hearsay{plugins: map[string]bool{}, more: make(chan struct{}, 1)},
		replica:  session.Replica{ID: rand.Text(), Started: time.Now()},
	}
	for _, o := range options {
		o(g)
	}
	cfg = cfg.withDefaults()
	faults := cfg.Validate()
	if len(faults) == 0 {
		faults = g.open(ctx, cfg)
	}
	if len(faults) > 0 {
		return nil, append(faults, inspect(ctx, cfg, faults)...)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.stop = stop
	if !g.offline {
		g.listen(background) // before anything is read, so that no news of it is missed
	}
	next, arrivals, faults := g.build(ctx, cfg, generation{}, nil)
	g.changing.Unlock()
	var err error = faults
	if len(faults) == 0 {
		err = g.serve(ctx, cfg, next)
	}
	if err != nil {
		next.close(generation{})
		stop()
		g.running.Wait()
		return nil, errors.Join(err, g.db.Close())
	}
	g.run(background, next, arrivals)
	if g.recalls {
		if err := g.recall(ctx, cfg); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return g, nil
}

// open opens the database, and waits for one that does not answer yet as long
// as the config says.
func (g *Gateway) open(ctx context.Context, cfg Config) Faults {
	url, err := "sqlite::memory:", error(nil)
	if !g.offline {
		url, err = cfg.Database.URL.Reveal()
	}
	if err == nil {
		g.db, err = store.Open(ctx, url)
	}
	for until := time.Now().Add(cfg.Database.Wait); errors.Is(err, session.ErrAway) && time.Now().Before(until); {
		g.log.WarnContext(ctx, "database is away: waiting for it", "error", err, "until", until)
		select {
		case <-ctx.Done():
			return Faults{{Path: "database.url", Message: err.Error()}}
		case <-time.After(openAgain):
		}
		g.db, err = store.Open(ctx, url)
	}
	if err != nil {
		return Faults{{Path: "database.url", Message: err.Error()}}
	}
	if err := g.openKeys(ctx, cfg); err != nil {
		return Faults{{Path: "database", Message: errors.Join(err, g.db.Close()).Error()}}
	}
	return nil
}

// openKeys reads the keys that the gateway signs with, and makes the first one. A
// gateway that only shows something has one that nobody knows.
func (g *Gateway) openKeys(ctx context.Context, cfg Config) (err error) {
	g.publicURL = cfg.publicURL()
	o := signing.Options{Logger: g.log}
	if !g.offline {
		o.Store = g.db
		if cfg.Database.EncryptionKey.IsSet() {
			if o.Seal, err = cfg.Database.EncryptionKey.Reveal(); err != nil {
				return err
			}
		}
	}
	g.keys, err = signing.New(ctx, o)
	return err
}

// identity is what the gateway proves itself with, as a config has it.
func (g *Gateway) identity(cfg Config) identity {
	return identity{signer: g.keys, publicURL: g.publicURL, backstages: cfg.backstages()}
}

// inspect finds what else is wrong with a config that has faults: whoever
// mends it learns of everything in one go.
func inspect(ctx context.Context, cfg Config, known Faults) Faults {
	g := &Gateway{log: slog.New(slog.DiscardHandler), progress: func(int, int, string) {}, offline: true, issuers: auth.NewKeySets(nil), cores: make(cores, runtime.GOMAXPROCS(0))}
	if faults := g.open(ctx, cfg); len(faults) > 0 {
		return nil
	}
	defer func() { _ = g.db.Close() }() // it was in memory
	next, _, more := g.build(ctx, cfg, generation{}, known)
	g.changing.Unlock()
	next.close(generation{})
	return more
}

// serve makes the registry, the MCP servers and the routes of the first
// generation.
func (g *Gateway) serve(ctx context.Context, cfg Config, next generation) error {
	g.outputs = registry.NewOutputs(g.mismatch)
	g.registry = registry.New(next.snapshot)
	g.registry.CheckOutputs(g.outputs)
	prints, err := g.db.Key(ctx, "audit")
	if err != nil {
		return err
	}
	g.trail = audit.New(audit.Options{Log: g.log, Key: prints, Store: g.db, Lost: g.metrics.AuditLost})
	g.trail.Set(cfg.Audit.settings(g.offline))
	secret, err := g.db.Key(ctx, "requests")
	if err != nil {
		return err
	}
	g.mcp, err = mcpserver.New(mcpserver.Options{
		Store:          g.db,
		Replica:        g.replica.ID,
		Secret:         secret,
		Invoker:        g.registry,
		Admit:          g.registry.Admit,
		PublicURL:      cfg.PublicURL,
		AllowedOrigins: cfg.origins(),
		LoopbackOnly:   onLoopback(cfg.Listen),
		Logger:         g.log,
		Record:         g.record,
		MaxBody:        int64(cfg.Limits.RequestBody),
		SessionTTL:     cfg.Limits.SessionTTL, SessionsPerPrincipal: cfg.Limits.SessionsPerPrincipal,
		Calls: cfg.Limits.Calls, CallsPerSession: cfg.Limits.CallsPerSession,
		Streams: cfg.Limits.Streams, StreamsPerSession: cfg.Limits.StreamsPerSession,
		SlowCall:   cfg.Streams.SlowCall,
		KeepAlive:  cfg.Streams.KeepAlive,
		EventTTL:   cfg.Streams.Replay,
		EventBytes: int64(cfg.Streams.ReplayBytes),
	})
	if err != nil {
		return err
	}
	if err := g.mcp.SetServers(next.snapshot.Servers()); err != nil {
		return err
	}
	g.hearing.Store(g.mcp)
	g.gates.Store(&next.gates)
	g.actionsAPI = g.newActionsAPI(next)
	g.handler = g.routes()
	return nil
}

func onLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && isLoopback(host)
}

// run starts what goes on in the background.
func (g *Gateway) run(ctx context.Context, first generation, arrivals []arrival) {
	g.changing.Lock()
	g.take(first)
	g.arrived(ctx, arrivals, generation{})
	g.changing.Unlock()
	g.metrics.Plugins(g.calls)
	if g.offline {
		return
	}
	g.warn(ctx, first.config)
	g.reconcile(ctx) // plugins that registered before this start
	g.running.Go(func() { g.keys.Run(ctx) })
	g.running.Go(func() { g.keepAll(ctx) })
	g.running.Go(func() { g.follow(ctx) })
	g.running.Go(func() { g.lookAfterLeases(ctx) })
	g.running.Go(func() { g.beat(ctx) })
	g.running.Go(func() { g.purge(ctx) })
	g.running.Go(func() { g.mcp.Run(ctx) })
	g.running.Go(func() { g.trail.Run(ctx) })
	g.running.Go(func() { g.outputs.Run(ctx) })
	g.changing.Lock()
	defer g.changing.Unlock()
	g.current.run(ctx, g)
}

// mismatch tells of a plugin whose answer breaks its own document.
func (g *Gateway) mismatch(m registry.Mismatch) {
	g.metrics.OutputMismatch(m.Action.Plugin, m.Action.Name)
	if m.Complaint != "" {
		g.log.Warn("answer breaks its output schema", "plugin", m.Action.Plugin, "action", m.Action.Name,
			"operation", m.Action.Operation, "document", m.Action.Location.String(), "complaint", m.Complaint)
	}
}

// Handler serves the gateway's routes.
func (g *Gateway) Handler() http.Handler { return g.handler }

// Close ends the background work, takes this replica off the list, and releases
// the database. Sessions stay in it. Calls in flight should be finished first:
// [Gateway.Drain], then http.Server.Shutdown with [Gateway.EndStreams].
func (g *Gateway) Close() error {
	g.stop()
	g.changing.Lock()
	g.closed = true
	g.current.close(generation{})
	g.changing.Unlock() // who works in the background may be waiting for it
	g.running.Wait()
	if err := g.db.Close(); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}

// Findings lists what is noteworthy in the plugins' documents.
func (g *Gateway) Findings() []openapi.Finding {
	g.changing.Lock()
	defer g.changing.Unlock()
	var findings []openapi.Finding
	for _, name := range slices.Sorted(maps.Keys(g.current.feeds)) {
		if e := g.current.feeds[name].serving; e != nil {
			findings = append(findings, e.findings...)
		}
	}
	return findings
}

// CheckDatabase tells whether the config's database can be opened, without
// making or changing it.
func CheckDatabase(ctx context.Context, cfg Config) error {
	url, err := cfg.Database.URL.Reveal()
	if err == nil {
		err = store.Probe(ctx, url)
	}
	if err != nil {
		return Faults{{Path: "database.url", Message: err.Error()}}
	}
	return nil
}
