package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// UnknownTool is the tool label of calls that named no tool of the server:
// callers must not be able to make time series.
const UnknownTool = "unknown"

// Metrics are one gateway's measurements, in a registry of their own.
type Metrics struct {
	registry   *prometheus.Registry
	calls      *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	actions    *prometheus.CounterVec
	actionTime *prometheus.HistogramVec
	refused    *prometheus.CounterVec
	auditLost  prometheus.Counter
	mismatches *prometheus.CounterVec
	reloads    *prometheus.CounterVec
	lastReload prometheus.Gauge
	generation *prometheus.GaugeVec
	since      prometheus.Gauge
	replicas   *prometheus.GaugeVec
	databaseUp prometheus.Gauge
	published  *prometheus.CounterVec
}

// NewMetrics makes an empty set.
func NewMetrics() *Metrics {
	callBuckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stagedoor_tool_calls_total",
			Help: "Tool calls by named server, tool and outcome.",
		}, []string{"server", "tool", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "stagedoor_tool_call_duration_seconds",
			Help:    "How long tool calls took, the plugin's answer included.",
			Buckets: callBuckets,
		}, []string{"server", "tool"}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stagedoor_action_calls_total",
			Help: "Actions invoked over the actions API by plugin, action and outcome.",
		}, []string{"plugin", "action", "outcome"}),
		actionTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "stagedoor_action_call_duration_seconds",
			Help:    "How long actions took that were invoked over the actions API, the plugin's answer included.",
			Buckets: callBuckets,
		}, []string{"plugin", "action"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stagedoor_requests_refused_total",
			Help: "Requests that were turned away before anything of their body was read, by named server (or actions-api) and why (unauthenticated, denied, rate_limited).",
		}, []string{"server", "decision"}),
		auditLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stagedoor_audit_records_lost_total",
			Help: "Audit records that are in the log alone, for the database was away or too slow.",
		}),
		mismatches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stagedoor_output_mismatches_total",
			Help: "Answers of plugins that break the output schema of their own document, of those that were checked.",
		}, []string{"plugin", "action"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stagedoor_reloads_total",
			Help: "Readings of config or documents after the start, by cause (asked: a signal or a changed file; refresh: it was time; replica: another one found something new) and result (applied, unchanged, refused).",
		}, []string{"cause", "result"}),
		lastReload: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stagedoor_last_reload_successful",
			Help: "Whether the config that was last read is in use (1), or was refused (0).",
		}),
		generation: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stagedoor_generation_info",
			Help: "The generation of config and documents that is served, always 1.",
		}, []string{"generation"}),
		since: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stagedoor_generation_timestamp_seconds",
			Help: "Since when the generation is served, in Unix time.",
		}),
		replicas: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "stagedoor_replicas",
			Help: "Living replicas on the same database, as this one sees them, by the generation that they serve (same: as this one, which is counted; other).",
		}, []string{"generation"}),
		databaseUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "stagedoor_database_up",
			Help: "Whether the database answered when it was last asked, at most a few seconds ago.",
		}),
	}
	m.published = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stagedoor_plugin_generations_total",
		Help: "What plugins published since the start, by what came of it: accepted, refused or quarantined.",
	}, []string{"plugin", "verdict"})
	m.registry.MustRegister(m.published)
	m.lastReload.Set(1)
	m.databaseUp.Set(1)
	m.registry.MustRegister(m.calls, m.duration, m.actions, m.actionTime, m.refused, m.auditLost, m.mismatches, m.reloads, m.lastReload, m.generation, m.since, m.replicas, m.databaseUp,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Published counts what came of something that a plugin published.
func (m *Metrics) Published(plugin, verdict string) {
	m.published.WithLabelValues(plugin, verdict).Inc()
}

// ToolCall records one call.
func (m *Metrics) ToolCall(server, tool, outcome string, d time.Duration) {
	m.calls.WithLabelValues(server, tool, outcome).Inc()
	m.duration.WithLabelValues(server, tool).Observe(d.Seconds())
}

// ActionCall records an action that was invoked over the actions API.
func (m *Metrics) ActionCall(plugin, action, outcome string, d time.Duration) {
	m.actions.WithLabelValues(plugin, action, outcome).Inc()
	m.actionTime.WithLabelValues(plugin, action).Observe(d.Seconds())
}

// Refused records a request that was turned away.
func (m *Metrics) Refused(server, decision string) {
	m.refused.WithLabelValues(server, decision).Inc()
}

// AuditLost records audit records that the database will not have.
func (m *Metrics) AuditLost(records int) { m.auditLost.Add(float64(records)) }

// OutputMismatch records an answer that breaks its output schema.
func (m *Metrics) OutputMismatch(plugin, action string) {
	m.mismatches.WithLabelValues(plugin, action).Inc()
}

// Causes of a reading of config or documents.
const (
	ReloadAsked   = "asked"
	ReloadRefresh = "refresh"
	ReloadReplica = "replica"
)

// Reload records a reading of config or documents and what came of it:
// "applied", "unchanged" or "refused".
func (m *Metrics) Reload(cause, result string) {
	m.reloads.WithLabelValues(cause, result).Inc()
	if cause == ReloadAsked && result == "refused" {
		m.lastReload.Set(0)
	} else if cause == ReloadAsked {
		m.lastReload.Set(1)
	}
}

// Generation records what is served, and since when.
func (m *Metrics) Generation(generation string, since time.Time) {
	m.generation.Reset()
	m.generation.WithLabelValues(generation).Set(1)
	m.since.Set(float64(since.Unix()))
}

// Replicas records how many replicas serve the same generation as this one,
// itself included, and how many another.
func (m *Metrics) Replicas(same, other int) {
	m.replicas.WithLabelValues("same").Set(float64(same))
	m.replicas.WithLabelValues("other").Set(float64(other))
}

// DatabaseUp records whether the database answers.
func (m *Metrics) DatabaseUp(up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.databaseUp.Set(value)
}

// Handler serves the metrics in Prometheus's formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
