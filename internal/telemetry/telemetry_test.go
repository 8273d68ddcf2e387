package telemetry_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stagedoor/stagedoor/internal/telemetry"
)

func TestRef(t *testing.T) {
	pattern := regexp.MustCompile(`^[0-9a-z]{10}$`)
	seen := map[string]bool{}
	for range 1000 {
		ctx, ref := telemetry.WithRef(t.Context())
		if !pattern.MatchString(ref) || seen[ref] || telemetry.Ref(ctx) != ref {
			t.Fatalf("reference %q, seen %v, in context %q", ref, seen[ref], telemetry.Ref(ctx))
		}
		seen[ref] = true
		if _, again := telemetry.WithRef(ctx); again != ref {
			t.Fatalf("reference changed from %q to %q", ref, again)
		}
	}
	if ref := telemetry.Ref(t.Context()); ref != "" {
		t.Errorf("reference %q from nowhere", ref)
	}
}

func TestLogger(t *testing.T) {
	for format, want := range map[string]string{"json": `"msg":"hello"`, "text": `msg=hello`} {
		var b bytes.Buffer
		logger, err := telemetry.NewLogger(&b, format, slog.LevelInfo)
		if err != nil {
			t.Fatal(err)
		}
		logger.Debug("hidden")
		logger.Info("hello")
		if got := b.String(); !strings.Contains(got, want) || strings.Contains(got, "hidden") {
			t.Errorf("%s: %s", format, got)
		}
	}
	if _, err := telemetry.NewLogger(nil, "xml", slog.LevelInfo); err == nil {
		t.Error("xml was accepted")
	}
}

func TestMetrics(t *testing.T) {
	m, other := telemetry.NewMetrics(), telemetry.NewMetrics() // no global registry to clash in
	m.ToolCall("catalog", "get_entity", "ok", 3*time.Millisecond)
	m.ToolCall("catalog", telemetry.UnknownTool, "unknown_tool", 0)
	other.ToolCall("other", "x", "ok", 0)
	m.Reload(telemetry.ReloadRefresh, "refused") // says nothing of the config
	m.Generation("one", time.Unix(1, 0))
	m.Generation("two", time.Unix(2, 0))
	m.Replicas(2, 1)
	m.DatabaseUp(false)
	m.Plugins(func() []telemetry.Plugin {
		return []telemetry.Plugin{
			{Name: "billing", InFlight: 2, Waiting: 1, Open: true, Refused: map[string]uint64{"busy": 3}, Retries: map[string]uint64{"ok": 4}},
			{Name: "catalog"},
		}
	})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body := w.Body.String()
	for _, want := range []string{
		`stagedoor_tool_calls_total{outcome="ok",server="catalog",tool="get_entity"} 1`,
		`stagedoor_tool_calls_total{outcome="unknown_tool",server="catalog",tool="unknown"} 1`,
		`stagedoor_tool_call_duration_seconds_count{server="catalog",tool="get_entity"} 1`,
		`go_goroutines`,
		"stagedoor_reloads_total{cause=\"refresh\",result=\"refused\"} 1\n", "stagedoor_last_reload_successful 1\n",
		"stagedoor_generation_info{generation=\"two\"} 1\n", "stagedoor_generation_timestamp_seconds 2\n",
		"stagedoor_replicas{generation=\"same\"} 2\n", "stagedoor_replicas{generation=\"other\"} 1\n", "stagedoor_database_up 0\n",
		"stagedoor_plugin_calls_in_flight{plugin=\"billing\"} 2\n", "stagedoor_plugin_calls_waiting{plugin=\"billing\"} 1\n",
		"stagedoor_plugin_breaker_open{plugin=\"billing\"} 1\n", "stagedoor_plugin_breaker_open{plugin=\"catalog\"} 0\n",
		"stagedoor_plugin_refused_total{plugin=\"billing\",reason=\"busy\"} 3\n", "stagedoor_plugin_retries_total{plugin=\"billing\",result=\"ok\"} 4\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if strings.Contains(body, `generation="one"`) {
		t.Error("two generations are served")
	}
	if strings.Contains(body, `server="other"`) {
		t.Error("two sets of metrics share a registry")
	}
}
