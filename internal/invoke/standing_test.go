package invoke

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fail has n calls fail that began some time ago, each probing where it may.
func fail(s *standing, n int, took time.Duration) {
	for range n {
		probe, refused := s.admit()
		if refused == nil {
			s.failed(failure{reason: "connection refused", lost: true, began: time.Now().Add(-took), probe: probe})
		}
	}
}

func isOpen(s *standing) bool { return s.refuses() != nil }

// TestStandingOpens: a plugin is left alone when nothing of it works for a
// while, and not when something does.
func TestStandingOpens(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks bool
		play   func(s *standing)
		open   bool
	}{
		"well":        {true, func(*standing) {}, false},
		"four":        {true, func(s *standing) { fail(s, 2, 0); time.Sleep(time.Minute); fail(s, 2, 0) }, false},
		"five":        {true, func(s *standing) { fail(s, 4, 0); time.Sleep(failingFor); fail(s, 1, 0) }, true},
		"rarely used": {true, func(s *standing) { fail(s, 4, 0); time.Sleep(time.Hour); fail(s, 1, 0) }, true},
		"burst":       {true, func(s *standing) { fail(s, 1000, 0) }, false},
		"hangs":       {true, func(s *standing) { fail(s, 5, 30*time.Second) }, true},
		"half of it works": {true, func(s *standing) {
			for range 1000 {
				fail(s, 4, time.Minute)
				time.Sleep(time.Second)
				s.answered()
			}
		}, false},
		"told by its source":            {true, func(s *standing) { s.down(time.Time{}, "x"); time.Sleep(time.Hour) }, false},
		"told, and calls fail":          {true, func(s *standing) { s.down(time.Now().Add(-time.Hour), "x"); fail(s, 5, 0) }, true},
		"without a breaker":             {false, func(s *standing) { fail(s, 100, time.Minute) }, false},
		"an answer after":               {true, func(s *standing) { fail(s, 5, time.Minute); s.answered() }, false},
		"the source has it again":       {true, func(s *standing) { fail(s, 5, time.Minute); s.up() }, false},
		"the source had it all the way": {true, func(s *standing) { s.up(); fail(s, 5, time.Minute) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &standing{breaks: tt.breaks}
				tt.play(s)
				if isOpen(s) != tt.open {
					t.Errorf("open is %v", !tt.open)
				}
			})
		})
	}
}

// TestStandingProbes: after a pause one call tries, and the pauses grow.
func TestStandingProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &standing{breaks: true}
		fail(s, 5, time.Minute)
		for _, pause := range []time.Duration{shortestPause, 2 * shortestPause, 4 * shortestPause, longestPause, longestPause} {
			r := s.refuses()
			if r == nil || r.wait > pause || r.wait < pause*4/5 || r.reason != "connection refused" {
				t.Fatalf("refused %+v, want a pause of about %v", r, pause)
			}
			s.failed(failure{reason: "late", lost: true, began: time.Now().Add(-time.Minute)}) // of a call that began before the pause
			time.Sleep(r.wait - time.Nanosecond)
			if !isOpen(s) {
				t.Fatal("open before its time")
			}
			time.Sleep(time.Nanosecond)
			if probe, refused := s.admit(); !probe || refused != nil {
				t.Fatalf("probe %v, refused %v", probe, refused)
			}
			for range 10 {
				if _, refused := s.admit(); refused == nil {
					t.Fatal("two probes at once")
				}
			}
			s.failed(failure{reason: "connection refused", lost: true, began: time.Now(), probe: true})
		}
		time.Sleep(longestPause)
		s.admit() // hangs
		time.Sleep(probeTime)
		if probe, _ := s.admit(); !probe {
			t.Error("a probe that hangs keeps others out")
		}
		s.answered()
		for range 10 {
			if probe, refused := s.admit(); probe || refused != nil {
				t.Errorf("probe %v, refused %v of a plugin that does well", probe, refused)
			}
		}
		fail(s, 5, time.Minute)
		if r := s.refuses(); r == nil || r.wait > shortestPause {
			t.Errorf("refused %+v: the second outage pays for the first", r)
		}
	})
}

