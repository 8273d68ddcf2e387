package gateway

import (
	"slices"

	"github.com/stagedoor/stagedoor/internal/actionsapi"
	"github.com/stagedoor/stagedoor/internal/registry"
)

// newActionsAPI makes the HTTP face of the actions.
func (g *Gateway) newActionsAPI(n generation) *actionsapi.Handler {
	cfg := n.config
	h := actionsapi.New(actionsapi.Options{
		Registry: g.registry,
		Record:   g.record,
		MaxBody:  int64(cfg.Limits.RequestBody),
		Calls:    cfg.Limits.Calls,
		Knows: func(plugin string) bool {
			all := g.statuses.Load()
			return all != nil && slices.ContainsFunc(*all, func(s status) bool { return s.Name == plugin })
		},
	})
	h.Offer(n.offer())
	return h
}

// offer is which actions the API has, and for whom; nil: there is none.
func (n *generation) offer() *actionsapi.Offer {
	a := n.config.ActionsAPI
	if !n.config.hasActionsAPI() {
		return nil
	}
	list := a.allowlist()
	if len(list.Include) == 0 {
		list.Include = []registry.Rule{{}}
	}
	rules, ruled := n.config.accessRules(registry.ActionsAPI, "actionsAPI.rules", a.Rules)
	return &actionsapi.Offer{Allowlist: list, Door: &registry.Door{
		Name: registry.ActionsAPI, Rules: rules, Ruled: ruled, Scopes: a.Scopes.scopes("actions"), Gate: n.gates.actions, Limits: a.Limits.limits(),
	}}
}

func (a ActionsAPI) allowlist() registry.Allowlist {
	return registry.Allowlist{
		Include: rules("actionsAPI.actions.include", a.Actions.Include),
		Exclude: rules("actionsAPI.actions.exclude", a.Actions.Exclude),
	}
}
