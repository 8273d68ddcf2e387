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

// Plugins has the metrics of plugins read when somebody asks for them, so that
// calls pay nothing. It is to be called once; read may be at any time.
func (m *Metrics) Plugins(read func() []Plugin) {
	about := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("stagedoor_plugin_"+name, help, append([]string{"plugin"}, labels...), nil)
	}
	m.registry.MustRegister(&pluginCollector{
		read:     read,
		inFlight: about("calls_in_flight", "Calls of the plugin that are under way."),
		waiting:  about("calls_waiting", "Calls that wait for others of the plugin to end."),
		open:     about("breaker_open", "Whether the plugin is left alone because it keeps failing (1)."),
		refused:  about("refused_total", "Calls that were not made, by reason (busy: too many under way; open: the plugin is left alone).", "reason"),
		retries:  about("retries_total", "Tries after the first, by result (ok: the plugin answered; failed; over_budget: not made, for there were too many).", "result"),
	})
}

type pluginCollector struct {
	read                                      func() []Plugin
	inFlight, waiting, open, refused, retries *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *pluginCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.inFlight, c.waiting, c.open, c.refused, c.retries} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *pluginCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, plugin string, value int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), plugin)
	}
	counters := func(d *prometheus.Desc, plugin string, values map[string]uint64) {
		for label, n := range values {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), plugin, label)
		}
	}
	for _, p := range c.read() {
		open := 0
		if p.Open {
			open = 1
		}
		gauge(c.inFlight, p.Name, p.InFlight)
		gauge(c.waiting, p.Name, p.Waiting)
		gauge(c.open, p.Name, open)
		counters(c.refused, p.Name, p.Refused)
		counters(c.retries, p.Name, p.Retries)
	}
}
