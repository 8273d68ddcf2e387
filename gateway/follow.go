package gateway

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
)

const (
	// followEvery bounds how often other replicas can make this one read its
	// documents again; signals in between come to one reading.
	followEvery = 5 * time.Second
	// followJitter keeps all replicas from asking a plugin in the same moment.
	followJitter = 500 * time.Millisecond
)

// follow has plugins asked for their documents at the word of other replicas.
// It waits for none of them.
func (g *Gateway) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.told.more:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rand.N(followJitter)): // #nosec G404 -- no secret
		}
		plugins, all := g.told.take()
		g.reconcile(ctx)
		g.changing.Lock()
		for name, f := range g.current.feeds {
			if all || plugins[name] {
				f.rouse()
			}
		}
		g.changing.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(followEvery):
		}
	}
}

// tell has the other replicas ask a plugin, or all, again: they may hold a
// different age of documents for as long as their refresh.
func (g *Gateway) tell(ctx context.Context, plugin string) {
	ctx, cancel := context.WithTimeout(ctx, databaseBound)
	defer cancel()
	err := g.db.Signal(ctx, session.Signal{Topic: session.SignalDocuments, Key: plugin, Replica: g.replica.ID})
	if err != nil && ctx.Err() == nil { // they look for themselves when the database is back
		g.log.WarnContext(ctx, "other replicas are not told of new documents", "error", err)
	}
}

// hearsay is what other replicas told and was not looked into yet.
type hearsay struct {
	sync.Mutex
	plugins map[string]bool
	all     bool
	more    chan struct{}
}

func (h *hearsay) add(plugin string) {
	h.Lock()
	defer h.Unlock()
	if plugin == "" {
		h.all = true
	} else {
		h.plugins[plugin] = true
	}
	select {
	case h.more <- struct{}{}:
	default: // it is known
	}
}

func (h *hearsay) take() (plugins map[string]bool, all bool) {
	h.Lock()
	defer h.Unlock()
	plugins, all = h.plugins, h.all
	h.plugins, h.all = map[string]bool{}, false
	return plugins, all
}
