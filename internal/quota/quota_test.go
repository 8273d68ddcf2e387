package quota

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// take counts n calls that end at once.
func take(t *testing.T, q *Quota, door, key string, n int, l Limits, want bool) time.Duration {
	t.Helper()
	release, retry, ok := q.Take(door, key, n, l)
	if ok != want {
		t.Fatalf("%s at %s, %d: ok is %v", key, door, n, ok)
	}
	if ok {
		release()
	}
	return retry
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l := New(), Limits{CallsPerMinute: 60, Burst: 3}
		for range 3 {
			take(t, q, "a", "ada", 1, l, true)
		}
		if retry := take(t, q, "a", "ada", 1, l, false); retry <= 0 || retry > time.Second {
			t.Errorf("again after %v", retry)
		}
		take(t, q, "b", "ada", 1, l, true) // another door
		take(t, q, "a", "eve", 1, l, true) // another principal
		take(t, q, "a", "", 1, l, true)    // the anonymous one is one, too
		time.Sleep(time.Second)            // of the bubble
		take(t, q, "a", "ada", 1, l, true)
		take(t, q, "a", "ada", 1, l, false)
		if retry := take(t, q, "a", "ada", 2, l, false); retry != 2*time.Second {
			t.Errorf("two again after %v", retry)
		}
		time.Sleep(time.Hour)
		take(t, q, "a", "ada", 4, l, false) // more than ever can come at once
		take(t, q, "a", "ada", 3, l, true)  // and they cost nothing
	})
}

func TestConcurrent(t *testing.T) {
	q, l := New(), Limits{Concurrent: 2}
	first, _, _ := q.Take("a", "ada", 1, l)
	second, _, ok := q.Take("a", "ada", 5, l) // one after the other
	if !ok {
		t.Fatal("the second is refused")
	}
	if retry := take(t, q, "a", "ada", 1, l, false); retry != busyRetry {
		t.Errorf("again after %v", retry)
	}
	take(t, q, "a", "eve", 1, l, true)
	first()
	first() // once is enough
	take(t, q, "a", "ada", 1, l, true)
	third, _, _ := q.Take("a", "ada", 1, l)
	take(t, q, "a", "ada", 1, l, false)
	second()
	third()
}

// Without bounds nothing is remembered.
func TestNoBounds(t *testing.T) {
	q := New()
	for i := range 100 {
		take(t, q, "a", fmt.Sprint(i), 1, Limits{}, true)
		take(t, q, "a", fmt.Sprint(i), 0, Limits{Concurrent: 1}, true)
	}
	if len(q.uses) != 0 {
		t.Errorf("%d are remembered", len(q.uses))
	}
}

// A call that is refused for one bound does not count for the other.
func TestBothBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l := New(), Limits{CallsPerMinute: 1, Burst: 2, Concurrent: 1}
		release, _, _ := q.Take("a", "ada", 1, l)
		for range 10 {
			take(t, q, "a", "ada", 1, l, false)
		}
		release()
		take(t, q, "a", "ada", 1, l, true) // the second of the burst is still there
		take(t, q, "a", "ada", 1, l, false)
		time.Sleep(time.Minute)
		take(t, q, "a", "ada", 1, l, true) // what was refused holds no place
	})
}

// Other limits begin anew, the same ones go on; what is under way counts on.
func TestLimitsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l := New(), Limits{CallsPerMinute: 1, Burst: 1, Concurrent: 2}
		release, _, _ := q.Take("a", "ada", 1, l)
		take(t, q, "a", "ada", 1, l, false)
		l.Concurrent = 1
		if retry := take(t, q, "a", "ada", 1, l, false); retry != busyRetry {
			t.Errorf("again after %v: what is under way is forgotten", retry)
		}
		release()
		take(t, q, "a", "ada", 1, l, true) // another bucket
		take(t, q, "a", "ada", 1, l, false)
	})
}

// Many principals: no more than so many are remembered, and none with a call
// under way is forgotten.
func TestBounded(t *testing.T) {
	q, l := New(), Limits{CallsPerMinute: 1, Burst: 1, Concurrent: 1}
	q.most = 50
	var held []func()
	for i := range 20 {
		release, _, _ := q.Take("a", fmt.Sprint("held", i), 1, l)
		held = append(held, release)
	}
	for i := range 1000 {
		take(t, q, "a", fmt.Sprint(i), 1, l, true)
		if len(q.uses) > q.most || q.recent.Len() != len(q.uses) {
			t.Fatalf("%d are remembered", len(q.uses))
		}
	}
	take(t, q, "a", "999", 1, l, false) // the newest are remembered
	for i := range 20 {
		take(t, q, "a", fmt.Sprint("held", i), 1, l, false)
	}
	for i := range 40 { // more under way than are remembered: none is lost
		release, _, ok := q.Take("b", fmt.Sprint(i), 1, l)
		if !ok {
			t.Fatal(i)
		}
		held = append(held, release)
	}
	for i := range 40 {
		take(t, q, "b", fmt.Sprint(i), 1, l, false)
	}
	for _, release := range held {
		release()
	}
	take(t, q, "c", "ada", 1, l, true)
	if len(q.uses) > q.most {
		t.Errorf("%d are remembered after all calls have ended", len(q.uses))
	}
}

// However calls come, never more than allowed are under way, and none is left in
// the end.
func TestNeverMore(t *testing.T) {
	q, l := New(), Limits{Concurrent: 3}
	var running, taken atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 500 {
				release, _, ok := q.Take("a", "ada", 1+rand.IntN(3), l)
				if !ok {
					continue
				}
				if now := running.Add(1); now > 3 {
					t.Errorf("%d are under way", now)
				}
				taken.Add(1)
				running.Add(-1)
				release()
			}
		})
	}
	all.Wait()
	if u := q.use(who{"a", "ada"}, l); u.running != 0 || taken.Load() == 0 {
		t.Errorf("%d are under way after the end of %d", u.running, taken.Load())
	}
}
