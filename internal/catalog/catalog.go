package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/internal/catalog/record"
)

// DefaultInterval is how often locations are read again.
const DefaultInterval = 2 * time.Minute

// Store keeps the catalog. Each write is one transaction, and moves the
// version when it changes something.
type Store interface {
	CatalogVersion(ctx context.Context) (int64, error)
	LoadCatalog(ctx context.Context) (*record.Catalog, error)
	SaveLocation(ctx context.Context, l record.Location, entities []record.Entity, mode record.Mode) (record.Saved, error)
	DeleteLocation(ctx context.Context, id string) (found bool, err error)
	DeleteEntity(ctx context.Context, uid string) (found bool, err error)
}

// Options say what a catalog holds and what its callers may add.
type Options struct {
	Store Store
	// Locations are the operator's: file paths, doublestar patterns, http(s)
	// URLs, or "embedded:example". They are trusted.
	Locations []string
	// BaseDir is what relative paths are relative to; "" is the working folder.
	BaseDir string
	// Interval between readings; 0 is [DefaultInterval].
	Interval time.Duration
	// HTTPClient reads URLs that the operator chose; nil is a plain one.
	// Redirects to other hosts are never followed.
	HTTPClient *http.Client
	// AllowedURLs are prefixes of URLs that may be registered over the API
	// although they lead to an address that is not public.
	AllowedURLs []string
	// FileRoots are the folders in which files may be registered over the
	// API; none by default.
	FileRoots []string
	Logger    *slog.Logger // nil: no log
}

// Catalog is the software catalog's HTTP API. It is safe for concurrent use.
type Catalog struct {
	store     Store
	sources   *sources
	locations []place
	interval  time.Duration
	log       *slog.Logger
	handler   http.Handler

	current    atomic.Pointer[index]
	rebuild    sync.Mutex    // held while an index is built
	refreshing sync.Mutex    // held while all locations are read
	reading    chan struct{} // bounds how many locations are read at once
}

const readers = 4

// New makes a catalog. It reads nothing yet: call [Catalog.Refresh] or
// [Catalog.Run].
func New(o Options) (*Catalog, error) {
	if o.Store == nil {
		return nil, errors.New("catalog: a store is missing")
	}
	for i, prefix := range o.AllowedURLs {
		if _, err := parseURL(prefix); err != nil {
			return nil, fmt.Errorf("catalog: allowedURLs.%d: %w", i, err)
		}
	}
	c := &Catalog{store: o.Store, sources: newSources(o), interval: o.Interval, log: o.Logger, reading: make(chan struct{}, readers)}
	for i, l := range o.Locations {
		p, err := configPlace(l)
		if err != nil { // its text may hold a password
			return nil, fmt.Errorf("catalog: locations.%d: %w", i, err)
		}
		c.locations = append(c.locations, p)
	}
	if c.interval <= 0 {
		c.interval = DefaultInterval
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.handler = c.routes()
	return c, nil
}

// ServeHTTP answers requests whose paths are relative to the catalog's root,
// such as /entities/by-query.
func (c *Catalog) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Run refreshes the catalog at every interval, until ctx is done.
func (c *Catalog) Run(ctx context.Context) {
	ticker := time.NewTicker(c.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
			c.log.ErrorContext(ctx, "catalog refresh", "error", err)
		}
	}
}

// index is the catalog as it is now in the database.
func (c *Catalog) index(ctx context.Context) (*index, error) {
	version, err := c.store.CatalogVersion(ctx)
	if err != nil {
		return nil, err
	}
	if ix := c.current.Load(); ix != nil && ix.version >= version {
		return ix, nil
	}
	c.rebuild.Lock()
	defer c.rebuild.Unlock()
	if ix := c.current.Load(); ix != nil && ix.version >= version {
		return ix, nil // someone else built it meanwhile
	}
	rows, err := c.store.LoadCatalog(ctx)
	if err != nil {
		return nil, err
	}
	ix, err := newIndex(rows)
	if err != nil {
		return nil, err
	}
	c.current.Store(ix)
	return ix, nil
}
