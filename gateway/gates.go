package gateway

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registryapi"
)

// gates are what stands at the ways in, as one config has it.
type gates struct {
	servers  map[string]principal.Gate
	actions  principal.Gate
	operator registryapi.Guard
	metadata map[string]auth.Metadata // of servers whose callers get tokens somewhere
	plugins  []string                 // of Backstage that the gateway is: they have its keys
}

// gatesOf makes the gates of a config: each named server is a resource of its
// own, for which tokens have to be made.
func (g *Gateway) gatesOf(cfg Config) (gates, Faults) {
	out := gates{servers: map[string]principal.Gate{}, metadata: map[string]auth.Metadata{}, plugins: cfg.backstagePluginIDs()}
	m := verifiers{keys: g.issuers}
	var faults Faults
	for name, s := range cfg.Servers {
		scopes := s.Scopes.scopes("mcp")
		guard := m.guard(cfg, s.Auth, "servers."+name+".auth", "/mcp/"+name, &faults)
		if guard == nil {
			out.servers[name] = principal.Open
			continue
		}
		meta := guard.Document(s.Title, s.WebsiteURL, nil)
		guard.Metadata, guard.Scopes, guard.Union = meta.URL(), least(scopes.Least()), s.Scopes.Challenge == "union"
		out.servers[name] = guard
		if guard.Metadata != "" {
			out.metadata[name] = meta
		}
	}
	out.actions = principal.Open
	if guard := m.guard(cfg, cfg.ActionsAPI.Auth, "actionsAPI.auth", "/.backstage/actions", &faults); guard != nil {
		scopes := cfg.ActionsAPI.Scopes.scopes("actions")
		guard.Scopes, guard.Plugin = least(scopes.Least()), pluginOf
		guard.Union = cfg.ActionsAPI.Scopes.Challenge == "union"
		out.actions = guard
	}
	out.operator = registryapi.Guard{Gate: principal.Open, Publish: "registry:publish", Operate: cfg.Operator.scope()}
	if guard := m.guard(cfg, cfg.Operator.Auth, "operator.auth", "", &faults); guard != nil {
		guard.Scopes = least(out.operator.Operate)
		out.operator.Gate = guard
	}
	return out, faults
}

func least(scope string) []string {
	if scope == "" {
		return nil
	}
	return []string{scope}
}

// guard is the gate of a resource at a path of the gateway; nil: everybody may
// come in.
func (m *verifiers) guard(cfg Config, own []Verifier, path, at string, faults *Faults) *auth.Guard {
	list := own
	if len(own) == 0 {
		list, path = cfg.Auth, "auth"
	}
	if isOpen(list) {
		return nil
	}
	chain, more := m.chain(path, list)
	*faults = append(*faults, more...)
	return &auth.Guard{Chain: chain, Resource: auth.Resource{URL: cfg.publicURL() + at}, Granted: grantedByAll(list)}
}

// warn says what is weaker than it looks.
func (g *Gateway) warn(ctx context.Context, cfg Config) {
	lists := map[string][]Verifier{"auth": cfg.Auth, "actionsAPI.auth": cfg.ActionsAPI.Auth, "operator.auth": cfg.Operator.Auth}
	for name, s := range cfg.Servers {
		lists["servers."+name+".auth"] = s.Auth
	}
	for _, path := range slices.Sorted(maps.Keys(lists)) {
		if slices.ContainsFunc(lists[path], func(v Verifier) bool { return v.Backstage.BaseURL != "" }) {
			g.log.WarnContext(ctx, "tokens of Backstage are not bound to a server: who gets hold of one may use all of Backstage with it", "config", path)
		}
	}
	if paths := cfg.passedBy(); len(paths) > 0 && !cfg.hasActionsAPI() && cfg.ActionsAPI.Support == "" {
		g.log.InfoContext(ctx, "the actions API is closed, since callers could pass by there what servers say (actionsAPI opens it)", "config", paths)
		return
	}
	for _, path := range cfg.passedBy() {
		if !cfg.hasActionsAPI() {
			break
		}
		g.log.WarnContext(ctx, "the actions API has no rules: who may come in there may call every action with any arguments, whatever a server says (give it rules, or say support: off)", "config", path)
	}
}

// hasActionsAPI tells whether there is one. Where nothing is said of it, there is
// none that would open what a server's rules and bound arguments close.
func (c Config) hasActionsAPI() bool {
	a := c.ActionsAPI
	said := len(a.Auth)+len(a.Actions.Include)+len(a.Actions.Exclude) > 0
	return a.Support == "on" || a.Support == "" && (said || len(c.passedBy()) == 0)
}

// passedBy is what servers say of who may call what, where callers of the
// actions API could pass it by.
func (c Config) passedBy() (paths []string) {
	if len(c.ActionsAPI.Rules) > 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		if s := c.Servers[name]; len(s.Rules) > 0 {
			paths = append(paths, "servers."+name+".rules")
		} else if len(s.Arguments) > 0 {
			paths = append(paths, "servers."+name+".arguments")
		}
	}
	return paths
}

// pluginOf is the plugin of /api/{plugin}, which the tokens of Backstage's
// plugins are for.
func pluginOf(r *http.Request) string {
	plugin, ok := strings.CutPrefix(r.URL.Path, "/api/")
	if !ok {
		return ""
	}
	plugin, _, _ = strings.Cut(plugin, "/")
	return plugin
}

// publicURL is where clients find the gateway, in the form in which they write
// it themselves: audiences are compared byte for byte (2026-07-28,
// basic/authorization, "Canonical Server URI").
func (c Config) publicURL() string {
	scheme, host, _ := strings.Cut(cmp.Or(c.PublicURL, "http://"+c.Listen), "://")
	scheme, host = strings.ToLower(scheme), strings.TrimSuffix(strings.ToLower(host), "/")
	return scheme + "://" + strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
}

func (o Operator) scope() string {
	switch o.Scope {
	case "none":
		return ""
	case "":
		return "operator:read"
	}
	return o.Scope
}

// protectedResource serves the metadata of servers (RFC 9728, section 3).
func (g *Gateway) protectedResource(w http.ResponseWriter, r *http.Request) {
	name := mux.Vars(r)["server"]
	gates := g.gates.Load()
	meta, ok := gates.metadata[name]
	if !ok {
		g.nothing(w, r)
		return
	}
	guard, guarded := gates.servers[name].(*auth.Guard)
	for _, s := range g.registry.Snapshot().Servers() {
		if s.Name == name && guarded {
			meta = guard.Document(meta.Name, meta.Documentation, s.Scopes())
		}
	}
	meta.ServeHTTP(w, r)
}

// operators lets those who run the gateway pass, as the config says who they
// are.
func (g *Gateway) operators(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := g.gates.Load().operator.Admit(r); why != nil {
			why.SetHeader(w.Header())
			w.Header().Set("Cache-Control", "no-store")
			writeJSON(w, why.Status, map[string]string{"error": why.Message})
			return
		}
		next.ServeHTTP(w, r)
	})
}
