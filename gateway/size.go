package gateway

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes. In YAML it is a number, or one with a unit: B,
// KiB, MiB, GiB.
type Size int64

// ParseSize reads "1MiB", "512 KiB" or "4096".
func ParseSize(s string) (Size, error) {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.ParseInt(digits, 10, 64)
	shift, known := map[string]uint{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30}[strings.TrimSpace(s[len(digits):])]
	if err != nil || !known || n < 0 || n > 1<<(62-shift) {
		return 0, fmt.Errorf("expected a size like 1MiB, got %q", s)
	}
	return Size(n << shift), nil
}

// String is the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		shift uint
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if s != 0 && s%(1<<u.shift) == 0 {
			return strconv.FormatInt(int64(s>>u.shift), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
