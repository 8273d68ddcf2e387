package gateway

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
)

const (
	// beatEvery is how often a replica says that it lives.
	beatEvery = 5 * time.Second
	// silence is how long a replica counts as alive after it last said so.
	silence = 30 * time.Second
	// skewAfter is how long replicas may serve different generations before
	// that is told: a rolling update and the mounting of a ConfigMap take as long.
	skewAfter = time.Minute
	// purgeEvery is how often what nobody will ask for again goes from the database.
	purgeEvery = time.Minute
	// mailLife is how long a message waits for the replica that it is for; longer
	// than any call.
	mailLife = 15 * time.Minute
	// rowLife is how long replicas that died without a word, and what has expired,
	// stay: clocks differ, and a nonce must not go before what carries it expires.
	rowLife = time.Hour
	// generationLife is how long what plugins published stays that nobody names any
	// more; longer than a config is away that other replicas have.
	generationLife = 7 * 24 * time.Hour
	// databaseBound is how long the database may take to answer in the background.
	databaseBound = 3 * time.Second
)

// listen gives what replicas say to those whom it concerns, and returns when it
// is sure to miss nothing from now on. A database that is away is not waited for.
func (g *Gateway) listen(ctx context.Context) {
	listening := make(chan struct{})
	var late atomic.Bool // the documents are being read, or were
	g.running.Go(func() {
		first := true
		_ = g.db.Listen(ctx, func(s session.Signal) { // ends with ctx only
			g.heard(s, late.Load())
			if first {
				close(listening)
			}
			first = false
		})
	})
	select {
	case <-listening:
	case <-time.After(databaseBound):
	}
	late.Store(true)
}

// heard passes a signal on. After an outage, others may have told what was not
// heard, unless the documents were read later anyway.
func (g *Gateway) heard(s session.Signal, late bool) {
	switch {
	case s.Topic == session.SignalDocuments && s.Replica != g.replica.ID:
		g.told.add(s.Key)
	case s.Topic == session.SignalResync && late:
		g.told.add("")
	}
	if mcp := g.hearing.Load(); mcp != nil {
		mcp.Heard(s)
	}
}

// beat says in the database that this replica lives and what it serves, and
// looks at the others. It is also how the gateway knows whether the database
// answers, without asking it at each probe.
func (g *Gateway) beat(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	var differing skew
	for {
		g.beatOnce(ctx, &differing)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), databaseBound)
			defer cancel()
			if err := g.db.Leave(ctx, g.replica.ID); err != nil {
				g.log.WarnContext(ctx, "replica stays on the list until it is purged", "error", err)
			}
			return
		}
	}
}

func (g *Gateway) beatOnce(running context.Context, differing *skew) {
	ctx, cancel := context.WithTimeout(running, databaseBound)
	defer cancel()
	own := g.replica
	own.Generation = g.serving.Load().generation
	err := g.db.Beat(ctx, own)
	var all []session.Replica
	if err == nil {
		all, err = g.db.Replicas(ctx)
	}
	if running.Err() != nil {
		return // the gateway stops
	}
	g.answers(ctx, err)
	if err != nil {
		return
	}
	same, others := census(own, all)
	g.metrics.Replicas(same, len(others))
	switch differing.look(time.Now(), len(others) > 0) {
	case skewBegan:
		g.log.WarnContext(ctx, "replicas serve different generations", "replica", own.ID, "generation", own.Generation, "others", others)
	case skewEnded:
		g.log.InfoContext(ctx, "replicas serve the same generation again", "generation", own.Generation)
	}
}

// purge removes what nobody will ask for again: messages that nobody came for,
// replicas that died, what has expired. Each replica does, at once and then
// every minute.
func (g *Gateway) purge(ctx context.Context) {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		cfg := g.config()
		after := store.PurgeAfter{
			Expired: rowLife, Mail: mailLife, Replicas: rowLife, Audit: cfg.Audit.Retention,
			Generations: generationLife, Keep: slices.Collect(maps.Keys(cfg.Plugins)),
		}
		_, err := g.db.Purge(ctx, after)
		if err != nil && ctx.Err() == nil {
			g.log.WarnContext(ctx, "purge of the database", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// config is the one that is in use.
func (g *Gateway) config() Config {
	g.changing.Lock()
	defer g.changing.Unlock()
	return g.current.config
}

// answers notes whether the database does, and logs when that changes.
func (g *Gateway) answers(ctx context.Context, err error) {
	g.metrics.DatabaseUp(err == nil)
	switch was := g.away.Swap(err != nil); {
	case err != nil && !was:
		g.log.ErrorContext(ctx, "database is away: cached sessions and stateless calls go on, new sessions do not", "error", err)
	case err == nil && was:
		g.log.InfoContext(ctx, "database is back")
	}
}

// census counts the living replicas that serve what this one serves, itself
// included, and gives the generations of the others by their ids. Who lives is
// a matter of the database's clock alone.
func census(own session.Replica, all []session.Replica) (same int, others map[string]string) {
	var now time.Time
	for _, r := range all {
		if r.Seen.After(now) {
			now = r.Seen
		}
	}
	others = map[string]string{}
	for _, r := range all {
		switch {
		case now.Sub(r.Seen) > silence:
		case r.Generation == own.Generation:
			same++
		default:
			others[r.ID] = r.Generation
		}
	}
	return same, others
}

// skew watches for how long replicas differ.
type skew struct {
	since time.Time // zero: they do not
	told  bool
}

type skewNews int

const (
	skewNothing skewNews = iota
	skewBegan
	skewEnded
)

func (s *skew) look(now time.Time, differ bool) skewNews {
	switch {
	case !differ && s.told:
		*s = skew{}
		return skewEnded
	case !differ:
		*s = skew{}
	case s.since.IsZero():
		s.since = now
	case !s.told && now.Sub(s.since) >= skewAfter:
		s.told = true
		return skewBegan
	}
	return skewNothing
}

// Drain has /readyz answer 503, so that load balancers send no more requests
// here. Requests are still served.
func (g *Gateway) Drain() { g.draining.Store(true) }

// EndStreams ends the streams on which nothing is under way, each as its
// protocol has it. They would hold up http.Server.Shutdown for ever: give it to
// http.Server.RegisterOnShutdown.
func (g *Gateway) EndStreams() {
	g.mcp.Drain()
}

// Finish waits for the tasks that go on after their requests were answered. It
// comes after http.Server.Shutdown, and shares its deadline.
func (g *Gateway) Finish(ctx context.Context) error { return g.mcp.Finish(ctx) }

// Generation is a short text that is the same for all gateways of one version
// that show the same: a hash of config and documents, without secrets.
func (g *Gateway) Generation() string { return g.serving.Load().generation }
