package invoke

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Header is a header of the plugin's answer that a caller can act on.
type Header struct{ Name, Value string } // the name in lower case

const (
	// maxHeader bounds one header's value: a link that is cut is no link.
	maxHeader = 2000
	// maxHeaders bounds all of them.
	maxHeaders = 20
)

// tells lists the headers that say where to go on, what was made, and how much
// more one may ask.
func tells(canonical string) bool {
	switch canonical {
	case "Link", "Location", "Content-Location", "Retry-After", "Etag", "Last-Modified", "Content-Disposition", "Deprecation", "Sunset",
		"X-Total", "X-Total-Count", "X-Total-Pages", "X-Page", "X-Per-Page", "X-Next-Page", "X-Prev-Page", "X-Next-Cursor":
		return true
	}
	for _, prefix := range []string{"Ratelimit", "X-Ratelimit", "X-Rate-Limit"} {
		if strings.HasPrefix(canonical, prefix) {
			return true
		}
	}
	return false
}

// headers picks what of the answer's headers a caller learns, ordered by name:
// without the plugin's own address and without secrets.
func (c *Client) headers(header http.Header, hidden *secrets) (out []Header) {
	for name, values := range header {
		if !tells(name) {
			continue
		}
		value := hidden.redactText(strings.Join(values, ", "))
		value = strings.ToValidUTF8(c.discreet(c.own.ReplaceAllString(value, "$1")), "")
		if value != "" && len(value) <= maxHeader {
			out = append(out, Header{strings.ToLower(name), value})
		}
	}
	slices.SortFunc(out, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	return out[:min(len(out), maxHeaders)]
}

// ownAddress matches the origin of URLs that lead to the plugin, with what
// follows it.
func ownAddress(scheme, host string) *regexp.Regexp {
	port := ""
	if !regexp.MustCompile(`:\d+$`).MatchString(host) {
		port = map[string]string{"http": "(?::80)?", "https": "(?::443)?"}[scheme]
	}
	return regexp.MustCompile(`(?i)https?://` + regexp.QuoteMeta(host) + port + `([/?#>;,"\s]|$)`)
}

// innerNames matches the plugin's host in any text; a name without a dot may be
// a word, so it counts only with its port.
func innerNames(base *url.URL) *regexp.Regexp {
	names := []string{regexp.QuoteMeta(base.Host)}
	if name := base.Hostname(); strings.Contains(name, ".") {
		names = append(names, regexp.QuoteMeta(name))
	}
	return regexp.MustCompile(`(?i)(?:` + strings.Join(names, "|") + `)(?:\b|$)`)
}

// retryAfter words a Retry-After header (RFC 9110 §10.2.3): seconds or a date.
func retryAfter(header http.Header, now time.Time) string {
	value := header.Get("Retry-After")
	seconds, err := strconv.Atoi(value)
	if err != nil {
		at, err := http.ParseTime(value)
		if err != nil {
			return ""
		}
		seconds = int(at.Sub(now).Round(time.Second) / time.Second)
	}
	if seconds <= 0 || seconds > 365*24*3600 {
		return ""
	}
	return "try again in " + (time.Duration(seconds) * time.Second).String()
}
