package source

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stagedoor/stagedoor/openapi"
)

// fake is a source whose polls are a function.
type fake func(context.Context) (*Publication, error)

func (f fake) Poll(ctx context.Context) (*Publication, error) { return f(ctx) }
func (fake) String() string                                   { return "fake" }

// watched runs Watch on synctest's clock, and gives the times of the polls
// since its beginning.
func watched(t *testing.T, polled func(poll int) error, o WatchOptions, polls int) (at []time.Duration) {
	t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	Watch(ctx, fake(func(context.Context) (*Publication, error) {
		at = append(at, time.Since(begun))
		return nil, polled(len(at))
	}), o, func(context.Context, *Publication, error) {
		if len(at) == polls {
			cancel()
		}
	})
	return at
}

func within(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got < want-want/10 || got > want+want/10 {
		t.Errorf("after %v, want %v within a tenth", got, want)
	}
}

func gaps(at []time.Duration) (out []time.Duration) {
	for i := 1; i < len(at); i++ {
		out = append(out, at[i]-at[i-1])
	}
	return out
}

func TestWatchKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := watched(t, func(int) error { return nil }, WatchOptions{Every: time.Minute, First: 5 * time.Second}, 100)
		within(t, at[0], 5*time.Second)
		gaps := gaps(at)
		for _, gap := range gaps {
			within(t, gap, time.Minute)
		}
		slices.Sort(gaps)
		if len(slices.Compact(gaps)) < 90 {
			t.Error("there is no jitter")
		}
	})
}

func TestWatchBacksOff(t *testing.T) {
	down := errors.New("down")
	busy := func(after time.Duration) error { return &StatusError{Status: 503, RetryAfter: after} }
	for name, tt := range map[string]struct {
		every time.Duration
		errs  []error
		want  []time.Duration
	}{
		"and comes back": {
			time.Minute, []error{down, down, down, down, down, down, nil, down, nil},
			[]time.Duration{2e9, 4e9, 8e9, 16e9, 32e9, 64e9, time.Minute, 2e9, time.Minute},
		},
		"and stays away": {
			time.Minute, slices.Repeat([]error{down}, 12),
			[]time.Duration{2e9, 4e9, 8e9, 16e9, 32e9, 64e9, 128e9, 256e9, 512e9, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		},
		"of an eager one": {
			time.Second, []error{down, down, down, down, down, down, down, down, down, down, down},
			[]time.Duration{1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 64e9, 128e9, 256e9, 300e9, 300e9},
		},
		"as asked": {
			time.Minute, []error{busy(5 * time.Minute), busy(time.Second), busy(time.Hour), nil},
			[]time.Duration{5 * time.Minute, 4e9, 10 * time.Minute, time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := watched(t, func(poll int) error {
					if poll > len(tt.errs) {
						return nil
					}
					return tt.errs[poll-1]
				}, WatchOptions{Every: tt.every}, len(tt.errs)+1)
				for i, gap := range gaps(at) {
					within(t, gap, tt.want[i])
				}
			})
		})
	}
}

// What costs nothing to look at is looked at as often as ever, whatever is wrong
// with it.
func TestWatchOfFilesDoesNotBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, n := time.Now(), 0
		ctx, cancel := context.WithCancel(t.Context())
		Watch(ctx, FromFiles("/nowhere/api.yaml", Local), WatchOptions{Every: LookEvery, Longest: LookEvery}, func(_ context.Context, p *Publication, err error) {
			if p != nil || err == nil {
				t.Errorf("got %v %v", p, err)
			}
			if n++; n == 21 {
				cancel()
			}
		})
		within(t, time.Since(begun), 20*LookEvery)
	})
}

func TestWatchIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{}, 1)
		var polled sync.Mutex
		var times []time.Duration
		polls := func() []time.Duration {
			synctest.Wait()
			polled.Lock()
			defer polled.Unlock()
			return slices.Clone(times)
		}
		begun := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Watch(ctx, fake(func(context.Context) (*Publication, error) {
				polled.Lock()
				defer polled.Unlock()
				times = append(times, time.Since(begun))
				return nil, errors.New("down")
			}), WatchOptions{Every: time.Minute, Wake: wake}, func(context.Context, *Publication, error) {})
		}()
		time.Sleep(20 * time.Minute) // by now it has backed off
		before := len(polls())
		for range 100 { // come to one, and to one more for those during the poll
			select {
			case wake <- struct{}{}:
			default:
			}
			synctest.Wait()
		}
		woken := time.Since(begun)
		time.Sleep(wakeJitter)
		if at := polls(); len(at) != before+1 || at[before]-woken > wakeJitter {
			t.Fatalf("polled at %v, woken at %v", at, woken)
		}
		time.Sleep(wakeGap + firstBackoff) // not the ten minutes of before
		if at := polls(); len(at) != before+2 {
			t.Errorf("polled at %v", at)
		}
		cancel()
		<-ended
	})
}

// Whoever wakes a source all the time does not make it a busy one.
func TestWatchWokenAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		close(wake)
		at := watched(t, func(int) error { return nil }, WatchOptions{Every: time.Minute, First: time.Hour, Wake: wake}, 50)
		if at[0] > wakeJitter {
			t.Errorf("first after %v", at[0])
		}
		for _, gap := range gaps(at) {
			if gap < wakeGap {
				t.Errorf("polled again after %v", gap)
			}
		}
	})
}

// Each outcome is told in its turn: news, no news, errors and panics.
func TestWatchTellsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		news := Given(openapi.Source{Name: "d"})
		polls := 0
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		Watch(ctx, fake(func(context.Context) (*Publication, error) {
			switch polls++; polls {
			case 1:
				return news, nil
			case 2:
				return nil, nil
			case 3:
				panic("index out of range")
			case 4:
				return nil, errors.New("down")
			}
			cancel()
			return nil, errors.New("after the end nothing is told")
		}), WatchOptions{Every: time.Second}, func(_ context.Context, p *Publication, err error) {
			switch broken, isPanic := errors.AsType[*PanicError](err); {
			case isPanic && strings.Contains(string(broken.Stack), "watch_test.go"):
				told = append(told, err.Error())
			case err != nil:
				told = append(told, err.Error())
			case p == news:
				told = append(told, "news")
			case p == nil:
				told = append(told, "same")
			}
		})
		if want := []string{"news", "same", "source fake: program error: index out of range", "down"}; !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}

// One that has another document each time is polled no more often for that.
func TestWatchOfOneThatFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, n := time.Now(), 0
		ctx, cancel := context.WithCancel(t.Context())
		Watch(ctx, fake(func(context.Context) (*Publication, error) { return Given(), nil }), WatchOptions{Every: time.Second},
			func(context.Context, *Publication, error) {
				time.Sleep(3 * time.Second) // what is slow to take is not polled meanwhile
				if n++; n == 10 {
					cancel()
				}
			})
		within(t, time.Since(begun), 39*time.Second)
	})
}
