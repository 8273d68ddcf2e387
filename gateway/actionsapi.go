package gateway

import (
	"slices"

	"github.com/stagedoor/stagedoor/internal/actionsapi"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// newActionsAPI makes the HTTP face of the actions.
func (g *Gateway) newActionsAPI(cfg Config) *actionsapi.Handler {
	h := actionsapi.New(actionsapi.Options{
		Registry: g.registry,
		Logger:   g.log,
		Observe:  g.metrics.ActionCall,
		MaxBody:  int64(cfg.Limits.RequestBody),
		Calls:    cfg.Limits.Calls,
		Knows: func(plugin string) bool {
			all := g.statuses.Load()
			return all != nil && slices.ContainsFunc(*all, func(s status) bool { return s.Name == plugin })
		},
	})
	h.Offer(cfg.offer())
	return h
}

// offer is which actions the API has, and for whom; nil: there is none.
func (c Config) offer() *actionsapi.Offer {
	a := c.ActionsAPI
	if a.Support == "off" {
		return nil
	}
	list := a.allowlist()
	if len(list.Include) == 0 {
		list.Include = []registry.Rule{{}}
	}
	rules, ruled := c.accessRules(registry.ActionsAPI, "actionsAPI.rules", a.Rules)
	return &actionsapi.Offer{Allowlist: list, Door: &registry.Door{
		Name: registry.ActionsAPI, Rules: rules, Ruled: ruled, Scopes: a.Scopes.scopes("actions"), Gate: c.gate(a.Auth), Limits: a.Limits.limits(),
	}}
}

func (a ActionsAPI) allowlist() registry.Allowlist {
	return registry.Allowlist{
		Include: rules("actionsAPI.actions.include", a.Actions.Include),
		Exclude: rules("actionsAPI.actions.exclude", a.Actions.Exclude),
	}
}
