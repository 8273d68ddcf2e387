package actionsapi

import (
	"net/url"
	"strings"

	"github.com/stagedoor/stagedoor/internal/secretname"
)

// route is what a path asks for.
type route struct {
	plugin  string // whose actions alone there are; "": everybody's
	url     string // the request's, below the plugin's base, as it was sent but for secrets
	version int    // of invoke, 1 or 2; 0: the list
	id      string // of the action to invoke
}

const pathPrefix = "/.backstage/actions/"

// discreet is what a URL asks for, without values of its query that are secrets
// by their names: errors say it back, and answers are logged on their way.
func discreet(u *url.URL) string {
	if u.RawQuery == "" {
		return u.RequestURI()
	}
	pairs := strings.Split(u.RawQuery, "&")
	for i, pair := range pairs {
		escaped, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(escaped)
		if err != nil || secretname.Is(name) {
			pairs[i] = escaped + "=[redacted]"
		}
	}
	shown := *u
	shown.RawQuery = strings.Join(pairs, "&")
	return shown.RequestURI()
}

// routeOf reads a URL. A colon in an id may be encoded, as Backstage does, or
// not.
func routeOf(u *url.URL) (r route, ok bool) {
	path := u.EscapedPath()
	r.url = discreet(u)
	if rest, below := strings.CutPrefix(path, "/api/"); below {
		escaped, rest, _ := strings.Cut(rest, "/")
		plugin, err := url.PathUnescape(escaped)
		if err != nil || plugin == "" {
			return r, false
		}
		r.plugin, path = plugin, "/"+rest
		r.url = strings.TrimPrefix(r.url, "/api/"+escaped)
	}
	path, ok = strings.CutPrefix(path, pathPrefix)
	version, path, _ := strings.Cut(path, "/")
	switch parts := strings.Split(path, "/"); {
	case !ok:
		return r, false
	case path == "actions" && version == "v1": // there is no list in v2
		return r, true
	case len(parts) == 3 && parts[0] == "actions" && parts[2] == "invoke":
		id, err := url.PathUnescape(parts[1])
		r.id, r.version = id, map[string]int{"v1": 1, "v2": 2}[version]
		return r, err == nil && id != "" && r.version > 0
	}
	return r, false
}
