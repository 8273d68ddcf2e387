package retryafter

import (
	"strconv"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"0", 0, true},
		{"1", time.Second, true},
		{" 120\t", 2 * time.Minute, true},
		{"007", 7 * time.Second, true},
		{"99999999999", Most, true},
		{"18446744073709551616", Most, true},
		{"Sun, 22 Nov 2026 12:00:30 GMT", 30 * time.Second, true},
		{"Sunday, 22-Nov-26 12:00:30 GMT", 30 * time.Second, true},
		{"Sun Nov 22 12:00:30 2026", 30 * time.Second, true},
		{"Sun, 22 Nov 2026 11:00:00 GMT", 0, true},
		{"Fri, 31 Dec 9999 23:59:59 GMT", Most, true},
		{"", 0, false},
		{" ", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{"1.5", 0, false},
		{"1e3", 0, false},
		{"0x10", 0, false},
		{"1_000", 0, false},
		{"1 2", 0, false},
		{"١", 0, false},
		{"soon", 0, false},
		{"Sun, 32 Nov 2026 12:00:30 GMT", 0, false},
	} {
		got, ok := Parse(c.value, now)
		if got != c.want || ok != c.ok {
			t.Errorf("Parse(%q) = %v, %v; want %v, %v", c.value, got, ok, c.want, c.ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, value := range []string{"", "1", "-1", "18446744073709551616", "Sun, 22 Nov 2026 12:00:30 GMT", "Mon Jan  1 00:00:00 0001"} {
		f.Add(value, int64(1_700_000_000))
	}
	f.Fuzz(func(t *testing.T, value string, now int64) {
		got, ok := Parse(value, time.Unix(now%(1<<35), 0))
		if got < 0 || got > Most || !ok && got != 0 {
			t.Fatalf("Parse(%q) = %v, %v", value, got, ok)
		}
		if n, err := strconv.ParseUint(value, 10, 24); err == nil && (!ok || got != min(time.Duration(n)*time.Second, Most)) {
			t.Fatalf("Parse(%q) = %v, %v", value, got, ok)
		}
	})
}
