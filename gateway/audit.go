package gateway

import (
	"context"
	"strings"

	"github.com/stagedoor/stagedoor/internal/audit"
	"github.com/stagedoor/stagedoor/internal/telemetry"
)

// record counts a call, and has it written down.
func (g *Gateway) record(ctx context.Context, c audit.Call) {
	name := func(known string) string { // callers must not be able to make time series
		if c.Action == "" || strings.HasPrefix(c.Outcome, telemetry.UnknownTool) {
			return telemetry.UnknownTool
		}
		return known
	}
	switch {
	case c.Principal == nil:
		g.metrics.Refused(c.Door, string(c.Decision()))
	case c.Face == audit.ActionsAPI:
		g.metrics.ActionCall(name(c.Plugin), name(strings.TrimPrefix(c.Action, c.Plugin+":")), c.Outcome, c.Duration)
	case c.Method == "tools/call":
		g.metrics.ToolCall(c.Door, name(c.Tool), c.Outcome, c.Duration)
	}
	g.trail.Record(ctx, c)
}
