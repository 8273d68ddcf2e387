package gateway

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stagedoor/stagedoor/internal/session"
)

// TestCensus: who lives is a matter of the database's clock, and who is silent
// for long is not counted.
func TestCensus(t *testing.T) {
	at := func(s int) time.Time { return time.Date(1999, 1, 1, 0, 0, s, 0, time.UTC) } // another clock than ours
	own := session.Replica{ID: "a", Generation: "1"}
	same, others := census(own, []session.Replica{
		{ID: "a", Generation: "1", Seen: at(58)}, {ID: "b", Generation: "1", Seen: at(59)}, {ID: "c", Generation: "2", Seen: at(30)},
		{ID: "dead", Generation: "0", Seen: at(10)}, {ID: "dead too", Generation: "1", Seen: at(28)},
	})
	if diff := cmp.Diff(map[string]string{"c": "2"}, others); same != 2 || diff != "" {
		t.Errorf("%d the same, others: %s", same, diff)
	}
	if same, others := census(own, nil); same != 0 || len(others) != 0 {
		t.Errorf("of nobody: %d, %v", same, others)
	}
}

// TestSkew: that replicas differ is told once, when it lasts, and so is its end.
func TestSkew(t *testing.T) {
	var s skew
	now := time.Now()
	for i, step := range []struct {
		after  time.Duration
		differ bool
		want   skewNews
	}{
		{0, false, skewNothing},
		{0, true, skewNothing},
		{skewAfter - 1, true, skewNothing},
		{0, false, skewNothing}, // a rolling update
		{time.Hour, true, skewNothing},
		{skewAfter, true, skewBegan},
		{time.Hour, true, skewNothing},
		{0, false, skewEnded},
		{time.Hour, false, skewNothing},
		{0, true, skewNothing},
		{skewAfter, true, skewBegan},
	} {
		now = now.Add(step.after)
		if got := s.look(now, step.differ); got != step.want {
			t.Errorf("step %d: got %d, want %d", i, got, step.want)
		}
	}
}
