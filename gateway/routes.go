package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/mux"

	"github.com/stagedoor/stagedoor/internal/auth"
	"github.com/stagedoor/stagedoor/internal/principal"
	"github.com/stagedoor/stagedoor/internal/registryapi"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// routes is the whole HTTP surface.
func (g *Gateway) routes() http.Handler {
	r := mux.NewRouter().SkipClean(true)
	g.mcp.Routes(r)
	g.actionsAPI.Routes(r, g.mcp.Guard)
	plugins := g.mcp.Guard(g.newRegistryAPI())
	r.Handle(registryapi.Path, plugins)
	r.PathPrefix(registryapi.Path + "/").Handler(plugins)
	r.Handle("/healthz", http.HandlerFunc(g.healthz)).Methods(http.MethodGet, http.MethodHead)
	r.Handle("/readyz", g.mcp.Guard(http.HandlerFunc(g.readyz))).Methods(http.MethodGet, http.MethodHead)
	r.Handle("/catalog-info.yaml", g.mcp.Guard(g.operators(http.HandlerFunc(g.catalogInfo)))).Methods(http.MethodGet, http.MethodHead)
	r.Handle("/metrics", g.mcp.Guard(g.operators(g.metrics.Handler()))).Methods(http.MethodGet)
	r.Handle(auth.WellKnown+"/mcp/{server}", http.HandlerFunc(g.protectedResource))
	r.Handle("/.well-known/jwks.json", http.HandlerFunc(g.jwks)).Methods(http.MethodGet, http.MethodHead)
	r.Handle("/.backstage/auth/v1/jwks.json", http.HandlerFunc(g.jwks)).Methods(http.MethodGet, http.MethodHead)
	r.Handle("/api/{plugin}/.backstage/auth/v1/jwks.json", http.HandlerFunc(g.backstageJWKS)).Methods(http.MethodGet, http.MethodHead)
	r.NotFoundHandler = http.HandlerFunc(g.nothing)
	return r
}

// nothing answers where nothing is served.
func (g *Gateway) nothing(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, map[string]string{"error": "nothing is served here; MCP servers are at /mcp/{server}, actions at /.backstage/actions/v1/actions"})
}

// healthz says that the process answers.
func (g *Gateway) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// jwks are the public keys of the gateway (RFC 7517), for plugins that verify
// what it says of its callers. They are for everybody.
func (g *Gateway) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(g.keys.JWKS()) // nobody is left to tell
}

// backstageJWKS are the same keys where a Backstage looks for those of the
// plugin that the gateway is.
func (g *Gateway) backstageJWKS(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains(g.gates.Load().plugins, mux.Vars(r)["plugin"]) {
		g.nothing(w, r)
		return
	}
	g.jwks(w, r)
}

type readiness struct {
	Status     string         `json:"status"`
	Reason     string         `json:"reason,omitempty"`
	Replica    string         `json:"replica"`
	Generation string         `json:"generation"`
	Since      time.Time      `json:"since"`
	Plugins    []PluginStatus `json:"plugins,omitzero"`
}

// readyz says whether calls should be sent here, what is served, and which
// plugins there are. It asks nobody, so that it answers at once in any
// weather. A database that is away does not make a gateway unready: it would
// be away for all replicas, and none would be left to serve what needs none.
func (g *Gateway) readyz(w http.ResponseWriter, r *http.Request) {
	now := g.serving.Load()
	ready := readiness{Status: "ready", Replica: g.replica.ID, Generation: now.generation, Since: now.since.UTC(), Plugins: g.Plugins()}
	switch operator := g.gates.Load().operator; {
	case operator.Gate == principal.Open: // then it is for everybody: no inner hosts
		for i := range ready.Plugins {
			ready.Plugins[i].Source, ready.Plugins[i].Reason = "", ""
		}
	case operator.Admit(r) != nil: // probes want the status alone
		ready.Plugins = nil
	}
	status := http.StatusOK
	switch {
	case g.draining.Load():
		ready.Status, ready.Reason, status = "draining", "the gateway is about to stop", http.StatusServiceUnavailable
	case g.away.Load():
		ready.Status, ready.Reason = "degraded", "the database does not answer: there are no new sessions"
	}
	writeJSON(w, status, ready)
}

// calls is how the calls of plugins stand, for the metrics.
func (g *Gateway) calls() []telemetry.Plugin {
	var out []telemetry.Plugin
	for _, p := range *g.statuses.Load() {
		of := telemetry.Plugin{Name: p.Name, State: string(p.State), Actions: p.Actions}
		if p.client != nil {
			h := p.client.Health()
			of.InFlight, of.Waiting, of.Open = h.InFlight, h.Waiting, h.Open
			of.Refused = map[string]uint64{"busy": h.RefusedBusy, "open": h.RefusedOpen}
			of.Retries = map[string]uint64{"ok": h.RetriesOK, "failed": h.RetriesFailed, "over_budget": h.RetriesRefused}
		}
		out = append(out, of)
	}
	return out
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // nobody is left to tell
}
