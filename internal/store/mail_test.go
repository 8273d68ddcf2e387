package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stagedoor/stagedoor/internal/session"
	"github.com/stagedoor/stagedoor/internal/store"
	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func TestMail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		var want []string
		for i := range 30 {
			bodies := [][]byte{fmt.Appendf(nil, "%d", i), nil, []byte("\x00\xff")}
			if err := a.PutMail(t.Context(), "here", 1000, bodies...); err != nil {
				t.Fatal(err)
			}
			for _, body := range bodies {
				want = append(want, string(body))
			}
			if err := a.PutMail(t.Context(), "there", 1000, []byte("other")); err != nil {
				t.Fatal(err)
			}
		}
		got, err := b.TakeMail(t.Context(), "here")
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("took %q, %v\nwant %q", got, err, want)
		}
		if again, err := a.TakeMail(t.Context(), "here"); err != nil || len(again) != 0 {
			t.Errorf("took %q again, %v", again, err)
		}
		if other, err := a.TakeMail(t.Context(), "there"); err != nil || len(other) != 30 {
			t.Errorf("took %q, %v", other, err)
		}
		if err := a.PutMail(t.Context(), "nothing to say", 1000); err != nil {
			t.Error(err)
		}
		for _, address := range []string{"two\nlines", "\xff", strings.Repeat("x", 501)} {
			if err := a.PutMail(t.Context(), address, 1000, []byte("x")); err == nil {
				t.Errorf("address %q is accepted", address)
			}
		}
	})
}

// Replicas fight for the same mail: each message goes to one of them, and those
// of one writer in their order.
func TestMailOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		const writers, each = 4, 50
		var written atomic.Int64
		var mu sync.Mutex
		taken := map[string]int{}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if err := dbs[w%2].PutMail(t.Context(), "box", 1000, fmt.Appendf(nil, "%d.%d", w, i)); err != nil {
						t.Error(err)
					}
					written.Add(1)
				}
			})
		}
		for r := range 8 {
			wg.Go(func() {
				for over := false; !over && !t.Failed(); {
					over = written.Load() == writers*each
					mail, err := dbs[r%2].TakeMail(t.Context(), "box")
					if err != nil {
						t.Error(err)
					}
					last := map[int]int{}
					for _, body := range mail {
						var w, i int
						if _, err := fmt.Sscanf(string(body), "%d.%d", &w, &i); err != nil {
							t.Error(err)
						}
						if before, ok := last[w]; ok && i <= before {
							t.Errorf("writer %d: %d after %d", w, i, before)
						}
						last[w] = i
						mu.Lock()
						taken[string(body)]++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		if len(taken) != writers*each {
			t.Errorf("%d messages arrived of %d", len(taken), writers*each)
		}
		for body, n := range taken {
			if n != 1 {
				t.Errorf("message %s arrived %d times", body, n)
			}
		}
	})
}

// What nobody takes does not pile up, in number or in size.
func TestMailBounds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		put := func(address string, most int, bodies ...[]byte) error {
			return db.PutMail(t.Context(), address, most, bodies...)
		}
		large := make([]byte, 30<<20)
		if err := errors.Join(put("few", 2, nil), put("few", 2, nil), put("other", 1, nil), put("large", 9, large), put("large", 9, large)); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"few": put("few", 2, nil), "at once": put("new", 1, nil, nil), "large": put("large", 9, large),
		} {
			if !errors.Is(err, session.ErrTooMany) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for address, want := range map[string]int{"few": 2, "new": 0, "large": 2} {
			if mail, err := db.TakeMail(t.Context(), address); len(mail) != want || err != nil {
				t.Errorf("%s has %d, %v", address, len(mail), err)
			}
		}
		if err := put("few", 2, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestMailSignals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		heard := listen(t, db)
		if err := db.PutMail(t.Context(), "box", 1000, []byte("1"), []byte("2")); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, heard); got != (session.Signal{Topic: session.SignalMail, Key: "box"}) {
			t.Errorf("heard %+v", got)
		}
		if mail, err := db.TakeMail(t.Context(), "box"); err != nil || len(mail) != 2 { // it is there when the signal comes
			t.Errorf("took %q, %v", mail, err)
		}
	})
}
