// Package retryafter reads the header by which a server says when to come
// again.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Most bounds what Parse gives. Whoever asks for more is believed so far.
const Most = 365 * 24 * time.Hour

// Parse gives how long to wait after now, and whether the value of a
// Retry-After header says so: seconds or an HTTP date (RFC 9110, section
// 10.2.3). A date that is past means at once.
func Parse(value string, now time.Time) (time.Duration, bool) {
	value = strings.Trim(value, " \t")
	if digits(value) {
		seconds, err := strconv.ParseUint(value, 10, 64)
		if err != nil || seconds > uint64(Most/time.Second) {
			return Most, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(at.Sub(now), 0), Most), true
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
