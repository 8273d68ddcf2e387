package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/gorilla/mux"
)

// routes is the whole HTTP surface.
func (g *Gateway) routes() http.Handler {
	r := mux.NewRouter().SkipClean(true)
	g.mcp.Routes(r)
	r.Handle("/healthz", http.HandlerFunc(g.healthz)).Methods(http.MethodGet, http.MethodHead)
	r.Handle("/readyz", g.mcp.Guard(http.HandlerFunc(g.readyz))).Methods(http.MethodGet, http.MethodHead)
	r.Handle("/metrics", g.mcp.Guard(g.metrics.Handler())).Methods(http.MethodGet)
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "nothing is served here; MCP servers are at /mcp/{server}"})
	})
	return r
}

// healthz says that the process answers.
func (g *Gateway) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

type readiness struct {
	Status  string            `json:"status"`
	Reason  string            `json:"reason,omitempty"`
	Plugins []pluginReadiness `json:"plugins"`
}

type pluginReadiness struct {
	Name    string `json:"name"`
	Actions int    `json:"actions"`
}

// readyz says whether calls can be served, and which plugins there are.
func (g *Gateway) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	ready := readiness{Status: "ready", Plugins: []pluginReadiness{}}
	for _, a := range g.registry.Snapshot().Actions() { // ordered by plugin
		if n := len(ready.Plugins); n == 0 || ready.Plugins[n-1].Name != a.Plugin {
			ready.Plugins = append(ready.Plugins, pluginReadiness{Name: a.Plugin})
		}
		ready.Plugins[len(ready.Plugins)-1].Actions++
	}
	status := http.StatusOK
	if err := g.db.Ping(ctx); err != nil {
		g.log.WarnContext(ctx, "readiness", "error", err)
		ready.Status, ready.Reason, status = "unready", "the database does not answer", http.StatusServiceUnavailable
	}
	writeJSON(w, status, ready)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // nobody is left to tell
}
