package invoke

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stagedoor/stagedoor/internal/retryafter"
)

// Header is a header of the plugin's answer that a caller can act on.
type Header struct{ Name, Value string } // the name in lower case

const (
	// maxHeader bounds one header's value: a link that is cut is no link.
	maxHeader = 2000
	// maxHeaders bounds all of them.
	maxHeaders = 20
)

// tells picks the headers that say where to go on, what was made, and how much
// more one may ask, and gives the names that they are told by. The usual ones
// are written out, for lower case takes an allocation.
func tells(canonical string) (name string, ok bool) {
	switch canonical {
	case "Link":
		return "link", true
	case "Location":
		return "location", true
	case "Retry-After":
		return "retry-after", true
	case "Etag":
		return "etag", true
	case "Last-Modified":
		return "last-modified", true
	case "X-Total-Count":
		return "x-total-count", true
	case "X-Ratelimit-Limit":
		return "x-ratelimit-limit", true
	case "X-Ratelimit-Remaining":
		return "x-ratelimit-remaining", true
	case "X-Ratelimit-Reset":
		return "x-ratelimit-reset", true
	case "Content-Location", "Content-Disposition", "Deprecation", "Sunset",
		"X-Total", "X-Total-Pages", "X-Page", "X-Per-Page", "X-Next-Page", "X-Prev-Page", "X-Next-Cursor":
		return strings.ToLower(canonical), true
	}
	for _, prefix := range []string{"Ratelimit", "X-Ratelimit", "X-Rate-Limit"} {
		if strings.HasPrefix(canonical, prefix) {
			return strings.ToLower(canonical), true
		}
	}
	return "", false
}

// headers picks what of the answer's headers a caller learns, ordered by name:
// without hosts and without secrets. Every call comes through here, so values
// are rewritten only where there is something to hide.
func (c *Client) headers(header http.Header, hidden *secrets) (out []Header) {
	for canonical, values := range header {
		name, ok := tells(canonical)
		if !ok {
			continue
		}
		value := hidden.redactText(strings.Join(values, ", "))
		value = strings.ToValidUTF8(c.discreet(withoutHosts(name, value)), "")
		if value == "" || len(value) > maxHeader {
			continue
		}
		if out == nil {
			out = make([]Header, 0, 8)
		}
		out = append(out, Header{name, value})
	}
	slices.SortFunc(out, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	return out[:min(len(out), maxHeaders)]
}

var (
	// origin is scheme and authority of a URL (RFC 3986 §3). A percent-encoded
	// character before it is not the scheme's.
	origin = regexp.MustCompile(`(?i)((?:%[0-9A-F]{2})?)[a-z][a-z0-9+.-]*://[^/?#\s"'<>\\]*[/\\]*`)
	// authority is that of a reference without a scheme.
	authority = regexp.MustCompile(`(^|[<\s"'])//[^/?#\s"'<>\\]*[/\\]*`)
	// encodedOrigin is that of a URL in another one's query. What it may hold
	// encoded is all but / ? # and &.
	encodedOrigin = regexp.MustCompile(`(?i)(?:https?|wss?)(?::|%3A)(?:%2F){2}(?:[^/?#&\s"'<>\\%]|%(?:2[0-24-57-9A-E]|3[0-9A-E]|[014-9A-F][0-9A-F]))*(?:%2F)*`)
)

// withoutHosts leaves only paths and queries of URLs, whoever's they are: the
// hosts behind a plugin are no more for the caller than its own.
func withoutHosts(name, value string) string {
	if strings.Contains(value, "//") {
		value = origin.ReplaceAllString(value, "$1/")
		switch name {
		case "link", "location", "content-location":
			value = authority.ReplaceAllString(value, "$1/")
		}
	}
	if containsFold(value, "%2F%2F") {
		value = encodedOrigin.ReplaceAllString(value, "%2F")
	}
	return value
}

// containsFold tells whether part, which is not empty, stands in s in any case.
func containsFold(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i]|0x20 == part[0]|0x20 && strings.EqualFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// innerName matches the plugin's host in any text. A name without a dot may be
// a word, so it counts only with its port or in a URL.
func innerName(base *url.URL) *regexp.Regexp {
	port := cmp.Or(base.Port(), map[string]string{"http": "80", "https": "443"}[base.Scheme])
	host := base.Hostname()
	switch name := regexp.QuoteMeta(host); {
	case strings.Contains(host, ":"):
		return regexp.MustCompile(`(?i)()\[` + name + `\](?::` + port + `\b)?`)
	case strings.Contains(host, "."):
		return regexp.MustCompile(`(?i)()` + name + `\b(?::` + port + `\b)?`)
	default:
		return regexp.MustCompile(`(?i)(//)` + name + `\b(?::` + port + `\b)?|` + name + `:` + port + `\b`)
	}
}

// discreet takes the plugin's own address out of a text.
func (c *Client) discreet(text string) string {
	if !containsFold(text, c.base.Hostname()) {
		return text
	}
	return c.inner.ReplaceAllString(text, "${1}[plugin]")
}

// retryAfter words a Retry-After header, "" where that says nothing of use.
func retryAfter(header http.Header, now time.Time) string {
	wait, ok := retryafter.Parse(header.Get("Retry-After"), now)
	if wait = wait.Round(time.Second); !ok || wait <= 0 || wait >= retryafter.Most {
		return ""
	}
	return "try again in " + wait.String()
}
