package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/stagedoor/stagedoor/internal/publication"
	"github.com/stagedoor/stagedoor/internal/registryapi"
	"github.com/stagedoor/stagedoor/internal/source"
)

// newRegistryAPI makes the routes by which plugins register themselves.
func (g *Gateway) newRegistryAPI() *registryapi.Handler {
	return registryapi.New(registryapi.Options{Registrar: registrar{g}, Publishers: g.publishers, Guard: func() registryapi.Guard { return g.gates.Load().operator }, Logger: g.log, Record: g.record})
}

// publishers are those of the config that is in use.
func (g *Gateway) publishers() (all []registryapi.Publisher) {
	configured := *g.registering.Load()
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		p := configured[name]
		token, err := p.Token.Reveal()
		if err != nil && (p.Token.IsSet() || len(p.Principals) == 0) {
			g.log.Error("publisher has no token", "publisher", name, "error", err)
			continue
		}
		is := registryapi.Publisher{Name: name, Token: token, MayRegister: p.mayRegister, Admits: p.admits}
		if len(p.Principals) > 0 {
			is.Is = p.is
		}
		all = append(all, is)
	}
	return all
}

// registrar is a gateway to which plugins register themselves.
type registrar struct{ *Gateway }

// Statuses implements [registryapi.Registrar].
func (r registrar) Statuses() []publication.Status { return r.Plugins() }

// Generations implements [registryapi.Registrar].
func (r registrar) Generations(ctx context.Context, plugin string) ([]publication.Generation, error) {
	return r.db.Generations(ctx, plugin)
}

// Register implements [registryapi.Registrar]. A document that cannot be used
// changes nothing, here or in the database.
func (r registrar) Register(ctx context.Context, reg publication.Registration, lease time.Duration, c publication.Content) (registryapi.Registered, error) {
	l, _ := r.lineOf(reg)
	if l == nil {
		return registryapi.Registered{}, registryapi.ErrConfigured
	}
	pub := source.Stored(c)
	e, faults := r.judge(l, pub, func() *edition { return r.servingOf(l) })
	verdict := publication.Accepted
	if len(faults) == 0 {
		verdict, faults = r.rehearse(l, e)
	}
	if len(faults) > 0 {
		r.metrics.Published(l.name, "refused")
		return registryapi.Registered{}, &registryapi.RefusedError{Reason: faults.brief(), Findings: e.findingsJSON()}
	}
	kept := e.generation
	kept.Verdict = verdict
	if err := r.db.Register(ctx, reg, lease, kept); err != nil {
		return registryapi.Registered{}, err
	}
	now := time.Now()
	reg.Hash, reg.Now, reg.Until = kept.Hash, now, now.Add(lease)
	state := r.enrol(ctx, l, reg, e, nil, r.spoke(l.name))
	r.tell(ctx, l.name)
	if state == publication.InQuarantine {
		verdict = publication.Quarantined
	}
	return registryapi.Registered{Registration: reg, Verdict: verdict, Actions: e.generation.Actions, Findings: e.generation.Findings}, nil
}

// rehearse tells what would come of a plugin's edition.
func (g *Gateway) rehearse(l *line, e *edition) (publication.Verdict, Faults) {
	g.changing.Lock()
	defer g.changing.Unlock()
	snapshot, faults := g.current.with(l.name, e)
	if f := hard(faults); f != nil {
		return "", Faults{{Path: f.Path, Message: f.Message, Hint: f.Hint}}
	}
	if len(g.current.broken(snapshot, l.name)) > 0 {
		return publication.Quarantined, nil
	}
	return publication.Accepted, nil
}

// Renew implements [registryapi.Registrar].
func (r registrar) Renew(ctx context.Context, plugin, publisher, hash string, lease time.Duration) (registryapi.Registered, error) {
	asOf := r.asOf()
	reg, err := r.db.Renew(ctx, plugin, publisher, hash, lease)
	if err != nil {
		return registryapi.Registered{Registration: reg}, err
	}
	if !r.registered(ctx, reg, asOf) {
		return registryapi.Registered{Registration: reg}, registryapi.ErrConfigured
	}
	out := registryapi.Registered{Registration: reg, Verdict: publication.Accepted}
	r.changing.Lock()
	defer r.changing.Unlock()
	if f := r.current.feeds[plugin]; f != nil {
		switch {
		case f.waiting.hash() == hash:
			out.Verdict, out.Actions, out.Findings = publication.Quarantined, f.waiting.generation.Actions, f.waiting.generation.Findings
		case f.serving.hash() == hash:
			out.Actions, out.Findings = f.serving.generation.Actions, f.serving.generation.Findings
		}
	}
	return out, nil
}

// Withdraw implements [registryapi.Registrar].
func (r registrar) Withdraw(ctx context.Context, plugin, publisher, hash string) error {
	if err := r.db.Withdraw(ctx, plugin, publisher, hash); err != nil {
		return err
	}
	r.spoke(plugin)
	r.changing.Lock()
	if f := r.current.feeds[plugin]; f != nil && f.origin == fromPublisher {
		r.withdraw(ctx, f)
	}
	r.changing.Unlock()
	r.tell(ctx, plugin)
	return nil
}
