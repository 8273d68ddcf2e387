package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/internal/mcpserver"
	"github.com/stagedoor/stagedoor/internal/registry"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/telemetry"
	"github.com/stagedoor/stagedoor/openapi"
)

// Version of the gateway; servers that have none of their own show it.
const Version = "0.1.0"

// Gateway is a running gateway: all its plugins, actions and servers. It opens
// no port. It is safe for concurrent use.
type Gateway struct {
	log      *slog.Logger
	progress func(done, total int, plugin string)
	offline  bool

	db       *store.DB
	registry *registry.Registry
	outputs  *registry.Outputs
	mcp      *mcpserver.Handler
	metrics  *telemetry.Metrics
	handler  http.Handler

	reloading sync.Mutex    // held while the next generation is built
	reloaded  chan struct{} // wakes the refresh
	current   generation
	files     atomic.Pointer[[]string] // see Files
	stop      context.CancelFunc
	running   sync.WaitGroup
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

// New builds a gateway, completely or not at all. What is wrong with the
// config is one error of type [Faults].
func New(ctx context.Context, cfg Config, options ...Option) (*Gateway, error) {
	g := &Gateway{
		log:      slog.New(slog.DiscardHandler),
		progress: func(int, int, string) {},
		metrics:  telemetry.NewMetrics(),
		reloaded: make(chan struct{}, 1),
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
	next, err := g.build(ctx, cfg, generation{}, nil, false)
	if err == nil {
		err = g.serve(ctx, cfg, next)
	}
	if err != nil {
		next.close(generation{})
		stop()
		return nil, errors.Join(err, g.db.Close())
	}
	g.run(background, next)
	return g, nil
}

// open opens the database.
func (g *Gateway) open(ctx context.Context, cfg Config) Faults {
	url, err := "sqlite::memory:", error(nil)
	if !g.offline {
		url, err = cfg.Database.URL.Reveal()
	}
	if err == nil {
		g.db, err = store.Open(ctx, url)
	}
	if err != nil {
		return Faults{{Path: "database.url", Message: err.Error()}}
	}
	return nil
}

// inspect finds what else is wrong with a config that has faults: whoever
// mends it learns of everything in one go.
func inspect(ctx context.Context, cfg Config, known Faults) Faults {
	g := &Gateway{log: slog.New(slog.DiscardHandler), progress: func(int, int, string) {}, offline: true}
	if faults := g.open(ctx, cfg); len(faults) > 0 {
		return nil
	}
	defer func() { _ = g.db.Close() }() // it was in memory
	next, err := g.build(ctx, cfg, generation{}, known, false)
	next.close(generation{})
	var more Faults
	errors.As(err, &more)
	return more
}

// serve makes the registry, the MCP servers and the routes of the first
// generation.
func (g *Gateway) serve(ctx context.Context, cfg Config, next generation) error {
	g.outputs = registry.NewOutputs(g.mismatch)
	g.registry = registry.New(next.snapshot)
	g.registry.CheckOutputs(g.outputs)
	secret, err := g.db.Key(ctx, "requests")
	if err != nil {
		return err
	}
	g.mcp, err = mcpserver.New(mcpserver.Options{
		Store:          g.db,
		Secret:         secret,
		Invoker:        g.registry,
		Visible:        g.registry.Visibility(),
		PublicURL:      cfg.PublicURL,
		AllowedOrigins: cfg.AllowedOrigins,
		LoopbackOnly:   onLoopback(cfg.Listen),
		Logger:         g.log,
		Observe:        g.metrics.ToolCall,
		MaxBody:        int64(cfg.Limits.RequestBody),
		SessionTTL:     cfg.Limits.SessionTTL,
		SlowCall:       cfg.Streams.SlowCall,
		KeepAlive:      cfg.Streams.KeepAlive,
		EventTTL:       cfg.Streams.Replay,
		EventBytes:     int64(cfg.Streams.ReplayBytes),
	})
	if err != nil {
		return err
	}
	if err := g.mcp.SetServers(next.snapshot.Servers()); err != nil {
		return err
	}
	g.handler = g.routes()
	return nil
}

func onLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && isLoopback(host)
}

// run starts what goes on in the background.
func (g *Gateway) run(ctx context.Context, first generation) {
	g.current = first
	if g.offline {
		return
	}
	g.running.Go(func() { g.mcp.Run(ctx) })
	g.running.Go(func() { g.outputs.Run(ctx) })
	first.run(ctx, g)
	g.running.Go(func() { g.refresh(ctx) })
}

// mismatch tells of a plugin whose answer breaks its own document.
func (g *Gateway) mismatch(m registry.Mismatch) {
	g.metrics.OutputMismatch(m.Action.Plugin, m.Action.Name)
	if m.Complaint != "" {
		g.log.Warn("answer breaks its output schema", "plugin", m.Action.Plugin, "action", m.Action.Name,
			"operation", m.Action.Operation, "document", m.Action.Location.String(), "complaint", m.Complaint)
	}
}

// refresh reads the documents again, as often as the current config wants.
// What cannot be read changes nothing but the log.
func (g *Gateway) refresh(ctx context.Context) {
	for {
		var due <-chan time.Time // never
		if every := g.refreshEvery(); every > 0 {
			due = time.After(every)
		}
		select {
		case <-ctx.Done():
			return
		case <-g.reloaded: // perhaps with another interval
		case <-due:
			if err := g.reload(ctx, nil); err != nil && ctx.Err() == nil {
				g.log.WarnContext(ctx, "refresh: the last good documents stay in use", "error", err)
			}
		}
	}
}

func (g *Gateway) refreshEvery() time.Duration {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	return g.current.config.refreshEvery()
}

// Reload replaces the config, plugins and servers as a whole. With any fault
// all stays as it was. Calls that have begun finish on the old plugins. What is
// not about plugins and servers cannot change: that is a fault, too.
func (g *Gateway) Reload(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if faults := cfg.Validate(); len(faults) > 0 {
		return append(faults, inspect(ctx, cfg, faults)...)
	}
	err := g.reload(ctx, &cfg)
	select {
	case g.reloaded <- struct{}{}:
	default:
	}
	return err
}

// reload builds the next generation, of the given config or of the current
// one, beside the current generation and swaps them.
func (g *Gateway) reload(ctx context.Context, cfg *Config) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	old := g.current
	same := cfg == nil
	if same {
		cfg = &old.config
	}
	if faults := old.config.fixedParts(*cfg); len(faults) > 0 {
		return faults
	}
	next, err := g.build(ctx, *cfg, old, nil, same)
	if err == nil && same && next.sameAs(old) {
		return nil
	}
	if err == nil {
		err = g.mcp.SetServers(next.snapshot.Servers())
	}
	if err != nil {
		next.close(old)
		return err
	}
	g.registry.Swap(next.snapshot)
	g.current = next
	next.run(context.WithoutCancel(ctx), g)
	old.close(next)
	return nil
}

