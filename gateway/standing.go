package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/internal/invoke"
	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/openapi"
)

// standing is how a feed stands.
type standing struct {
	serving *edition // the last good one; nil: there was none yet
	waiting *edition // in quarantine; nil: none is
	clashes *edition // right by itself, but not together with the other plugins; nil: none
	silent  string   // why the source gives nothing now; empty: it answers
	cause   string   // of that, in words for everybody
	refused string   // why what it gave last is not in use; empty: it is
	lease   *lease   // of a plugin that registered itself
	state   publication.State
	since   time.Time
}

// lease is how long a registration holds, by this replica's clock.
type lease struct {
	publisher string
	hash      string // of the generation that is registered
	until     time.Time
	lapsed    bool
}

// anew is the lease of a plugin whose registration is to be judged again; nil
// stays nil.
func (l *lease) anew() *lease {
	if l == nil {
		return nil
	}
	return &lease{publisher: l.publisher, until: l.until, lapsed: l.lapsed}
}

// PluginStatus is how a plugin stands at this replica.
type PluginStatus = publication.Status

// status is a plugin's, with its client, if it has one.
type status struct {
	PluginStatus
	client *invoke.Client
}

// look works out the state. It tells whether that is another one.
func (s *standing) look(now time.Time) (changed bool) {
	state := publication.Serving
	switch {
	case s.lease != nil && s.lease.lapsed:
		state = publication.Lapsed
	case s.silent != "":
		state = publication.Unreachable
	case s.waiting != nil:
		state = publication.InQuarantine
	case s.refused != "":
		state = publication.Refused
	case s.serving == nil:
		state = publication.Waiting
	}
	if s.state == state {
		return false
	}
	s.state, s.since = state, now
	return true
}

// reason says why a feed is not as it should be.
func (s *standing) reason() string {
	switch s.state {
	case publication.Lapsed:
		return "the plugin did not renew its registration"
	case publication.Unreachable:
		return s.silent
	case publication.InQuarantine, publication.Refused:
		return s.refused
	case publication.Waiting:
		return "nothing was published yet"
	}
	return ""
}

// publicReason is the reason in words for everybody: without hosts.
func (s *standing) publicReason() string {
	switch s.state {
	case publication.Serving:
		return ""
	case publication.Unreachable:
		return s.cause
	case publication.Refused:
		return "what it publishes cannot be used"
	}
	return s.reason() // of the lock, actions and arguments are told, which its tools show anyway
}

// stand notes in the log, the metrics and for /readyz how a feed stands, when
// that is news. Whoever calls it holds changing.
func (g *Gateway) stand(ctx context.Context, f *feed) {
	if f.serving != nil {
		f.use(f.serving.client)
	}
	before := f.state
	changed := f.look(time.Now())
	if client := f.used(); client != nil {
		switch down := f.state.Down(); {
		case down:
			client.Down(f.since, f.reason())
		case before.Down(): // calls find out for themselves otherwise
			client.Up()
		}
	}
	if changed && !g.offline && (before != "" || f.state != publication.Serving) {
		g.tellState(ctx, f)
	}
	g.tellStatuses()
}

// tellState logs how a feed stands.
func (g *Gateway) tellState(ctx context.Context, f *feed) {
	attributes := []any{"plugin", f.name, "state", string(f.state), "reason", f.reason(), "generation", f.serving.short()}
	switch {
	case f.state == publication.Serving:
		g.log.InfoContext(ctx, "plugin serves what it publishes", attributes...)
	case f.state == publication.Waiting:
		g.log.InfoContext(ctx, "plugin has published nothing yet", attributes...)
	case f.serving == nil:
		g.log.WarnContext(ctx, "plugin has no actions", attributes...)
	default:
		g.log.WarnContext(ctx, "plugin keeps its last good generation", attributes...)
	}
}

// tellStatuses has Plugins and /readyz tell how the feeds stand. Whoever calls
// it holds changing.
func (g *Gateway) tellStatuses() {
	statuses := make([]status, 0, len(g.current.feeds))
	for _, name := range slices.Sorted(maps.Keys(g.current.feeds)) {
		f := g.current.feeds[name]
		statuses = append(statuses, status{f.status(), f.used()})
	}
	g.statuses.Store(&statuses)
}

// stateOf is a feed's, nil has none.
func (f *feed) stateOf() publication.State {
	if f == nil {
		return ""
	}
	return f.state
}

func (f *feed) status() PluginStatus {
	s := PluginStatus{Name: f.name, State: f.state, Since: f.since.UTC(), Reason: f.reason(), Cause: f.publicReason(), Source: f.String()}
	if e := f.serving; e != nil {
		s.Generation, s.Accepted, s.Actions = e.short(), new(e.accepted.UTC()), len(e.actions)
		for _, finding := range e.findings {
			switch finding.Severity {
			case openapi.SeverityError:
				s.Errors++
			case openapi.SeverityWarning:
				s.Warnings++
			}
		}
	}
	if f.lease != nil {
		s.Lease = new(f.lease.until.UTC())
	}
	if f.waiting != nil {
		s.Quarantine = f.waiting.short()
	}
	return s
}

// short is how people name a generation; nil has none.
func (e *edition) short() string {
	if e == nil {
		return ""
	}
	return e.generation.Hash[:12]
}

// Plugins tells how the plugins stand, ordered by name.
func (g *Gateway) Plugins() []PluginStatus {
	statuses := []PluginStatus{}
	for _, s := range *g.statuses.Load() {
		if s.Accepted != nil {
			s.Age = int64(time.Since(*s.Accepted).Seconds())
		}
		statuses = append(statuses, s.PluginStatus)
	}
	return statuses
}
