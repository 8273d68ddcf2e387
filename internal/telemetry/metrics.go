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
	mismatches *prometheus.CounterVec
}

// NewMetrics makes an empty set.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stagedoor_tool_calls_total",
			Help: "Tool calls by named server, tool and outcome.",
		}, []string{"server", "tool", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "stagedoor_tool_call_duration_seconds",
			Help:    "How long tool calls took, the plugin's answer included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"server", "tool"}),
		mismatches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stagedoor_output_mismatches_total",
			Help: "Answers of plugins that break the output schema of their own document, of those that were checked.",
		}, []string{"plugin", "action"}),
	}
	m.registry.MustRegister(m.calls, m.duration, m.mismatches, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// ToolCall records one call.
func (m *Metrics) ToolCall(server, tool, outcome string, d time.Duration) {
	m.calls.WithLabelValues(server, tool, outcome).Inc()
	m.duration.WithLabelValues(server, tool).Observe(d.Seconds())
}

// OutputMismatch records an answer that breaks its output schema.
func (m *Metrics) OutputMismatch(plugin, action string) {
	m.mismatches.WithLabelValues(plugin, action).Inc()
}

// Handler serves the metrics in Prometheus's formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