// fixedParts names what a reload would have to restart for.
func (c Config) fixedParts(next Config) (fs Faults) {
	const hint = "restart the gateway to change it"
	if c.Listen != next.Listen {
		fs.add("listen", hint, "cannot change while the gateway runs")
	}
	if c.Database != next.Database {
		fs.add("database.url", hint, "cannot change while the gateway runs")
	}
	if c.PublicURL != next.PublicURL {
		fs.add("publicURL", hint, "cannot change while the gateway runs")
	}
	if !slices.Equal(c.AllowedOrigins, next.AllowedOrigins) {
		fs.add("allowedOrigins", hint, "cannot change while the gateway runs")
	}
	if c.Log != next.Log {
		fs.add("log", hint, "cannot change while the gateway runs")
	}
	if c.Streams != next.Streams {
		fs.add("streams", hint, "cannot change while the gateway runs")
	}
	if c.Limits != next.Limits {
		fs.add("limits", hint, "cannot change while the gateway runs")
	}
	return fs
}

// Handler serves the gateway's routes.
func (g *Gateway) Handler() http.Handler { return g.handler }

// Close ends the background work and releases the database. Sessions stay in
// it. Calls in flight should be finished first, as http.Server.Shutdown does.
func (g *Gateway) Close() error {
	g.stop()
	g.reloading.Lock()
	g.current.close(generation{})
	g.reloading.Unlock() // who works in the background may be waiting for it
	g.running.Wait()
	if err := g.db.Close(); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}

// Findings lists what is noteworthy in the plugins' documents.
func (g *Gateway) Findings() []openapi.Finding {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	var findings []openapi.Finding
	for _, name := range slices.Sorted(maps.Keys(g.current.plugins)) {
		findings = append(findings, g.current.plugins[name].findings...)
	}
	return findings
}

// Files lists the files that $refs of the documents led to when they were last
// read, whether they were there or not, beside the documents themselves.
func (g *Gateway) Files() []string { return *g.files.Load() }

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