// TestStandingSince: what is told of since when a plugin is down.
func TestStandingSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, begin := &standing{}, time.Now()
		expect := func(since time.Time, reason string) {
			t.Helper()
			if got, why := s.known(); !got.Equal(since) || why != reason {
				t.Errorf("down since %v (%s), want %v (%s)", got, why, since, reason)
			}
		}
		expect(time.Time{}, "")
		s.down(begin.Add(-time.Hour), "HTTP 404")
		s.down(begin.Add(-time.Minute), "HTTP 500")
		expect(begin.Add(-time.Hour), "HTTP 500")
		if since, _ := s.failed(failure{reason: "connection refused", lost: true, began: begin}); !since.Equal(begin.Add(-time.Hour)) {
			t.Errorf("known since %v", since)
		}
		s.up() // calls do not come through all the same
		s.down(begin, "HTTP 500")
		expect(begin.Add(-time.Hour), "connection refused")
		time.Sleep(time.Second)
		s.answered()
		expect(time.Time{}, "")
		s.down(begin.Add(-time.Hour), "HTTP 404") // which was not the plugin's, as it seems
		expect(begin.Add(time.Second), "HTTP 404")
		s.up()
		expect(time.Time{}, "")
	})
}

func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(2)
		for range 2 {
			if !p.take(t.Context(), time.Second) {
				t.Fatal("no place in an empty house")
			}
		}
		begin, took := time.Now(), make(chan bool)
		for range 4 {
			go func() { took <- p.take(t.Context(), time.Second) }()
		}
		for range 2 {
			if <-took || time.Since(begin) > 0 {
				t.Error("more wait than there are places")
			}
		}
		p.leave()
		if !<-took || time.Since(begin) > 0 {
			t.Error("a place that was left is not taken")
		}
		if <-took || time.Since(begin) != time.Second {
			t.Errorf("waited %v", time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if begin = time.Now(); p.take(ctx, time.Second) || time.Since(begin) != time.Millisecond {
			t.Errorf("waited %v beyond the call's time", time.Since(begin))
		}
		if p.leave(); !p.take(t.Context(), time.Second) || len(p.taken) != 2 || p.waiting.Load() != 0 {
			t.Errorf("%d taken, %d waiting", len(p.taken), p.waiting.Load())
		}
	})
}

func TestBudget(t *testing.T) {
	var b budget
	b.tenths.Store(fullBudget)
	spent := 0
	for ; b.spend(); spent++ {
	}
	if spent != 10 {
		t.Errorf("spent %d in hand", spent)
	}
	for range 99 {
		b.earn()
	}
	for ; b.spend(); spent++ {
	}
	if spent != 19 {
		t.Errorf("spent %d after 99 calls more", spent)
	}
	for range 1000 {
		b.earn()
	}
	if b.tenths.Load() != fullBudget {
		t.Errorf("%d tenths saved", b.tenths.Load())
	}
}

// TestStandingAtOnce: whatever many callers and a source say at once, one
// answer ends it.
func TestStandingAtOnce(t *testing.T) {
	s := &standing{breaks: true}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 500 {
				switch (n + i) % 8 {
				case 0:
					s.answered()
				case 1:
					s.down(time.Now(), "HTTP 500")
				case 2:
					s.up()
				case 3:
					if since, reason := s.known(); since.IsZero() != (reason == "") {
						t.Errorf("down since %v (%s)", since, reason)
					}
				default:
					if probe, refused := s.admit(); refused == nil {
						s.failed(failure{reason: "connection refused", lost: true, began: time.Now().Add(-time.Minute), probe: probe})
					} else if refused.wait <= 0 || refused.since.IsZero() || refused.reason == "" {
						t.Errorf("refused %+v", refused)
					}
				}
			}
		})
	}
	all.Wait()
	fail(s, 5, time.Minute)
	s.answered()
	if since, reason := s.known(); isOpen(s) || s.open.Load() || !since.IsZero() || reason != "" {
		t.Errorf("down since %v (%s), %+v", since, reason, s.refuses())
	}
}
