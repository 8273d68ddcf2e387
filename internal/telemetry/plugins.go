package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Plugin is how the calls of a plugin stand at one replica.
type Plugin struct {
	Name              string
	InFlight, Waiting int  // calls that are under way, and that wait for a place
	Open              bool // the plugin is left alone
	// Refused are calls that were not made, by the reason: "busy" or "open".
	Refused map[string]uint64
	// Retries are tries after the first, by what came of them: "ok", "failed",
	// or "over_budget" (not made).
	Retries map[string]uint64
}

var (
	pluginInFlight = prometheus.NewDesc("stagedoor_plugin_calls_in_flight", "Calls of the plugin that are under way.", []string{"plugin"}, nil)
	pluginWaiting  = prometheus.NewDesc("stagedoor_plugin_calls_waiting", "Calls that wait for others of the plugin to end.", []string{"plugin"}, nil)
	pluginOpen     = prometheus.NewDesc("stagedoor_plugin_breaker_open", "Whether the plugin is left alone because it keeps failing (1).", []string{"plugin"}, nil)
	pluginRefused  = prometheus.NewDesc("stagedoor_plugin_refused_total",
		"Calls that were not made, by reason (busy: too many under way; open: the plugin is left alone).", []string{"plugin", "reason"}, nil)
	pluginRetries = prometheus.NewDesc("stagedoor_plugin_retries_total",
		"Tries after the first, by result (ok: the plugin answered; failed; over_budget: not made, for there were too many).", []string{"plugin", "result"}, nil)
)

// Plugins has the metrics of plugins read when somebody asks for them, so that
// calls pay nothing. It is for once; read may be called at any time.
func (m *Metrics) Plugins(read func() []Plugin) { m.registry.MustRegister(pluginCollector(read)) }

type pluginCollector func() []Plugin

// Describe implements prometheus.Collector.
func (pluginCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pluginInFlight, pluginWaiting, pluginOpen, pluginRefused, pluginRetries} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (read pluginCollector) Collect(ch chan<- prometheus.Metric) {
	for _, p := range read() {
		open := 0.0
		if p.Open {
			open = 1
		}
		for d, value := range map[*prometheus.Desc]float64{pluginInFlight: float64(p.InFlight), pluginWaiting: float64(p.Waiting), pluginOpen: open} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, p.Name)
		}
		for d, counts := range map[*prometheus.Desc]map[string]uint64{pluginRefused: p.Refused, pluginRetries: p.Retries} {
			for label, n := range counts {
				ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), p.Name, label)
			}
		}
	}
}
